//! One walk through a JSON text, which copies what no rule touches.
//!
//! The router has read the text as JSON, so that the walk need not: it understands what it must (names, texts that a pattern
//! may fit, the way along paths) and steps over the rest. Off the paths it only looks at names and texts, whatever holds
//! them. Without that a large event would use up the fuel of a run.

use std::borrow::Cow;

use hookmill_plugin::{Failure, Result, serde_json, well_formed};

use crate::replacement::Replacement;
use crate::rules::{Action, Open, Rules, Step};
use crate::search;

/// The text after all rules; nothing where none of them touched it. The text is JSON.
pub(crate) fn redacted(text: &str, rules: &Rules, replacement: &Replacement<'_>) -> Result<Option<String>> {
    let mut walk = Walk { text, at: 0, rules, replacement, written: String::new(), copied: 0 };
    walk.value(rules.open(), 0)?;
    if walk.copied == 0 {
        return Ok(None);
    }
    walk.written.push_str(&text[walk.copied..]);
    Ok(Some(walk.written))
}

struct Walk<'text> {
    text: &'text str,
    /// Everything before is behind the walk.
    at: usize,
    rules: &'text Rules,
    replacement: &'text Replacement<'text>,
    written: String,
    /// Everything before is in `written`, or was left out.
    copied: usize,
}

/// A string as it stands in the text, with its quotes.
struct Quoted<'text> {
    raw: &'text str,
    has_escapes: bool,
}

impl<'text> Walk<'text> {
    /// Goes over one value, and redacts inside.
    fn value(&mut self, open: Open, depth: usize) -> Result<()> {
        self.blanks();
        match self.peek() {
            Some(b'{') if !open.is_none() => self.members(b'}', open, depth),
            Some(b'[') if !open.is_none() => self.members(b']', open, depth),
            Some(_) | None => self.value_off_paths(),
        }
    }

