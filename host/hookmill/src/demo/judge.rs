//! Whether what arrived is what should have: checks that know nothing of how the router made it.

use serde_json::{Value, json};

/// What a delivery's body must look like, given the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The very bytes that were sent.
    AsSent,
    /// What `osmox-notification` makes of OsmoX's notification object.
    OsmoxReport,
    /// What `whatsapp-status` makes of a status notification: OsmoX's notification object.
    OsmoxNotification,
}

/// The provider's id in OsmoX, which only the endpoint's owner knows: it comes from the plugin's settings.
pub(super) const WHATSAPP_PROVIDER_ID: u32 = 4;

impl Shape {
    /// Compares a body with the event it was made of.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn check(self, sent_text: &str, sent: &Value, body: &[u8]) -> Result<(), String> {
        if self == Self::AsSent {
            return if body == sent_text.as_bytes() {
                Ok(())
            } else {
                Err("not the bytes that were sent".into())
            };
        }
        let body: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
        let expected: Vec<(&str, Value)> = match self {
            Self::AsSent => Vec::new(),
            Self::OsmoxReport => vec![
                ("/notificationId", sent["id"].clone()),
                ("/deliveryStatus", sent["deliveryStatus"].clone()),
                ("/to", sent["data"]["to"].clone()),
                ("/content/text", sent["data"]["text"].clone()),
                ("/createdOn", sent["createdOn"].clone()),
            ],
            Self::OsmoxNotification => vec![
                ("/providerId", json!(WHATSAPP_PROVIDER_ID)),
                ("/deliveryStatus", json!(delivery_status(&sent["payload"]["status"]))),
                ("/data/to", json!(format!("+{}", sent["payload"]["to"].as_str().unwrap_or_default()))),
                ("/result/result", sent["payload"].clone()),
                ("/updatedOn", sent["payload"]["timestamp"].clone()),
            ],
        };
        for (pointer, expected) in expected {
            if expected.is_null() {
                return Err(format!("the event has nothing for {pointer}"));
            }
            if body.pointer(pointer) != Some(&expected) {
                let found = body.pointer(pointer).map_or_else(|| "missing".to_owned(), Value::to_string);
                return Err(format!("{pointer} is {found}, not {expected}"));
            }
        }
        Ok(())
    }
}

/// OsmoX's delivery status for WhatsApp's: success, but where it failed.
fn delivery_status(status: &Value) -> u32 {
    const SUCCESS: u32 = 5;
    const FAILED: u32 = 6;
    if status == "failed" { FAILED } else { SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_body_is_caught() {
        let check = |shape: Shape, sent: &str, body: &str, expect: Result<(), &str>| {
            let value = serde_json::from_str(sent).unwrap();
            assert_eq!(shape.check(sent, &value, body.as_bytes()), expect.map_err(str::to_owned), "{body}");
        };
        check(Shape::AsSent, "{ }", "{ }", Ok(()));
        check(Shape::AsSent, "{ }", "{}", Err("not the bytes that were sent"));

        let sent = r#"{"id": 51, "deliveryStatus": 5, "data": {"to": "+1", "text": "t"}, "createdOn": "c"}"#;
        let report =
            r#"{"notificationId":51,"deliveryStatus":5,"to":"+1","content":{"text":"t"},"createdOn":"c"}"#;
        check(Shape::OsmoxReport, sent, report, Ok(()));
        check(Shape::OsmoxReport, sent, sent, Err("/notificationId is missing, not 51"));
        check(Shape::OsmoxReport, sent, &report.replace("+1", "+2"), Err("/to is \"+2\", not \"+1\""));
        check(Shape::OsmoxReport, "{}", report, Err("the event has nothing for /notificationId"));

        let sent = r#"{"payload": {"status": "failed", "to": "91", "timestamp": "t"}}"#;
        let notification = r#"{"providerId":4,"deliveryStatus":6,"data":{"to":"+91"},
            "result":{"result":{"status":"failed","to":"91","timestamp":"t"}},"updatedOn":"t"}"#;
        check(Shape::OsmoxNotification, sent, notification, Ok(()));
        check(
            Shape::OsmoxNotification,
            sent,
            &notification.replace('6', "5"),
            Err("/deliveryStatus is 5, not 6"),
        );
        check(
            Shape::OsmoxNotification,
            sent,
            "{",
            Err("no JSON: EOF while parsing an object at line 1 column 1"),
        );
    }
}
