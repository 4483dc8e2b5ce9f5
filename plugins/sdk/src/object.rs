//! A JSON object that is taken apart one field at a time.
//!
//! Reading it finds where each field's text begins and ends and no more, so fields that a plugin only moves around cost
//! next to nothing and keep their exact text: `1.0` stays `1.0`, 20-digit numbers keep their digits, nested objects
//! their order.

mod fields;
mod kind;
mod name;

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use self::fields::Fields;
pub use self::kind::Kind;
use crate::{Failure, Result, json};

/// The exact text of one JSON value: of the event, or made by the plugin.
pub type Raw<'event> = Cow<'event, RawValue>;

/// A JSON object whose fields keep their order and their exact text until they are read.
///
/// Where a name came twice the last field counts, as for most readers; changing or taking it removes the others.
///
/// Errors name the field by its pointer from the object that was read first, for example
/// `/data/to: expected a string, found a number`.
///
/// ```
/// use hookmill_plugin::Object;
///
/// # fn reshape() -> hookmill_plugin::Result<String> {
/// let mut ticket = Object::parse(r#"{"id": 7, "price": 1.00, "note": null}"#)?;
/// ticket.rename("id", "reference");
/// ticket.remove("note");
/// ticket.insert("kind", "ticket")?;
/// # ticket.to_json()
/// # }
/// # assert_eq!(reshape().unwrap(), r#"{"reference":7,"price":1.00,"kind":"ticket"}"#);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Object<'event> {
    /// The names of the fields that lead to this object, none for the outermost.
    path: Vec<Cow<'event, str>>,
    fields: Fields<'event>,
}

impl<'event> Object<'event> {
    /// An object without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the text of a JSON object.
    ///
    /// # Errors
    /// A permanent failure where it is none.
    pub fn parse(text: &'event str) -> Result<Self> {
        Ok(Self::read(text)?)
    }

    /// Reads the text of a JSON object, and says what is wrong with one that is none.
    pub(crate) fn read(text: &'event str) -> serde_json::Result<Self> {
        match Fields::read(text) {
            Some(fields) => Ok(Self { path: Vec::new(), fields }),
            None => serde_json::from_str(text),
        }
    }

    /// The text of the object without blanks between its fields.
    ///
    /// # Errors
    /// None that a plugin can cause.
    pub fn to_json(&self) -> Result<String> {
        Ok(self.text()?)
    }

    /// The text of the object, whose fields are text already: they are only put together.
    pub(crate) fn text(&self) -> serde_json::Result<String> {
        self.fields.text()
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.len() == 0
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.fields.iter()
    }

