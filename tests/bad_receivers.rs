//! Receivers that misbehave: each is an attempt in the log with a stable code, and nobody else notices.

use hookmill_testkit::receiver::{Answer, Behaviour, Receiver};
use hookmill_tests::router::{DataDir, Options};
use serde_json::{Value, json};

/// The attempt of a delivery to `url` that is given a second, beside a neighbour that gets its own.
async fn attempt_at(url: &str) -> Value {
    let neighbour = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("misbehaved").await;
    let endpoint = api.create_endpoint(&application, url, json!({})).await;
    api.set_policy(&endpoint, json!({ "schedule": [3600.0], "jitterPercent": 0, "timeoutMs": 1000 })).await;
    api.create_endpoint(&application, &neighbour.url("/"), json!({})).await;
    let message = api.send(&application, "any", r#"{"event":1}"#).await;
    neighbour.wait_for(1).await;
    let attempts = api.wait_for_attempts(&application, &message, 2).await;
    let attempt = attempts.into_iter().find(|attempt| attempt["endpointId"] == endpoint.id.as_str());
    attempt.expect("every endpoint has an attempt")
}

async fn check(behaviour: Behaviour, code: &str) -> Value {
    let receiver = Receiver::start(behaviour).await;
    let attempt = attempt_at(&receiver.url("/")).await;
    assert_eq!(attempt["failureCode"], code, "{attempt}");
    assert_eq!(attempt["statusText"], "fail", "{attempt}");
    assert!(attempt["nextAttempt"].is_string(), "it is tried again: {attempt}");
    attempt
}

#[tokio::test]
async fn one_that_hangs() {
    check(Behaviour::NeverAnswers, "response_timeout").await;
}

#[tokio::test]
async fn one_that_drips_its_head() {
    check(Behaviour::DripsHead, "response_timeout").await;
}

#[tokio::test]
async fn one_that_drips_its_body() {
    check(Behaviour::DripsBody, "body_timeout").await;
}

#[tokio::test]
async fn one_with_endless_headers() {
    check(Behaviour::EndlessHead, "response_header_too_large").await;
}

#[tokio::test]
async fn one_that_never_comes_to_its_answer() {
    let receiver = Receiver::start(Behaviour::InformationalFlood).await;
    let attempt = attempt_at(&receiver.url("/")).await;
    assert_eq!(attempt["statusText"], "fail", "{attempt}");
    assert!(attempt["failureCode"].is_string(), "{attempt}");
}

/// A body is read up to a limit and the rest not waited for: the status counts.
#[tokio::test]
async fn one_with_an_endless_body_has_answered() {
    let receiver = Receiver::start(Behaviour::EndlessBody).await;
    let attempt = attempt_at(&receiver.url("/")).await;
    assert_eq!((&attempt["statusText"], &attempt["responseStatusCode"]), (&json!("success"), &json!(200)));
    let kept = attempt["response"].as_str().map(str::len);
    assert!(kept.is_some_and(|bytes| (1..=1024).contains(&bytes)), "{kept:?} bytes are kept");
}

#[tokio::test]
async fn ones_that_end_the_connection() {
    check(Behaviour::ResetsOnAccept, "connection_reset").await;
    check(Behaviour::ResetsMidBody, "connection_reset").await;
    check(Behaviour::ClosesMidBody, "connection_reset").await;
    check(Behaviour::ClosesUnanswered, "connection_reset").await;
}

#[tokio::test]
async fn ones_that_speak_no_http() {
    check(Behaviour::Says("SSH-2.0-OpenSSH_9.9\r\n".into()), "protocol_error").await;
    check(Behaviour::Says("HTTP/1.1 000 Nothing\r\n\r\n".into()), "protocol_error").await;
    check(Behaviour::Says([0; 64].to_vec().into()), "protocol_error").await;
}

/// A folded header line is an old way to write one line (RFC 9112, section 5.2).
#[tokio::test]
async fn one_that_folds_its_headers_has_answered() {
    let answer = "HTTP/1.1 200 OK\r\nx-policy: one;\r\n two\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::start(Behaviour::Says(answer.into())).await;
    let attempt = attempt_at(&receiver.url("/")).await;
    assert_eq!((&attempt["statusText"], &attempt["responseStatusCode"]), (&json!("success"), &json!(200)));
}

#[tokio::test]
async fn one_that_nobody_listens_at() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let url = receiver.url("/");
    drop(receiver);
    let attempt = attempt_at(&url).await;
    assert_eq!(attempt["failureCode"], "connect_refused", "{attempt}");
}

