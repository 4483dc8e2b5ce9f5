//! What is to be redacted, and how.

use hookmill_plugin::{Failure, Result};
use serde::Deserialize;

use crate::pattern::Pattern;

/// Paths of one plugin: the walk keeps one bit for each.
const PATHS_MAX: usize = 64;

/// What an endpoint's owner sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The first rule that fits a value counts.
    pub(crate) rules: Vec<Rule>,
    /// What stands in the place of what is masked.
    #[serde(default = "default_mask")]
    pub(crate) mask: String,
    /// The name of the secret that hashes are made with. Without one they are plain digests.
    pub(crate) hash_key: Option<String>,
}

fn default_mask() -> String {
    "[redacted]".to_owned()
}

/// One rule: what it fits, and what is done there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// A JSON pointer; a `*` in it stands for any one name or index.
    path: Option<String>,
    /// The name of a field, wherever it is.
    name: Option<String>,
    /// A part of texts.
    pattern: Option<Pattern>,
    #[serde(default)]
    action: Action,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Puts the mask in its place.
    #[default]
    Mask,
    /// Puts a digest in its place: the same for the same value.
    Hash,
    /// Takes it out.
    Drop,
}

/// The rules, sorted by what they fit; each with its place in the owner's order.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    paths: Vec<Path>,
    names: Vec<(String, usize, Action)>,
    pub(crate) patterns: Vec<(Pattern, Action)>,
}

#[derive(Debug)]
struct Path {
    tokens: Vec<Token>,
    order: usize,
    action: Action,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Any,
    Name { name: String, index: Option<usize> },
}

/// The paths whose beginning is the way to where the walk is: a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open(u64);

/// A step on that way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'text> {
    Name(&'text str),
    Index(usize),
}

impl Rules {
    pub(crate) fn new(rules: &[Rule]) -> Result<Self> {
        let mut sorted = Self::default();
        for (order, rule) in rules.iter().enumerate() {
            let action = rule.action;
            match (&rule.path, &rule.name, rule.pattern) {
                (Some(path), None, None) => {
                    sorted.paths.push(Path { tokens: tokens(path)?, order, action });
                }
                (None, Some(name), None) => sorted.names.push((name.clone(), order, action)),
                (None, None, Some(pattern)) => sorted.patterns.push((pattern, action)),
                _ => {
                    return Err(Failure::permanent(format!(
                        "rule {}: needs one of `path`, `name` and `pattern`",
                        order + 1
                    )));
                }
            }
        }
        if sorted.paths.len() > PATHS_MAX {
            let count = sorted.paths.len();
            return Err(Failure::permanent(format!(
                "there are {count} rules with a path, at most {PATHS_MAX} go"
            )));
        }
        Ok(sorted)
    }

    /// All paths: what is open at the root.
    pub(crate) fn open(&self) -> Open {
        Open(self.paths.iter().enumerate().fold(0, |open, (bit, _)| open | 1 << bit))
    }

    /// One step deeper: the paths that are still open, and what is to be done with the value there. `depth` is that of the
    /// object or list that the step leads out of, 0 for the root.
    pub(crate) fn enter(&self, open: Open, depth: usize, step: Step<'_>) -> (Open, Option<Action>) {
        let mut still = 0;
        let mut found: Option<(usize, Action)> = None;
        let mut remaining = open.0;
        while remaining != 0 {
            let bit = remaining.trailing_zeros();
            remaining &= remaining - 1;
            let path = &self.paths[bit as usize];
            match path.tokens.get(depth) {
                Some(token) if token.fits(step) && path.tokens.len() == depth + 1 => {
                    found = first(found, (path.order, path.action));
                }
                Some(token) if token.fits(step) => still |= 1 << bit,
                Some(_) | None => {}
            }
        }
        if let Step::Name(name) = step {
            for (wanted, order, action) in &self.names {
                if wanted == name {
                    found = first(found, (*order, *action));
                }
            }
        }
        (Open(still), found.map(|(_, action)| action))
    }

    /// What is to be done with a member of this name wherever it is.
    pub(crate) fn named(&self, name: &str) -> Option<Action> {
        self.names.iter().find(|(wanted, ..)| wanted == name).map(|(.., action)| *action)
    }
}

/// The rule that comes first in the owner's order.
fn first(found: Option<(usize, Action)>, other: (usize, Action)) -> Option<(usize, Action)> {
    match found {
        Some(found) if found.0 < other.0 => Some(found),
        Some(_) | None => Some(other),
    }
}

impl Open {
    /// Whether no path leads on.
    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl Token {
    fn fits(&self, step: Step<'_>) -> bool {
        match (self, step) {
            (Self::Any, _) => true,
            (Self::Name { name, .. }, Step::Name(step)) => name == step,
            (Self::Name { index, .. }, Step::Index(step)) => *index == Some(step),
        }
    }
}

/// The tokens of a JSON pointer (RFC 6901). The whole document is none: it can't be left out.
fn tokens(path: &str) -> Result<Vec<Token>> {
    let wrong = || Failure::permanent(format!("`{path}` is no path as `/data/to` or `/items/*/email`"));
    let names = path.strip_prefix('/').ok_or_else(wrong)?;
    let token = |name: &str| {
        if name == "*" {
            return Token::Any;
        }
        let name = name.replace("~1", "/").replace("~0", "~");
        let is_index =
            name == "0" || !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
        let index = name.parse().ok().filter(|_| is_index);
        Token::Name { name, index }
    };
    Ok(names.split('/').map(token).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, index: Option<usize>) -> Token {
        Token::Name { name: name.to_owned(), index }
    }

    #[test]
    fn paths_are_pointers_with_stars() {
        assert_eq!(tokens("/a/*/b"), Ok(vec![name("a", None), Token::Any, name("b", None)]));
        assert_eq!(tokens("/a~1b/~0/~01"), Ok(vec![name("a/b", None), name("~", None), name("~1", None)]));
        assert_eq!(tokens("/0/10/01"), Ok(vec![name("0", Some(0)), name("10", Some(10)), name("01", None)]));
        assert_eq!(tokens("/"), Ok(vec![name("", None)]));
        for path in ["", "a", "*"] {
            assert!(tokens(path).is_err(), "{path:?}");
        }
    }
}