    /// The text of a field; of the last one where a name came twice.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&RawValue> {
        self.fields.get(name).map(|(_, value)| value)
    }

    /// A field as a type of the plugin's own; none where there is no such field or it is `null`, which providers use alike.
    /// [`raw`](Self::raw) tells the two apart.
    ///
    /// # Errors
    /// A permanent failure where the field is no `T`.
    pub fn get<'field, T: Deserialize<'field>>(&'field self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.raw(name).filter(|value| value.get() != "null") else { return Ok(None) };
        match serde_json::from_str(value.get()) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(self.failure(name, without_location(&error))),
        }
    }

    /// A field that has to be there, and not `null`.
    ///
    /// # Errors
    /// A permanent failure where there is no such field or it is no `T`.
    pub fn require<'field, T: Deserialize<'field>>(&'field self, name: &str) -> Result<T> {
        self.get(name)?.ok_or_else(|| self.failure(name, "missing"))
    }

    /// A nested object, for a closer look; none where there is no such field or it is `null`.
    ///
    /// # Errors
    /// A permanent failure where the field is neither.
    pub fn object(&self, name: &str) -> Result<Option<Object<'_>>> {
        let Some((name, value)) = self.fields.get(name).filter(|(_, value)| value.get() != "null") else {
            return Ok(None);
        };
        check(&self.path, name, value, &[Kind::Object])?;
        let mut object = Object::read(value.get())?;
        object.path.extend(self.path.iter().map(|name| Cow::Borrowed(name.as_ref())));
        object.path.push(Cow::Borrowed(name));
        Ok(Some(object))
    }

    /// Takes a field out, if it is of one of these kinds; none where there is no such field.
    ///
    /// # Errors
    /// A permanent failure where the field is of another kind.
    pub fn take(&mut self, name: &str, kinds: &[Kind]) -> Result<Option<Raw<'event>>> {
        let taken = self.fields.take(name, |value| check(&self.path, name, value, kinds))?;
        Ok(taken.map(|(_, value)| value))
    }

    /// Takes a nested object out; none where there is no such field.
    ///
    /// # Errors
    /// A permanent failure where the field is no object.
    pub fn take_object(&mut self, name: &str) -> Result<Option<Object<'event>>> {
        let is_object = |value: &RawValue| check(&self.path, name, value, &[Kind::Object]);
        let Some((name, value)) = self.fields.take(name, is_object)? else { return Ok(None) };
        let mut object = match value {
            Cow::Borrowed(value) => Object::read(value.get())?,
            Cow::Owned(value) => Object::read(value.get())?.into_owned(),
        };
        object.path.clone_from(&self.path);
        object.path.push(name);
        Ok(Some(object))
    }

    /// Checks that a field, if it is there, is of one of these kinds.
    ///
    /// # Errors
    /// A permanent failure where it is of another.
    pub fn expect(&self, name: &str, kinds: &[Kind]) -> Result<()> {
        match self.raw(name) {
            Some(value) => check(&self.path, name, value, kinds),
            None => Ok(()),
        }
    }

    /// Takes a field out, whatever it is.
    pub fn remove(&mut self, name: &str) -> Option<Raw<'event>> {
        self.fields.take(name, |_| Ok(())).ok()?.map(|(_, value)| value)
    }

    /// Keeps the fields whose name the function agrees to.
    pub fn retain(&mut self, keep: impl FnMut(&str) -> bool) {
        self.fields.retain(keep);
    }

    /// Gives a field another name, in its place; answers whether there was one. A field that had the new name goes.
    pub fn rename(&mut self, from: &str, to: impl Into<Cow<'event, str>>) -> bool {
        self.fields.rename(from, to.into())
    }

    /// Sets a field to a value of the plugin's own: in its place, or at the end.
    ///
    /// # Errors
    /// Where the value is none that JSON can express.
    pub fn insert<T: Serialize + ?Sized>(
        &mut self,
        name: impl Into<Cow<'event, str>>,
        value: &T,
    ) -> Result<()> {
        let value = json::raw_value(value)?;
        self.insert_raw(name, Cow::Owned(value));
        Ok(())
    }

    /// Sets a field to a text that is JSON already: in its place, or at the end.
    pub fn insert_raw(&mut self, name: impl Into<Cow<'event, str>>, value: Raw<'event>) {
        self.fields.set(name.into(), value);
    }

    /// A permanent failure about one field, named by its pointer.
    #[must_use]
    pub fn failure(&self, name: &str, what: impl fmt::Display) -> Failure {
        failure(&self.path, name, what)
    }

    fn into_owned(self) -> Object<'static> {
        let owned = |name: Cow<'_, str>| Cow::Owned(name.into_owned());
        Object { path: self.path.into_iter().map(owned).collect(), fields: self.fields.into_owned() }
    }
}

