//! Identifiers: a prefix that names the kind and a ULID that sorts by time.
//!
//! `msg_01k...`: 48 bits of milliseconds and 80 bits of chance in Crockford's base 32, lowercase. The prefixes
//! are those of the Svix API, so that logs and tools of its users read on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use ulid::Ulid;

use crate::time::UnixMillis;

/// Text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an id of this kind is `{prefix}_` and 26 characters of base 32")]
pub struct InvalidId {
    /// What the id must begin with, without the underscore.
    pub prefix: &'static str,
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// What the text form begins with, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Makes the id of a thing born at `now`; `random` gives its low 80 bits.
            #[must_use]
            pub fn new(now: UnixMillis, random: u128) -> Self {
                Self(Ulid::from_parts(now.0, random))
            }

            /// The moment this id was made.
            #[must_use]
            pub fn created_at(self) -> UnixMillis {
                UnixMillis(self.0.timestamp_ms())
            }

            /// Big-endian bytes, which sort as the id does.
            #[must_use]
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// The id whose [`to_bytes`](Self::to_bytes) these are.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut buffer = [0; ulid::ULID_LEN];
                let text = self.0.array_to_str(&mut buffer);
                text.make_ascii_lowercase();
                write!(formatter, concat!($prefix, "_{}"), text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|ulid| Ulid::from_string(ulid).ok())
                    .map(Self)
                    .ok_or(InvalidId { prefix: $prefix })
            }
        }
    )*};
}

identifiers! {
    /// One application: a tenant whose endpoints receive events.
    ApplicationId = "app";
    /// One destination of one application.
    EndpointId = "ep";
    /// One accepted event (the API's message).
    EventId = "msg";
    /// One HTTP request of one delivery.
    AttemptId = "atmpt";
    /// One API key; the key itself is not in it.
    KeyId = "key";
    /// One inbound address for one provider.
    SourceId = "src";
    /// One task in the background.
    TaskId = "qtask";
}

/// How far a clock may have gone back for ids to be numbered on from the latest.
const CLOCK_BACK_MAX: Duration = Duration::from_secs(1);
/// Bits of an id that are chance.
const RANDOM_BITS: u32 = 80;
/// Bits of the chance that two ids of one millisecond differ by.
const STEP_BITS: u32 = 40;

/// What the ids of one process are made of, so that they sort in the order in which they were asked for, also within one
/// millisecond (the ULID specification's "Monotonicity"): lists go by ids.
///
/// Two ids of one millisecond differ by chance of 40 bits, so that nobody can tell one from the other.
///
/// ```
/// use hookmill_core::id::{EventId, IdSequence};
/// use hookmill_core::time::UnixMillis;
///
/// let mut sequence = IdSequence::default();
/// let [one, two] = [7, 3].map(|chance| sequence.draw(UnixMillis(1), chance, EventId::new));
/// assert!(one < two);
/// ```
#[derive(Debug, Default)]
pub struct IdSequence {
    latest: (UnixMillis, u128),
}

impl IdSequence {
    /// Makes an id of a thing born at `now`, with 80 bits of chance. Where the clock went back by up to a second, or the
    /// latest id is of the same millisecond, the id follows that one.
    pub fn draw<Id>(&mut self, now: UnixMillis, random: u128, new: fn(UnixMillis, u128) -> Id) -> Id {
        let (at, bits) = self.latest;
        let follows = at >= now && at.since(now) <= CLOCK_BACK_MAX;
        self.latest = if follows {
            // 2^39 such steps fit, more than a millisecond has time for.
            (at, bits + 1 + (random >> (RANDOM_BITS - STEP_BITS)))
        } else {
            (now, random >> 1)
        };
        let (at, bits) = self.latest;
        new(at, bits)
    }
}

/// One unfinished delivery, numbered by the store that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

impl fmt::Display for DeliveryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_and_bytes_give_the_id_back(millis in 0..1u64 << 48, random in 0..1u128 << 80) {
            let id = EventId::new(UnixMillis(millis), random);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(EventId::from_bytes(id.to_bytes()), id);
            prop_assert_eq!(id.created_at(), UnixMillis(millis));
        }

        #[test]
        fn ids_sort_as_they_were_drawn(steps in proptest::collection::vec((-1000..3i64, 0..1u128 << 80), 1..50)) {
            let (mut sequence, mut clock) = (IdSequence::default(), 1i64 << 40);
            let mut latest = Some(sequence.draw(UnixMillis(clock.unsigned_abs()), 0, EventId::new));
            for (step, random) in steps {
                // Back by up to a second of what was drawn last, or on.
                let now = clock + step;
                clock = clock.max(now);
                let id = sequence.draw(UnixMillis(now.unsigned_abs()), random, EventId::new);
                prop_assert!(latest < Some(id));
                prop_assert_eq!(id.created_at(), UnixMillis(clock.unsigned_abs()));
                latest = Some(id);
            }
        }

        #[test]
        fn later_ids_sort_after_earlier_ones(millis in 0..(1u64 << 48) - 1, low in 0..1u128 << 80, high in 0..1u128 << 80) {
            let earlier = EventId::new(UnixMillis(millis), low);
            let later = EventId::new(UnixMillis(millis + 1), high);
            prop_assert!(earlier < later && earlier.to_string() < later.to_string());
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_believed() {
        let mut sequence = IdSequence::default();
        let mut draw = |now: u64| sequence.draw(UnixMillis(now), 0, EventId::new).created_at();
        assert_eq!([10_000, 9_000, 8_999].map(&mut draw), [10_000, 10_000, 8_999].map(UnixMillis));
    }

    #[test]
    fn refuses_other_kinds_and_other_text() {
        let check =
            |text: &str| assert_eq!(text.parse::<EventId>(), Err(InvalidId { prefix: "msg" }), "{text}");
        check("");
        check("msg_");
        check("ep_01k0000000000000000000000a");
        check("msg_01k0000000000000000000000");
        check("msg_01k0000000000000000000000u");
    }
}
