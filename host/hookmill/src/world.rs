//! The world as the rest of the program does not see it: the clock, the system's chance, the environment.
//!
//! This is the one file of the binary that may ask for any of them; everything else takes a
//! [`Clock`](hookmill_core::port::Clock), an [`Entropy`](hookmill_core::port::Entropy) or a value.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use hookmill_core::port::{Clock, Entropy};
use hookmill_core::seal::NONCE_BYTES;
use hookmill_core::time::UnixMillis;
use rand::RngExt as _;

/// The variable with an admin key of the operator's choice.
pub(crate) const ADMIN_KEY: &str = "HOOKMILL_ADMIN_KEY";

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

/// What both clocks showed when the process first asked for steady time.
static BEGINNING: OnceLock<(UnixMillis, Duration)> = OnceLock::new();

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    fn now(&self) -> UnixMillis {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixMillis::default().after(since_1970)
    }

    fn steady(&self) -> UnixMillis {
        let (wall, began) = *BEGINNING.get_or_init(|| (self.now(), since_boot()));
        wall.after(since_boot().saturating_sub(began))
    }
}

/// Time since the machine was started, in which it was suspended included: a wait goes on while its lid is closed.
fn since_boot() -> Duration {
    let passed = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(passed).unwrap_or_default()
}

/// The operating system's entropy.
///
/// Secrets come straight from the system. Identifiers, nonces and jitter are drawn for each delivery, so they come from a
/// ChaCha generator of the thread, which the system reseeds every 64 KiB: as hard to predict, without a system call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the chance that everything else is given")]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("a system that runs us has entropy once it has booted");
    }

    #[expect(clippy::disallowed_methods, reason = "this is the chance that everything else is given")]
    fn nonce(&self) -> [u8; NONCE_BYTES] {
        rand::rng().random()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the chance that everything else is given")]
    fn id_bits(&self) -> u128 {
        const ID_BITS: u32 = 80;
        rand::rng().random::<u128>() >> (u128::BITS - ID_BITS)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the chance that everything else is given")]
    fn fraction(&self) -> f64 {
        rand::rng().random()
    }
}

/// A moment to measure from; it never jumps.
#[expect(clippy::disallowed_methods, reason = "for elapsed times that are shown to people")]
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

/// A variable of the environment; an empty one is as good as none.
#[expect(clippy::disallowed_methods, reason = "secrets come through the environment and nothing else")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The names of all variables of the environment that are text.
pub(crate) fn environment_names() -> Vec<String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_within_its_bounds() {
        let drawn: Vec<u128> = (0..100).map(|_| SystemEntropy.id_bits()).collect();
        assert!(drawn.iter().all(|bits| bits >> 80 == 0));
        assert!(drawn.iter().any(|bits| bits >> 72 != 0), "the upper bits are drawn too");
        assert!((0..100).map(|_| SystemEntropy.fraction()).all(|fraction| (0.0..1.0).contains(&fraction)));
        let mut secret = [0; 32];
        SystemEntropy.fill(&mut secret);
        assert_ne!(secret, [0; 32]);
    }

    #[test]
    fn steady_time_begins_with_the_wall_clock_and_never_goes_back() {
        let began = SystemClock.steady();
        let times: Vec<UnixMillis> = (0..100).map(|_| SystemClock.steady()).collect();
        assert!(times.is_sorted() && times[0] >= began);
        assert!(began <= SystemClock.now().after(Duration::from_secs(1)));
    }

    #[test]
    fn the_clock_is_past_the_day_this_was_written() {
        assert!(SystemClock.now() > UnixMillis(1_795_309_323_004));
    }
}