    /// Goes over an object or a list on the way of a path.
    fn members(&mut self, close: u8, open: Open, depth: usize) -> Result<()> {
        self.at += 1;
        for index in 0.. {
            self.blanks();
            if self.peek().is_none_or(|byte| byte == close) {
                break;
            }
            let start = self.at;
            let (open, action) = if close == b'}' {
                let name = self.string();
                self.colon();
                self.rules.enter(open, depth, Step::Name(&self.content(&name)?))
            } else {
                self.rules.enter(open, depth, Step::Index(index))
            };
            match action {
                Some(action) => self.redact_member(start, action)?,
                None => self.value(open, depth + 1)?,
            }
            self.blanks();
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Goes over one value where no path leads.
    fn value_off_paths(&mut self) -> Result<()> {
        let mut depth = 0_usize;
        loop {
            match self.next_structure(depth) {
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'"') => self.text_or_member(depth)?,
                Some(_) if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(_) | None => return Ok(()),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Steps to the next brace, bracket or quote. Outside of all objects and lists there is none for a number or a word: the
    /// step is over it.
    fn next_structure(&mut self, depth: usize) -> Option<u8> {
        let bytes = self.text.as_bytes();
        if depth > 0 || matches!(bytes.get(self.at), Some(b'{' | b'[' | b'"')) {
            self.at = search::structure(bytes, self.at);
            return self.peek();
        }
        let is_end = |byte: &u8| is_blank(*byte) || matches!(byte, b',' | b'}' | b']');
        let rest = &bytes[self.at..];
        self.at += rest.iter().position(is_end).unwrap_or(rest.len());
        None
    }

    /// Goes over a string, which is a text or the name of a member.
    fn text_or_member(&mut self, depth: usize) -> Result<()> {
        let start = self.at;
        let quoted = self.string();
        if depth > 0 && self.colon() {
            return match self.rules.named(&self.content(&quoted)?) {
                Some(action) => self.redact_member(start, action),
                None => Ok(()),
            };
        }
        self.redact_text(start, &quoted)
    }

    /// Redacts the value at which the walk is: that of a member which begins at `start`.
    fn redact_member(&mut self, start: usize, action: Action) -> Result<()> {
        match action {
            Action::Drop => {
                self.skip();
                self.drop(start);
                Ok(())
            }
            Action::Mask | Action::Hash => self.replace_value(action),
        }
    }

    /// Leaves a member out that ends where the walk is, with one of the commas beside it: the one before where a member
    /// before it was kept, else the one after.
    fn drop(&mut self, start: usize) {
        let bytes = self.text.as_bytes();
        let before = bytes[..start].iter().rposition(|byte| !is_blank(*byte)).unwrap_or(0);
        if bytes[before] == b',' && self.copied != before + 1 {
            self.replace(before, self.at, "");
            return;
        }
        let end = self.at;
        self.blanks();
        let is_last = self.peek() != Some(b',');
        self.at = if is_last { end } else { self.at + 1 };
        self.replace(before + 1, self.at, "");
    }

    /// Puts something else in the place of a whole value.
    fn replace_value(&mut self, action: Action) -> Result<()> {
        self.blanks();
        let start = self.at;
        self.skip();
        let raw = &self.text[start..self.at];
        let with = match action {
            Action::Hash if raw.starts_with('"') => self.replacement.hash(&unquoted(raw)?)?,
            Action::Hash => self.replacement.hash(raw)?,
            Action::Mask | Action::Drop => self.replacement.mask.to_owned(),
        };
        let with = serde_json::to_string(&with)?;
        self.replace(start, self.at, &with);
        Ok(())
    }

    /// Redacts what patterns find in a text that begins at `start`.
    fn redact_text(&mut self, start: usize, quoted: &Quoted<'text>) -> Result<()> {
        // An escape may stand for the sign that a pattern needs.
        let may_fit = || quoted.has_escapes || search::has_sign(quoted.raw.as_bytes());
        if self.rules.patterns.is_empty() || !may_fit() {
            return Ok(());
        }
        let content = self.content(quoted)?;
        let mut redacted: Option<String> = None;
        for (pattern, action) in &self.rules.patterns {
            let text = redacted.as_deref().unwrap_or(&content);
            let (mut changed, mut from) = (String::new(), 0);
            while let Some(found) = pattern.find(text, from) {
                changed.push_str(&text[from..found.start]);
                from = found.end;
                match action {
                    Action::Mask => changed.push_str(self.replacement.mask),
                    Action::Hash => changed.push_str(&self.replacement.hash(&text[found])?),
                    Action::Drop => {}
                }
            }
            if from > 0 {
                changed.push_str(&text[from..]);
                redacted = Some(changed);
            }
        }
        if let Some(redacted) = redacted {
            let with = serde_json::to_string(&redacted)?;
            self.replace(start, self.at, &with);
        }
        Ok(())
    }

    /// Goes over a value of which nothing is kept.
    fn skip(&mut self) {
        self.blanks();
        let mut depth = 0_usize;
        loop {
            match self.next_structure(depth) {
                Some(b'"') => drop(self.string()),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(_) if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(_) | None => return,
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Goes over a string.
    fn string(&mut self) -> Quoted<'text> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut end = search::string_stop(bytes, start + 1);
        let has_escapes = bytes.get(end) == Some(&b'\\');
        while bytes.get(end) == Some(&b'\\') {
            end = search::string_stop(bytes, end + 2);
        }
        self.at = (end + 1).min(bytes.len());
        Quoted { raw: &self.text[start..self.at], has_escapes }
    }

    /// Goes over a colon with the blanks before it; answers whether there is one.
    fn colon(&mut self) -> bool {
        let start = self.at;
        self.blanks();
        let is_colon = self.peek() == Some(b':');
        self.at = if is_colon { self.at + 1 } else { start };
        is_colon
    }

    /// A string without its quotes and escapes.
    fn content(&self, quoted: &Quoted<'text>) -> Result<Cow<'text, str>> {
        if quoted.has_escapes {
            return unquoted(quoted.raw).map(Cow::Owned);
        }
        Ok(Cow::Borrowed(&quoted.raw[1..quoted.raw.len() - 1]))
    }

    fn replace(&mut self, start: usize, end: usize, with: &str) {
        if self.copied == 0 {
            self.written.reserve(self.text.len());
        }
        self.written.push_str(&self.text[self.copied..start]);
        self.written.push_str(with);
        self.copied = end;
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn unquoted(raw: &str) -> Result<String> {
    serde_json::from_str(&well_formed(raw))
        .map_err(|error| Failure::permanent(format!("the event's body: {error}")))
}
