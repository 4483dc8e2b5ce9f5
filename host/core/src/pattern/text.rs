//! Tests of strings: ends of them, letters of either case, asterisks.

use std::mem;

use super::steps::{OutOfSteps, Steps};
use super::{PatternFault, WILDCARDS_MAX};

/// Bytes of a text that are compared with an operand in one step.
const COMPARED_BYTES_PER_STEP: usize = 32;
/// Bytes of a text that are searched for what stands between asterisks in one step.
const SEARCHED_BYTES_PER_STEP: usize = 4;

/// A test that only a string can pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum TextTest {
    Prefix(String),
    Suffix(String),
    /// The operands of the tests that ignore case are folded already.
    EqualsIgnoreCase(String),
    PrefixIgnoreCase(String),
    SuffixIgnoreCase(String),
    Wildcard(Wildcard),
}

impl TextTest {
    pub(super) fn passes(&self, text: &str, steps: &mut Steps) -> Result<bool, OutOfSteps> {
        steps.take(match self {
            Self::Prefix(operand) | Self::Suffix(operand) => {
                operand.len().min(text.len()) / COMPARED_BYTES_PER_STEP
            }
            // Letter by letter.
            Self::EqualsIgnoreCase(operand)
            | Self::PrefixIgnoreCase(operand)
            | Self::SuffixIgnoreCase(operand) => operand.len().min(text.len()),
            Self::Wildcard(wildcard) => wildcard.steps(text),
        })?;
        Ok(match self {
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::EqualsIgnoreCase(folded) => folded.chars().eq(text.chars().map(fold)),
            Self::PrefixIgnoreCase(folded) => begins_with(text.chars().map(fold), folded.chars()),
            Self::SuffixIgnoreCase(folded) => begins_with(text.chars().rev().map(fold), folded.chars().rev()),
            Self::Wildcard(wildcard) => wildcard.matches(text),
        })
    }
}

/// Text with the case of its letters taken away.
pub(super) fn fold_case(text: &str) -> String {
    text.chars().map(fold).collect()
}

