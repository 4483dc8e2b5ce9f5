//! Plugins that ask the host for what it must refuse: headers, URLs, pointers, patches, text that is none.
//!
//! Each plugin answers with the host's own refusal as a permanent failure, which ends up at the attempt; and traps where
//! the host refused nothing.

use crate::hostile_plugins::guest::{ANSWER_AT, Maker, Parts, data, repeat};
use crate::hostile_plugins::{Ends, Hostile};

const FIRST_AT: u32 = 1024;
const SECOND_AT: u32 = 32 << 10;

/// All of them, against an endpoint with this URL.
pub(crate) fn rows(endpoint_url: &str) -> Vec<Hostile> {
    let maker = Maker::of_transforms();
    let mut rows: Vec<Hostile> = Vec::new();
    rows.extend(HEADERS.iter().map(|(name, value, part)| header(&maker, name, value, part)));
    rows.push(too_many_headers(&maker));
    rows.extend(urls(endpoint_url).iter().map(|(url, part)| url_row(&maker, url, part)));
    rows.extend(pointers().iter().map(|(name, pointer, part)| pointer_row(&maker, name, pointer, part)));
    rows.extend(patches().iter().map(|(name, patch, part)| patch_row(&maker, name, patch, part)));
    rows.extend(bad_text(&maker));
    rows
}

/// A name, a value, and what the refusal says.
const HEADERS: &[(&str, &str, &str)] = &[
    ("host", "evil.example", "`host` is reserved"),
    ("HOST", "evil.example", "`host` is reserved"),
    ("content-length", "0", "`content-length` is reserved"),
    ("transfer-encoding", "chunked", "`transfer-encoding` is reserved"),
    ("connection", "close", "`connection` is reserved"),
    ("keep-alive", "timeout=9", "`keep-alive` is reserved"),
    ("te", "trailers", "`te` is reserved"),
    ("trailer", "x", "`trailer` is reserved"),
    ("upgrade", "h2c", "`upgrade` is reserved"),
    ("expect", "100-continue", "`expect` is reserved"),
    ("via", "1.1 x", "`via` is reserved"),
    ("proxy-authorization", "Basic eDp5", "`proxy-authorization` is reserved"),
    ("webhook-id", "msg_1", "`webhook-id` is reserved"),
    ("webhook-timestamp", "1", "`webhook-timestamp` is reserved"),
    ("Webhook-Signature", "v1,AAAA", "`webhook-signature` is reserved"),
    ("svix-signature", "v1,AAAA", "`svix-signature` is reserved"),
    ("metadata", "true", "`metadata` is reserved"),
    ("metadata-flavor", "Google", "`metadata-flavor` is reserved"),
    ("x-aws-ec2-metadata-token", "t", "`x-aws-ec2-metadata-token` is reserved"),
    ("", "x", "no header name"),
    ("x y", "x", "no header name"),
    ("x:y", "x", "no header name"),
    ("x\r\nhost", "x", "no header name"),
    ("x\0", "x", "no header name"),
    ("é", "x", "no header name"),
    ("x", "a\r\nwebhook-signature: forged", "control character"),
    ("x", "a\nb", "control character"),
    ("x", "a\rb", "control character"),
    ("x", "a\0b", "control character"),
    ("x", "a\u{7f}b", "control character"),
];

/// Both ways to set it have to refuse it.
fn header(maker: &Maker, name: &str, value: &str, part: &'static str) -> Hostile {
    let call = |function: &str| {
        format!(
            "(call $request.{function} (local.get $made) (i32.const {FIRST_AT}) (i32.const {})
               (i32.const {SECOND_AT}) (i32.const {}) (i32.const {ANSWER_AT}))",
            name.len(),
            value.len()
        )
    };
    let body = format!(
        "(local.set $made (call $request.new)) {} (call $must_refuse) {} (call $refusal)",
        call("set-header"),
        call("append-header")
    );
    let items = data(FIRST_AT, name) + &data(SECOND_AT, value);
    let upload = maker.make(Parts { items: &items, body: &body, ..Parts::default() });
    Hostile::new(&format!("header {name:?}: {value:?}"), upload, Ends::Says(part))
}

fn too_many_headers(maker: &Maker) -> Hostile {
    let append = format!(
        "(call $request.append-header (local.get $made) (i32.const {FIRST_AT}) (i32.const 1)
           (i32.const {FIRST_AT}) (i32.const 1) (i32.const {ANSWER_AT}))"
    );
    let body = format!("(local.set $made (call $request.new)) {} (call $refusal)", repeat(65, &append));
    let upload = maker.make(Parts { items: &data(FIRST_AT, "x"), body: &body, ..Parts::default() });
    Hostile::new("65 headers", upload, Ends::Says("at most 64 headers"))
}

