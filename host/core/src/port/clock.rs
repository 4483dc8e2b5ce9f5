//! Time and chance.

use crate::seal::NONCE_BYTES;
use crate::time::UnixMillis;

/// Two clocks: one for people and receivers, one for waits.
pub trait Clock: Send + Sync {
    /// The wall clock: what people are shown and what signatures and ids say. It may be set, forwards or back.
    fn now(&self) -> UnixMillis;

    /// The steady clock: it shows what the wall clock showed when the process began, and the time that passed since. It
    /// never jumps, so every wait is measured by it; it is told to nobody.
    fn steady(&self) -> UnixMillis;
}

/// The operating system's entropy.
pub trait Entropy: Send + Sync {
    /// Fills `buffer` with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);

    /// Bytes that no other seal of this installation begins with. They are written beside what is sealed, so nothing is lost
    /// where someone knows them.
    fn nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        self.fill(&mut nonce);
        nonce
    }

    /// 80 unpredictable bits for an identifier.
    fn id_bits(&self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes[..10]);
        u128::from_le_bytes(bytes)
    }

    /// A number from 0 (inclusive) to 1 (exclusive), for jitter.
    fn fraction(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}
