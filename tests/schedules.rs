//! Every schedule that a preset promises, kept to the second: the real scheduler and store in virtual time.

use std::time::Duration;

use hookmill_core::policy::Overrides;
use hookmill_core::preset::Preset;
use hookmill_core::retry::{RawRetryPolicy, RetryPolicy, STANDARD_WEBHOOKS_DELAYS, Schedule};
use hookmill_tests::virtual_time::{VirtualRouter, answer};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A preset's retries without chance.
fn exact(preset: Preset) -> Overrides {
    let raw = RawRetryPolicy { jitter_percent: 0, ..preset.policy().retry.into() };
    Overrides {
        retry: Some(RetryPolicy::try_from(raw).expect("a schedule within the limits")),
        ..Overrides::default()
    }
}

/// `whatsapp` with other tries than its two more.
fn whatsapp_tries(tries: u32) -> Overrides {
    let mut raw = RawRetryPolicy::from(Preset::Whatsapp.policy().retry);
    if let Schedule::Exponential { attempts_max, .. } = &mut raw.schedule {
        *attempts_max = tries;
    }
    Overrides {
        retry: Some(RetryPolicy::try_from(raw).expect("a schedule within the limits")),
        ..Overrides::default()
    }
}

/// The whole schedule of an endpoint that never takes anything.
async fn check_waits(preset: Preset, overrides: Overrides, expect: &[u64]) {
    let router = VirtualRouter::start(preset, overrides).await;
    router.receiver().answer_always(answer(500));
    router.send("test.event", "{}").await;
    router.run_until_arrivals(expect.len() + 1).await;
    assert_eq!(router.waits(), expect, "{preset}");
    router.run_for(2 * DAY).await;
    assert_eq!(router.waits(), expect, "{preset} tries on after its last attempt");
}

#[tokio::test(start_paused = true)]
async fn each_preset_keeps_its_whole_schedule() {
    let standard: Vec<_> = STANDARD_WEBHOOKS_DELAYS.iter().map(Duration::as_secs).collect();
    check_waits(Preset::Standard, exact(Preset::Standard), &standard).await;
    check_waits(Preset::Osmox, Overrides::default(), &[2, 4, 8, 16]).await;
    check_waits(Preset::Whatsapp, Overrides::default(), &[10, 100]).await;
    check_waits(Preset::Conversation, Overrides::default(), &[4, 8, 10]).await;
    check_waits(Preset::Mifumo, Overrides::default(), &[60, 300, 900]).await;
}

