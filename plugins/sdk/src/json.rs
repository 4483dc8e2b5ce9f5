//! JSON that is read and written without serde_json where it can be, because most runs do little else.

use std::ptr;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::Object;

pub(crate) mod plain;
mod raw;
pub(crate) mod scan;
mod surrogates;

pub use surrogates::well_formed;

/// A value's text. That of an [`Object`] is put together from the texts of its fields.
pub(crate) fn text<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    match as_object(value) {
        Some(object) => object.text(),
        None => serde_json::to_string(value),
    }
}

/// The same as a value whose text is kept.
pub(crate) fn raw_value<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Box<RawValue>> {
    match as_object(value) {
        Some(object) => Ok(raw::written(object.text()?)),
        None => serde_json::value::to_raw_value(value),
    }
}

/// The value, if its type is [`Object`]. So functions that take any value treat objects as they deserve, and plugins
/// don't have to know of two ways to do one thing.
#[expect(unsafe_code, reason = "`Any`, which does the same safely, knows no types that borrow")]
fn as_object<T: ?Sized>(value: &T) -> Option<&Object<'_>> {
    if typeid::of::<T>() != typeid::of::<Object<'static>>() {
        return None;
    }
    // SAFETY: `T` is `Object<'event>` for some `'event`, which is all that this comparison leaves open. A `&T` outlives
    // no `'event`, so what is borrowed here lives as long as the answer, and an `Object` only hands its texts out.
    Some(unsafe { &*ptr::from_ref(value).cast::<Object<'_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_are_objects() {
        let text = r#"{"a":1}"#.to_owned();
        let object = Object::parse(&text).expect("the text is an object");
        assert_eq!(as_object(&object).map(Object::len), Some(1));
        assert!(as_object(&&object).is_none() && as_object("{}").is_none());
        assert!(as_object(&serde_json::json!({"a": 1})).is_none());
    }
}
