//! The connections that are open: how many, of whom, and which one makes way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::activity::{Activity, Dispensable};
use crate::client::Client;

/// Connections that one look at all of them names as those that make way next.
const CANDIDATES_MAX: usize = 256;

/// The connections that are open.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    per_client_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all: Group,
    by_client: HashMap<Client, Group>,
    next: u64,
}

#[derive(Debug, Default)]
struct Group {
    open: HashMap<u64, (Arc<Activity>, Option<Client>)>,
    /// Those that make way first, as of the last look, the first ones first.
    candidates: VecDeque<(Dispensable, Instant, u64)>,
}

/// Whether a connection is served.
#[derive(Debug)]
pub(crate) enum Admission {
    Admitted(Slot),
    /// All connections are at work.
    Full,
    /// All that this client may have are open and at work.
    ClientFull,
}

/// One open connection. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Arc<Connections>,
    client: Option<Client>,
    id: u64,
}

impl Connections {
    pub(crate) fn new(max: usize, per_client_max: usize) -> Arc<Self> {
        let max = max.max(1);
        let per_client_max = per_client_max.clamp(1, max);
        Arc::new(Self { max, per_client_max, state: Mutex::default() })
    }

    /// Takes one more in. Where there is no room, the one that has been idle for longest makes way, else the one whose client
    /// has been silent for longest within a request.
    pub(crate) fn admit(self: &Arc<Self>, client: Option<Client>, activity: &Arc<Activity>) -> Admission {
        let mut state = self.lock();
        if let Some(client) = client
            && let Some(group) = state.by_client.get_mut(&client)
            && group.open.len() >= self.per_client_max
        {
            let Some((id, of)) = group.evict() else { return Admission::ClientFull };
            state.remove(of, id);
        }
        if state.all.open.len() >= self.max {
            let Some((id, of)) = state.all.evict() else { return Admission::Full };
            state.remove(of, id);
        }
        let id = state.next;
        state.next += 1;
        state.all.open.insert(id, (Arc::clone(activity), client));
        if let Some(client) = client {
            state.by_client.entry(client).or_default().open.insert(id, (Arc::clone(activity), Some(client)));
        }
        Admission::Admitted(Slot { connections: Arc::clone(self), client, id })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, client: Option<Client>, id: u64) {
        self.all.open.remove(&id);
        if let Some(client) = client
            && let Some(group) = self.by_client.get_mut(&client)
        {
            group.open.remove(&id);
            if group.open.is_empty() {
                self.by_client.remove(&client);
            }
        }
    }
}

impl Group {
    /// Ends the connection that makes way first.
    fn evict(&mut self) -> Option<(u64, Option<Client>)> {
        // A flood of newcomers must not cost a look at all connections each.
        for looks_again in [true, false] {
            while let Some((why, since, id)) = self.candidates.pop_front() {
                let Some((activity, client)) = self.open.get(&id) else { continue };
                if activity.evict((why, since), Instant::now()) {
                    return Some((id, *client));
                }
            }
            if looks_again {
                self.look();
            }
        }
        None
    }

    fn look(&mut self) {
        let now = Instant::now();
        let quiet = self.open.iter().filter_map(|(id, (activity, _))| {
            let (why, since) = activity.makes_way(now)?;
            Some((why, since, *id))
        });
        let mut quiet: Vec<_> = quiet.collect();
        if quiet.len() > CANDIDATES_MAX {
            quiet.select_nth_unstable(CANDIDATES_MAX);
            quiet.truncate(CANDIDATES_MAX);
        }
        quiet.sort_unstable();
        self.candidates = quiet.into();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.lock().remove(self.client, self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn client(number: u32) -> Option<Client> {
        Some(Client::new(std::net::Ipv4Addr::from_bits(number).into()))
    }

    fn admitted(admission: Admission) -> Slot {
        match admission {
            Admission::Admitted(slot) => slot,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_was_quiet_for_longest_makes_way() {
        let connections = Connections::new(3, 2);
        let mut open = Vec::new();
        for number in [1, 1, 2] {
            let activity = Activity::new(Instant::now());
            open.push((admitted(connections.admit(client(number), &activity)), activity));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let is_quiet = |at: usize| open[at].1.quiet_since().is_some();
        let busy = open[0].1.begin(false);
        assert!(!is_quiet(0));
        // The client's own one makes way for its third, and all others' for what is beyond the limit of all.
        let third = Activity::new(Instant::now());
        let third = admitted(connections.admit(client(1), &third));
        open[1].1.evicted().await;
        let second_busy = open[2].1.begin(false);
        let fourth = Activity::new(Instant::now());
        let slot = admitted(connections.admit(client(3), &fourth));
        let busy_too = fourth.begin(false);
        assert!(matches!(connections.admit(client(3), &fourth), Admission::Full));
        drop(second_busy);
        assert!(matches!(
            connections.admit(client(4), &Activity::new(Instant::now())),
            Admission::Admitted(_)
        ));
        open[2].1.evicted().await;
        drop((busy, busy_too, third, slot, open));
        assert!(connections.lock().all.open.is_empty() && connections.lock().by_client.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_takes_its_share_and_no_more() {
        let connections = Connections::new(10, 2);
        let activities = [(); 2].map(|()| Activity::new(Instant::now()));
        let slots: Vec<_> =
            activities.iter().map(|activity| admitted(connections.admit(client(1), activity))).collect();
        let requests: Vec<_> = activities.iter().map(|activity| activity.begin(true)).collect();
        let third = Activity::new(Instant::now());
        assert!(matches!(connections.admit(client(1), &third), Admission::ClientFull));
        assert!(matches!(connections.admit(client(2), &third), Admission::Admitted(_)));
        assert!(matches!(connections.admit(None, &third), Admission::Admitted(_)));
        // Clients that say no more within a request make way as well, after others.
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(matches!(connections.admit(client(1), &third), Admission::Admitted(_)));
        activities[0].evicted().await;
        drop((slots, requests));
    }
}
