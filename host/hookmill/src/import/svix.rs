//! A Svix server's answers to requests that make the same here.
//!
//! What has a uid keeps it. What has none gets its id as uid, so that callers who name it by that id go on working;
//! unless that has the form of this router's own ids, which no uid may have.
//!
//! An endpoint that needs more than one request (for its headers, its transformation) is made disabled and marked in its
//! metadata, and loses both with the last request. Cut off in between, it delivers nothing, and the next import goes on
//! with it.

use hookmill_core::event::Name;
use hookmill_core::id::{ApplicationId, EndpointId};
use serde_json::{Value, json};

use super::report::{Creation, Item, Kind};

/// The label of an endpoint that is not yet whole.
const UNFINISHED: &str = "hookmill-import";

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    /// Where the next one begins; nothing after the last one.
    pub(crate) next: Option<String>,
}

/// What the API has of an endpoint beside the endpoint itself.
#[derive(Default)]
pub(crate) struct Beside {
    /// `EndpointSecretOut`; not asked for in a dry run.
    pub(crate) secret: Value,
    /// `EndpointHeadersOut`.
    pub(crate) headers: Value,
    /// `EndpointTransformationOut`; null where the server has no such thing.
    pub(crate) transformation: Value,
}

/// An endpoint to be made. Its body holds its secret, so it has no `Debug`.
pub(crate) struct EndpointCreation {
    pub(crate) item: Item,
    /// What makes it.
    pub(crate) body: Value,
    /// `EndpointHeadersIn`, where there are any.
    pub(crate) headers: Option<Value>,
    /// The change of its transformation, where there is a script.
    pub(crate) transformation: Option<Value>,
    /// The change that ends it, where it takes more than one request.
    pub(crate) finish: Option<Value>,
}

impl Page {
    /// Reads `ListResponse`; nothing where this is none, or one that names no way on.
    pub(crate) fn read(mut answer: Value) -> Option<Self> {
        let Value::Array(items) = answer.get_mut("data")?.take() else { return None };
        if answer["done"].as_bool()? {
            return Some(Self { items, next: None });
        }
        let next = answer["iterator"].as_str().filter(|_| !items.is_empty())?.to_owned();
        Some(Self { items, next: Some(next) })
    }
}

/// Makes `EventTypeIn` of `EventTypeOut`.
pub(crate) fn event_type(source: &Value) -> Creation {
    let name = text(source, "name");
    let mut item = Item::new(Kind::EventType, name, name, text(source, "description"));
    let fields = ["name", "description", "archived", "schemas", "groupName"];
    // The API wants a description, which may be empty.
    let mut body = json!({ "description": "" });
    carry(source, &fields, &mut body);
    let dropped =
        [("deprecated", source["deprecated"] == true), ("featureFlag", !source["featureFlag"].is_null())];
    for (field, _) in dropped.iter().filter(|(_, is_set)| *is_set) {
        add_note(&mut item, &format!("`{field}` is not carried over"));
    }
    Creation { item: checked(item), body }
}

/// Makes `ApplicationIn` of `ApplicationOut`.
pub(crate) fn application(source: &Value) -> Creation {
    let uid = uid_of(source, |id| id.parse::<ApplicationId>().is_ok());
    let item = Item::new(Kind::Application, text(source, "id"), &uid, text(source, "name"));
    let mut body = json!({ "uid": uid });
    carry(source, &["name", "metadata"], &mut body);
    carry_first(source, ["throttleRate", "rateLimit"], &mut body);
    Creation { item: checked(item), body }
}

/// The uid that an endpoint has here.
pub(crate) fn endpoint_item(source: &Value) -> Item {
    let uid = uid_of(source, |id| id.parse::<EndpointId>().is_ok());
    checked(Item::new(Kind::Endpoint, text(source, "id"), uid, text(source, "url")))
}

/// Makes `EndpointIn` of `EndpointOut`, with what follows it.
pub(crate) fn endpoint(source: &Value, beside: &Beside) -> EndpointCreation {
    let mut item = endpoint_item(source);
    let mut metadata = source["metadata"].as_object().cloned().unwrap_or_default();
    metadata.shift_remove(UNFINISHED);
    let mut body = json!({ "uid": item.uid, "disabled": false });
    // `pattern` and `preset` are of this router, which may be imported from as well.
    carry(source, &["url", "description", "disabled", "channels", "pattern", "preset"], &mut body);
    carry_first(source, ["eventTypes", "filterTypes"], &mut body);
    match source["preset"].as_str() {
        // The rate that is shown is the preset's, rounded to seconds.
        Some(preset) if preset != "standard" => {
            add_note(&mut item, &format!("own values beside the preset `{preset}` are not carried over"));
        }
        Some(_) | None => carry_first(source, ["throttleRate", "rateLimit"], &mut body),
    }
    if let Some(secret) = beside.secret["key"].as_str() {
        body["secret"] = secret.into();
    }
    let headers = headers(&beside.headers, &mut item);
    let transformation = transformation(&beside.transformation, &mut item);
    let mut finish = None;
    if headers.is_some() || transformation.is_some() {
        finish = Some(json!({ "disabled": body["disabled"], "metadata": metadata }));
        body["disabled"] = true.into();
        metadata.insert(UNFINISHED.to_owned(), "unfinished".into());
    }
    body["metadata"] = metadata.into();
    EndpointCreation { item, body, headers, transformation, finish }
}

