//! What was probably meant by a name that is not known.

/// Names that are this alike are taken for one another: 1 is the same.
const LIKENESS_MIN: f64 = 0.75;
/// Characters of a foreign name that are shown.
const SHOWN_CHARS_MAX: usize = 64;

/// Other words for members, which look nothing like them.
const SYNONYMS: [(&str, &[&str]); 12] = [
    ("filter", &["pattern", "eventTypes"]),
    ("webhookId", &["webhook_id", "endpoint"]),
    ("webhook", &["webhook_id", "endpoint"]),
    ("callbackUrl", &["url"]),
    ("target", &["url", "endpoint"]),
    ("type", &["eventType", "eventTypes"]),
    ("events", &["eventTypes"]),
    ("body", &["payload"]),
    ("enabled", &["disabled"]),
    ("active", &["disabled"]),
    ("rate", &["throttleRate"]),
    ("idempotencyKey", &["eventId"]),
];

/// A sentence on what may have been meant, or else on all that there is.
pub(crate) fn hint(name: &str, known: &[&str]) -> String {
    match meant(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "there is none here".to_owned(),
        None => format!("known are `{}`", known.join("`, `")),
    }
}

/// A name as it may be shown.
pub(crate) fn shown(name: &str) -> String {
    name.chars().filter(|char| !char.is_control()).take(SHOWN_CHARS_MAX).collect()
}

fn meant<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name: String = name.chars().take(SHOWN_CHARS_MAX).collect();
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let same = known.iter().find(|known| plain(known) == plain(&name));
    let synonym = || {
        let (_, others) = SYNONYMS.iter().find(|(word, _)| plain(word) == plain(&name))?;
        others.iter().find_map(|other| known.iter().find(|known| *known == other))
    };
    let alike = || {
        let likeness = |known: &str| strsim::jaro_winkler(&plain(&name), &plain(known));
        let best = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
        (likeness(best) >= LIKENESS_MIN).then_some(best)
    };
    same.or_else(synonym).or_else(alike).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        let known = ["url", "pattern", "eventTypes", "webhook_id", "throttleRate", "uid"];
        let check = |name: &str, expect: Option<&str>| assert_eq!(meant(name, &known), expect, "{name}");
        check("filter", Some("pattern"));
        check("webhookId", Some("webhook_id"));
        check("event_types", Some("eventTypes"));
        check("eventType", Some("eventTypes"));
        check("patern", Some("pattern"));
        check("URL", Some("url"));
        check("zzz", None);
        check(&"x".repeat(100_000), None);
    }
}
