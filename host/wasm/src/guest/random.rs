//! Chance that repeats: numbers that depend on what a run is about and on the plugin's version only.

use hookmill_core::id::{EndpointId, EventId};
use hookmill_core::plugin::{InboundRequest, PluginDigest};
use hookmill_core::time::UnixMillis;
use sha2::{Digest, Sha256};

/// SHA-256 in counter mode. Fixed for the life of 1.x: a replay has to see the same numbers.
pub(super) struct SeededRandom {
    seed: Sha256,
    block: u64,
    unused: Vec<u64>,
}

impl SeededRandom {
    /// For runs on one event for one endpoint.
    pub(super) fn of_delivery(event: EventId, endpoint: EndpointId, digest: PluginDigest) -> Self {
        let seed = Sha256::new()
            .chain_update(b"hookmill plugin random 1")
            .chain_update(event.to_bytes())
            .chain_update(endpoint.to_bytes())
            .chain_update(digest.as_bytes());
        Self { seed, block: 0, unused: Vec::new() }
    }

    /// For runs on one request to one source.
    pub(super) fn of_request(
        source: &str,
        request: &InboundRequest,
        received_at: UnixMillis,
        digest: PluginDigest,
    ) -> Self {
        let seed = Sha256::new()
            .chain_update(b"hookmill source random 1")
            .chain_update((source.len() as u64).to_be_bytes())
            .chain_update(source)
            .chain_update(received_at.0.to_be_bytes())
            .chain_update(digest.as_bytes())
            .chain_update(&request.body);
        Self { seed, block: 0, unused: Vec::new() }
    }

    pub(super) fn next(&mut self) -> u64 {
        if let Some(number) = self.unused.pop() {
            return number;
        }
        let hash: [u8; 32] = self.seed.clone().chain_update(self.block.to_be_bytes()).finalize().into();
        self.block += 1;
        let (words, _) = hash.as_chunks::<8>();
        self.unused.extend(words[1..].iter().rev().map(|word| u64::from_be_bytes(*word)));
        u64::from_be_bytes(words[0])
    }

    /// So many bytes of the same sequence.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count.next_multiple_of(8));
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_be_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(event: u128, endpoint: u128, plugin: &[u8]) -> Vec<u64> {
        let event = EventId::new(UnixMillis(1), event);
        let endpoint = EndpointId::new(UnixMillis(1), endpoint);
        let mut random = SeededRandom::of_delivery(event, endpoint, PluginDigest::of(plugin));
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

    #[test]
    fn bytes_are_of_the_same_sequence() {
        let random = || {
            let (event, endpoint) = (EventId::new(UnixMillis(1), 1), EndpointId::new(UnixMillis(1), 1));
            SeededRandom::of_delivery(event, endpoint, PluginDigest::of(b"a"))
        };
        let words = [random().next().to_be_bytes(), sequence(1, 1, b"a")[1].to_be_bytes()].concat();
        for count in [0, 1, 8, 11, 16] {
            assert_eq!(random().bytes(count), words[..count]);
        }
    }
}
