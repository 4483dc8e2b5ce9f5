//! The fields of an object, in their order.
//!
//! A list that is searched from one end to the other: objects of events have a dozen fields.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::name::is_same;
use crate::json::plain::is_plain;
use crate::json::scan;
use crate::{Raw, Result};

/// Fields that a list has room for from the start; few objects have more, and a list that grows is copied.
const ROOM: usize = 16;

/// A name and the text of its value.
type Field<'event> = (Cow<'event, str>, Raw<'event>);

/// The list.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields<'event>(Vec<Field<'event>>);

/// Where the field of a name is.
#[derive(Debug, Clone, Copy)]
struct Place {
    index: usize,
    /// Whether no other field has the name.
    is_only: bool,
}

impl<'event> Fields<'event> {
    /// The fields of an object's text; nothing where serde_json has to read it.
    pub(super) fn read(text: &'event str) -> Option<Self> {
        let mut fields = Vec::with_capacity(ROOM);
        scan::fields(text, |name, value| fields.push((Cow::Borrowed(name), Cow::Borrowed(value))))?;
        Some(Self(fields))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Adds a field behind the others, even if one has its name.
    pub(super) fn push(&mut self, name: Cow<'event, str>, value: Raw<'event>) {
        if self.0.is_empty() {
            self.0.reserve(ROOM);
        }
        self.0.push((name, value));
    }

    /// The field of this name, and that name; the last one where several have it.
    pub(super) fn get(&self, name: &str) -> Option<(&str, &RawValue)> {
        let (name, value) = self.0.iter().rfind(|(field, _)| is_same(field, name))?;
        Some((name, value))
    }

    /// Takes out the field that [`get`](Self::get) finds, if it passes the check, and all others of its name.
    pub(super) fn take(
        &mut self,
        name: &str,
        check: impl FnOnce(&RawValue) -> Result<()>,
    ) -> Result<Option<Field<'event>>> {
        let Some(place) = self.find(name) else { return Ok(None) };
        check(&self.0[place.index].1)?;
        let index = self.keep_only(place);
        Ok(Some(self.0.remove(index)))
    }

    /// Sets the value of the field that has this name, or adds one.
    pub(super) fn set(&mut self, name: Cow<'event, str>, value: Raw<'event>) {
        match self.find(&name) {
            Some(place) => {
                let index = self.keep_only(place);
                self.0[index].1 = value;
            }
            None => self.push(name, value),
        }
    }

    /// Gives a field another name; answers whether there was one. A field that had the new name goes.
    pub(super) fn rename(&mut self, from: &str, to: Cow<'event, str>) -> bool {
        let Some(place) = self.find(from) else { return false };
        let index = self.keep_only(place);
        self.0[index].0 = to;
        self.remove_namesakes(index);
        true
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    pub(super) fn into_owned(self) -> Fields<'static> {
        let owned =
            |(name, value): Field<'event>| (Cow::Owned(name.into_owned()), Cow::Owned(value.into_owned()));
        Fields(self.0.into_iter().map(owned).collect())
    }

    /// The text of the object, without blanks. The values are text already, so it is only put together.
    pub(super) fn text(&self) -> serde_json::Result<String> {
        const SIGNS_OF_A_FIELD: usize = r#","":"#.len();
        let mut bytes = "{}".len();
        for (name, value) in self.iter() {
            if !is_plain(name.as_bytes()) {
                return serde_json::to_string(self);
            }
            bytes += SIGNS_OF_A_FIELD + name.len() + value.get().len();
        }
        let mut text = String::with_capacity(bytes);
        let mut before = "{\"";
        for (name, value) in self.iter() {
            text.push_str(before);
            text.push_str(name);
            text.push_str("\":");
            text.push_str(value.get());
            before = ",\"";
        }
        text.push_str(if self.0.is_empty() { "{}" } else { "}" });
        Ok(text)
    }

    /// Looks for the last field of this name, which is the one that counts.
    fn find(&self, name: &str) -> Option<Place> {
        let mut found = None;
        for (index, (field, _)) in self.0.iter().enumerate() {
            if is_same(field, name) {
                found = Some(Place { index, is_only: found.is_none() });
            }
        }
        found
    }

    /// Of the fields of one name keeps this one, which is the one that counts; answers where it is then. Otherwise a
    /// receiver that counts the first one would see what the plugin replaced.
    fn keep_only(&mut self, place: Place) -> usize {
        if place.is_only { place.index } else { self.remove_namesakes(place.index) }
    }

