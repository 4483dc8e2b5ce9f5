//! Text that Slack takes as text.

use std::borrow::Cow;

/// The end of a text that was cut.
const ELLIPSIS: char = '…';

/// The three characters that Slack's markup is made of, and no others ("Formatting text for app surfaces").
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// At most so many characters of a text, and an ellipsis in the place of the rest. An escaped character is kept whole or
/// not at all, and code that is cut is still code.
pub(crate) fn cut(text: &str, characters_max: usize) -> String {
    if text.len() <= characters_max || text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let fence = if text.ends_with("```") { "```" } else { "" };
    let kept = characters_max.saturating_sub(1 + fence.len());
    let end = text.char_indices().nth(kept).map_or(text.len(), |(index, _)| index);
    let mut kept = &text[..end];
    if let Some(start) = kept.rfind('&') {
        let is_parted = |escaped: &str| text[start..].starts_with(escaped) && start + escaped.len() > end;
        if ["&amp;", "&lt;", "&gt;"].into_iter().any(is_parted) {
            kept = &kept[..start];
        }
    }
    format!("{kept}{ELLIPSIS}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        let check = |text: &str, expect: &str| assert_eq!(escape(text), expect);
        check("plain *bold* `code`", "plain *bold* `code`");
        check("<!channel> & <@U1>", "&lt;!channel&gt; &amp; &lt;@U1&gt;");
        check("&amp;", "&amp;amp;");
    }

    #[test]
    fn long_texts_are_cut() {
        let check = |text: &str, max: usize, expect: &str| assert_eq!(cut(text, max), expect, "{text} {max}");
        check("abc", 3, "abc");
        check("äöü", 3, "äöü");
        check("abcd", 3, "ab…");
        check("äöüß", 3, "äö…");
        check("a&amp;b", 6, "a…");
        check("a&amp;bcd", 7, "a&amp;…");
        check("ab & cdef", 6, "ab & …");
        check("```abcdefgh```", 10, "```abc…```");
        for max in 0..20 {
            assert!(cut("a&lt;b&gt;c & d ```e```", max).chars().count() <= max.max(4), "{max}");
        }
    }
}
