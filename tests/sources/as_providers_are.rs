//! What providers do besides signing: handshakes that nobody signed, compressed and multipart bodies, addresses with a port
//! or without, items that mean nothing.

use super::*;

impl Setup {
    /// A source whose requests are signed over their body, in a header `x-signature`.
    async fn signed_source(&self, name: &str, more: Value) {
        let mut source = json!({
            "verification": { "type": "hmac", "header": "x-signature" }, "secret": SECRET,
        });
        let Value::Object(more) = more else { panic!("an object") };
        source.as_object_mut().expect("an object").extend(more);
        self.source(name, source).await;
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&'static str, &str)], body: &str) -> Reply {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.request(method, &Post { path: path.to_owned(), headers, body: body.to_owned() }).await
    }
}

fn check_text(reply: &Reply, expect: &str) {
    reply.expect_status(200);
    assert_eq!(String::from_utf8_lossy(&reply.body), expect, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8", "no browser makes a page of it");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
}

/// Meta subscribes by a `GET` that nobody signed, and signs what it sends afterwards.
#[tokio::test]
async fn metas_unsigned_handshake_is_answered_before_a_signature_is_asked_for() {
    const QUERY: &str = "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock";
    let setup = Setup::new().await;
    let token = json!({ "verifyToken": "meatyhamhock" });
    setup.signed_source("meta", token.clone()).await;
    let github =
        json!({ "verification": { "type": "github" }, "secret": SECRET, "verifyToken": "meatyhamhock" });
    let made = setup.source("meta-github", github).await;
    assert_eq!(made["hasVerifyToken"], true);
    assert!(!made.to_string().contains("meatyhamhock"), "{made}");
    // The token may be the plugin's as well.
    let plugin = json!({ "name": "whatsapp", "settings": { "verifyToken": "meatyhamhock" } });
    setup.signed_source("meta-plugin", json!({ "plugin": plugin })).await;
    for source in ["meta", "meta-github", "meta-plugin"] {
        let reply = setup.ask(Method::GET, &format!("{source}{QUERY}"), &[], "").await;
        reply.expect_status(200);
        assert_eq!(String::from_utf8_lossy(&reply.body), "1158201444", "{source}");
        assert!(reply.headers["content-type"].to_str().unwrap().starts_with("text/plain"), "{source}");
        let wrong = format!("{source}{}", QUERY.replace("meatyhamhock", "guessed"));
        let refused = setup.ask(Method::GET, &wrong, &[], "").await;
        assert!((400..500).contains(&refused.status), "{source}: {refused:?}");
        assert!(!String::from_utf8_lossy(&refused.body).contains("1158201444"), "{source}: {refused:?}");
        // What is not a handshake still has to be signed.
        let unsigned = setup.ask(Method::POST, source, &[], r#"{"entry":[]}"#).await;
        unsigned.check_refused(401, "signature_missing");
    }
    let setup = setup.restart().await;
    check_text(&setup.ask(Method::GET, &format!("meta{QUERY}"), &[], "").await, "1158201444");
    let api = setup.router.api();
    let none = json!({ "verifyToken": null });
    let patched = api.call(Method::PATCH, "/source/meta").json(&none).await.expect(200);
    assert_eq!(patched["hasVerifyToken"], false);
    assert_eq!(setup.events().await.len(), 0);
}

#[tokio::test]
async fn unsigned_checks_of_other_providers_are_answered_too() {
    let setup = Setup::new().await;
    setup.signed_source("signed", json!({})).await;
    setup.source("open", json!({ "verification": { "type": "none" } })).await;
    setup.source_of("github").await;
    for source in ["signed", "open", "github"] {
        // Trello and Mandrill; checks of an address.
        for method in [Method::HEAD, Method::GET] {
            let reply = setup.ask(method, source, &[], "").await;
            reply.expect_status(200);
            assert!(reply.body.is_empty());
        }
        check_text(&setup.ask(Method::GET, &format!("{source}?challenge=a%3Cb%3E"), &[], "").await, "a<b>");
        let graph = format!("{source}?validationToken=Validation%3A+x%2By");
        check_text(&setup.ask(Method::POST, &graph, &[], "").await, "Validation: x+y");
        let okta = [("x-okta-verification-challenge", "xyz")];
        let reply = setup.ask(Method::GET, source, &okta, "").await;
        assert_eq!((reply.status, reply.json()), (200, json!({ "verification": "xyz" })));
        let cloudevents = [("webhook-request-origin", "eventemitter.example.com")];
        let reply = setup.ask(Method::OPTIONS, source, &cloudevents, "").await;
        assert_eq!((reply.status, &reply.headers["webhook-allowed-origin"]), (200, &"*".parse().unwrap()));
        let long = format!("{source}?challenge={}", "a".repeat(2000));
        let reply = setup.ask(Method::GET, &long, &[], "").await;
        assert!((400..500).contains(&reply.status), "nothing long goes back: {reply:?}");
    }
    setup.ask(Method::HEAD, "nowhere", &[], "").await.expect_status(404);
    setup.ask(Method::OPTIONS, "open", &[], "").await.check_refused(405, "method_not_allowed");
    assert_eq!(setup.events().await.len(), 0);
}

#[tokio::test]
async fn zoom_and_x_see_the_secret_used() {
    let setup = Setup::new().await;
    let zoom = json!({
        "type": "hmac", "header": "x-zm-signature", "prefix": "v0=", "input": "v0:{timestamp}:{body}",
        "timestampHeader": "x-zm-request-timestamp",
    });
    setup.source("zoom", json!({ "verification": zoom, "secret": SECRET })).await;
    let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#;
    let time = now().to_string();
    let signature = format!("v0={}", hex::encode(sha256(&["v0:", &time, ":", body])));
    let headers = [("x-zm-signature", signature.as_str()), ("x-zm-request-timestamp", time.as_str())];
    let reply = setup.ask(Method::POST, "zoom", &headers, body).await;
    let encrypted = hex::encode(sha256(&["qgg8vlvZRS6UYooatFL8Aw"]));
    let expect = json!({ "plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted });
    assert_eq!((reply.status, reply.json()), (200, expect));
    setup.ask(Method::POST, "zoom", &[], body).await.check_refused(401, "signature_missing");

    let twitter = json!({
        "type": "hmac", "header": "x-twitter-webhooks-signature", "prefix": "sha256=", "encoding": "base64",
    });
    setup.source("x", json!({ "verification": twitter, "secret": SECRET })).await;
    let reply = setup.ask(Method::GET, "x?crc_token=bm9uY2U", &[], "").await;
    let token = format!("sha256={}", STANDARD.encode(sha256(&["bm9uY2U"])));
    assert_eq!((reply.status, reply.json()), (200, json!({ "response_token": token })));
    // Nobody gets a body signed that way.
    let forged = setup.ask(Method::POST, "x", &[("x-twitter-webhooks-signature", &token)], "bm9uY2U").await;
    forged.check_refused(401, "body_not_signed");
    let oracle = setup.ask(Method::GET, "x?crc_token=%7B%22a%22%3A1%7D", &[], "").await;
    assert!((400..500).contains(&oracle.status), "{oracle:?}");
    assert_eq!(setup.events().await.len(), 0);
}

#[tokio::test]
async fn compressed_bodies_are_decoded_within_bounds() {
    let setup = Setup::new().await;
    setup.signed_source("gzip", json!({ "eventType": { "pointer": "/kind" } })).await;
    let body = br#"{"kind": "invoice.paid"}"#;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, body).unwrap();
    let sent = encoder.finish().unwrap();
    let signed = |bytes: &[u8]| {
        let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(bytes);
        hex::encode(mac.finalize().into_bytes())
    };
    let post = async |coding: &str, signature: &str, body: &[u8]| {
        let api = setup.router.api().without_key();
        let call = api.call_at(Method::POST, "/in/gzip").header("content-encoding", coding);
        let call = call.header("content-type", "application/json").header("x-signature", signature);
        call.body(body.to_vec()).await
    };
    // Over what was sent, and over what it encodes.
    post("gzip", &signed(&sent), &sent).await.expect_status(200);
    post("gzip", &signed(body), &sent).await.expect_status(200);
    let delivered = setup.receiver.wait_for(2).await;
    assert!(delivered.iter().all(|request| request.body[..] == body[..]), "{delivered:?}");
    assert_eq!(setup.events().await[0]["eventType"], "invoice.paid");
    post("gzip", &signed(b"other"), &sent).await.check_refused(401, "signature_mismatch");
    post("gzip", &signed(body), body).await.check_refused(400, "content_encoding_invalid");
    post("br", &signed(body), body).await.check_refused(415, "content_encoding_unsupported");
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &vec![b' '; 64 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    post("gzip", &signed(&bomb), &bomb).await.check_refused(413, "payload_too_large");
    assert_eq!(setup.events().await.len(), 2);
}

/// Mailgun posts messages with files as `multipart/form-data`, others as a form, with the signature among the fields.
#[tokio::test]
async fn mailguns_multipart_posts_verify_like_its_forms() {
    let setup = Setup::new().await;
    setup.source_of("mailgun").await;
    let time = now().to_string();
    let signature = |token: &str| hex::encode(sha256(&[&time, token]));
    let form = format!("timestamp={time}&token=token-1&signature={}&recipient=a%40b.c", signature("token-1"));
    let posts = [
        Post::new("mailgun", "application/x-www-form-urlencoded", &form),
        Post::new(
            "mailgun",
            "multipart/form-data; boundary=\"b1\"",
            &multipart(&[
                ("recipient", "a@b.c"),
                ("timestamp", &time),
                ("token", "token-2"),
                ("signature", &signature("token-2")),
            ]),
        ),
    ];
    for post in &posts {
        setup.post(post).await.expect_status(200);
    }
    let ids: Vec<Value> = setup.events().await.iter().map(|event| event["eventId"].clone()).collect();
    assert_eq!(ids, ["mailgun.token-2", "mailgun.token-1"]);
    let forged =
        multipart(&[("timestamp", &time), ("token", "token-3"), ("signature", &signature("token-2"))]);
    let forged = Post::new("mailgun", "multipart/form-data; boundary=b1", &forged);
    setup.post(&forged).await.check_refused(401, "signature_mismatch");
}

fn multipart(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--b1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect::<String>() + "--b1--\r\n"
}

/// Twilio's own `RequestValidator` tries the address with and without its port, whichever that is.
#[tokio::test]
async fn twilio_signs_its_address_with_a_port_or_without() {
    let setup = Setup::new().await;
    for (name, public) in
        [("twilio", "https://a.example/in/twilio"), ("ported", "https://a.example:8443/in/ported")]
    {
        let more = json!({ "verification": { "type": "twilio" }, "secret": SECRET, "publicUrl": public });
        setup.source(name, more).await;
    }
    let check = async |source: &str, signed_url: &str, status: u16| {
        let signature = STANDARD.encode(hmac::<Hmac<sha1::Sha1>>(&[signed_url, "MessageSidSM1"]));
        let post = Post::new(source, "application/x-www-form-urlencoded", "MessageSid=SM1");
        setup.post(&post.header("x-twilio-signature", signature)).await.expect_status(status);
    };
    check("twilio", "https://a.example/in/twilio", 204).await;
    check("twilio", "https://a.example:443/in/twilio", 204).await;
    check("twilio", "https://a.example:8443/in/twilio", 401).await;
    check("ported", "https://a.example:8443/in/ported", 204).await;
    check("ported", "https://a.example/in/ported", 204).await;
    check("ported", "https://b.example/in/ported", 401).await;
}

/// A stray item, an empty one and signatures of other schemes are skipped, as by Stripe's own libraries.
#[tokio::test]
async fn stray_items_in_stripes_signature_are_skipped() {
    let setup = Setup::new().await;
    setup.source_of("stripe").await;
    let (time, body) = (now().to_string(), r#"{"id":"evt_1"}"#);
    let signature = hex::encode(sha256(&[&time, ".", body]));
    let strays = format!("v0=aa,{}stray", "x=1,".repeat(40));
    for header in [
        format!("stray,t={time},,v1={signature},"),
        format!("{strays},t={time}, v1={signature}"),
        format!("t={time};x,v1={signature},t={time}"),
    ] {
        let post = Post::new("stripe", "application/json", body).header("stripe-signature", header.clone());
        setup.post(&post).await.expect_status(200);
    }
    let post = Post::new("stripe", "application/json", body).header("stripe-signature", "stray,,");
    setup.post(&post).await.check_refused(401, "signature_malformed");
}
