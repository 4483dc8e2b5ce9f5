//! Deliveries of one tenant while another one does what it can: many endpoints that hang, and large events for all of them;
//! then all that it and strangers can do at once ([`attackers`](crate::attackers)).

use super::{Bench, PAYLOAD_BYTES};
use crate::attackers::Attackers;
use crate::error::BenchError;
use crate::generator::{self, Extent, Numbers};
use crate::receiver::{Manner, Receiver};
use crate::report::{Figure, Quantiles, Target};
use crate::router::{Application, last_lines};

/// Events a second of the tenant that does no wrong.
const RATE: u32 = 300;
/// As many as one application may have.
const HANGING_ENDPOINTS: usize = 1000;
const LARGE_EVENTS: u64 = 20;
const LARGE_BYTES: usize = 900_000;
/// How often the quiet 99th percentile the loud one may be.
const RISE_MAX: f64 = 3.0;
const RESIDENT_MAX_MB: f64 = 300.0;

/// What the other tenant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    Nothing,
    /// Endpoints that hang, and large events.
    Hangs,
    /// All at once, with strangers.
    Attacks,
}

impl Bench {
    /// Paced deliveries of one application, alone and beside a loud one.
    pub(super) async fn tenants(&self) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        let (quiet, _, quiet_remark) = self.paced_by(Other::Nothing).await?;
        let (beside, resident_mb, remark) = self.paced_by(Other::Hangs).await?;
        let (attacked, attacked_mb, attacked_remark) = self.paced_by(Other::Attacks).await?;
        let figure = |what: &str, ms: f64| Figure::new(format!("{RATE}/s, {what}"), "ms", ms);
        let figures = vec![
            figure("alone, p50", quiet.p50),
            figure("alone, p99", quiet.p99),
            figure("beside a loud tenant, p50", beside.p50),
            figure("beside a loud tenant, p99", beside.p99).target(Target::AtMost(quiet.p99 * RISE_MAX)),
            Figure::new("resident memory, peak", "MB", resident_mb).target(Target::AtMost(RESIDENT_MAX_MB)),
            figure("beside all attacks at once, p50", attacked.p50),
            figure("beside all attacks at once, p99", attacked.p99)
                .target(Target::AtMost(quiet.p99 * RISE_MAX)),
            Figure::new("resident memory under attack, peak", "MB", attacked_mb)
                .target(Target::AtMost(RESIDENT_MAX_MB)),
        ];
        let loud = format!(
            "the loud tenant: {HANGING_ENDPOINTS} endpoints that never answer, {LARGE_EVENTS} events of {LARGE_BYTES} bytes"
        );
        Ok((figures, vec![quiet_remark, remark, loud, attacked_remark]))
    }

    async fn paced_by(&self, other: Other) -> Result<(Quantiles, f64, String), BenchError> {
        let receiver = Receiver::start(Manner::Answers).await?;
        let hanging = Receiver::start(Manner::Holds).await?;
        let (data, mut router) = self.start_router().await?;
        let application = Application::create(&router).await?;
        application.add_endpoint(receiver.address).await?;
        let loud = Application::create(&router).await?;
        if other == Other::Hangs {
            for _ in 0..HANGING_ENDPOINTS {
                loud.add_endpoint(hanging.address).await?;
            }
            let extent = Extent { connections: 2, seconds: 60.0, events_max: LARGE_EVENTS };
            let numbers = Numbers::default();
            generator::closed_loop(&loud.target(&router, LARGE_BYTES), &numbers, extent).await?;
        }
        let attackers = match other {
            Other::Nothing | Other::Hangs => None,
            Other::Attacks => Some(Attackers::begin(&router, &self.log("attackers")).await?),
        };
        let target = application.target(&router, PAYLOAD_BYTES);
        let (quantiles, remark) = self.paced(&target, &receiver, RATE, self.fixed_rate_seconds).await?;
        if let Some(attackers) = attackers {
            let log = self.log("attackers");
            if !attackers.end().await {
                return Err(BenchError::Ended { what: "the attackers".into(), log: last_lines(&log) });
            }
        }
        router.still_runs()?;
        let resident_mb = router.resident()?.peak_mb;
        router.kill().await;
        drop(data);
        Ok((quantiles, resident_mb, remark))
    }
}
