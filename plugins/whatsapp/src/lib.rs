//! Turns WhatsApp's reports and incoming messages into [notifications](notification::Notification).
//!
//! Two formats are understood, by what they look like: that of Meta's Cloud API ([`cloud`]), which also begins with a
//! handshake, and the envelope `{"event": "whatsapp:message:..", "payload": {..}}` of providers in between ([`envelope`]).
//! Signatures are the router's to check, before this plugin runs.

mod cloud;
mod envelope;

use hookmill_plugin::{Form, Inbound, Object, Origin, Reply, Result, Verdict, source, time};
use notification::Status;
use serde::Deserialize;

/// The provider's name in notifications.
const PROVIDER: &str = "whatsapp";

/// What a source's owner may set. All of it is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Settings {
    /// The token that Meta repeats in its handshake.
    verify_token: Option<String>,
}

source!(receive, manifest = "../plugin.json");

/// Makes a notification for each report and each message, or answers the handshake. What isn't known becomes
/// [`Status::Other`].
///
/// # Errors
/// Where the body is of neither format, or a field that a notification needs is missing or of another type than
/// documented; the message names the field.
pub fn receive(request: &Inbound, origin: &Origin) -> Result<Verdict> {
    if request.method() == "GET" {
        return handshake(request, origin);
    }
    let body = request.object()?;
    let received_at = time::rfc3339(request.received_at_ms());
    if body.raw("entry").is_some() {
        return Ok(cloud::receive(&body, &received_at)?.into());
    }
    Ok(envelope::receive(&body, request.json()?, received_at)?.into())
}

/// Meta asks once whether this URL expects it: it sends the token that its owner gave it, and wants the challenge back
/// (Meta's "Create a webhook endpoint", "Verification requests").
fn handshake(request: &Inbound, origin: &Origin) -> Result<Verdict> {
    let settings: Settings = origin.settings()?;
    let query = request.query();
    let query = Form::parse(query.as_bytes());
    if query.require("hub.mode")? != "subscribe" {
        return Ok(Verdict::reject("hub.mode: expected `subscribe`"));
    }
    let Some(expected) = settings.verify_token.filter(|token| !token.is_empty()) else {
        return Ok(Verdict::reject("the source's settings have no `verifyToken`"));
    };
    if query.require("hub.verify_token")? != expected {
        return Ok(Verdict::reject("hub.verify_token: not the `verifyToken` of the source's settings"));
    }
    Ok(Reply::new(200).header("content-type", "text/plain").text(query.require("hub.challenge")?).into())
}

/// WhatsApp's own statuses of a message; `played` is said of voice messages.
fn status(name: &str) -> Status {
    match name {
        "sent" => Status::Sent,
        "delivered" => Status::Delivered,
        "read" | "played" => Status::Read,
        "failed" => Status::Failed,
        "deleted" => Status::Deleted,
        _ => Status::Other,
    }
}

/// A string that may be missing, `null` or empty, which all mean the same.
fn text(object: &Object<'_>, name: &str) -> Result<Option<String>> {
    Ok(object.get::<Option<String>>(name)?.flatten().filter(|text| !text.is_empty()))
}
