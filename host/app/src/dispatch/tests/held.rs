//! Deliveries that wait for somebody to mend something.

use super::*;

/// The endpoint with other settings for its plugin.
fn with_settings(settings: &str) -> Change {
    let Transformation::Plugin(mut used) = plugin(OnTransformFailure::Hold) else { unreachable!() };
    used.binding.settings = settings.into();
    let updated_at = UnixMillis(START.0 + 1);
    Change::PutEndpoint(Box::new(Endpoint { updated_at, ..endpoint(Transformation::Plugin(used)) }))
}

#[tokio::test]
async fn what_fails_alike_each_time_is_held_until_something_changes() {
    let world = World::start(plugin(OnTransformFailure::Hold)).await;
    world.plugins.script(report(Err(fault())));
    world.accept("original").await;
    assert_eq!(world.attempts(1).await[0].next_due, None, "another run would fail alike");
    world.plugins.script(report(Ok(TransformOutcome::Deliver(vec![shaped("mended")]))));
    world.clock.advance(Duration::from_secs(3600));
    world.app.apply(vec![with_settings(r#"{"mended":true}"#)]).await.unwrap();
    let attempts = world.attempts(2).await;
    assert_eq!((attempts[1].event, attempts[1].result), (attempts[0].event, AttemptResult::Delivered));
    assert_eq!(world.transport.sent()[0].body, "mended");
}

#[tokio::test]
async fn a_delivery_waits_for_a_secret_without_spending_its_attempts() {
    let world = World::start(plugin(OnTransformFailure::Hold)).await;
    let unbound = || TransformFailure::Unavailable { code: "secret_not_bound", detail: String::new() };
    for _ in 0..20 {
        world.plugins.script(report(Err(unbound())));
    }
    world.accept("original").await;
    let told = world.attempts(1).await.remove(0);
    assert_eq!(told.failure_code.as_deref(), Some("secret_not_bound"));
    // However long it takes, it is not given up.
    for _ in 0..30 {
        world.advance(Duration::from_secs(24 * 3600));
        tokio::task::yield_now().await;
    }
    world.app.apply(vec![with_settings(r#"{"bound":true}"#)]).await.unwrap();
    while world.transport.sent().is_empty() {
        world.advance(Duration::from_secs(61));
        tokio::task::yield_now().await;
    }
    let attempts = world.attempts(2).await;
    assert_eq!(attempts.last().map(|attempt| attempt.result), Some(AttemptResult::Delivered));
    assert!(attempts.len() <= 3, "told once, and once more when something changed: {}", attempts.len());
}
