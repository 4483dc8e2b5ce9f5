//! Variables: their paths, where a path leads in an event, and which ones are known.

use super::error::CompositionFault;
use super::{PATH_BYTES_MAX, PATH_SEGMENTS_MAX};
use crate::json::{Kind, Node};

/// The variables of the WhatsApp document's table, "Replaced variables can be used while creating or composing a
/// webhook". They are known whatever a sample event has, alone (`status`) and below `payload` (`payload.status`).
pub const DOCUMENTED_VARIABLES: [&str; 9] =
    ["id", "from", "to", "status", "delivered_at", "read_at", "processed_at", "submit_time", "foreign_id"];
/// Names that the document's examples use besides, and what of the table they mean where the event has no such field.
const ALIASES: [(&str, &str); 1] = [("mobile", "to")];
/// What the document's notifications consist of.
const ENVELOPE: [&str; 2] = ["event", PAYLOAD];
/// The member of a notification that holds what it is about.
const PAYLOAD: &str = "payload";

/// Paths of a sample that are compared with an unknown one.
const SUGGESTIONS_MAX: usize = 256;
/// Edits (Damerau-Levenshtein) between a variable and a name that may have been meant.
const SUGGESTION_EDITS_MAX: usize = 2;

/// A path into an event, ready to be followed.
#[derive(Debug)]
pub(super) struct Variable {
    name: Box<str>,
    path: Path,
    /// What it means where the event has nothing there.
    alias: Option<Path>,
}

type Path = Box<[Segment]>;

/// A key of an object, or an index of an array.
#[derive(Debug)]
struct Segment {
    key: Box<str>,
    index: Option<usize>,
}

/// Which variables a composition may use.
#[derive(Debug, Clone, Copy)]
pub(super) enum Vocabulary<'v> {
    /// Those of the table, those of the envelope, and all paths of two and more segments.
    Documented,
    /// Those of the table, and those that this event has.
    Sample(Node<'v>),
    /// All: what is read was checked when it was saved.
    Any,
}

impl Variable {
    /// Reads a path, which is not empty. An error comes with its place in the text.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, CompositionFault)> {
        let alias = alias_of(text).map(|path| parse_path(&path)).transpose()?;
        Ok(Self { name: text.into(), path: parse_path(text)?, alias })
    }

    /// The path as it is written.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its value in an event: the first that is there of its path, its path below `payload`, and the same two of what
    /// it is an alias of.
    pub(super) fn find<'e>(&self, event: Node<'e>) -> Option<Node<'e>> {
        let find = |path: &Path| {
            follow(path, event).or_else(|| event.get(PAYLOAD).and_then(|payload| follow(path, payload)))
        };
        find(&self.path).or_else(|| self.alias.as_ref().and_then(find))
    }

    fn is_documented(&self) -> bool {
        let bare = without_payload(&self.name);
        DOCUMENTED_VARIABLES.contains(&bare) || self.alias.is_some()
    }
}

impl Vocabulary<'_> {
    /// Whether the variable may be used.
    ///
    /// # Errors
    /// That it is unknown, with a name that may have been meant.
    pub(super) fn check(&self, variable: &Variable) -> Result<(), CompositionFault> {
        let known = match self {
            Self::Documented => {
                variable.is_documented() || variable.path.len() > 1 || ENVELOPE.contains(&variable.name())
            }
            Self::Sample(sample) => variable.is_documented() || variable.find(*sample).is_some(),
            Self::Any => true,
        };
        if known {
            return Ok(());
        }
        let variable = variable.name().to_owned();
        Err(CompositionFault::UnknownVariable { nearest: self.nearest(&variable), variable })
    }

    /// The known name with the fewest edits to this one, if these are few.
    fn nearest(&self, name: &str) -> Option<String> {
        let aliases = ALIASES.map(|(alias, _)| alias);
        let mut candidates: Vec<String> =
            DOCUMENTED_VARIABLES.into_iter().chain(aliases).chain(ENVELOPE).map(str::to_owned).collect();
        if let Self::Sample(sample) = self {
            collect_paths(*sample, "", PATH_SEGMENTS_MAX, &mut candidates);
        }
        let below_payload: Vec<String> =
            candidates.iter().map(|path| without_payload(path).to_owned()).collect();
        let lowercase = name.to_lowercase();
        candidates
            .into_iter()
            .chain(below_payload)
            .filter(|candidate| candidate.len().abs_diff(lowercase.len()) <= SUGGESTION_EDITS_MAX)
            .map(|candidate| (strsim::osa_distance(&lowercase, &candidate.to_lowercase()), candidate))
            // Of three letters, two that differ leave nothing to recognise.
            .filter(|(edits, candidate)| *edits <= SUGGESTION_EDITS_MAX && edits * 3 <= candidate.len())
            .min_by_key(|(edits, _)| *edits)
            .map(|(_, candidate)| candidate)
    }
}

