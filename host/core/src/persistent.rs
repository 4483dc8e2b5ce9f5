//! An ordered map whose copies share what they have in common.
//!
//! A copy takes a moment, and a change of the copy takes time in proportion to the logarithm of the entries: the
//! configuration is copied for each change, and an installation has a hundred thousand endpoints.

use std::borrow::Borrow;
use std::fmt;
use std::ops::{Index, RangeBounds};

use rpds::RedBlackTreeMapSync;

/// An ordered map that is cheap to clone.
#[derive(Clone)]
pub struct Map<K: Ord, V>(RedBlackTreeMapSync<K, V>);

impl<K: Ord, V> Map<K, V> {
    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.size()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    /// Whether the key has a value.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter()
    }

    /// All keys in their order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The entries whose keys are in a range.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.range(range)
    }
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// Gives a key a value, or another one.
    pub fn insert(&mut self, key: K, value: V) {
        self.0.insert_mut(key, value);
    }

    /// Takes a key and its value away.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let removed = self.0.get(key).cloned();
        self.0.remove_mut(key);
        removed
    }

    /// Changes the value of a key, if it has one.
    pub fn change<Q: Ord + ?Sized>(&mut self, key: &Q, change: impl FnOnce(&mut V))
    where
        K: Borrow<Q>,
    {
        let Some((key, value)) = self.0.get_key_value(key) else { return };
        let (key, mut value) = (key.clone(), value.clone());
        change(&mut value);
        self.0.insert_mut(key, value);
    }

    /// Keeps the entries that pass.
    pub fn retain(&mut self, passes: impl Fn(&K, &V) -> bool) {
        let gone: Vec<K> =
            self.iter().filter(|(key, value)| !passes(key, value)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.0.remove_mut(&key);
        }
    }
}

impl<K: Ord, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.0.insert_mut(key, value);
        }
        map
    }
}

impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> Index<&Q> for Map<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the key is there")
    }
}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_a_map_is_and_copies_stay_as_they_were(
            changes in proptest::collection::vec((0..20_u8, any::<Option<u8>>()), 0..60),
        ) {
            let (mut map, mut model) = (Map::default(), BTreeMap::new());
            for (key, value) in changes {
                let (copy, model_copy) = (map.clone(), model.clone());
                match value {
                    Some(value) => {
                        map.insert(key, value);
                        model.insert(key, value);
                    }
                    None => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                }
                map.change(&7, |value: &mut u8| *value = value.wrapping_add(1));
                model.entry(7).and_modify(|value| *value = value.wrapping_add(1));
                prop_assert!(map.iter().eq(model.iter()) && copy.iter().eq(model_copy.iter()));
                prop_assert!(map.range(3..9).rev().eq(model.range(3..9).rev()));
                prop_assert_eq!((map.len(), map.get(&5)), (model.len(), model.get(&5)));
            }
            map.retain(|key, _| key % 2 == 0);
            model.retain(|key, _| key % 2 == 0);
            prop_assert!(map.iter().eq(model.iter()));
        }
    }
}
