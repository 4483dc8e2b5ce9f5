//! A cache bounded by bytes that lets go of what was used least recently.

use std::collections::HashMap;
use std::hash::Hash;

/// Values with their sizes. An entry larger than the bound is kept as long as it is the only one.
pub(crate) struct ByteLru<K, V> {
    entries: HashMap<K, Entry<V>>,
    bytes: usize,
    bytes_max: usize,
    clock: u64,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> ByteLru<K, V> {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { entries: HashMap::new(), bytes: 0, bytes_max, clock: 0 }
    }

    /// A value, which is now the one used last.
    pub(crate) fn get(&mut self, key: K) -> Option<V> {
        let entry = self.entries.get_mut(&key)?;
        self.clock += 1;
        entry.used = self.clock;
        Some(entry.value.clone())
    }

    /// Keeps a value, and lets go of others until all fit.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.remove(key);
        self.clock += 1;
        self.bytes += bytes;
        self.entries.insert(key, Entry { value, bytes, used: self.clock });
        while self.bytes > self.bytes_max && self.entries.len() > 1 {
            // A scan costs nothing beside the load that made it necessary.
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
            let Some(oldest) = oldest else { return };
            self.remove(oldest);
        }
    }

    pub(crate) fn remove(&mut self, key: K) {
        if let Some(entry) = self.entries.remove(&key) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_go_of_what_was_used_least_recently() {
        let mut cache = ByteLru::new(10);
        for key in ['a', 'b', 'c'] {
            cache.insert(key, key, 3);
        }
        assert_eq!(cache.get('a'), Some('a'));
        cache.insert('d', 'd', 3);
        let kept = ['a', 'b', 'c', 'd'].map(|key| cache.get(key).is_some());
        assert_eq!(kept, [true, false, true, true]);
        cache.insert('e', 'e', 11);
        assert_eq!(cache.entries.len(), 1, "too large for the rest, and still usable");
        cache.insert('e', 'e', 2);
        cache.remove('x');
        assert_eq!(cache.bytes, 2);
    }
}
