//! Mailgun's older webhooks, and the messages that its routes forward: a form, which is `multipart/form-data` where a message
//! has files ("Webhooks (legacy)", "Receiving, Forwarding and Storing Messages").

use hookmill_plugin::{Form, Inbound, NewEvent, Result, time};
use notification::{Channel, Error, Notification, Status};

use crate::PROVIDER;

/// Makes the notification, whose uid is the signature's token: these forms have no id of an event.
///
/// # Errors
/// Where the form is none of Mailgun's.
pub(crate) fn receive(request: &Inbound) -> Result<NewEvent> {
    let form = request.form();
    let token = form.require("token")?.to_owned();
    let seconds = known(&form, "timestamp").and_then(notification::of_seconds);
    let occurred_at = seconds.unwrap_or_else(|| time::rfc3339(request.received_at_ms()));
    let status = status(&form);
    let mut notification = Notification::new(PROVIDER, Channel::Email, status, occurred_at, &form);
    let message_id = known(&form, "Message-Id").or_else(|| known(&form, "message-id"));
    notification.message_id = message_id.map(|id| id.trim_matches(['<', '>']).to_owned());
    notification.recipient = known(&form, "recipient").map(str::to_owned);
    notification.sender = known(&form, "sender").or_else(|| known(&form, "from")).map(str::to_owned);
    if status == Status::Failed {
        let message =
            ["error", "description", "notification", "reason"].iter().find_map(|name| known(&form, name));
        notification.error =
            Error::known(known(&form, "code").map(str::to_owned), message.map(str::to_owned));
    }
    if status == Status::Received {
        let text = known(&form, "stripped-text").or_else(|| known(&form, "body-plain"));
        notification.text = text.map(str::to_owned);
    }
    notification.into_event(&[&token])
}

/// A message that was forwarded says nothing of an event.
fn status(form: &Form<'_>) -> Status {
    match known(form, "event") {
        Some("delivered") => Status::Delivered,
        Some("opened") => Status::Read,
        Some("clicked") => Status::Clicked,
        Some("dropped" | "bounced") => Status::Failed,
        Some("unsubscribed") => Status::Unsubscribed,
        Some("complained") => Status::Complained,
        Some(_) => Status::Other,
        None if form.get("body-plain").is_some() || form.get("body-mime").is_some() => Status::Received,
        None => Status::Other,
    }
}

/// A field that is there and not empty.
fn known<'form>(form: &'form Form<'_>, name: &str) -> Option<&'form str> {
    form.get(name).filter(|value| !value.is_empty())
}
