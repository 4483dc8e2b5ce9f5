//! What a document may cost, found out before anything recurses over it.
//!
//! Brackets are counted in the text, since parsers recurse by them. In the document a fragment is measured once, however
//! often it is spread: thirty fragments that each spread the next one twice are a billion fields, and are known to be so
//! after thirty steps.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use thiserror::Error;

use super::GraphqlConfig;

/// Brackets within brackets: more than any depth of fields needs with its arguments.
const NESTING_MAX: usize = 64;
/// Fragments of one document, which bounds how deep the measuring recurses.
const FRAGMENTS_MAX: usize = 16;

/// A document that is not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refused {
    #[error("the query nests brackets deeper than {NESTING_MAX}")]
    Nesting,
    #[error("the query has more than {FRAGMENTS_MAX} fragments")]
    Fragments,
    #[error("a fragment of the query contains itself")]
    FragmentCycle,
    #[error("the query nests fields deeper than {depth_max}")]
    Depth { depth_max: usize },
    #[error("the query has more than {fields_max} fields; ask for fewer, or in several requests")]
    Fields { fields_max: usize },
    #[error(
        "the query has more than {calls_max} queries or mutations, aliases included; send several requests"
    )]
    Calls { calls_max: usize },
    #[error("introspection is switched off on this server")]
    Introspection,
}

impl Refused {
    /// The code that stays the same over versions.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Nesting | Self::Depth { .. } => "graphql_too_deep",
            Self::Fragments | Self::FragmentCycle => "graphql_fragments",
            Self::Fields { .. } => "graphql_too_complex",
            Self::Calls { .. } => "graphql_too_many_calls",
            Self::Introspection => "graphql_introspection_off",
        }
    }
}

/// What a selection of fields comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cost {
    depth: usize,
    fields: usize,
    /// Fields of its first level.
    calls: usize,
}

/// Measures a document.
struct Meter<'a> {
    document: &'a ExecutableDocument,
    introspection: bool,
    /// What fragments come to; nothing for those that are being measured.
    fragments: HashMap<&'a str, Option<Cost>>,
}

/// Checks the text, before it is parsed.
pub(super) fn check_text(query: &str) -> Result<(), Refused> {
    if nesting(query) > NESTING_MAX { Err(Refused::Nesting) } else { Ok(()) }
}

/// Checks every operation and fragment, executed or not, since all of them are held against the schema.
pub(super) fn check_document(document: &ExecutableDocument, config: &GraphqlConfig) -> Result<(), Refused> {
    if document.fragments.len() > FRAGMENTS_MAX {
        return Err(Refused::Fragments);
    }
    let mut meter = Meter { document, introspection: config.introspection, fragments: HashMap::new() };
    for name in document.fragments.keys() {
        config.admit(meter.fragment(name)?)?;
    }
    for (_, operation) in document.operations.iter() {
        let cost = meter.selection(&operation.node.selection_set.node)?;
        config.admit(cost)?;
        if cost.calls > config.calls_max {
            return Err(Refused::Calls { calls_max: config.calls_max });
        }
    }
    Ok(())
}

impl GraphqlConfig {
    fn admit(&self, cost: Cost) -> Result<(), Refused> {
        if cost.depth > self.depth_max {
            return Err(Refused::Depth { depth_max: self.depth_max });
        }
        if cost.fields > self.fields_max {
            return Err(Refused::Fields { fields_max: self.fields_max });
        }
        Ok(())
    }
}

impl<'a> Meter<'a> {
    fn selection(&mut self, selection: &'a SelectionSet) -> Result<Cost, Refused> {
        let mut total = Cost::default();
        for item in &selection.items {
            let cost = match &item.node {
                Selection::Field(field) => {
                    if !self.introspection && matches!(field.node.name.node.as_str(), "__schema" | "__type") {
                        return Err(Refused::Introspection);
                    }
                    let below = self.selection(&field.node.selection_set.node)?;
                    Cost { depth: below.depth + 1, fields: below.fields.saturating_add(1), calls: 1 }
                }
                Selection::InlineFragment(inline) => self.selection(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node)?,
            };
            total.depth = total.depth.max(cost.depth);
            total.fields = total.fields.saturating_add(cost.fields);
            total.calls = total.calls.saturating_add(cost.calls);
        }
        Ok(total)
    }

    fn fragment(&mut self, name: &str) -> Result<Cost, Refused> {
        // One that does not exist is found when the document is held against the schema.
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(Cost::default());
        };
        match self.fragments.get(name.as_str()) {
            Some(Some(cost)) => return Ok(*cost),
            Some(None) => return Err(Refused::FragmentCycle),
            None => {}
        }
        self.fragments.insert(name.as_str(), None);
        let cost = self.selection(&fragment.node.selection_set.node)?;
        self.fragments.insert(name.as_str(), Some(cost));
        Ok(cost)
    }
}

