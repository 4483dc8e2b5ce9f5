//! jq's standard definitions, of which only those are read that a filter uses.

use jaq_core::load::parse::Def;

use crate::words::words;

/// One definition of jaq's, such as `def map(f): [.[] | f];`.
#[derive(Debug)]
pub struct Definition {
    /// Its name. Definitions with other arguments may have the same.
    pub name: &'static str,
    /// All of it.
    pub text: &'static str,
    /// The definitions that its text names, all of them before it.
    pub needs: &'static [usize],
}

/// All definitions, in an order in which each sees only those before it. The build script makes the table.
pub const ALL: &[Definition] = include!(concat!(env!("OUT_DIR"), "/definitions.rs"));

/// The definitions that a filter with this text needs, in their order. A word that only looks like the name of a
/// definition, in a string or as a field, costs time and does no harm.
///
/// # Panics
/// Where a definition can't be read, which a test rules out.
pub fn needed(filter: &str) -> Vec<Def<&'static str>> {
    let mut wanted = vec![false; ALL.len()];
    for word in words(filter) {
        for (index, definition) in ALL.iter().enumerate() {
            wanted[index] |= definition.name == word;
        }
    }
    // What a definition needs is before it, so one way back finds all.
    for index in (0..ALL.len()).rev() {
        if wanted[index] {
            for needed in ALL[index].needs {
                wanted[*needed] = true;
            }
        }
    }
    let texts = ALL.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(definition, _)| definition.text);
    let read = |text| jaq_core::load::parse(text, |parser| parser.defs()).expect("a definition can be read");
    texts.flat_map(read).collect()
}
