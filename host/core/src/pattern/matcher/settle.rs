//! Which groups an object meets, from how its members fare.

use super::walk::Walk;
use super::{Fare, OutOfSteps};

/// Numbers that are remembered of how objects fared. Beyond that each further object is settled anew, which the steps
/// bound.
const KNOWN_WORDS_MAX: usize = 1 << 20;
/// Numbers that are hashed or written in one step.
const WORDS_PER_STEP: usize = 4;

/// The groups that an object makes other than they are where there is nothing.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) met: Box<[u32]>,
    pub(super) spoilt: Box<[u32]>,
}

/// What is counted of each group while an object is settled.
#[derive(Debug)]
pub(super) struct Tally {
    counts: Vec<Count>,
    reached: Vec<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    is_reached: bool,
    /// A field that is absent by default has a value that it must not have.
    is_spoilt: bool,
    any_met: bool,
    /// Fields that it needs and that are met.
    needs_met: u32,
}

impl Tally {
    pub(super) fn new(groups: usize) -> Self {
        Self { counts: vec![Count::default(); groups], reached: Vec::new() }
    }

    fn count(&mut self, groups: &[u32], change: impl Fn(&mut Count)) {
        for group in groups {
            let count = &mut self.counts[*group as usize];
            if !count.is_reached {
                count.is_reached = true;
                self.reached.push(*group);
            }
            change(count);
        }
    }

    fn met(&mut self, groups: &[u32], is_needed: bool) {
        self.count(groups, |count| {
            count.any_met = true;
            count.needs_met += u32::from(is_needed);
        });
    }

    fn spoilt(&mut self, groups: &[u32]) {
        self.count(groups, |count| count.is_spoilt = true);
    }
}

impl Walk<'_, '_> {
    /// What an object at a place comes to; nothing where all its groups are as if it were not there.
    pub(super) fn settle(&mut self, place: u32, below: &[(u32, Fare)]) -> Result<Option<u32>, OutOfSteps> {
        let mut fares = below.iter().filter(|(_, fare)| !fare.is_default()).peekable();
        if fares.peek().is_none() {
            return Ok(None);
        }
        let mut signature = vec![place];
        for (child, fare) in fares {
            let lists = [&fare.hits, &fare.met, &fare.spoilt];
            self.steps.take(1 + lists.iter().map(|list| list.len()).sum::<usize>() / WORDS_PER_STEP)?;
            signature.extend([*child, u32::from(fare.any_value)]);
            for list in lists {
                signature.push(u32::try_from(list.len()).expect("no more than there are leaves and groups"));
                signature.extend_from_slice(list);
            }
        }
        if let Some(known) = self.known.get(&signature[..]) {
            return Ok(Some(*known));
        }
        let settled = self.settle_anew(below)?;
        let number = u32::try_from(self.settled.len()).expect("fewer than steps");
        if self.known_words < KNOWN_WORDS_MAX {
            self.known_words += signature.len() + settled.met.len() + settled.spoilt.len();
            self.known.insert(signature.into(), number);
        } else {
            // The last one makes room for the next.
            self.settled.truncate(number as usize);
        }
        self.settled.push(settled);
        Ok(Some(number))
    }

    fn settle_anew(&mut self, below: &[(u32, Fare)]) -> Result<Settled, OutOfSteps> {
        let matcher = self.matcher;
        for (child, fare) in below {
            for leaf in &fare.hits {
                let leaf = &matcher.leaves[*leaf as usize];
                self.steps.take(leaf.wanted_by.len())?;
                self.tally.met(&leaf.wanted_by, leaf.is_needed());
            }
            if fare.any_value {
                for leaf in &matcher.places[*child as usize].absent {
                    let wanted_by = &matcher.leaves[*leaf as usize].wanted_by;
                    self.steps.take(1 + wanted_by.len())?;
                    if !self.is_hit[*leaf as usize] {
                        self.tally.spoilt(wanted_by);
                    }
                }
            }
            for group in &fare.met {
                let group = &matcher.groups[*group as usize];
                self.steps.take(group.wanted_by.len())?;
                self.tally.met(&group.wanted_by, group.is_needed());
            }
            for group in &fare.spoilt {
                let wanted_by = &matcher.groups[*group as usize].wanted_by;
                self.steps.take(wanted_by.len())?;
                if !self.is_met[*group as usize] {
                    self.tally.spoilt(wanted_by);
                }
            }
        }
        Ok(self.read_tally())
    }

    fn read_tally(&mut self) -> Settled {
        let (mut met, mut spoilt) = (Vec::new(), Vec::new());
        for group in std::mem::take(&mut self.tally.reached) {
            let count = std::mem::take(&mut self.tally.counts[group as usize]);
            let needs = self.matcher.groups[group as usize].needs;
            if count.is_spoilt && needs == 0 {
                spoilt.push(group);
            } else if !count.is_spoilt && count.any_met && count.needs_met == needs {
                met.push(group);
            }
        }
        Settled { met: met.into(), spoilt: spoilt.into() }
    }
}