impl EndpointCreation {
    /// Whether receivers will go on verifying; without its secret a new one would be made.
    pub(crate) fn has_secret(&self) -> bool {
        self.body["secret"].is_string()
    }
}

/// Whether an endpoint of this router was left by an import that was cut off.
pub(crate) fn is_unfinished(endpoint: &Value) -> bool {
    endpoint["metadata"].get(UNFINISHED).is_some()
}

fn headers(source: &Value, item: &mut Item) -> Option<Value> {
    let redacted: Vec<&str> =
        source["sensitive"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !redacted.is_empty() {
        add_note(item, &format!("set by hand, its value is not shown: {}", redacted.join(", ")));
    }
    let headers = source["headers"].as_object().filter(|headers| !headers.is_empty())?;
    Some(json!({ "headers": headers }))
}

/// A script goes to the plugin `javascript`, enabled or not.
fn transformation(source: &Value, item: &mut Item) -> Option<Value> {
    let Some(code) = source["code"].as_str().filter(|code| !code.is_empty()) else {
        if let Some(plugin) = source["plugin"].as_str() {
            add_note(item, &format!("the plugin `{plugin}` is not carried over"));
        }
        return None;
    };
    if source["secrets"].as_array().is_some_and(|secrets| !secrets.is_empty()) {
        add_note(item, "the secrets of its script are not carried over");
    }
    let mut change = json!({ "enabled": source["enabled"].as_bool().unwrap_or(false), "code": code });
    carry(&source["settings"], &["settings"], &mut change);
    Some(change)
}

fn uid_of(source: &Value, is_own_id: impl Fn(&str) -> bool) -> String {
    match (source["uid"].as_str(), text(source, "id")) {
        (Some(uid), _) => uid.to_owned(),
        (None, id) if is_own_id(id) => format!("imported-{id}"),
        (None, id) => id.to_owned(),
    }
}

/// Refuses what could not be asked for by name.
fn checked(item: Item) -> Item {
    let is_name = item.uid.parse::<Name>().is_ok() && item.uid.bytes().any(|byte| byte != b'.');
    if is_name { item } else { item.refused("name_invalid", "it has no id or name that can be kept") }
}

fn text<'a>(source: &'a Value, field: &str) -> &'a str {
    source[field].as_str().unwrap_or_default()
}

fn carry(source: &Value, fields: &[&str], body: &mut Value) {
    for field in fields {
        match source.get(field) {
            None | Some(Value::Null) => {}
            Some(value) => body[*field] = value.clone(),
        }
    }
}

/// Carries a field that has an older name too.
fn carry_first(source: &Value, [field, older]: [&str; 2], body: &mut Value) {
    let value = [field, older].iter().filter_map(|name| source.get(name)).find(|value| !value.is_null());
    if let Some(value) = value {
        body[field] = value.clone();
    }
}

