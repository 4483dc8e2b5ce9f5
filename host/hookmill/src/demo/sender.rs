//! A good client: it sends each event again, under the same id, until it is acknowledged.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::watch;

use super::seeds::Seed;
use super::stage::{APP, Part, Stage};
use crate::client::Client;
use crate::failure::{Exit, Failure};

/// Events that are on their way at once.
const CONCURRENCY: usize = 16;

/// Sends events of every kind in turn.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    seeds: Vec<Seed>,
    count: usize,
    acknowledged: watch::Sender<usize>,
    /// Counts the starts of the router after the first.
    restarts: watch::Sender<u32>,
}

/// An acknowledged event.
#[derive(Debug)]
pub(super) struct Sent {
    /// Which payload.
    pub(super) seed: usize,
    /// The router's id of it.
    pub(super) id: String,
}

impl Sender {
    pub(super) fn new(client: Client, seeds: Vec<Seed>, count: u32) -> Self {
        let (acknowledged, restarts) = (watch::Sender::new(0), watch::Sender::new(0));
        Self { client, seeds, count: count as usize, acknowledged, restarts }
    }

    pub(super) fn seeds(&self) -> &[Seed] {
        &self.seeds
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many deliveries there will be.
    pub(super) fn expected(&self, stage: &Stage) -> usize {
        stage.parts.iter().map(|part| self.expected_at(part)).sum()
    }

    /// How many of them go to one endpoint.
    pub(super) fn expected_at(&self, part: &Part) -> usize {
        (0..self.count).filter(|number| part.takes(&self.seeds[self.seed_of(*number)].event_type)).count()
    }

    /// Waits until so many events are acknowledged.
    pub(super) async fn acknowledged(&self, count: usize) {
        let _ = self.acknowledged.subscribe().wait_for(|acknowledged| *acknowledged >= count).await;
    }

    /// Says that the router was started again.
    pub(super) fn router_is_back(&self) {
        self.restarts.send_modify(|restarts| *restarts += 1);
    }

    /// Sends all events.
    ///
    /// # Errors
    /// An event that the router refuses.
    pub(super) async fn send_all(&self) -> Result<Vec<Sent>, Failure> {
        stream::iter((0..self.count).map(|number| self.send(number)))
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    async fn send(&self, number: usize) -> Result<Sent, Failure> {
        let seed = self.seed_of(number);
        let Seed { event_type, text, .. } = &self.seeds[seed];
        let event_id = format!("demo-{number}");
        let mut restarts = self.restarts.subscribe();
        loop {
            let before = *restarts.borrow_and_update();
            match self.client.send_event(APP, event_type, Some(&event_id), text).await {
                Ok(accepted) => {
                    self.acknowledged.send_modify(|acknowledged| *acknowledged += 1);
                    let id = accepted["id"].as_str().unwrap_or_default().to_owned();
                    return Ok(Sent { seed, id });
                }
                // Whether it was stored nobody knows: once the router is back, again.
                Err(failure) if failure.exit == Exit::Unreachable => {
                    let _ = restarts.wait_for(|restarts| *restarts > before).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn seed_of(&self, number: usize) -> usize {
        number % self.seeds.len()
    }
}
