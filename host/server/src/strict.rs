//! Reading JSON into a shape without ignoring anything: a member that the shape does not have is refused with its place and
//! the member that was probably meant, and so is one that stands twice.
//!
//! This is done around whatever shape is read, so no shape can forget it: [`Strict`] stands between serde's generated code and
//! the parser, learns each object's members from the former and looks at what the latter finds. Free JSON (`RawValue`,
//! `Value`) passes as it is.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::unsupported_member::{self, Unsupported};

/// What is wrong with a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberFault {
    /// Members and indexes from the whole to the member.
    pub(crate) place: Vec<String>,
    pub(crate) kind: MemberFaultKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MemberFaultKind {
    /// The shape has no such member, but these.
    Unknown { known: &'static [&'static str] },
    /// It is one of the Svix API, and something would be different for it.
    Unsupported(Unsupported),
    /// It stands twice.
    Repeated,
}

/// Why JSON is not of a shape.
#[derive(Debug)]
pub(crate) enum Fault {
    Member(MemberFault),
    Json(serde_json::Error),
}

/// Reads JSON of this shape, all of it.
pub(crate) fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Fault> {
    let found = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = T::deserialize(Strict { inner: &mut reader, place: Place::Whole, found: &found });
    let read = read.and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| found.into_inner().map_or(Fault::Json(error), Fault::Member))
}

/// Where the reader is.
#[derive(Clone, Copy)]
enum Place<'a> {
    Whole,
    Member { parent: &'a Place<'a>, name: &'a str },
    Item { parent: &'a Place<'a>, index: usize },
}

impl Place<'_> {
    fn path(&self) -> Vec<String> {
        match self {
            Self::Whole => Vec::new(),
            Self::Member { parent, name } => with(parent.path(), (*name).to_owned()),
            Self::Item { parent, index } => with(parent.path(), index.to_string()),
        }
    }
}

fn with(mut path: Vec<String>, segment: String) -> Vec<String> {
    path.push(segment);
    path
}

/// What was found; serde's errors carry text only.
type Found = RefCell<Option<MemberFault>>;

/// A deserializer, a visitor or an access that is looked at.
struct Strict<'a, T> {
    inner: T,
    place: Place<'a>,
    found: &'a Found,
}

/// A visitor of an object: of a shape with these members, or of a map.
struct ObjectVisitor<'a, V> {
    inner: V,
    place: Place<'a>,
    found: &'a Found,
    known: Option<&'static [&'static str]>,
}

/// The members of an object.
struct Members<'a, 'de, A> {
    inner: A,
    place: Place<'a>,
    found: &'a Found,
    known: Option<&'static [&'static str]>,
    /// Of a map; a shape's own code looks for repeated members.
    seen: HashSet<Cow<'de, str>>,
    current: Cow<'de, str>,
}

/// A member's name, borrowed where the text has no escapes.
struct MemberName<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for MemberName<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = MemberName<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a member's name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<MemberName<'de>, E> {
                Ok(MemberName(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<MemberName<'de>, E> {
                Ok(MemberName(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// Whether a value says nothing: clients write such for what their callers do not say.
fn says_nothing(value: &RawValue) -> bool {
    let text = value.get();
    matches!(text, "null" | "false") || text.bytes().filter(|byte| !byte.is_ascii_whitespace()).eq(*b"[]")
}

impl<'de, A: MapAccess<'de>> Members<'_, 'de, A> {
    /// The next member that the shape has to do with.
    fn next_name(&mut self) -> Result<Option<Cow<'de, str>>, A::Error> {
        while let Some(MemberName(name)) = self.inner.next_key()? {
            let Some(known) = self.known else {
                if !self.seen.insert(name.clone()) {
                    return Err(self.refuse(&name, MemberFaultKind::Repeated));
                }
                return Ok(Some(name));
            };
            if known.contains(&&*name) {
                return Ok(Some(name));
            }
            let Some(unsupported) = unsupported_member::find(&name) else {
                return Err(self.refuse(&name, MemberFaultKind::Unknown { known }));
            };
            if !says_nothing(self.inner.next_value()?) {
                return Err(self.refuse(&name, MemberFaultKind::Unsupported(unsupported)));
            }
        }
        Ok(None)
    }

    fn refuse(&self, name: &str, kind: MemberFaultKind) -> A::Error {
        let place = with(self.place.path(), name.to_owned());
        *self.found.borrow_mut() = Some(MemberFault { place, kind });
        A::Error::custom("a member is refused")
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.next_name()? else { return Ok(None) };
        self.current = name.clone();
        match name {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Cow::Owned(name) => seed.deserialize(StringDeserializer::new(name)),
        }
        .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let place = Place::Member { parent: &self.place, name: &self.current };
        self.inner.next_value_seed(Strict { inner: seed, place, found: self.found })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Strict { inner: deserializer, place: self.place, found: self.found })
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for ObjectVisitor<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Members {
            inner: members,
            place: self.place,
            found: self.found,
            known: self.known,
            seen: HashSet::new(),
            current: Cow::Borrowed(""),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<V::Value, A::Error> {
        // Generated code would take a list for an object, by the order of members that nobody is told.
        Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self.inner))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Strict { inner: deserializer, place: self.place, found: self.found })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Strict { inner: deserializer, place: self.place, found: self.found })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Items { inner: items, place: self.place, found: self.found, index: 0 })
    }
}

/// The items of a list.
struct Items<'a, A> {
    inner: A,
    place: Place<'a>,
    found: &'a Found,
    index: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let place = Place::Item { parent: &self.place, index: self.index };
        self.index += 1;
        self.inner.next_element_seed(Strict { inner: seed, place, found: self.found })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// Passes a request for a value on as it is.
macro_rules! pass_on {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

/// How `serde_json` reads text as it is, which is nobody's object.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<'_, D> {
    type Error = D::Error;

    pass_on! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(Strict { inner: visitor, place: self.place, found: self.found })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name == RAW_VALUE {
            return self.inner.deserialize_newtype_struct(name, visitor);
        }
        let visitor = Strict { inner: visitor, place: self.place, found: self.found };
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_seq(Strict { inner: visitor, place: self.place, found: self.found })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, Strict { inner: visitor, place: self.place, found: self.found })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = Strict { inner: visitor, place: self.place, found: self.found };
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (place, found) = (self.place, self.found);
        self.inner.deserialize_map(ObjectVisitor { inner: visitor, place, found, known: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (place, found) = (self.place, self.found);
        let visitor = ObjectVisitor { inner: visitor, place, found, known: Some(fields) };
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }
}