#[tokio::test]
async fn one_whose_name_is_unknown() {
    let attempt = attempt_at("http://no-such-host.invalid/").await;
    assert_eq!(attempt["failureCode"], "dns_failed", "{attempt}");
}

#[tokio::test]
async fn one_that_speaks_no_tls() {
    let receiver = Receiver::start(Behaviour::Says("HTTP/1.1 400 Bad Request\r\n\r\n".into())).await;
    let url = format!("https://{}/", receiver.address());
    let attempt = attempt_at(&url).await;
    assert_eq!(attempt["statusText"], "fail", "{attempt}");
    assert!(
        ["tls_failed", "response_timeout", "connect_timeout"]
            .contains(&attempt["failureCode"].as_str().unwrap()),
        "{attempt}"
    );
}

/// An endpoint from the time when this was allowed is still there, and nothing is sent to it.
#[tokio::test]
async fn one_on_the_private_network_where_that_is_not_allowed_any_more() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("private").await;
    router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    assert_eq!(router.stop().await, Some(0));

    let router = data_dir.start_with(&Options::default().public_network_only()).await;
    let message = router.api().send(&application, "any", "{}").await;
    let attempt = router.api().wait_for_attempts(&application, &message, 1).await.remove(0);
    assert_eq!(attempt["failureCode"], "address_blocked", "{attempt}");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Receiver::start(Behaviour::accepts()).await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = Behaviour::Answers(vec![Answer::redirect(status, &target.url("/"))]);
        let attempt = check(redirect, "status").await;
        assert_eq!(attempt["responseStatusCode"], status);
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn one_that_is_gone_is_disabled() {
    let receiver = Receiver::start(Behaviour::statuses([410])).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("gone").await;
    let endpoint = api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let message = api.send(&application, "any", "{}").await;
    api.wait_for_attempts(&application, &message, 1).await;
    hookmill_tests::wait::until("the endpoint is disabled", async || {
        (api.get(&endpoint.path()).await["disabled"] == true).then_some(())
    })
    .await;
    assert_eq!(receiver.requests().len(), 1);
}

/// A receiver that asks for time gets it; meanwhile its neighbour gets its events.
#[tokio::test]
async fn one_that_asks_to_wait_holds_up_itself_only() {
    const EVENTS: usize = 20;
    let answer = || Answer::status(503).header("retry-after", "3600");
    let busy = Receiver::start(Behaviour::Chooses(Box::new(move |_| answer()))).await;
    let neighbour = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("busy").await;
    let endpoint = api.create_endpoint(&application, &busy.url("/"), json!({})).await;
    api.create_endpoint(&application, &neighbour.url("/"), json!({})).await;
    let message = api.send(&application, "any", "{}").await;
    api.wait_for_attempts(&application, &message, 2).await;
    for _ in 1..EVENTS {
        api.send(&application, "any", "{}").await;
    }
    neighbour.wait_for(EVENTS).await;
    assert_eq!(busy.requests().len(), 1, "503 with Retry-After is for the whole service");
    assert_eq!(api.unfinished(&endpoint).await, EVENTS as u64);
}

/// Sixty deliveries that hang take nothing from an endpoint beside them.
#[tokio::test]
async fn hanging_ones_delay_no_other() {
    const EVENTS: usize = 60;
    let hanging = Receiver::start(Behaviour::NeverAnswers).await;
    let neighbour = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("hanging").await;
    let endpoint = api.create_endpoint(&application, &hanging.url("/"), json!({})).await;
    api.create_endpoint(&application, &neighbour.url("/"), json!({})).await;
    for _ in 0..EVENTS {
        api.send(&application, "any", "{}").await;
    }
    neighbour.wait_for(EVENTS).await;
    assert_eq!(api.unfinished(&endpoint).await, EVENTS as u64);
}
