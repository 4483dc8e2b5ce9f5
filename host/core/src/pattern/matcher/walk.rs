//! The walk along an event.

use std::collections::HashMap;
use std::mem;

use super::super::operator::Scalar;
use super::settle::{Settled, Tally};
use super::{Fare, Matcher, OutOfSteps, Place, Steps};
use crate::json::{Decimal, Document, Kind, Node};

/// Steps of looking at a value.
const VALUE_STEPS: usize = 2;
/// Steps of a look-up in a table.
const LOOKUP_STEPS: usize = 3;
/// Bytes of a text that a look-up reads in one step.
const HASHED_BYTES_PER_STEP: usize = 8;

/// One event on its way along the tree of places. It is nowhere twice at a time: what is known of a place, leaf or group
/// is of the one value that is being looked at there.
pub(super) struct Walk<'m, 's> {
    pub(super) matcher: &'m Matcher,
    pub(super) steps: &'s mut Steps,
    /// By leaf.
    pub(super) is_hit: Vec<bool>,
    /// By group.
    pub(super) is_met: Vec<bool>,
    is_spoilt: Vec<bool>,
    /// By place, where the object above keeps its fare; from 1.
    slots: Vec<u32>,
    pub(super) tally: Tally,
    /// What objects came to that fared so.
    pub(super) known: HashMap<Box<[u32]>, u32>,
    pub(super) settled: Vec<Settled>,
    pub(super) known_words: usize,
    spare: Vec<Fare>,
}

impl<'m, 's> Walk<'m, 's> {
    pub(super) fn new(matcher: &'m Matcher, steps: &'s mut Steps) -> Self {
        Self {
            matcher,
            steps,
            is_hit: vec![false; matcher.leaves.len()],
            is_met: vec![false; matcher.groups.len()],
            is_spoilt: vec![false; matcher.groups.len()],
            slots: vec![0; matcher.places.len()],
            tally: Tally::new(matcher.groups.len()),
            known: HashMap::new(),
            settled: Vec::new(),
            known_words: 0,
            spare: Vec::new(),
        }
    }

    /// How many alternatives of each pattern match.
    pub(super) fn alternatives(mut self, event: &Document) -> Result<Vec<u32>, OutOfSteps> {
        let root = event.root();
        if root.kind() != Kind::Object {
            return Ok(vec![0; self.matcher.absent_alternatives.len()]);
        }
        let mut fare = Fare::default();
        self.look_at_object(0, root, &mut fare)?;
        let mut alternatives = self.matcher.absent_alternatives.clone();
        for group in &fare.met {
            let group = &self.matcher.groups[*group as usize];
            self.steps.take(group.wanted_by.len())?;
            if group.is_needed() {
                group.wanted_by.iter().for_each(|pattern| alternatives[*pattern as usize] += 1);
            }
        }
        for group in &fare.spoilt {
            let wanted_by = &self.matcher.groups[*group as usize].wanted_by;
            self.steps.take(wanted_by.len())?;
            if !self.is_met[*group as usize] {
                wanted_by.iter().for_each(|pattern| alternatives[*pattern as usize] -= 1);
            }
        }
        Ok(alternatives)
    }

    /// What an event has at a place: a value, or all that an array stands for.
    ///
    /// It goes only as deep as the patterns do, however the event's arrays are nested.
    fn look(&mut self, at: u32, value: Node<'_>, fare: &mut Fare) -> Result<(), OutOfSteps> {
        let matcher = self.matcher;
        let place = &matcher.places[at as usize];
        for value in value.flattened() {
            self.steps.take(VALUE_STEPS)?;
            if value.kind() != Kind::Object {
                if place.has_leaves {
                    self.judge(place, &Scalar::new(value), fare)?;
                }
            } else if place.has_groups {
                self.look_at_object(at, value, fare)?;
            }
        }
        Ok(())
    }