fn add_note(item: &mut Item, note: &str) {
    if !item.note.is_empty() {
        item.note.push_str("; ");
    }
    item.note.push_str(note);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::report::Outcome;

    #[test]
    fn a_page_names_a_way_on_or_is_the_last() {
        let check = |answer: Value, expect: Option<(usize, Option<&str>)>| {
            let page = Page::read(answer.clone());
            let read = page.as_ref().map(|page| (page.items.len(), page.next.as_deref()));
            assert_eq!(read, expect, "{answer}");
        };
        check(json!({ "data": [1], "done": false, "iterator": "a" }), Some((1, Some("a"))));
        check(json!({ "data": [1, 2], "done": true, "iterator": "a" }), Some((2, None)));
        check(json!({ "data": [], "done": true, "iterator": null }), Some((0, None)));
        check(json!({ "data": [], "done": false, "iterator": "a" }), None);
        check(json!({ "data": [1], "done": false, "iterator": null }), None);
        check(json!({ "data": [1] }), None);
        check(json!({ "data": {}, "done": true }), None);
        check(json!([]), None);
        check(Value::Null, None);
    }

    #[test]
    fn a_uid_is_kept_and_an_id_becomes_one() {
        let check = |source: Value, expect: &str, expect_outcome: Outcome| {
            let Creation { item, body } = application(&source);
            assert_eq!((item.uid.as_str(), item.outcome), (expect, expect_outcome), "{source}");
            assert_eq!(body["uid"], expect);
        };
        let svix = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2";
        check(json!({ "id": svix, "uid": "tenant-7" }), "tenant-7", Outcome::WouldMake);
        check(json!({ "id": svix, "uid": null }), svix, Outcome::WouldMake);
        let own = "app_01k0000000000000000000000a";
        check(json!({ "id": own }), &format!("imported-{own}"), Outcome::WouldMake);
        check(json!({ "id": "a/b" }), "a/b", Outcome::Refused);
        check(json!({ "id": ".." }), "..", Outcome::Refused);
        check(json!({}), "", Outcome::Refused);
        check(json!([1]), "", Outcome::Refused);
    }

    #[test]
    fn applications_and_event_types_carry_what_both_know() {
        let source =
            json!({ "id": "app_x", "name": "N", "rateLimit": 5, "metadata": { "a": "b" }, "createdAt": "t" });
        let expect = json!({ "uid": "app_x", "name": "N", "metadata": { "a": "b" }, "throttleRate": 5 });
        assert_eq!(application(&source).body, expect);
        let source = json!({
            "name": "a.b", "description": "d", "archived": true, "schemas": { "1": {} }, "deprecated": true,
            "featureFlag": "f", "groupName": "g",
        });
        let Creation { item, body } = event_type(&source);
        let expect = json!({
            "description": "d", "name": "a.b", "archived": true, "schemas": { "1": {} }, "groupName": "g",
        });
        assert_eq!(body, expect);
        assert_eq!(item.note, "`deprecated` is not carried over; `featureFlag` is not carried over");
    }

    #[test]
    fn an_endpoint_with_one_request_is_whole_at_once() {
        let source = json!({
            "id": "ep_x", "url": "https://a.example/", "description": "d", "disabled": true, "channels": ["c"],
            "filterTypes": ["a.b"], "throttleRate": 9, "metadata": { "k": "v", UNFINISHED: "unfinished" },
        });
        let beside = Beside { secret: json!({ "key": "whsec_x" }), ..Beside::default() };
        let made = endpoint(&source, &beside);
        let expect = json!({
            "uid": "ep_x", "disabled": true, "url": "https://a.example/", "description": "d", "channels": ["c"],
            "eventTypes": ["a.b"], "throttleRate": 9, "secret": "whsec_x", "metadata": { "k": "v" },
        });
        assert_eq!(made.body, expect);
        assert!(made.has_secret() && !endpoint(&source, &Beside::default()).has_secret());
        assert!(made.headers.is_none() && made.transformation.is_none() && made.finish.is_none());
        assert_eq!(made.item.note, "");
    }

    #[test]
    fn an_endpoint_with_more_requests_delivers_nothing_before_the_last() {
        let source =
            json!({ "id": "ep_x", "uid": "e", "url": "https://a.example/", "metadata": { "k": "v" } });
        let beside = Beside {
            headers: json!({ "headers": { "x-tenant": "7" }, "sensitive": ["Authorization"] }),
            transformation: json!({
                "enabled": true, "code": "function handler(w) {}", "plugin": "javascript",
                "settings": { "code": "..", "settings": { "a": 1 } }, "secrets": ["s"],
            }),
            ..Beside::default()
        };
        let made = endpoint(&source, &beside);
        assert_eq!((&made.body["disabled"], is_unfinished(&made.body)), (&json!(true), true));
        let finish = made.finish.unwrap();
        assert_eq!(finish, json!({ "disabled": false, "metadata": { "k": "v" } }));
        assert!(!is_unfinished(&finish));
        assert_eq!(made.headers, Some(json!({ "headers": { "x-tenant": "7" } })));
        let code = "function handler(w) {}";
        assert_eq!(
            made.transformation,
            Some(json!({ "enabled": true, "code": code, "settings": { "a": 1 } }))
        );
        assert!(
            made.item.note.contains("Authorization") && made.item.note.contains("secrets"),
            "{}",
            made.item.note
        );
    }

    #[test]
    fn what_is_not_carried_over_is_told() {
        let beside = Beside {
            transformation: json!({ "enabled": true, "code": null, "plugin": "reshape" }),
            ..Beside::default()
        };
        let source =
            json!({ "id": "ep_x", "url": "https://a.example/", "preset": "conversation", "throttleRate": 2 });
        let made = endpoint(&source, &beside);
        assert_eq!(
            (&made.body["preset"], &made.body["throttleRate"]),
            (&json!("conversation"), &Value::Null)
        );
        assert!(made.transformation.is_none() && made.finish.is_none());
        for told in ["`reshape`", "`conversation`"] {
            assert!(made.item.note.contains(told), "{}", made.item.note);
        }
        let standard = json!({ "id": "ep_x", "preset": "standard", "throttleRate": 2 });
        assert_eq!(endpoint(&standard, &Beside::default()).body["throttleRate"], 2);
    }

    #[test]
    fn nothing_that_a_server_answers_makes_it_panic() {
        for hostile in
            [json!(null), json!(7), json!("x"), json!([{}]), json!({ "metadata": 5, "uid": {}, "id": [] })]
        {
            let beside = || Beside {
                secret: hostile.clone(),
                headers: hostile.clone(),
                transformation: hostile.clone(),
            };
            assert_eq!(endpoint(&hostile, &beside()).item.outcome, Outcome::Refused);
            assert_eq!(application(&hostile).item.outcome, Outcome::Refused);
            assert_eq!(event_type(&hostile).item.outcome, Outcome::Refused);
        }
    }
}