/// URLs that are not of the endpoint's own origin, or none at all, and what the refusal says.
fn urls(endpoint_url: &str) -> Vec<(String, &'static str)> {
    const ELSEWHERE: &str = "not an origin that this endpoint allows";
    let authority = endpoint_url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let (host, port) = authority.split_once(':').expect("receivers of the tests have ports");
    let row = |url: String, part| (url, part);
    vec![
        row("http://evil.example/".into(), ELSEWHERE),
        row(format!("https://{authority}/"), ELSEWHERE),
        row(format!("http://{host}/"), ELSEWHERE),
        row(format!("http://{host}:1/"), ELSEWHERE),
        row(format!("http://{authority}.evil.example/"), ""),
        row(format!("http://{authority}@evil.example/"), ""),
        row(format!("http://user:secret@{authority}/"), ""),
        row(format!("http://evil.example\\@{authority}/"), ELSEWHERE),
        row(format!("http:\\\\evil.example\\{authority}"), ELSEWHERE),
        row(format!("http:/\\evil.example#@{authority}/"), ELSEWHERE),
        row(format!("http://evil.example?@{authority}/"), ELSEWHERE),
        row(format!("http://evil\u{3002}example:{port}/"), ELSEWHERE),
        row(format!("http://\u{ff45}vil.example:{port}/"), ELSEWHERE),
        row(format!("http://[::1]:{port}/"), ELSEWHERE),
        row(format!("http://[::ffff:{host}]:{port}/"), ELSEWHERE),
        row(format!("http://localhost:{port}/"), ELSEWHERE),
        row("http://169.254.169.254/latest/meta-data/".into(), ELSEWHERE),
        row("file:///etc/passwd".into(), ""),
        row("javascript:alert(1)".into(), ""),
        row("data:text/plain,x".into(), ""),
        row(format!("ftp://{authority}/"), ""),
        row(format!("//{authority}/"), ""),
        row("/elsewhere".into(), ""),
        row(String::new(), ""),
        row("http://".into(), ""),
        row(format!("http://{host}:99999/"), ""),
        row(format!("http://{authority}/{}", "a".repeat(20_000)), ""),
    ]
}

fn url_row(maker: &Maker, url: &str, part: &'static str) -> Hostile {
    let body = format!(
        "(call $request.set-url (call $request.new) (i32.const {FIRST_AT}) (i32.const {}) (i32.const {ANSWER_AT}))
         (call $refusal)",
        url.len()
    );
    let upload = maker.make(Parts { items: &data(FIRST_AT, url), body: &body, ..Parts::default() });
    Hostile::new(&format!("URL {:?}", &url[..url.len().min(60)]), upload, Ends::Says(part))
}

fn pointers() -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("a pointer of 129 names", "/a".repeat(129), "at most 128 levels"),
        ("a pointer of 30,000 names", "/".repeat(30_000), "at most 128 levels"),
        ("a pointer without a slash", "a".into(), "begins with `/`"),
        ("a pointer with a bad escape", "/~9".into(), "`~0` and `~1`"),
    ]
}

fn pointer_row(maker: &Maker, name: &str, pointer: &str, part: &'static str) -> Hostile {
    let body = format!(
        "(call $event.json (local.get $event) (i32.const {FIRST_AT}) (i32.const {}) (i32.const {ANSWER_AT}))
         (call $refusal)",
        pointer.len()
    );
    let upload = maker.make(Parts { items: &data(FIRST_AT, pointer), body: &body, ..Parts::default() });
    Hostile::new(name, upload, Ends::Says(part))
}

fn patches() -> Vec<(&'static str, String, &'static str)> {
    vec![
        (
            "a patch of 129 levels",
            format!("{}1{}", "{\"a\":".repeat(129), "}".repeat(129)),
            "at most 128 levels",
        ),
        ("a patch of 15,000 levels", "{\"\":".repeat(15_000), "the patch is not JSON"),
        ("a patch of 60,000 arrays", "[".repeat(60_000), "the patch is not JSON"),
        ("a patch that is no JSON", "{'a': 1}".into(), "the patch is not JSON"),
        ("a patch that is two", "{}{}".into(), "the patch is not JSON"),
    ]
}

fn patch_row(maker: &Maker, name: &str, patch: &str, part: &'static str) -> Hostile {
    let body = format!(
        "(call $request.set-body-patch (call $request.new) (i32.const {FIRST_AT}) (i32.const {})
           (i32.const {ANSWER_AT}))
         (call $refusal)",
        patch.len()
    );
    let upload = maker.make(Parts { items: &data(FIRST_AT, patch), body: &body, ..Parts::default() });
    Hostile::new(name, upload, Ends::Says(part))
}

/// Bytes that are not UTF-8, where the host wants text.
fn bad_text(maker: &Maker) -> Vec<Hostile> {
    const NOT_TEXT: [(&str, &[u8]); 3] =
        [("a stray byte", b"\xff"), ("a spelling too long", b"\xc0\xaf"), ("half a pair", b"\xed\xa0\x80")];
    let answer = ANSWER_AT;
    let mut rows = Vec::new();
    for (kind, bytes) in NOT_TEXT {
        let text = format!("(i32.const {FIRST_AT}) (i32.const {})", bytes.len());
        let calls = [
            ("the log", format!("(call $log.write (i32.const 0) {text})")),
            ("a URL", format!("(call $request.set-url (local.get $made) {text} (i32.const {answer}))")),
            (
                "a part key",
                format!("(call $request.set-part-key (local.get $made) {text} (i32.const {answer}))"),
            ),
            ("a body", format!("(call $request.set-body-text (local.get $made) {text})")),
            (
                "a header",
                format!("(call $request.set-header (local.get $made) {text} {text} (i32.const {answer}))"),
            ),
            ("a reason", format!("(return (call $answer (i32.const 0) (i32.const 1) {text}))")),
        ];
        for (place, call) in calls {
            let body = format!("(local.set $made (call $request.new)) {call} unreachable");
            let upload = maker.make(Parts { items: &data(FIRST_AT, bytes), body: &body, ..Parts::default() });
            rows.push(Hostile::new(
                &format!("{kind} in {place}"),
                upload,
                Ends::Fails("plugin_trap", "utf-8"),
            ));
        }
    }
    rows
}
