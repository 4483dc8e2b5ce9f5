//! Chance that repeats: numbers that depend on the event, the endpoint and the plugin's version only.

use hookmill_core::id::{EndpointId, EventId};
use hookmill_core::plugin::PluginDigest;
use sha2::{Digest, Sha256};

/// SHA-256 in counter mode. Fixed for the life of 1.x: a replay has to see the same numbers.
pub(super) struct SeededRandom {
    event: EventId,
    endpoint: EndpointId,
    digest: PluginDigest,
    block: u64,
    unused: Vec<u64>,
}

impl SeededRandom {
    pub(super) fn new(event: EventId, endpoint: EndpointId, digest: PluginDigest) -> Self {
        Self { event, endpoint, digest, block: 0, unused: Vec::new() }
    }

    pub(super) fn next(&mut self) -> u64 {
        if let Some(number) = self.unused.pop() {
            return number;
        }
        let hash: [u8; 32] = Sha256::new()
            .chain_update(b"hookmill plugin random 1")
            .chain_update(self.event.to_bytes())
            .chain_update(self.endpoint.to_bytes())
            .chain_update(self.digest.as_bytes())
            .chain_update(self.block.to_be_bytes())
            .finalize()
            .into();
        self.block += 1;
        let (words, _) = hash.as_chunks::<8>();
        self.unused.extend(words[1..].iter().rev().map(|word| u64::from_be_bytes(*word)));
        u64::from_be_bytes(words[0])
    }
}

#[cfg(test)]
mod tests {
    use hookmill_core::time::UnixMillis;

    use super::*;

    fn sequence(event: u128, endpoint: u128, plugin: &[u8]) -> Vec<u64> {
        let event = EventId::new(UnixMillis(1), event);
        let endpoint = EndpointId::new(UnixMillis(1), endpoint);
        let mut random = SeededRandom::new(event, endpoint, PluginDigest::of(plugin));
        (0..10).map(|_| random.next()).collect()
    }

    #[test]
    fn repeats_for_the_same_three_and_differs_for_others() {
        let one = sequence(1, 1, b"a");
        assert_eq!(one, sequence(1, 1, b"a"));
        for other in [sequence(2, 1, b"a"), sequence(1, 2, b"a"), sequence(1, 1, b"b")] {
            assert!(one.iter().all(|number| !other.contains(number)));
        }
        let distinct: std::collections::HashSet<_> = one.iter().collect();
        assert_eq!(distinct.len(), one.len());
    }
}
