//! The work of matching, counted.

use thiserror::Error;

/// Steps that all patterns of an application may take with one event. A step is a few nanoseconds: one value looked at, one
/// test of it, some bytes compared. All of them together take some tens of milliseconds of one core.
pub const ROUTING_STEPS_MAX: usize = 8 << 20;

/// Steps that are left.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    left: usize,
}

/// There were more to take than were left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("matching takes more than {ROUTING_STEPS_MAX} steps")]
pub struct OutOfSteps;

impl Steps {
    /// So many.
    #[must_use]
    pub fn of(steps: usize) -> Self {
        Self { left: steps }
    }

    /// How many are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// Takes some, before the work that they stand for is done.
    pub(super) fn take(&mut self, steps: usize) -> Result<(), OutOfSteps> {
        self.left = self.left.checked_sub(steps).ok_or(OutOfSteps)?;
        Ok(())
    }
}