#[tokio::test(start_paused = true)]
async fn chance_moves_the_standard_schedule_within_its_bounds() {
    let router = VirtualRouter::start(Preset::Standard, Overrides::default()).await;
    router.receiver().answer_always(answer(500));
    router.send("test.event", "{}").await;
    router.run_until_arrivals(STANDARD_WEBHOOKS_DELAYS.len() + 1).await;
    for (wait, scheduled) in router.waits().into_iter().zip(STANDARD_WEBHOOKS_DELAYS) {
        let (shortest, longest) = (scheduled / 2, scheduled * 6 / 5);
        assert!((shortest..=longest).contains(&Duration::from_secs(wait)), "{wait} s for {scheduled:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_the_schedule() {
    let router = VirtualRouter::start(Preset::Osmox, Overrides::default()).await;
    router.receiver().answer_next(answer(500));
    router.receiver().answer_next(answer(503));
    router.send("test.event", "{}").await;
    router.run_for(DAY).await;
    assert_eq!(router.waits(), [2, 4]);
}

#[tokio::test(start_paused = true)]
async fn whatsapp_gives_up_after_3_seconds_and_tries_two_more_times() {
    let router = VirtualRouter::start(Preset::Whatsapp, Overrides::default()).await;
    router.receiver().take(HOUR);
    router.send("message.status", "{}").await;
    router.run_until_arrivals(3).await;
    // A wait begins when the attempt before it has ended.
    assert_eq!(router.waits(), [3 + 10, 3 + 100]);
}

#[tokio::test(start_paused = true)]
async fn whatsapp_waits_grow_to_27_hours() {
    let waits = [10, 100, 1000, 10_000, 100_000, 100_000];
    check_waits(Preset::Whatsapp, whatsapp_tries(7), &waits).await;
}

#[tokio::test(start_paused = true)]
async fn a_27_hour_wait_survives_a_restart_in_its_middle() {
    let mut router = VirtualRouter::start(Preset::Whatsapp, whatsapp_tries(7)).await;
    router.receiver().answer_always(answer(500));
    router.send("message.status", "{}").await;
    router.run_until_arrivals(5).await;
    router.run_for(13 * HOUR).await;
    router.restart().await;
    router.run_until_arrivals(6).await;
    assert_eq!(router.waits().last(), Some(&100_000));
}

#[tokio::test(start_paused = true)]
async fn a_27_hour_wait_survives_a_clock_that_jumps_and_comes_back() {
    let router = VirtualRouter::start(Preset::Whatsapp, whatsapp_tries(7)).await;
    router.receiver().answer_always(answer(500));
    router.send("message.status", "{}").await;
    router.run_until_arrivals(5).await;
    for hours in [5, -20, 15] {
        router.run_for(2 * HOUR).await;
        router.jump_clock(hours * 3600);
    }
    router.run_until_arrivals(6).await;
    assert_eq!(router.waits().last(), Some(&100_000));
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_as_long_whatever_the_wall_clock_is_set_to() {
    let check = async |jump: i64, restarts: bool, expect: u64| {
        let mut router = VirtualRouter::start(Preset::Whatsapp, whatsapp_tries(6)).await;
        router.receiver().answer_always(answer(500));
        router.send("message.status", "{}").await;
        router.run_until_arrivals(5).await;
        router.run_for(HOUR).await;
        router.jump_clock(jump);
        if restarts {
            router.restart().await;
        }
        router.run_until_arrivals(6).await;
        let wait = router.waits()[4];
        // The router looks at the clock every second.
        assert!((expect..=expect + 1).contains(&wait), "{jump} s, restarts: {restarts}: {wait} s");
        router.jump_clock(-jump);
        router.run_for(2 * DAY).await;
        assert_eq!(router.receiver().arrivals().len(), 6, "{jump} s, restarts: {restarts}");
    };
    for jump in [50_000, -50_000, 500_000, -500_000, -30 * 86_400] {
        check(jump, false, 100_000).await;
    }
    // Of a clock that went forward while the router was stopped nobody can say that it was not stopped for so long; one that
    // went back makes no wait longer.
    check(50_000, true, 100_000 - 50_000).await;
    check(500_000, true, 3600).await;
    check(-50_000, true, 100_000).await;
    check(-30 * 86_400, true, 100_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_a_day_delays_no_retry_that_is_due_in_seconds() {
    for restarts in [false, true] {
        let mut router = VirtualRouter::start(Preset::Osmox, Overrides::default()).await;
        router.receiver().answer_always(answer(500));
        router.send("test.event", "{}").await;
        router.run_until_arrivals(1).await;
        router.jump_clock(-86_400);
        if restarts {
            router.restart().await;
        }
        router.run_for(Duration::from_secs(60)).await;
        assert_eq!(router.waits().len(), 4, "restarts: {restarts}: {:?}", router.waits());
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_two_hours_delays_no_probe_of_an_open_breaker() {
    let mut router = VirtualRouter::start(Preset::Standard, exact(Preset::Standard)).await;
    router.receiver().answer_always(answer(500));
    for _ in 0..20 {
        router.send("test.event", "{}").await;
    }
    router.run_until_arrivals(10).await;
    let tried = router.receiver().arrivals().len();
    router.jump_clock(-2 * 3600);
    router.receiver().answer_always(answer(200));
    router.run_for(Duration::from_secs(30)).await;
    assert_eq!(router.receiver().arrivals().len(), tried + 20, "after 5 s each has been tried once more");
    router.restart().await;
    router.send("test.event", "{}").await;
    router.run_for(Duration::from_secs(2)).await;
    assert_eq!(router.receiver().arrivals().len(), tried + 21, "what comes after a restart goes at once");
}

#[tokio::test(start_paused = true)]
async fn events_go_at_once_whatever_the_wall_clock_is_set_to() {
    let mut router = VirtualRouter::start(Preset::Standard, Overrides::default()).await;
    let mut sent = 0;
    for (jump, restarts) in [(86_400, false), (-2 * 86_400, false), (-86_400, true), (30 * 86_400, true)] {
        router.jump_clock(jump);
        if restarts {
            router.restart().await;
        }
        router.send("test.event", "{}").await;
        sent += 1;
        router.run_for(Duration::from_secs(2)).await;
        let arrivals = router.receiver().arrivals();
        assert_eq!(arrivals.len(), sent, "{jump} s, restarts: {restarts}");
        let signed = arrivals[sent - 1].request.headers["webhook-timestamp"].to_str().expect("a number");
        assert_eq!(signed, arrivals[sent - 1].wall.as_secs().to_string(), "signatures go by the wall clock");
    }
}
