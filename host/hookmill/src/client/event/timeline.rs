//! `hookmill event show`: an event's timeline.

use std::borrow::Cow;

use hookmill_core::json::{Document, Node};
use http::Method;
use serde_json::{Value, json};

use super::COLUMNS;
use crate::cli::ShowArguments;
use crate::client::Client;
use crate::client::show::{Column, line, pretty, table};
use crate::failure::Failure;

/// Attempts that are shown, the latest.
const ATTEMPTS_SHOWN: &str = "20";
const ATTEMPT_COLUMNS: [Column; 5] = [
    Column("attempt", "/attemptNumber"),
    Column("at", "/timestamp"),
    Column("status", "/statusText"),
    Column("answer", "/responseStatusCode"),
    Column("url", "/url"),
];

pub(super) async fn show(client: &Client, json: bool, arguments: ShowArguments) -> Result<(), Failure> {
    let ShowArguments { app, event } = arguments;
    let path = ["app", &app, "msg", &event];
    let event = client.call_document(Method::GET, &path, None::<&()>).await?;
    let id = event.root().get("id").and_then(|id| id.text().map(Cow::into_owned)).unwrap_or_default();
    let path = ["app", &app, "msg", &id, "attempt"];
    let listed = client.page(&path, &[("limit", ATTEMPTS_SHOWN)]).await?;
    let mut attempts = Vec::with_capacity(listed.len());
    // A list is without what was logged and sent; oldest first, as things happened.
    for attempt in listed.iter().rev() {
        let path = ["app", &app, "msg", &id, "attempt", attempt["id"].as_str().unwrap_or_default()];
        attempts.push(client.call_document(Method::GET, &path, None::<&()>).await?);
    }
    line(&if json {
        pretty(joined(&event, &attempts).root())
    } else {
        let attempts: Vec<_> = attempts.iter().map(plain).collect();
        described(&json!({ "event": plain(&event), "attempts": attempts }))
    });
    Ok(())
}

/// What is shown of an answer as values, without the payload, which may be whatever JSON can be.
fn plain(answer: &Document) -> Value {
    let members = answer.root().members().filter(|(name, _)| !name.is_text("payload"));
    let value = |(name, value): (Node<'_>, Node<'_>)| {
        Some((name.text()?.into_owned(), serde_json::from_str::<Value>(value.json()).ok()?))
    };
    members.filter_map(value).collect()
}

/// All of it as one answer, with the digits that its numbers have.
fn joined(event: &Document, attempts: &[Document]) -> Document {
    let attempts: Vec<_> = attempts.iter().map(|attempt| attempt.root().json()).collect();
    let text = format!(r#"{{"event":{},"attempts":[{}]}}"#, event.root().json(), attempts.join(","));
    Document::parse(text).expect("it is made of JSON")
}

fn described(shown: &Value) -> String {
    let mut parts = vec![table(&COLUMNS, std::slice::from_ref(&shown["event"]), "")];
    let attempts = shown["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if attempts.is_empty() {
        parts.push("no attempt was made yet".to_owned());
    }
    for attempt in attempts {
        parts.push(table(&ATTEMPT_COLUMNS, std::slice::from_ref(attempt), ""));
        parts.extend(details(attempt));
    }
    parts.join("\n")
}

fn details(attempt: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    if let Some(code) = attempt["failureCode"].as_str() {
        lines.push(format!("  {}", indented(&format!("{code}: {}", text(&attempt["detail"])))));
    }
    for line in attempt["logs"].as_array().into_iter().flatten() {
        let said = format!("{} {}: {}", text(&line["world"]), text(&line["level"]), text(&line["message"]));
        lines.push(format!("  {}", indented(&said)));
    }
    let request = &attempt["request"];
    if request.is_object() {
        lines.push(format!("  {} {}", text(&request["method"]), text(&request["url"])));
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            lines.push(format!("    {name}: {}", text(value)));
        }
        match request["body"].as_str() {
            Some(body) => lines.push(format!("    {}", indented(body))),
            None => lines.push(format!("    ({} bytes)", request["bodyBytes"])),
        }
    }
    if let Some(next) = attempt["nextAttempt"].as_str() {
        lines.push(format!("  next attempt: {next}"));
    }
    lines
}

/// Later lines under the first, so that a text of several can't be taken for something else.
fn indented(text: &str) -> String {
    text.replace('\n', "\n      ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_tells_what_was_sent_and_what_plugins_wrote() {
        let attempt = json!({
            "attemptNumber": 1, "timestamp": "2026-11-22T01:00:00.000Z", "statusText": "fail",
            "responseStatusCode": 500, "url": "https://receiver.example/then", "failureCode": "status", "detail": "",
            "logs": [{"world": "transform", "level": "error", "message": "Error: no\n    at run (plugin.js:3)"}],
            "request": {
                "method": "PUT", "url": "https://receiver.example/then", "bodyBytes": 7,
                "headers": {"authorization": "Bearer {{secrets.token}}"}, "secretHeaders": ["authorization"],
            },
            "nextAttempt": "2026-11-22T01:00:05.000Z",
        });
        let shown = described(&json!({ "event": {"id": "msg_1"}, "attempts": [attempt] }));
        for part in [
            "msg_1",
            "https://receiver.example/then",
            "transform error: Error: no\n          at run (plugin.js:3)",
            "PUT ",
            "authorization: Bearer {{secrets.token}}",
            "(7 bytes)",
            "next attempt: 2026-11-22T01:00:05.000Z",
        ] {
            assert!(shown.contains(part), "{part:?} in {shown}");
        }
        assert!(described(&json!({ "event": {}, "attempts": [] })).contains("no attempt was made yet"));
    }

    #[test]
    fn a_payload_is_shown_with_its_digits() {
        let event =
            Document::parse(r#"{"id":"msg_1","payload":{"n":1.10,"i":1000000000000000000000}}"#).unwrap();
        let attempt = Document::parse(r#"{"id":"atmpt_1"}"#).unwrap();
        let text = pretty(joined(&event, &[attempt]).root());
        let expect = "{\n  \"event\": {\n    \"id\": \"msg_1\",\n    \"payload\": {\n      \"n\": 1.10,\n      \
                      \"i\": 1000000000000000000000\n    }\n  },\n  \"attempts\": [\n    {\n      \"id\": \"atmpt_1\"\n    }\n  ]\n}";
        assert_eq!(text, expect);
    }

    #[test]
    fn a_strange_payload_hides_nothing_else() {
        let payload = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for payload in [payload.as_str(), r#""cut \ud83d""#] {
            let event =
                Document::parse(format!(r#"{{"id":"msg_1","payload":{payload},"tags":null}}"#)).unwrap();
            assert_eq!(plain(&event), json!({"id": "msg_1", "tags": null}));
            assert!(pretty(joined(&event, &[]).root()).contains("msg_1"));
        }
    }
}
