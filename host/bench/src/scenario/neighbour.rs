//! Deliveries beside an endpoint that is busy, and beside one whose plugin loops without end.

use super::{Bench, PAYLOAD_BYTES};
use crate::error::BenchError;
use crate::generator::{self, Numbers};
use crate::receiver::{Manner, Receiver};
use crate::report::{Figure, Quantiles, Target};
use crate::router::Application;

/// Events a second to each of the two endpoints.
const RATE: u32 = 300;
const SECONDS_MIN: u32 = 10;
/// How much the 99th percentile may rise because of the neighbour.
const RISE_MAX: f64 = 1.2;
/// Odd, so that there is a middle one. The 99th percentile of a few seconds is seldom the same twice.
const ROUNDS: usize = 3;

impl Bench {
    /// Paced deliveries of one application while another one's endpoint is flooded: with events that it takes as they
    /// are, and with a plugin that loops without end.
    pub(super) async fn neighbour(&self) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        let looping = hookmill_tests::plugin::looping();
        let (mut beside_none, mut beside_loop) = (Vec::new(), Vec::new());
        let mut remarks = Vec::new();
        // By turns: what else goes on in the machine meets both.
        for _ in 0..ROUNDS {
            beside_none.push(self.paced_beside(None).await?.0);
            let (beside, remark) = self.paced_beside(Some(&looping)).await?;
            beside_loop.push(beside);
            remarks.push(remark);
        }
        let rounds = |beside: &[Quantiles]| {
            let p99s: Vec<String> = beside.iter().map(|round| format!("{:.2}", round.p99)).collect();
            p99s.join(", ")
        };
        remarks.push(format!(
            "medians of {ROUNDS} rounds by turns; their p99, busy: {} ms, loop: {} ms",
            rounds(&beside_none),
            rounds(&beside_loop),
        ));
        let (beside_none, beside_loop) = (median(&beside_none), median(&beside_loop));
        let figure = |what: &str, ms: f64| Figure::new(format!("{RATE}/s, {what}"), "ms", ms);
        let figures = vec![
            figure("beside a busy endpoint, p50", beside_none.p50),
            figure("beside a busy endpoint, p99", beside_none.p99),
            figure("beside an endless loop, p50", beside_loop.p50),
            figure("beside an endless loop, p99", beside_loop.p99)
                .target(Target::AtMost(beside_none.p99 * RISE_MAX)),
        ];
        Ok((figures, remarks))
    }

    async fn paced_beside(&self, plugin: Option<&[u8]>) -> Result<(Quantiles, String), BenchError> {
        let receiver = Receiver::start(Manner::Answers).await?;
        let others = Receiver::start(Manner::Answers).await?;
        let (data, mut router) = self.start_router().await?;
        let application = Application::create(&router).await?;
        application.add_endpoint(receiver.address).await?;
        let other = Application::create(&router).await?;
        let endpoint = other.add_endpoint(others.address).await?;
        if let Some(component) = plugin {
            other.transform(&endpoint, "neighbour", component).await?;
        }
        let (target, other) =
            (application.target(&router, PAYLOAD_BYTES), other.target(&router, PAYLOAD_BYTES));
        let numbers = Numbers::default();
        // Long enough that the plugin's first runs, before its breaker opens, are not all that is measured.
        let seconds = self.fixed_rate_seconds.max(SECONDS_MIN);
        // Longer than the measured load, which ends it.
        let flood = generator::fixed_rate(&other, &numbers, RATE, 2 * seconds);
        let measured = tokio::select! {
            measured = self.paced(&target, &receiver, RATE, seconds) => measured,
            flooded = flood => Err(flooded.err().unwrap_or(BenchError::Proc { path: "flood".into() })),
        };
        router.still_runs()?;
        router.kill().await;
        drop(data);
        measured
    }
}

/// The medians of what several rounds took.
fn median(rounds: &[Quantiles]) -> Quantiles {
    let middle = |of: fn(&Quantiles) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Quantiles {
        p50: middle(|round| round.p50),
        p90: middle(|round| round.p90),
        p99: middle(|round| round.p99),
    }
}