/// Checks that the value of a field is of one of these kinds.
fn check(path: &[Cow<'_, str>], name: &str, value: &RawValue, kinds: &[Kind]) -> Result<()> {
    let kind = Kind::of(value);
    if kinds.contains(&kind) {
        return Ok(());
    }
    let expected: Vec<String> = kinds.iter().map(Kind::to_string).collect();
    Err(failure(path, name, format_args!("expected {}, found {kind}", expected.join(" or "))))
}

/// A failure that begins with the pointer to a field (RFC 6901). It is put together only here: few runs fail.
fn failure(path: &[Cow<'_, str>], name: &str, what: impl fmt::Display) -> Failure {
    let mut reason = String::new();
    for name in path.iter().map(AsRef::as_ref).chain([name]) {
        reason.push('/');
        reason.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    Failure::permanent(format!("{reason}: {what}"))
}

/// The error's words without its ` at line 1 column 2`, which counts from the field and would mislead.
fn without_location(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(serializer)
    }
}

impl<'de: 'event, 'event> Deserialize<'de> for Object<'event> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Object::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    object.fields.push(name, Cow::Borrowed(value));
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// A field's name: a part of the text, unless it has escapes.
struct Name<'event>(Cow<'event, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a field's name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untouched_fields_keep_their_text() {
        let check = |text: &str| {
            assert_eq!(Object::parse(text).and_then(|object| object.to_json()).as_deref(), Ok(text));
        };
        check("{}");
        check(r#"{"b":1.0,"a":12345678901234567890123,"c":[1, 2],"é":"\u00e9"}"#);
        check(r#"{"twice":1,"twice":2}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "1", "null", "{", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":1} x"#] {
            assert!(Object::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn of_a_name_that_came_twice_the_last_counts() {
        let mut object = Object::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(object.get("a"), Ok(Some(3)));
        assert_eq!(object.remove("a").map(|value| value.get().to_owned()).as_deref(), Some("3"));
        assert_eq!(object.to_json().as_deref(), Ok(r#"{"b":2}"#));
    }

    #[test]
    fn what_is_changed_is_there_once() {
        let check = |change: fn(&mut Object<'_>), expect: &str| {
            let mut object = Object::parse(r#"{"a":1,"b":2,"a":3,"c":4}"#).unwrap();
            change(&mut object);
            assert_eq!(object.to_json().as_deref(), Ok(expect));
        };
        check(|object| object.insert("a", &0).unwrap(), r#"{"b":2,"a":0,"c":4}"#);
        check(|object| assert!(object.rename("a", "d")), r#"{"b":2,"d":3,"c":4}"#);
        check(|object| assert!(object.rename("c", "a")), r#"{"b":2,"a":4}"#);
        check(|object| assert!(object.rename("a", "a")), r#"{"b":2,"a":3,"c":4}"#);
        check(|object| assert!(!object.rename("x", "a")), r#"{"a":1,"b":2,"a":3,"c":4}"#);
    }

    #[test]
    fn names_may_have_escapes() {
        let object = Object::parse(r#"{"a\u0062":1}"#).unwrap();
        assert_eq!(object.get("ab"), Ok(Some(1)));
    }

    #[test]
    fn failures_name_the_field() {
        let mut object = Object::parse(r#"{"data":{"a/b":1},"list":[]}"#).unwrap();
        let data = object.object("data").unwrap().unwrap();
        let check = |result: Result<()>, reason: &str| assert_eq!(result, Err(Failure::permanent(reason)));
        check(data.require::<u8>("to").map(drop), "/data/to: missing");
        check(
            data.clone().take("a/b", &[Kind::String, Kind::Null]).map(drop),
            "/data/a~1b: expected a string or null, found a number",
        );
        check(object.object("list").map(drop), "/list: expected an object, found an array");
        check(object.take_object("list").map(drop), "/list: expected an object, found an array");
        assert_eq!(object.len(), 2, "what was refused stays");
    }

    #[test]
    fn failures_name_the_way_to_the_field() {
        let mut object = Object::parse(r#"{"a~":{"b/":{"c":1}}}"#).unwrap();
        let expected = Err(Failure::permanent("/a~0/b~1/d: missing"));
        let looked_at = object.object("a~").unwrap().unwrap();
        assert_eq!(looked_at.object("b/").unwrap().unwrap().require::<u8>("d"), expected);
        let mut taken = object.take_object("a~").unwrap().unwrap();
        assert_eq!(taken.take_object("b/").unwrap().unwrap().require::<u8>("d"), expected);
    }

    #[test]
    fn objects_are_written_alike_wherever_they_are() {
        let check = |text: &str| {
            let object = Object::parse(text).unwrap();
            let expected = serde_json::to_string(&object).unwrap();
            let request = crate::Request::new().json(&object).unwrap();
            assert_eq!(request.body.text(), Some(expected.as_str()));
            let mut outer = Object::new();
            outer.insert("directly", &object).unwrap();
            outer.insert("in a list", &[&object]).unwrap();
            let expected = format!(r#"{{"directly":{expected},"in a list":[{expected}]}}"#);
            assert_eq!(outer.to_json(), Ok(expected));
        };
        check("{}");
        check(r#"{ "a" : [1, 2] , "a\n" : {"b": 1.0} }"#);
    }

    #[test]
    fn what_is_not_there_is_none() {
        let mut object = Object::new();
        assert_eq!(object.get::<u8>("a"), Ok(None));
        assert_eq!(object.expect("a", &[]), Ok(()));
        assert!(matches!(object.object("a"), Ok(None)));
        assert!(matches!(object.take_object("a"), Ok(None)));
        assert!(matches!(object.take("a", &[]), Ok(None)));
    }

    #[test]
    fn an_object_of_the_plugins_own_can_be_taken_out_too() {
        let mut object = Object::new();
        object.insert("made", &serde_json::json!({"deep": [1]})).unwrap();
        let made = object.take_object("made").unwrap().unwrap();
        assert_eq!(made.to_json().as_deref(), Ok(r#"{"deep":[1]}"#));
        assert!(object.is_empty());
    }

    #[test]
    fn fields_are_set_in_their_place() {
        let mut object = Object::parse(r#"{"a":1,"b":2}"#).unwrap();
        object.insert("a", "one").unwrap();
        object.insert("c", &[true]).unwrap();
        assert!(object.rename("b", "two"));
        assert!(!object.rename("b", "three"));
        object.retain(|name| name != "c");
        assert_eq!(object.to_json().as_deref(), Ok(r#"{"a":"one","two":2}"#));
        assert_eq!((object.len(), object.is_empty(), object.iter().count()), (2, false, 2));
    }
}