    /// Removes all other fields that have the name of this one; answers where it is then.
    fn remove_namesakes(&mut self, index: usize) -> usize {
        let name = self.0[index].0.clone();
        let mut visited = 0;
        let mut index_then = index;
        self.0.retain(|(field, _)| {
            let keep = visited == index || !is_same(field, &name);
            index_then -= usize::from(!keep && visited < index);
            visited += 1;
            keep
        });
        index_then
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a plugin does to fields.
    #[derive(Debug, Clone)]
    enum Change {
        Take(String),
        Set(String),
        Rename(String, String),
    }

    /// Names of which some come twice, have a common beginning, or need escapes.
    fn name() -> impl Strategy<Value = String> {
        proptest::sample::select(vec![
            "",
            "a",
            "b",
            "\"",
            "\n\\",
            "é",
            "createdBy",
            "createdOn",
            "long-and-plain-name",
        ])
        .prop_map(str::to_owned)
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            name().prop_map(Change::Take),
            name().prop_map(Change::Set),
            (name(), name()).prop_map(|(from, to)| Change::Rename(from, to)),
        ]
    }

    fn value(number: usize) -> Raw<'static> {
        Cow::Owned(RawValue::from_string(number.to_string()).expect("a number is JSON"))
    }

    /// The same change on the plainest of lists: of the fields that have the name only the last stays, and then that
    /// one is changed.
    fn change_list(list: &mut Vec<(String, usize)>, change: &Change, number: usize) {
        let (Change::Take(name) | Change::Set(name) | Change::Rename(name, _)) = change;
        let last = list.iter().rfind(|(field, _)| field == name).cloned();
        let mut visited = 0;
        let count = list.iter().filter(|(field, _)| field == name).count();
        list.retain(|(field, _)| {
            visited += usize::from(field == name);
            field != name || visited == count
        });
        match (change, last) {
            (Change::Take(name), _) => list.retain(|(field, _)| field != name),
            (Change::Set(name), None) => list.push((name.clone(), number)),
            (Change::Rename(_, _), None) => {}
            (Change::Set(name), Some(_)) => {
                list.iter_mut().filter(|(field, _)| field == name).for_each(|field| field.1 = number);
            }
            (Change::Rename(from, to), Some(_)) => {
                list.retain(|(field, _)| field == from || field != to);
                list.iter_mut().filter(|(field, _)| field == from).for_each(|field| field.0.clone_from(to));
            }
        }
    }

    proptest! {
        #[test]
        fn fields_are_what_a_plain_list_makes_of_them(
            names in proptest::collection::vec(name(), 0..12),
            changes in proptest::collection::vec(change(), 0..12),
        ) {
            let mut list: Vec<(String, usize)> = names.into_iter().zip(0..).collect();
            let mut fields = Fields::default();
            for (name, number) in &list {
                fields.push(Cow::Owned(name.clone()), value(*number));
            }
            for (number, change) in (100..).zip(&changes) {
                match change {
                    Change::Take(name) => {
                        let taken = fields.take(name, |_| Ok(())).expect("nothing refuses the field");
                        let expected = list.iter().rfind(|(field, _)| field == name);
                        let expected = expected.map(|(name, number)| (name.clone(), number.to_string()));
                        let taken = taken.map(|(name, value)| (name.into_owned(), value.get().to_owned()));
                        prop_assert_eq!(taken, expected);
                    }
                    Change::Set(name) => fields.set(Cow::Borrowed(name), value(number)),
                    Change::Rename(from, to) => {
                        let is_there = list.iter().any(|(field, _)| field == from);
                        prop_assert_eq!(fields.rename(from, Cow::Borrowed(to)), is_there);
                    }
                }
                change_list(&mut list, change, number);
                let expected: Vec<_> = list.iter().map(|(name, number)| (name.clone(), number.to_string())).collect();
                let found: Vec<_> =
                    fields.iter().map(|(name, value)| (name.to_owned(), value.get().to_owned())).collect();
                prop_assert_eq!(found, expected);
            }
            prop_assert_eq!(fields.text().unwrap(), serde_json::to_string(&fields).unwrap());
        }

        #[test]
        fn a_refused_field_stays(names in proptest::collection::vec(name(), 0..12), name in name()) {
            let mut fields = Fields::default();
            for (name, number) in names.iter().zip(0..) {
                fields.push(Cow::Borrowed(name), value(number));
            }
            let is_there = names.contains(&name);
            prop_assert_eq!(fields.get(&name).is_some(), is_there);
            let taken = fields.take(&name, |_| Err(crate::Failure::permanent("refused")));
            prop_assert_eq!(taken.is_err(), is_there);
            prop_assert_eq!(fields.len(), names.len());
        }

        #[test]
        fn texts_are_those_of_serde_json(names in proptest::collection::vec(any::<String>(), 0..20)) {
            let mut fields = Fields::default();
            for (name, number) in names.iter().zip(0..) {
                fields.push(Cow::Borrowed(name), value(number));
            }
            prop_assert_eq!(fields.text().unwrap(), serde_json::to_string(&fields).unwrap());
        }
    }
}
