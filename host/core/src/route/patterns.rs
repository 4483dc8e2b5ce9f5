//! The patterns of one application's endpoints, each kept once.

use std::sync::{Arc, OnceLock};

use thiserror::Error;

use crate::pattern::{EventPattern, Matcher};
use crate::persistent::Map;

/// What all different patterns of an application's endpoints may cost together; a pattern costs about one for each of its
/// tests, and equal patterns cost once. It bounds what there is to merge when one of them changes, a few tens of
/// milliseconds, and to hold.
pub const APPLICATION_PATTERNS_COST_MAX: usize = 64 << 10;

/// An application may have no such pattern beside its others.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the patterns of this application's endpoints would cost {cost} together, about one for each test; they may cost \
     {APPLICATION_PATTERNS_COST_MAX}: write one with fewer alternatives (each `$or` multiplies with the others), or give \
     endpoints the same pattern, which costs once"
)]
pub struct PatternsTooCostly {
    /// What they would cost.
    pub cost: usize,
}

/// The patterns of one application's endpoints. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    by_source: Map<Arc<str>, Used>,
    cost: usize,
    /// Made when an event first needs it, and again after a change.
    matcher: Arc<OnceLock<Matcher>>,
}

#[derive(Debug, Clone)]
struct Used {
    pattern: EventPattern,
    endpoints: u32,
}

impl Patterns {
    /// What they cost together.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Whether an endpoint may have a pattern in the place of the one that it has.
    ///
    /// # Errors
    /// When they would cost too much together, and more than before.
    pub fn admit(
        &self,
        before: Option<&EventPattern>,
        after: Option<&EventPattern>,
    ) -> Result<(), PatternsTooCostly> {
        let users =
            |pattern: &EventPattern| self.by_source.get(pattern.source()).map_or(0, |used| used.endpoints);
        let freed = before.filter(|pattern| users(pattern) <= 1).map_or(0, EventPattern::cost);
        let added = after.filter(|pattern| users(pattern) == 0).map_or(0, EventPattern::cost);
        let cost = (self.cost + added).saturating_sub(if before == after { 0 } else { freed });
        if cost > APPLICATION_PATTERNS_COST_MAX && cost > self.cost {
            return Err(PatternsTooCostly { cost });
        }
        Ok(())
    }

    /// All of them, merged.
    pub(super) fn matcher(&self) -> &Matcher {
        self.matcher.get_or_init(|| Matcher::new(self.by_source.values().map(|used| used.pattern.clone())))
    }

    /// Whether they were merged since the last change.
    pub(super) fn are_merged(&self) -> bool {
        self.matcher.get().is_some()
    }

    /// Counts an endpoint's pattern in. Answers the one that is kept for all that are equal to it.
    pub(super) fn add(&mut self, pattern: &EventPattern) -> EventPattern {
        match self.by_source.get(pattern.source()) {
            Some(used) => {
                let kept = used.pattern.clone();
                self.by_source.change(pattern.source(), |used| used.endpoints += 1);
                kept
            }
            None => {
                self.cost += pattern.cost();
                self.by_source
                    .insert(pattern.shared_source(), Used { pattern: pattern.clone(), endpoints: 1 });
                self.matcher = Arc::default();
                pattern.clone()
            }
        }
    }

    /// Counts an endpoint's pattern out.
    pub(super) fn remove(&mut self, pattern: &EventPattern) {
        match self.by_source.get(pattern.source()) {
            Some(used) if used.endpoints > 1 => {
                self.by_source.change(pattern.source(), |used| used.endpoints -= 1);
            }
            Some(_) => {
                self.cost -= pattern.cost();
                self.by_source.remove(pattern.source());
                self.matcher = Arc::default();
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> EventPattern {
        EventPattern::parse(text).unwrap()
    }

    /// One that costs about a thousand.
    fn costly(number: usize) -> EventPattern {
        let ways = |field: &str| {
            let ways: Vec<_> = (0..18).map(|way| format!(r#"{{"{field}{way}":[{number}]}}"#)).collect();
            format!(r#"{{"$or":[{}]}}"#, ways.join(","))
        };
        pattern(&format!(r#"{{"a":{},"b":{}}}"#, ways("x"), ways("y")))
    }

    #[test]
    fn equal_patterns_are_kept_and_cost_once() {
        let mut patterns = Patterns::default();
        let one = patterns.add(&pattern(r#"{"a":[1]}"#));
        let cost = patterns.cost();
        assert_eq!(
            patterns.add(&pattern(r#"{"a":[1]}"#)).shared_source().as_ptr(),
            one.shared_source().as_ptr()
        );
        assert_eq!(patterns.cost(), cost);
        let _ = patterns.matcher();
        patterns.remove(&one);
        assert!(patterns.are_merged(), "one endpoint still has it");
        patterns.remove(&one);
        assert_eq!((patterns.cost(), patterns.are_merged()), (0, false));
    }

    #[test]
    fn an_application_has_no_more_patterns_than_can_be_matched() {
        let mut patterns = Patterns::default();
        let mut count = 0;
        while patterns.admit(None, Some(&costly(count))).is_ok() {
            patterns.add(&costly(count));
            count += 1;
            assert!(patterns.cost() <= APPLICATION_PATTERNS_COST_MAX);
        }
        assert!((25..500).contains(&count), "{count}");
        let error = patterns.admit(None, Some(&costly(count))).unwrap_err();
        assert!(error.cost > APPLICATION_PATTERNS_COST_MAX);
        // What is there may be shared, replaced by its like, and left out.
        for (before, after) in [(None, Some(0)), (Some(0), Some(count)), (Some(0), None), (Some(0), Some(0))]
        {
            let [before, after] = [before, after].map(|number: Option<usize>| number.map(costly));
            assert_eq!(patterns.admit(before.as_ref(), after.as_ref()), Ok(()), "{before:?} {after:?}");
        }
    }
}
