//! Texts that are known to be JSON, as the type that says so.
//!
//! serde_json makes a [`RawValue`] of a text only by reading it, but here it has just been read. Yet it makes one from
//! any deserializer too: it asks that for a newtype of a certain name, and takes a map from that name to the text for
//! it. [`Known`] answers so. How serde_json asks is no promise of it: should it ask otherwise one day the answer is an
//! error, and the text is read once more after all.

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, Error};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

/// A part of a text that was read: one JSON value without blanks around it.
#[inline]
pub(super) fn read(json: &str) -> Option<&RawValue> {
    match Deserialize::deserialize(Known(json)) {
        Ok(value) => Some(value),
        Err(_) => serde_json::from_str(json).ok(),
    }
}

/// What serde_json takes for a value whose text it may keep.
struct Known<'text>(&'text str);

impl<'de> Deserializer<'de> for Known<'de> {
    type Error = Error;

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Entry { name, text: self.0 })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("not asked as serde_json asks for the text of a value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The one entry of the map that stands for a text.
struct Entry<'text> {
    name: &'static str,
    text: &'text str,
}

impl<'de> MapAccess<'de> for Entry<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        seed.deserialize(self.name.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(BorrowedStrDeserializer::new(self.text))
    }
}

/// A text that an object was just written as.
#[expect(unsafe_code, reason = "spares reading the text once more")]
pub(super) fn written(object: String) -> Box<RawValue> {
    // SAFETY: it was put together from names that are JSON strings and values whose type says that they are JSON, with
    // the signs of an object around them and no blanks.
    unsafe { RawValue::from_string_unchecked(object) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_json_asks_as_expected() {
        let text = "[1.0, 2]";
        let value: &RawValue = Deserialize::deserialize(Known(text)).expect("the text is not read again");
        assert!(std::ptr::eq(value.get(), text));
        assert!(u8::deserialize(Known("1")).is_err());
    }
}
