//! From patterns to one tree of places, with each thing that is asked for in it once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::super::alternative::{Alternative, Field};
use super::super::operator::Tests;
use super::{EventPattern, Group, Leaf, Matcher, Place};

const ROOT: u32 = 0;

/// What a group asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Leaf(u32),
    Group(u32),
}

#[derive(Default)]
struct Compiler {
    places: Vec<Place>,
    leaves: Vec<Leaf>,
    groups: Vec<Group>,
    known_leaves: HashMap<(u32, Arc<Tests>), u32>,
    /// The same by address: alternatives of one pattern share their lists, which may be long.
    known_addresses: HashMap<(u32, usize), u32>,
    known_groups: HashMap<(u32, Vec<Part>), u32>,
}

pub(super) fn compile(patterns: Vec<EventPattern>) -> Matcher {
    let mut compiler = Compiler { places: vec![Place::default()], ..Compiler::default() };
    let mut absent_alternatives = Vec::with_capacity(patterns.len());
    for (number, pattern) in (0..).zip(&patterns) {
        let mut absent = 0;
        for alternative in &*pattern.alternatives {
            let group = compiler.group(ROOT, alternative);
            let group = &mut compiler.groups[group as usize];
            // Two alternatives may ask the same.
            if group.wanted_by.last() != Some(&number) {
                group.wanted_by.push(number);
                absent += u32::from(!group.is_needed());
            }
        }
        absent_alternatives.push(absent);
    }
    let numbers = (0..).zip(&patterns).map(|(number, pattern)| (pattern.identity(), number)).collect();
    let Compiler { places, leaves, groups, .. } = compiler;
    Matcher { places, leaves, groups, absent_alternatives, numbers, patterns }
}

impl Compiler {
    /// The group of these fields; as deep as the alternative, which is bounded.
    fn group(&mut self, place: u32, alternative: &Alternative) -> u32 {
        let mut parts = Vec::with_capacity(alternative.fields.len());
        let mut needs = 0;
        for (name, field) in &alternative.fields {
            let below = self.place_below(place, name);
            let (part, is_needed) = match field {
                Field::Leaf(tests) => {
                    let leaf = self.leaf(below, tests);
                    (Part::Leaf(leaf), self.leaves[leaf as usize].is_needed())
                }
                Field::Object(fields) => {
                    let group = self.group(below, fields);
                    (Part::Group(group), self.groups[group as usize].is_needed())
                }
            };
            parts.push(part);
            needs += u32::from(is_needed);
        }
        if let Some(known) = self.known_groups.get(&(place, parts.clone())) {
            return *known;
        }
        let group = number(self.groups.len());
        self.groups.push(Group { needs, wanted_by: Vec::new() });
        self.places[place as usize].has_groups = true;
        for part in &parts {
            match part {
                Part::Leaf(leaf) => self.leaves[*leaf as usize].wanted_by.push(group),
                Part::Group(below) => self.groups[*below as usize].wanted_by.push(group),
            }
        }
        self.known_groups.insert((place, parts), group);
        group
    }

    fn place_below(&mut self, place: u32, name: &Arc<str>) -> u32 {
        if let Some(below) = self.places[place as usize].below.get(name) {
            return *below;
        }
        let below = number(self.places.len());
        self.places.push(Place::default());
        self.places[place as usize].below.insert(Arc::clone(name), below);
        below
    }

    fn leaf(&mut self, place: u32, tests: &Arc<Tests>) -> u32 {
        let address = (place, Arc::as_ptr(tests) as usize);
        if let Some(known) = self.known_addresses.get(&address) {
            return *known;
        }
        let next = number(self.leaves.len());
        let leaf = match self.known_leaves.entry((place, Arc::clone(tests))) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(entry) => {
                self.leaves.push(Leaf { tests: Arc::clone(tests), wanted_by: Vec::new() });
                self.places[place as usize].add(next, tests);
                *entry.insert(next)
            }
        };
        self.known_addresses.insert(address, leaf);
        leaf
    }
}

impl Place {
    fn add(&mut self, leaf: u32, tests: &Tests) {
        self.has_leaves = true;
        for text in &tests.exact.strings {
            self.strings.entry(text.as_str().into()).or_default().push(leaf);
        }
        for number in &tests.exact.numbers {
            self.numbers.entry(number.clone()).or_default().push(leaf);
        }
        let lists = [
            (tests.exact.null, &mut self.null),
            (tests.exact.r#true, &mut self.r#true),
            (tests.exact.r#false, &mut self.r#false),
            (tests.present, &mut self.any_value),
            (tests.absent, &mut self.absent),
            (tests.have_operators(), &mut self.operators),
        ];
        for (belongs, list) in lists {
            list.extend(belongs.then_some(leaf));
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("patterns are bounded far below this")
}