    fn look_at_object(&mut self, at: u32, object: Node<'_>, fare: &mut Fare) -> Result<(), OutOfSteps> {
        let matcher = self.matcher;
        let place = &matcher.places[at as usize];
        let mut below: Vec<(u32, Fare)> = Vec::new();
        for (name, value) in object.members() {
            let name = name.text().unwrap_or_default();
            self.steps.take(LOOKUP_STEPS + name.len() / HASHED_BYTES_PER_STEP)?;
            let Some(child) = place.below.get(&*name).copied() else { continue };
            let index = match self.slots[child as usize] {
                0 => {
                    below.push((child, self.spare.pop().unwrap_or_default()));
                    self.slots[child as usize] = u32::try_from(below.len()).expect("as many as places");
                    below.len() - 1
                }
                // Of a name that comes twice the last value counts.
                slot => {
                    self.clear(&mut below[slot as usize - 1].1);
                    slot as usize - 1
                }
            };
            let mut below_fare = mem::take(&mut below[index].1);
            self.look(child, value, &mut below_fare)?;
            below[index].1 = below_fare;
        }
        let settled = self.settle(at, &below)?;
        for (child, mut below_fare) in below {
            self.slots[child as usize] = 0;
            self.clear(&mut below_fare);
            self.spare.push(below_fare);
        }
        match settled {
            Some(settled) if fare.settled != Some(settled) => self.add(settled, fare),
            Some(_) | None => Ok(()),
        }
    }

    /// Adds what an object came to.
    fn add(&mut self, settled: u32, fare: &mut Fare) -> Result<(), OutOfSteps> {
        fare.settled = Some(settled);
        let Settled { met, spoilt } = &self.settled[settled as usize];
        self.steps.take(met.len() + spoilt.len())?;
        for (groups, marks, list) in
            [(met, &mut self.is_met, &mut fare.met), (spoilt, &mut self.is_spoilt, &mut fare.spoilt)]
        {
            for group in groups {
                if !mem::replace(&mut marks[*group as usize], true) {
                    list.push(*group);
                }
            }
        }
        Ok(())
    }

    /// A string, number, boolean or null.
    fn judge(&mut self, place: &Place, value: &Scalar<'_>, fare: &mut Fare) -> Result<(), OutOfSteps> {
        if !mem::replace(&mut fare.any_value, true) {
            self.hit_all(&place.any_value, fare)?;
        }
        match value.kind() {
            Kind::Null => self.hit_all(&place.null, fare)?,
            Kind::True => self.hit_all(&place.r#true, fare)?,
            Kind::False => self.hit_all(&place.r#false, fare)?,
            Kind::PlainString | Kind::EscapedString => {
                if let Some(text) = value.text().filter(|_| !place.strings.is_empty()) {
                    self.steps.take(LOOKUP_STEPS + text.len() / HASHED_BYTES_PER_STEP)?;
                    self.hit_all(place.strings.get(text).map(Vec::as_slice).unwrap_or_default(), fare)?;
                }
            }
            Kind::Number => {
                if let Some(number) = value.decimal().filter(|_| !place.numbers.is_empty()) {
                    self.steps.take(2 * LOOKUP_STEPS + number.length())?;
                    let wanted: &std::collections::HashMap<Decimal<'_>, _> = &place.numbers;
                    self.hit_all(wanted.get(number).map(Vec::as_slice).unwrap_or_default(), fare)?;
                }
            }
            Kind::Array | Kind::Object => {}
        }
        for leaf in &place.operators {
            self.steps.take(1)?;
            if !self.is_hit[*leaf as usize] {
                let tests = &self.matcher.leaves[*leaf as usize].tests;
                if tests.operators_accept(value, self.steps)? {
                    self.hit_all(&[*leaf], fare)?;
                }
            }
        }
        Ok(())
    }

    fn hit_all(&mut self, leaves: &[u32], fare: &mut Fare) -> Result<(), OutOfSteps> {
        self.steps.take(leaves.len())?;
        for leaf in leaves {
            if !mem::replace(&mut self.is_hit[*leaf as usize], true) {
                fare.hits.push(*leaf);
            }
        }
        Ok(())
    }

    /// Makes a fare say nothing again.
    fn clear(&mut self, fare: &mut Fare) {
        for (list, marks) in [
            (&mut fare.hits, &mut self.is_hit),
            (&mut fare.met, &mut self.is_met),
            (&mut fare.spoilt, &mut self.is_spoilt),
        ] {
            list.drain(..).for_each(|number| marks[number as usize] = false);
        }
        (fare.any_value, fare.settled) = (false, None);
    }
}
