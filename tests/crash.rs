//! What was acknowledged survives SIGKILL at any moment.
//!
//! `HOOKMILL_CRASH_ROUNDS` sets how often the router is killed, `HOOKMILL_CRASH_SEED` repeats a run's moments.

use hookmill_tests::crash::{CrashTest, Pace};
use hookmill_tests::fixture::{built, target_directory, variable};
use hookmill_tests::router::Options;

const ROUNDS_DEFAULT: u32 = 30;
/// Rounds within which the broken router has to lose something. One kill in two does.
const CONTROL_ROUNDS_MAX: u32 = 20;

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    variable(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The seed of this run, or one that no other run had.
fn seed() -> u64 {
    number("HOOKMILL_CRASH_SEED").unwrap_or_else(|| {
        use std::hash::{BuildHasher as _, RandomState};
        RandomState::new().hash_one("crash")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_delivered_after_kills_at_random_moments() {
    let rounds = number("HOOKMILL_CRASH_ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let test = CrashTest { program: Options::default().program, rounds, seed: seed(), pace: Pace::Mixed };
    let findings = test.run().await;
    findings.check();
    assert!(findings.acknowledged >= rounds as usize, "hardly any load: {findings}");
    println!("{findings}");
}

/// A test that can't fail proves nothing: the same test finds the losses of a router that acknowledges too early.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_acknowledges_before_its_commit_is_caught() {
    let broken = target_directory().join("negative-control/hookmill");
    let program = built(broken, "cargo xtask test");
    let seed = seed();
    for round in 0..CONTROL_ROUNDS_MAX {
        let test = CrashTest {
            program: program.clone(),
            rounds: 1,
            seed: seed ^ u64::from(round),
            pace: Pace::HeldBack,
        };
        let findings = test.run().await;
        if !findings.lost.is_empty() {
            println!("caught: {findings}");
            return;
        }
    }
    panic!("{CONTROL_ROUNDS_MAX} kills and nothing lost: the crash test does not see what it is there for");
}