/// The lowercase form of a letter that has exactly one: the length stays, so that ends can be compared.
fn fold(letter: char) -> char {
    let mut lowercase = letter.to_lowercase();
    match (lowercase.next(), lowercase.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

fn begins_with(mut text: impl Iterator<Item = char>, mut start: impl Iterator<Item = char>) -> bool {
    start.all(|wanted| text.next() == Some(wanted))
}

/// A text in which `*` stands for any run of characters, none included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wildcard {
    /// What stands before the first asterisk.
    start: String,
    /// What stands between asterisks, in order.
    middle: Vec<String>,
    /// What stands after the last asterisk; `None` if there is no asterisk and `start` is all.
    end: Option<String>,
}

impl Wildcard {
    /// Reads an operand in which `\*` is an asterisk and `\\` a backslash.
    pub(super) fn parse(operand: &str) -> Result<Self, PatternFault> {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut letters = operand.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '*' if letters.peek() == Some(&'*') => return Err(PatternFault::ConsecutiveWildcards),
                '*' if parts.len() == WILDCARDS_MAX => return Err(PatternFault::TooManyWildcards),
                '*' => parts.push(mem::take(&mut part)),
                '\\' => match letters.next() {
                    Some(escaped @ ('*' | '\\')) => part.push(escaped),
                    Some(_) | None => return Err(PatternFault::WildcardEscape),
                },
                letter => part.push(letter),
            }
        }
        parts.push(part);
        let start = parts.remove(0);
        let end = parts.pop();
        Ok(Self { start, middle: parts, end })
    }

    /// What it costs to look for the parts in a text.
    fn steps(&self, text: &str) -> usize {
        let searched = if self.middle.is_empty() { 0 } else { text.len() / SEARCHED_BYTES_PER_STEP };
        let compared = (self.start.len() + self.end.as_ref().map_or(0, String::len)).min(2 * text.len());
        self.middle.len() + searched + compared / COMPARED_BYTES_PER_STEP
    }

    /// Takes the leftmost place for each part in turn. That loses no match, since a later place leaves less text
    /// to the parts that follow, and reads the text once.
    fn matches(&self, text: &str) -> bool {
        let Some(end) = &self.end else { return text == self.start };
        // Most begin with an asterisk, and comparing nothing with nothing is a slow call on some processors.
        let begins = self.start.is_empty() || text.starts_with(self.start.as_str());
        if !begins {
            return false;
        }
        let mut rest = &text[self.start.len()..];
        for part in &self.middle {
            let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
            rest = after;
        }
        rest.ends_with(end.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_stand_for_any_run() {
        let check = |operand: &str, text: &str, expect: bool| {
            assert_eq!(Wildcard::parse(operand).unwrap().matches(text), expect, "{operand} {text}");
        };
        check("dir/*.png", "dir/a.png", true);
        check("dir/*.png", "dir/.png", true);
        check("dir/*.png", "dir.png", false);
        check("*", "", true);
        check("", "", true);
        check("", "a", false);
        check("abc", "abc", true);
        check("abc", "abcd", false);
        check("ab*ba", "aba", false);
        check("ab*ba", "abba", true);
        check("*a*b*c*", "xxaxxbxxcxx", true);
        check("*a*b*c*", "cba", false);
        check("a*b*b", "ab", false);
        check("*/lib/*", "/usr/lib/x", true);
        check("a\\*b", "a*b", true);
        check("a\\*b", "aXb", false);
        check("a\\\\*", "a\\z", true);
        check("é*ü", "éßü", true);
    }

    #[test]
    fn refuses_what_eventbridge_refuses() {
        let check = |operand: &str, expect: PatternFault| {
            assert_eq!(Wildcard::parse(operand), Err(expect), "{operand}");
        };
        check("a**b", PatternFault::ConsecutiveWildcards);
        check("**", PatternFault::ConsecutiveWildcards);
        check("a\\b", PatternFault::WildcardEscape);
        check("a\\", PatternFault::WildcardEscape);
        check(&"a*".repeat(WILDCARDS_MAX + 1), PatternFault::TooManyWildcards);
        assert!(Wildcard::parse(&"a*".repeat(WILDCARDS_MAX)).is_ok());
        assert!(Wildcard::parse("*\\**").is_ok(), "the asterisk in the middle is an ordinary character");
    }

    #[test]
    fn case_is_ignored_letter_by_letter() {
        let check = |test: TextTest, text: &str, expect: bool| {
            assert_eq!(test.passes(text, &mut Steps::of(100)), Ok(expect), "{test:?} {text}");
        };
        check(TextTest::EqualsIgnoreCase(fold_case("ÄBc")), "äbC", true);
        check(TextTest::EqualsIgnoreCase(fold_case("abc")), "abcd", false);
        check(TextTest::PrefixIgnoreCase(fold_case("EventB")), "eVENTbridge", true);
        check(TextTest::PrefixIgnoreCase(fold_case("eventb")), "event", false);
        check(TextTest::SuffixIgnoreCase(fold_case("tBridge")), "evenTBRIDGE", true);
        check(TextTest::SuffixIgnoreCase(fold_case(".PNG")), "png", false);
        // This letter's lowercase form has two characters, so it is equal to itself only.
        check(TextTest::PrefixIgnoreCase(fold_case("i")), "İ", false);
    }

    /// The textbook definition, exponential and obviously right.
    fn matches_slowly(operand: &[char], text: &[char]) -> bool {
        match (operand, text) {
            ([], text) => text.is_empty(),
            (['*', after @ ..], text) => (0..=text.len()).any(|run| matches_slowly(after, &text[run..])),
            ([letter, after @ ..], [first, rest @ ..]) => letter == first && matches_slowly(after, rest),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn one_pass_finds_what_backtracking_finds(operand in "[ab]{0,2}(\\*[ab]{1,2}){0,3}\\*?", text in "[ab]{0,10}") {
            let slow = matches_slowly(&operand.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Wildcard::parse(&operand).unwrap().matches(&text), slow);
        }

        #[test]
        fn any_text_is_found_by_its_escaped_self(text in "[a-c*\\\\é]{0,12}") {
            let escaped = text.replace('\\', "\\\\").replace('*', "\\*");
            prop_assert!(Wildcard::parse(&escaped).unwrap().matches(&text));
        }
    }
}