/// The most brackets that are open at once, outside of strings and comments.
fn nesting(query: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let mut rest = query.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = match byte {
            b'"' => after_string(rest),
            b'#' => after_line(after),
            b'{' | b'[' | b'(' => {
                open += 1;
                most = most.max(open);
                after
            }
            b'}' | b']' | b')' => {
                open = open.saturating_sub(1);
                after
            }
            _ => after,
        };
    }
    most
}

fn after_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    &text[end.unwrap_or(text.len())..]
}

/// What follows a string, or the end of its line where it has no end: that is an error of syntax.
fn after_string(text: &[u8]) -> &[u8] {
    let Some(block) = text.strip_prefix(b"\"\"\"") else { return after_quoted(&text[1..]) };
    let mut rest = block;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b"\"\"\"") {
            return after;
        }
        rest = rest.strip_prefix(br#"\""""#).unwrap_or(&rest[1..]);
    }
    rest
}

fn after_quoted(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return after,
            [b'\\', _, after @ ..] => after,
            [b'\n' | b'\r', ..] | [] => return rest,
            [_, after @ ..] => after,
        };
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn brackets_of_strings_and_comments_do_not_count() {
        let check = |query: &str, expect: usize| assert_eq!(nesting(query), expect, "{query}");
        check("", 0);
        check("{a}", 1);
        check("{a(b: [1, {c: 2}])}{d}", 4);
        check("}}}{a}", 1);
        check(r#"{a(b: "{{{{")}"#, 2);
        check(r#"{a(b: "}}\"}}{")}"#, 2);
        check(r#"{a(b: "\\"){c}}"#, 2);
        check("{a(b: \"\"\"{\"{\"\" \\\"\"\" {\"\"\"){c}}", 2);
        check("{a # }}} {{{\n {b}}", 2);
        check("{a # }}} {{{\r {b}}", 2);
        check("{a(b: \"never closed\n{{{{", 6);
        check("\"", 0);
        check("\"\\", 0);
        check("\"\"\"", 0);
    }

    #[test]
    fn a_document_is_refused_for_what_it_comes_to() {
        let config = GraphqlConfig { depth_max: 3, fields_max: 6, calls_max: 2, ..GraphqlConfig::default() };
        let check = |query: &str, expect: Result<(), Refused>| {
            assert_eq!(check_document(&parse_query(query).unwrap(), &config), expect, "{query}");
        };
        check("{a{b{c}}}", Ok(()));
        check("{a{b{c{d}}}}", Err(Refused::Depth { depth_max: 3 }));
        check("{a{b{... on T{c{... f}}}}} fragment f on T{d}", Err(Refused::Depth { depth_max: 3 }));
        check("{a{b c d e f}}", Ok(()));
        check("{a{b c d e f g}}", Err(Refused::Fields { fields_max: 6 }));
        check("{a b}", Ok(()));
        check("{a b: a c: a}", Err(Refused::Calls { calls_max: 2 }));
        check("{a ...f} fragment f on T{b c}", Err(Refused::Calls { calls_max: 2 }));
        check("query A{a} query B{a b c}", Err(Refused::Calls { calls_max: 2 }));
        check("{a} fragment f on T{a b c d e f g}", Err(Refused::Fields { fields_max: 6 }));
        check("{...f} fragment f on T{a ...g} fragment g on T{...f}", Err(Refused::FragmentCycle));
        check("{...unknown}", Ok(()));
        check("{__typename}", Ok(()));
        check("{__schema{queryType{name}}}", Err(Refused::Introspection));
        check("{... on Query{s: __type(name: \"T\"){name}}}", Err(Refused::Introspection));
    }

    #[test]
    fn fragments_that_double_are_measured_once_each() {
        let doubling = |fragments: usize| {
            let more: String = (1..fragments)
                .map(|n| format!("fragment f{n} on T{{...f{} ...f{}}}", n - 1, n - 1))
                .collect();
            format!("{{...f{}}} fragment f0 on T{{a}} {more}", fragments - 1)
        };
        let config = GraphqlConfig::default();
        let check = |fragments: usize, expect: Result<(), Refused>| {
            let document = parse_query(doubling(fragments)).unwrap();
            assert_eq!(check_document(&document, &config), expect, "{fragments}");
        };
        check(5, Ok(()));
        check(16, Err(Refused::Fields { fields_max: config.fields_max }));
        check(17, Err(Refused::Fragments));
    }
}
