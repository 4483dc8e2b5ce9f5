//! Wrong API keys, counted by client.
//!
//! Who has the right key never comes here: it is checked first, which is a hash and a look at a table. So a stranger who
//! guesses behind the same address takes nothing from others there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::Client;

/// Clients that are counted by themselves; those beyond are counted together.
const CLIENTS_MAX: usize = 4096;
const MINUTE: Duration = Duration::from_secs(60);

/// Wrong keys of each client, as buckets that fill with time.
#[derive(Debug)]
pub(crate) struct WrongKeys {
    per_minute: u32,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    of_clients: HashMap<Client, Bucket>,
    of_others: Bucket,
}

/// When as many wrong keys as are answered in a minute are forgotten.
#[derive(Debug, Default, Clone, Copy)]
struct Bucket {
    empty_at: Option<Instant>,
}

impl WrongKeys {
    /// Answers so many a minute, and as many at once.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1), buckets: Mutex::default() }
    }

    /// Counts a wrong key.
    ///
    /// # Errors
    /// How long the client is to wait, where there were too many.
    pub(crate) fn count(&self, client: Client, now: Instant) -> Result<(), Duration> {
        let each = MINUTE / self.per_minute;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets { of_clients, of_others } = &mut *buckets;
        if of_clients.len() >= CLIENTS_MAX && !of_clients.contains_key(&client) {
            of_clients.retain(|_, bucket| bucket.empty_at.is_some_and(|at| at > now));
        }
        let bucket = if of_clients.len() < CLIENTS_MAX || of_clients.contains_key(&client) {
            of_clients.entry(client).or_default()
        } else {
            of_others
        };
        let filled = bucket.empty_at.map_or(now, |at| at.max(now)) + each;
        if filled > now + MINUTE {
            return Err(filled - (now + MINUTE));
        }
        bucket.empty_at = Some(filled);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> Client {
        Client::new(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn a_client_is_slowed_alone_and_for_a_while() {
        let wrong = WrongKeys::new(10);
        let now = Instant::now();
        for _ in 0..10 {
            assert_eq!(wrong.count(client(1), now), Ok(()));
        }
        let wait = wrong.count(client(1), now).expect_err("an eleventh");
        assert_eq!(wait, Duration::from_secs(6));
        assert_eq!(wrong.count(client(2), now), Ok(()));
        assert_eq!(wrong.count(client(1), now + wait), Ok(()));
        assert!(wrong.count(client(1), now + wait).is_err());
    }

    #[test]
    fn the_table_is_bounded_and_forgets() {
        let wrong = WrongKeys::new(10);
        let now = Instant::now();
        let len = || wrong.buckets.lock().unwrap().of_clients.len();
        let mut refused = 0;
        for number in 0..2 * CLIENTS_MAX as u32 {
            refused += usize::from(wrong.count(client(number), now).is_err());
        }
        assert_eq!((len(), refused), (CLIENTS_MAX, CLIENTS_MAX - 10), "all others share one bucket");
        assert_eq!(wrong.count(client(u32::MAX), now + MINUTE), Ok(()));
        assert_eq!(len(), 1);
    }
}
