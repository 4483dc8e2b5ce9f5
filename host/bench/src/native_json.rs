//! The measured plugin's work as native code without the SDK: `serde_json` values, taken apart and put together.

use serde_json::{Map, Value};

const CHANNEL_TYPES: [&str; 8] = [
    "smtp",
    "mailgun",
    "wa-360dialog",
    "wa-twilio",
    "sms-twilio",
    "sms-plivo",
    "wa-twilio-business",
    "sms-kapsystem",
];
const DELIVERY_STATUSES: [&str; 6] =
    ["pending", "in-progress", "awaiting-confirmation", "queued-confirmation", "success", "failed"];

/// The report that the plugin `osmox-notification` makes of a notification, with default settings.
pub(crate) fn report(notification: &str) -> serde_json::Result<String> {
    let mut notification: Map<String, Value> = serde_json::from_str(notification)?;
    let mut content = match notification.remove("data") {
        Some(Value::Object(content)) => content,
        _ => Map::new(),
    };
    let mut report = Map::new();
    transfer(&mut notification, &mut report, "id", "notificationId");
    for name in ["applicationId", "providerId"] {
        transfer(&mut notification, &mut report, name, name);
    }
    let codes = [
        ("channelType", "channelTypeName", &CHANNEL_TYPES[..]),
        ("deliveryStatus", "deliveryStatusName", &DELIVERY_STATUSES[..]),
    ];
    for (name, name_of_name, names) in codes {
        let known = notification.get(name).and_then(Value::as_u64).and_then(|code| named(names, code));
        transfer(&mut notification, &mut report, name, name);
        if let Some(known) = known {
            report.insert(name_of_name.to_owned(), known.into());
        }
    }
    transfer(&mut content, &mut report, "to", "to");
    report.insert("content".to_owned(), Value::Object(content));
    for name in ["retryCount", "createdOn", "updatedOn"] {
        transfer(&mut notification, &mut report, name, name);
    }
    if !notification.is_empty() {
        report.insert("details".to_owned(), Value::Object(notification));
    }
    serde_json::to_string(&report)
}

fn transfer(from: &mut Map<String, Value>, to: &mut Map<String, Value>, name: &str, new_name: &str) {
    if let Some(value) = from.remove(name) {
        to.insert(new_name.to_owned(), value);
    }
}

/// Codes count from 1.
fn named(names: &[&'static str], code: u64) -> Option<&'static str> {
    let index = usize::try_from(code).ok()?.checked_sub(1)?;
    names.get(index).copied()
}

#[cfg(test)]
mod tests {
    use hookmill_plugin::{Outcome, test};

    use super::*;
    use crate::event;

    #[test]
    fn the_report_is_the_plugins() {
        for bytes in [512, 10 * 1024] {
            let notification = event::notification(bytes);
            let (event, target) = (test::event(notification.as_str()), test::target("{}"));
            let outcome = test::run(osmox_notification::reshape, event, target);
            let Ok(Outcome::Deliver(requests)) = outcome else { panic!("{outcome:?}") };
            let expect: Value = serde_json::from_str(requests[0].body.text().unwrap()).unwrap();
            let found: Value = serde_json::from_str(&report(&notification).unwrap()).unwrap();
            assert_eq!(found, expect);
        }
    }
}
