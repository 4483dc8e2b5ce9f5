//! Text with places that an event fills: `Order {{/order/id}} was paid`.
//!
//! Between `{{` and `}}` stands a JSON pointer into the event's body, or the name of something about the event: `id`,
//! `type`, `uid`, `channels`, `accepted_at` (RFC 3339), `body`. After a `|` comes what to write where there is nothing:
//! `{{/customer/name|somebody}}`. Strings are written as they read, other values as JSON.

use std::borrow::Cow;

use crate::{Event, Failure, Result, time, well_formed};

/// Fills a template.
///
/// ```
/// use hookmill_plugin::{template, test};
///
/// let event = test::event(r#"{"order": {"id": 7}}"#).event_type("order.paid").build();
/// let filled = template::fill("{{type}}: {{/order/id}} {{/order/to|to nobody}}", &event);
/// assert_eq!(filled.as_deref(), Ok("order.paid: 7 to nobody"));
/// ```
///
/// # Errors
/// A permanent failure where a place is not closed or names nothing that an event has, or where it has a pointer and the
/// event's body is no JSON.
pub fn fill(template: &str, event: &Event) -> Result<String> {
    fill_escaped(template, event, |text| Cow::Borrowed(text))
}

/// Fills a template for a receiver to whom some characters mean something: what comes from the event goes through `escape`
/// first. The template itself does not.
///
/// # Errors
/// As [`fill`].
pub fn fill_escaped(template: &str, event: &Event, escape: fn(&str) -> Cow<'_, str>) -> Result<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((place, after)) = after.split_once("}}") else {
            return Err(Failure::permanent(format!("the template: `{{{{{after}` has no end")));
        };
        let (name, default) = place.split_once('|').unwrap_or((place, ""));
        match value(name.trim(), event)? {
            Some(value) => filled.push_str(&escape(&value)),
            None => filled.push_str(default),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// What a place stands for; nothing where the event has nothing there, or `null`.
fn value(name: &str, event: &Event) -> Result<Option<String>> {
    if name.starts_with('/') {
        return Ok(event.raw(name)?.and_then(text));
    }
    match name {
        "id" => Ok(Some(event.id())),
        "type" => Ok(Some(event.event_type())),
        "uid" => Ok(event.uid()),
        "channels" => Ok(Some(event.channels().join(", ")).filter(|channels| !channels.is_empty())),
        "accepted_at" => Ok(Some(time::rfc3339(event.accepted_at_ms()))),
        "body" => Ok(Some(event.text()?.to_owned())),
        _ => Err(Failure::permanent(format!(
            "the template: `{{{{{name}}}}}` is neither a JSON pointer nor one of `id`, `type`, `uid`, `channels`, \
             `accepted_at`, `body`"
        ))),
    }
}

/// A value as people read it.
fn text(found: String) -> Option<String> {
    match found.as_bytes().first() {
        Some(b'n') => None,
        Some(b'"') => serde_json::from_str(&well_formed(&found)).ok(),
        Some(_) | None => Some(found),
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::test;

    fn filled(template: &str) -> Result<String> {
        let body =
            r#"{"to": "Ada & Bob", "n": 1.50, "list": [1, {"a": null}], "none": null, "a/b": "{{type}}"}"#;
        let event =
            test::event(body).id("msg_1").event_type("a.b").channel("x").channel("y").accepted_at_ms(1);
        fill_escaped(template, &event.build(), |text| text.replace('&', "+").into())
    }

    #[test]
    fn a_text_with_half_of_a_surrogate_pair_is_there() {
        let event = test::event(r#"{"t": "cut \ud83d", "kind": "x"}"#).build();
        assert_eq!(fill("{{/t}}|{{/kind}}", &event).as_deref(), Ok("cut \u{fffd}|x"));
        assert!(event.object().is_ok_and(|object| object.len() == 2));
        let event = test::event("\u{feff}{\"\\udc00\": 1, \"kind\": \"x\"}").build();
        assert!(event.object().is_ok_and(|object| object.get::<String>("kind") == Ok(Some("x".to_owned()))));
    }

    #[test]
    fn places_are_filled() {
        let check =
            |template: &str, expect: &str| assert_eq!(filled(template).as_deref(), Ok(expect), "{template}");
        check("", "");
        check("& }} {", "& }} {");
        check("{{type}}/{{ id }}", "a.b/msg_1");
        check("{{/to}} {{/n}} {{/list}}", r#"Ada + Bob 1.50 [1, {"a": null}]"#);
        check("{{/a~1b}}", "{{type}}");
        check("[{{/none}}{{/absent}}{{uid}}]", "[]");
        check("{{/none|a & b}} {{uid|no one}} {{/n|2}}", "a & b no one 1.50");
        check("{{channels}} {{accepted_at}}", "x, y 1970-01-01T00:00:00.001Z");
    }

    #[test]
    fn what_no_event_has_is_refused() {
        let check = |template: &str, part: &str| {
            let failure = filled(template).expect_err(template);
            assert!(failure.reason().contains(part), "{failure}");
        };
        check("a {{type b", "`{{type b` has no end");
        check("{{tpye}}", "`{{tpye}}` is neither a JSON pointer nor one of `id`");
        check("{{}}", "`{{}}` is neither");
        let text = test::event("no JSON").build();
        assert!(fill("{{/a}}", &text).is_err());
        assert_eq!(fill("{{body}}", &text).as_deref(), Ok("no JSON"));
    }
}