fn without_payload(path: &str) -> &str {
    path.strip_prefix(PAYLOAD).and_then(|rest| rest.strip_prefix('.')).unwrap_or(path)
}

fn alias_of(path: &str) -> Option<String> {
    let bare = without_payload(path);
    let (_, meaning) = ALIASES.into_iter().find(|(alias, _)| *alias == bare)?;
    Some(format!("{}{meaning}", &path[..path.len() - bare.len()]))
}

fn parse_path(text: &str) -> Result<Path, (usize, CompositionFault)> {
    if text.len() > PATH_BYTES_MAX {
        return Err((0, CompositionFault::PathTooLong));
    }
    let mut segments = Vec::new();
    let mut start = 0;
    for key in text.split('.') {
        if segments.len() == PATH_SEGMENTS_MAX {
            return Err((start, CompositionFault::PathTooLong));
        }
        if let Some((at, character)) =
            key.char_indices().find(|(_, character)| !may_stand_in_path(*character))
        {
            return Err((start + at, CompositionFault::PathCharacter { character }));
        }
        if key.is_empty() {
            return Err((start, CompositionFault::EmptySegment));
        }
        segments.push(Segment { key: key.into(), index: array_index(key) });
        start += key.len() + 1;
    }
    Ok(segments.into())
}

fn may_stand_in_path(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | ':' | '$')
}

/// Digits without a leading zero (RFC 6901, section 4).
fn array_index(key: &str) -> Option<usize> {
    let canonical = key == "0" || !key.starts_with('0');
    let digits = canonical && key.bytes().all(|byte| byte.is_ascii_digit());
    if digits { key.parse().ok() } else { None }
}

fn follow<'e>(path: &Path, event: Node<'e>) -> Option<Node<'e>> {
    path.iter().try_fold(event, |value, segment| match value.kind() {
        Kind::Object => value.get(&segment.key),
        Kind::Array => value.element(segment.index?),
        Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::PlainString | Kind::EscapedString => {
            None
        }
    })
}

/// Adds the paths of a sample that a variable could have, the first [`SUGGESTIONS_MAX`] of them.
fn collect_paths(value: Node<'_>, path: &str, segments_left: usize, paths: &mut Vec<String>) {
    let Some(segments_left) = segments_left.checked_sub(1) else { return };
    let mut collect = |key: &str, below: Node<'_>| {
        let full = paths.len() >= SUGGESTIONS_MAX;
        let addressable = !key.is_empty() && key.chars().all(may_stand_in_path);
        if full || !addressable || path.len() + 1 + key.len() > PATH_BYTES_MAX {
            return;
        }
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        paths.push(path.clone());
        collect_paths(below, &path, segments_left, paths);
    };
    for (name, below) in value.members().take(SUGGESTIONS_MAX) {
        collect(&name.text().unwrap_or_default(), below);
    }
    for (index, below) in value.elements().take(SUGGESTIONS_MAX).enumerate() {
        collect(&index.to_string(), below);
    }
}
