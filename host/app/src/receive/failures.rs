//! What the plugins of sources said when they last made nothing of a request.
//!
//! There is no attempt to keep it with: nothing was stored. So the latest of each source is kept in memory, for its owner.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hookmill_core::id::SourceId;
use hookmill_core::plugin::LogLine;
use hookmill_core::time::UnixMillis;

/// Sources whose latest failure is kept; each takes what a plugin may log and say, 20 KiB at most.
const SOURCES_KEPT_MAX: usize = 512;

/// What a source's plugin said when it last made nothing of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFailure {
    /// When.
    pub at: UnixMillis,
    /// The stable code of the failure; `request_rejected` where the plugin did not take the request.
    pub code: &'static str,
    /// The reason or the exception, with the lines of its stack.
    pub detail: String,
    /// What the plugin wrote.
    pub logs: Vec<LogLine>,
}

/// The latest of each source.
#[derive(Debug, Default)]
pub(crate) struct SourceFailures(Mutex<HashMap<SourceId, SourceFailure>>);

impl SourceFailures {
    pub(super) fn note(&self, source: SourceId, failure: SourceFailure) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SOURCES_KEPT_MAX
            && !kept.contains_key(&source)
            && let Some(oldest) = kept.iter().min_by_key(|(_, failure)| failure.at).map(|(id, _)| *id)
        {
            kept.remove(&oldest);
        }
        kept.insert(source, failure);
    }

    pub(super) fn of(&self, source: SourceId) -> Option<SourceFailure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&source).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_each_source_is_kept_and_few_in_all() {
        let failures = SourceFailures::default();
        let source = |number: u64| SourceId::new(UnixMillis(1), u128::from(number));
        let failure = |at| SourceFailure {
            at: UnixMillis(at),
            code: "plugin_trap",
            detail: String::new(),
            logs: Vec::new(),
        };
        let count = SOURCES_KEPT_MAX as u64;
        for number in 0..=count {
            failures.note(source(number), failure(number));
        }
        assert_eq!(failures.of(source(0)), None);
        failures.note(source(1), failure(2 * count));
        assert_eq!(failures.of(source(1)), Some(failure(2 * count)));
        assert!(failures.of(source(2)).is_some() && failures.of(source(count)).is_some());
    }
}
