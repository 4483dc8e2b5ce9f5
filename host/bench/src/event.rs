//! The events of a run: 0.5 KB of JSON with a marker that survives whatever a router or a plugin makes of it.
//!
//! The marker carries the event's number and the moment at which it was due, so that the receiver needs nothing but the
//! body to know which event came and how long it took. It has a fixed width: a request is serialised once for each
//! connection and only these digits are written anew.

use memchr::memmem;

const PREFIX: &[u8] = b"hmb:";
const NUMBER_DIGITS: usize = 12;
const DUE_DIGITS: usize = 16;
const MARKER_BYTES: usize = PREFIX.len() + NUMBER_DIGITS + 1 + DUE_DIGITS;

/// Which event this is and when it was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Counts the events of all scenarios.
    pub(crate) number: u64,
    /// Nanoseconds on [`clock::now_ns`](crate::clock::now_ns).
    pub(crate) due_ns: u64,
}

impl Marker {
    /// The marker in a delivered body.
    pub(crate) fn find(body: &[u8]) -> Option<Self> {
        let at = memmem::find(body, PREFIX)?;
        let digits = body.get(at + PREFIX.len()..at + MARKER_BYTES)?;
        let (number, due) = digits.split_at(NUMBER_DIGITS);
        Some(Self { number: read_digits(number)?, due_ns: read_digits(due.strip_prefix(b":")?)? })
    }

    fn placeholder() -> String {
        format!("hmb:{:0NUMBER_DIGITS$}:{:0DUE_DIGITS$}", 0, 0)
    }
}

/// A serialised request whose marker can be written anew.
#[derive(Debug, Clone)]
pub(crate) struct RequestTemplate {
    bytes: Vec<u8>,
    number_at: usize,
    due_at: usize,
}

impl RequestTemplate {
    /// A `POST` of `body`, which has a marker.
    pub(crate) fn post(host: &str, path: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let bytes = text.into_bytes();
        let marker_at = memmem::find(&bytes, PREFIX).expect("the body has a marker");
        let number_at = marker_at + PREFIX.len();
        Self { bytes, number_at, due_at: number_at + NUMBER_DIGITS + 1 }
    }

    /// The request as the event that `marker` names.
    pub(crate) fn marked(&mut self, marker: Marker) -> &[u8] {
        write_digits(&mut self.bytes[self.number_at..][..NUMBER_DIGITS], marker.number);
        write_digits(&mut self.bytes[self.due_at..][..DUE_DIGITS], marker.due_ns);
        &self.bytes
    }
}

/// The message that the router is sent: the notification object of OsmoX's webhooks, padded.
pub(crate) fn message(payload_bytes: usize) -> String {
    let payload = notification(payload_bytes);
    format!(r#"{{"eventType":"bench.event","payload":{payload}}}"#)
}

/// OsmoX's notification object with `bytes` bytes, or its least size where that is more. The text, which any plugin for it
/// passes on, begins with the marker.
pub(crate) fn notification(bytes: usize) -> String {
    let with_text = |text: &str| {
        format!(
            concat!(
                r#"{{"id":51,"providerId":4,"channelType":8,"data":{{"indiaDltContentTemplateId":"1607100000000292563","#,
                r#""indiaDltPrincipalEntityId":"1601538161788246351","to":"+919810450807","text":"{}"}},"#,
                r#""deliveryStatus":5,"result":{{"result":{{"messages":[]}}}},"createdOn":"2024-07-12T09:14:26.000Z","#,
                r#""updatedOn":"2024-07-12T09:14:27.000Z","createdBy":"sampleOsmoXApp","updatedBy":"sampleOsmoXApp","#,
                r#""status":1,"applicationId":1,"retryCount":0}}"#,
            ),
            text
        )
    };
    let marker = Marker::placeholder();
    let missing = bytes.saturating_sub(with_text(&marker).len());
    let sentence = " Dear Lakshaya, a new ticket was created.";
    let padding: String = sentence.chars().cycle().take(missing).collect();
    with_text(&format!("{marker}{padding}"))
}

fn write_digits(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn read_digits(digits: &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_read_back() {
        let mut template = RequestTemplate::post("127.0.0.1:80", "/", "", &message(512));
        for (number, due_ns) in [(0, 0), (1, 2), (999_999_999_999, 9_999_999_999_999_999)] {
            let marker = Marker { number, due_ns };
            assert_eq!(Marker::find(template.marked(marker)), Some(marker));
        }
    }

    #[test]
    fn bodies_without_a_marker_have_none() {
        let check = |body: &str| assert_eq!(Marker::find(body.as_bytes()), None, "{body}");
        check("");
        check("{}");
        check("hmb:12");
        check("hmb:00000000000x:0000000000000000");
        check("hmb:000000000000_0000000000000000");
    }

    #[test]
    fn notifications_are_json_of_the_size_asked_for() {
        for bytes in [512, 2_000, 10_240] {
            let text = notification(bytes);
            assert_eq!(text.len(), bytes);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["deliveryStatus"], 5);
        }
    }

    #[test]
    fn a_request_says_the_length_of_its_body() {
        let body = message(512);
        let mut template = RequestTemplate::post("127.0.0.1:80", "/api/v1/app/a/msg", "x: y\r\n", &body);
        let text = String::from_utf8(template.marked(Marker { number: 7, due_ns: 8 }).to_vec()).unwrap();
        let (head, sent) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(sent.len(), body.len());
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
    }
}
