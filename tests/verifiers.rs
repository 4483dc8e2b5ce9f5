//! Signatures, judged by the official packages in their own languages.

use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::fixture;
use hookmill_tests::judge::{self, Official};
use hookmill_tests::router::DataDir;
use serde_json::json;

#[tokio::test]
async fn deliveries_verify_during_and_after_a_rotation() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("verified").await;
    let endpoint = api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let deliver = async |count: usize| {
        let payload = fixture::seed("conversation-message.json");
        api.send(&application, "message.created", &payload).await;
        receiver.wait_for(count).await.remove(count - 1)
    };

    let old = api.secret(&endpoint).await;
    let before = deliver(1).await;
    api.rotate_secret(&endpoint).await;
    let new = api.secret(&endpoint).await;
    assert_ne!(old, new);
    let during = deliver(2).await;
    // With no grace the secret that was new is not used beside the next one.
    let rotate = api.call(http::Method::POST, &format!("{}/secret/rotate", endpoint.path()));
    rotate.json(&json!({ "gracePeriodSeconds": 0 })).await.expect_status(204);
    let newest = api.secret(&endpoint).await;
    let after = deliver(3).await;

    let exhibits = [
        (old.as_str(), &before, true),
        (&new, &before, false),
        (&old, &during, true),
        (&new, &during, true),
        (&newest, &during, false),
        (&newest, &after, true),
        (&new, &after, false),
    ];
    for (secret, request, expect) in &exhibits {
        assert_eq!(judge::accepts(secret, request), *expect, "{request:?}");
    }
    let questions: Vec<_> = exhibits.iter().map(|(secret, request, _)| (*secret, *request)).collect();
    let expect: Vec<_> = exhibits.iter().map(|(_, _, expect)| *expect).collect();
    for official in Official::ALL {
        assert_eq!(official.verdicts(&questions), expect, "{official:?}");
    }
}

#[tokio::test]
async fn a_changed_delivery_is_refused() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("verified").await;
    let endpoint = router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let secret = router.api().secret(&endpoint).await;
    router.api().send(&application, "payment", r#"{"amount":100}"#).await;
    let request = receiver.wait_for(1).await.remove(0);

    let mut other_body = request.clone();
    other_body.body = r#"{"amount":999}"#.into();
    let mut other_id = request.clone();
    other_id.headers.insert("webhook-id", "msg_other".parse().unwrap());
    let mut other_time = request.clone();
    other_time.headers.insert("webhook-timestamp", "1614265330".parse().unwrap());
    let exhibits = [&request, &other_body, &other_id, &other_time].map(|request| (secret.as_str(), request));
    for official in Official::ALL {
        assert_eq!(official.verdicts(&exhibits), [true, false, false, false], "{official:?}");
    }
}
