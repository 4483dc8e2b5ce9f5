//! Secrets: used by name, in signatures and in headers, and nowhere to be seen.

use std::sync::Arc;

use hookmill_core::delivery::TransformFailure;
use hookmill_core::plugin::{BoundSecrets, Secret};
use hookmill_core::port::Plugins;
use hookmill_core::port::plugins::TransformReport;
use hookmill_core::request::RequestBody;
use zeroize::Zeroizing;

use crate::guest::{TestHost, module, request_of, run_of};

const TOKEN: &str = "s3cret";

async fn run(host: &TestHost, plugin: &[u8], bound: &[(&str, &str)]) -> TransformReport {
    let secret = |value: &str| Secret::new(Zeroizing::new(value.as_bytes().to_vec())).unwrap();
    let secrets: BoundSecrets =
        bound.iter().map(|(name, value)| (name.parse().unwrap(), secret(value))).collect();
    let digest = host.upload(plugin).await.unwrap();
    let mut run = run_of(digest, "{}");
    run.secrets = Arc::new(secrets);
    host.host.run(run).await
}

/// Sets `authorization` to `Bearer `, the secret and nothing, and fails with the host's words where it refuses.
fn set_header(secret: &str, then: &str) -> Vec<u8> {
    let length = secret.len();
    module(
        &format!(r#"(data (i32.const 256) "authorizationBearer {secret}")"#),
        &format!(
            "(local.set $r (call $request))
             (call $set_secret_header (local.get $r) (i32.const 256) (i32.const 13) (i32.const 269) (i32.const 7)
                (i32.const 276) (i32.const {length}) (i32.const 0) (i32.const 0) (i32.const 128))
             (if (i32.load8_u (i32.const 128))
               (then (return (call $answer (i32.const 1) (i32.const 1) (i32.load (i32.const 132)) (i32.load (i32.const 136))))))
             {then}
             (call $deliver (local.get $r))"
        ),
    )
}

fn refusal(report: &TransformReport) -> &str {
    match &report.result {
        Err(TransformFailure::Permanent { message }) => message,
        // The plugin's verdict does not count where it lacked a secret.
        Err(TransformFailure::Unavailable { code: "secret_not_bound", detail }) => detail,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn a_header_carries_the_name_of_its_secret() {
    let host = TestHost::new();
    let report = run(&host, &set_header("token", ""), &[("token", TOKEN)]).await;
    let request = request_of(&report);
    let [header] = request.secret_headers.as_slice() else { panic!("one: {request:?}") };
    assert_eq!((header.name.as_str(), header.secret.as_str()), ("authorization", "token"));
    assert_eq!((header.prefix.as_bytes(), header.suffix.as_bytes()), (b"Bearer ".as_slice(), b"".as_slice()));
    assert!(request.headers.is_empty());
    assert!(!format!("{report:?}").contains(TOKEN));
}

#[tokio::test]
async fn a_header_is_set_to_one_thing_or_the_other() {
    let host = TestHost::new();
    let plain = "(call $set_header (local.get $r) (i32.const 256) (i32.const 13) (i32.const 256) (i32.const 1) (i32.const 128))";
    let report = run(&host, &set_header("token", plain), &[("token", TOKEN)]).await;
    let request = request_of(&report);
    assert!(request.secret_headers.is_empty());
    assert_eq!(request.headers["authorization"], "a");
    let remove = "(call $remove_header (local.get $r) (i32.const 256) (i32.const 13))";
    let report = run(&host, &set_header("token", remove), &[("token", TOKEN)]).await;
    assert!(request_of(&report).secret_headers.is_empty());
}

#[tokio::test]
async fn a_secret_that_a_header_can_not_hold_is_refused_without_being_told() {
    let host = TestHost::new();
    let check = |report: TransformReport, part: &str| {
        let message = refusal(&report).to_owned();
        assert!(message.contains(part), "{message}");
        assert!(!message.contains(TOKEN), "{message}");
    };
    check(run(&host, &set_header("token", ""), &[]).await, "no secret is bound as `token`");
    check(run(&host, &set_header("No Name", ""), &[]).await, "no secret is bound as `No Name`");
    let injecting = format!("{TOKEN}\r\nx-injected: 1");
    check(run(&host, &set_header("token", ""), &[("token", &injecting)]).await, "control character");
}

/// Signs `hello` with the secret `key` and sends the signature.
fn sign(algorithm: u32) -> Vec<u8> {
    module(
        r#"(data (i32.const 256) "keyhello")"#,
        &format!(
            "(call $hmac (i32.const {algorithm}) (i32.const 256) (i32.const 3) (i32.const 259) (i32.const 5) (i32.const 128))
             (if (i32.load8_u (i32.const 128))
               (then (return (call $answer (i32.const 1) (i32.const 1) (i32.load (i32.const 132)) (i32.load (i32.const 136))))))
             (local.set $r (call $request))
             (call $set_body (local.get $r) (i32.load (i32.const 132)) (i32.load (i32.const 136)))
             (call $deliver (local.get $r))"
        ),
    )
}

/// Verifies a signature of `hello` under the secret `key`: drops the event where it is one, fails where it is not.
fn verify(function: &str, algorithm: u32, signature: &[u8]) -> Vec<u8> {
    let escaped: String = signature.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let length = signature.len();
    module(
        &format!(r#"(data (i32.const 256) "keyhello{escaped}wrong")"#),
        &format!(
            "(call {function} (i32.const {algorithm}) (i32.const 256) (i32.const 3) (i32.const 259) (i32.const 5)
                (i32.const 264) (i32.const {length}) (i32.const 128))
             (if (i32.load8_u (i32.const 128))
               (then (return (call $answer (i32.const 1) (i32.const 1) (i32.load (i32.const 132)) (i32.load (i32.const 136))))))
             (if (i32.load8_u (i32.const 132)) (then (return (call $deliver (call $request)))))
             (call $answer (i32.const 1) (i32.const 1) (i32.const {}) (i32.const 5))",
            264 + length
        ),
    )
}

#[tokio::test]
async fn signs_and_verifies_with_a_key_that_it_does_not_see() {
    let host = TestHost::new();
    // HMAC of `hello` under `s3cret`, by Python's hmac.
    let rows = [
        (0, "f875ad165d97aba6b68e2c2f7ea314aeb2a0082f"),
        (1, "e5a01537481fa0b2c697f787c7aff885412cf0760d08e08502259b39d2d6ae68"),
        (
            2,
            concat!(
                "19be28bc1a54a07419829bba0df0daa580fbde5ddb89cece850074c504f31a6e",
                "f53a80a865448982fca5ae99dffccc99e7115275c721eaefe1c13506b29a7286"
            ),
        ),
    ];
    for (algorithm, expect) in rows {
        let expect = hex::decode(expect).unwrap();
        let report = run(&host, &sign(algorithm), &[("key", TOKEN)]).await;
        assert_eq!(request_of(&report).body, RequestBody::Replaced(expect.clone().into()));
        request_of(&run(&host, &verify("$hmac_verify", algorithm, &expect), &[("key", TOKEN)]).await);
        let report = run(&host, &verify("$hmac_verify", algorithm, &expect), &[("key", "other")]).await;
        assert_eq!(refusal(&report), "wrong");
        let report = run(&host, &verify("$hmac_verify", algorithm, &expect[1..]), &[("key", TOKEN)]).await;
        assert_eq!(refusal(&report), "wrong");
    }
    assert!(
        refusal(&run(&host, &sign(0), &[("other", TOKEN)]).await).contains("no secret is bound as `key`")
    );
}

#[tokio::test]
async fn verifies_what_a_public_key_signs() {
    let host = TestHost::new();
    // Made with OpenSSL.
    let key = "/znJQtSFRDmypJ2dcX0rWmr+re8+eNiMAE/xiqOeznk=";
    let signature = hex::decode(concat!(
        "e2a46f6ef0b247d107dcbb9edb28e5f869b29812f7ad2916c4adaf02026079f9",
        "9492b142fb39b54c2397e9c78b1242ffa194df969796cca955a30754e3cabc09",
    ))
    .unwrap();
    request_of(&run(&host, &verify("$signature_verify", 0, &signature), &[("key", key)]).await);
    let mut altered = signature.clone();
    altered[5] ^= 1;
    let report = run(&host, &verify("$signature_verify", 0, &altered), &[("key", key)]).await;
    assert_eq!(refusal(&report), "wrong");
    let report = run(&host, &verify("$signature_verify", 1, &signature), &[("key", key)]).await;
    assert_eq!(refusal(&report), "the secret `key` is no public key for ecdsa-p256-sha256");
}
