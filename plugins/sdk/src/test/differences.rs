//! What a sample expects beside what was found, as text for the author of the plugin.

use std::fmt::{self, Display, Write as _};

use serde::Deserialize;
use serde_json::Value;

/// Differences that are shown of one sample; of the rest only their number is.
const SHOWN_MAX: usize = 12;

/// Everything about one sample that is not as expected.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    shown: String,
    count: usize,
}

/// The body that a sample expects.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) enum ExpectedBody {
    /// A JSON value, whatever its text.
    #[serde(rename = "body")]
    Json(Value),
    /// Exactly this text.
    #[serde(rename = "body_text")]
    Text(String),
}

impl Differences {
    /// Compares two texts.
    pub(crate) fn text(&mut self, what: &str, expected: &str, found: &str) {
        if expected != found {
            self.note(what, expected, found);
        }
    }

    /// Compares bodies.
    pub(crate) fn body(&mut self, what: &str, expected: &ExpectedBody, found: &[u8]) {
        let text = String::from_utf8_lossy(found);
        match expected {
            ExpectedBody::Text(expected) => self.text(what, expected, &text),
            ExpectedBody::Json(expected) => match serde_json::from_slice(found) {
                Ok(found) => self.json(what, expected, &found),
                Err(_) => self.note(what, expected, format_args!("{text} (not JSON)")),
            },
        }
    }

    /// All differences, one below the other; nothing wrong where there are none.
    pub(crate) fn into_result(mut self) -> Result<(), String> {
        if self.count > SHOWN_MAX {
            let _ = writeln!(self.shown, "  and {} more", self.count - SHOWN_MAX);
        }
        if self.count == 0 { Ok(()) } else { Err(self.shown) }
    }

    fn json(&mut self, what: &str, expected: &Value, found: &Value) {
        match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => {
                for (name, value) in expected {
                    let what = format!("{what}/{}", pointer_token(name));
                    match found.get(name) {
                        Some(found) => self.json(&what, value, found),
                        None => self.note(&what, value, "nothing"),
                    }
                }
                for (name, value) in found.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                    self.note(&format!("{what}/{}", pointer_token(name)), "nothing", value);
                }
            }
            (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
                for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                    self.json(&format!("{what}/{index}"), expected, found);
                }
            }
            (Value::Number(expected), Value::Number(found)) if expected.as_f64() == found.as_f64() => {}
            (expected, found) if expected == found => {}
            (expected, found) => self.note(what, expected, found),
        }
    }

    fn note(&mut self, what: &str, expected: impl Display, found: impl Display) {
        self.count += 1;
        if self.count <= SHOWN_MAX {
            let _ = writeln!(self.shown, "  {what}\n    expected: {expected}\n    found:    {found}");
        }
    }
}

/// A name as a part of a JSON pointer (RFC 6901, 3).
fn pointer_token(name: &str) -> impl fmt::Display {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(expected: &str, found: &str) -> Result<(), String> {
        let expected = ExpectedBody::Json(serde_json::from_str(expected).expect("JSON"));
        let mut differences = Differences::default();
        differences.body("body", &expected, found.as_bytes());
        differences.into_result()
    }

    #[test]
    fn values_are_compared_not_texts() {
        for (expected, body) in [
            ("1", "1.0"),
            ("100", "1e2"),
            (r#"{"a": 1, "b": [null]}"#, r#"{"b":[null],"a":1}"#),
            (r#""\u00e9""#, "\"\u{e9}\""),
        ] {
            assert_eq!(found(expected, body), Ok(()), "{expected} {body}");
        }
    }

    #[test]
    fn each_difference_has_its_place() {
        let check = |expected: &str, body: &str, shown: &str| {
            assert_eq!(found(expected, body), Err(shown.to_owned()), "{expected} {body}");
        };
        check("1", "2", "  body\n    expected: 1\n    found:    2\n");
        check("1", "x", "  body\n    expected: 1\n    found:    x (not JSON)\n");
        check(
            r#"{"a/b": [1, 2]}"#,
            r#"{"a/b": [1, 3]}"#,
            "  body/a~1b/1\n    expected: 2\n    found:    3\n",
        );
        check("[1]", "[]", "  body\n    expected: [1]\n    found:    []\n");
        check(
            r#"{"a": null}"#,
            r#"{"b": 1}"#,
            "  body/a\n    expected: null\n    found:    nothing\n  body/b\n    expected: nothing\n    found:    1\n",
        );
    }

    #[test]
    fn many_differences_are_cut() {
        let zeros = format!("[{}0]", "0,".repeat(SHOWN_MAX));
        let ones = format!("[{}1]", "1,".repeat(SHOWN_MAX));
        let shown = found(&zeros, &ones).expect_err("all differ");
        assert_eq!(shown.matches("expected").count(), SHOWN_MAX);
        assert!(shown.ends_with("  and 1 more\n"), "{shown}");
    }
}
