//! Time and chance.

use crate::time::UnixMillis;

/// The wall clock. It may jump; nothing that must not be early relies on it alone.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> UnixMillis;
}

/// The operating system's entropy.
pub trait Entropy: Send + Sync {
    /// Fills `buffer` with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);

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
