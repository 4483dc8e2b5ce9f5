//! Bytes of a dump to tokens.
//!
//! Comments are no tokens, and neither is what MySQL alone would read in `/*!40101 ... */`: mysqldump writes settings,
//! triggers and views there, never rows. A token's text is read to its end but kept to [`KEPT_BYTES_MAX`] only, so that
//! the megabytes of another table's value cost no memory.

use std::io::BufRead;

use hookmill_core::address::URL_BYTES_MAX;

use super::DumpError;

/// Bytes that are kept of one token.
const KEPT_BYTES_MAX: usize = 4096;

const _: () = assert!(KEPT_BYTES_MAX > URL_BYTES_MAX, "a URL that is cut is still too long");

/// What a token is; its text is [`Lexer::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A name in backticks.
    Name,
    /// A keyword, a bare name, a number, a hexadecimal literal that begins with `0x`.
    Word,
    /// A text in quotes, without its escapes.
    Text,
    /// Any other byte.
    Mark(u8),
    /// The end of the dump.
    End,
}

/// Reads tokens; a lexer that failed is not asked again.
#[derive(Debug)]
pub(super) struct Lexer<R> {
    source: R,
    line: u64,
    text: Vec<u8>,
    /// The last token, where it is to be read again.
    unread: Option<Token>,
}

impl<R: BufRead> Lexer<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, line: 1, text: Vec::new(), unread: None }
    }

    /// The line that the next byte is on, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The text of the last token; nothing for marks.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn next(&mut self) -> Result<Token, DumpError> {
        if let Some(token) = self.unread.take() {
            return Ok(token);
        }
        loop {
            self.text.clear();
            let Some(byte) = self.bump()? else { return Ok(Token::End) };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'#' => self.skip_line()?,
                b'/' if self.peek()? == Some(b'*') => self.skip_comment()?,
                b'-' if self.peek()? == Some(b'-') => self.skip_line()?,
                b'-' | b'+' if self.peek()?.is_some_and(|next| next.is_ascii_digit()) => {
                    return self.word(byte);
                }
                b'\'' | b'"' => return self.quoted(byte).map(|()| Token::Text),
                b'`' => return self.quoted(byte).map(|()| Token::Name),
                byte if is_word(byte) => return self.word(byte),
                byte => return Ok(Token::Mark(byte)),
            }
        }
    }

    /// Makes the token that was just read the next one.
    pub(super) fn unread(&mut self, token: Token) {
        self.unread = Some(token);
    }

    /// The rest of the line as the last token's text; answers whether there was a line.
    pub(super) fn take_line(&mut self) -> Result<bool, DumpError> {
        self.text.clear();
        let is_there = self.peek()?.is_some();
        while let Some(byte) = self.bump()?.filter(|byte| *byte != b'\n') {
            self.keep(byte);
        }
        Ok(is_there)
    }

    /// Reads the next byte if it is this one; answers whether it was.
    pub(super) fn take_byte(&mut self, wanted: u8) -> Result<bool, DumpError> {
        let is_next = self.peek()? == Some(wanted);
        if is_next {
            let _ = self.bump()?;
        }
        Ok(is_next)
    }

    fn word(&mut self, first: u8) -> Result<Token, DumpError> {
        self.keep(first);
        let is_number = first.is_ascii_digit() || is_sign(first);
        let mut last = first;
        while let Some(byte) = self.peek()? {
            let in_number = is_number && (byte == b'.' || is_sign(byte) && is_exponent(last));
            if !is_word(byte) && !in_number {
                break;
            }
            let _ = self.bump()?;
            self.keep(byte);
            last = byte;
        }
        Ok(Token::Word)
    }

    /// To the closing quote, which is written twice where it is meant. Names know no backslashes. Texts do: mysqldump
    /// sets its own SQL mode, without `NO_BACKSLASH_ESCAPES`.
    fn quoted(&mut self, quote: u8) -> Result<(), DumpError> {
        let began = self.line;
        let what = if quote == b'`' { "a name in backticks" } else { "a quoted text" };
        let unfinished = || DumpError::Unfinished { line: began, what };
        loop {
            let byte = self.bump()?.ok_or_else(unfinished)?;
            if byte == quote {
                if self.peek()? != Some(quote) {
                    return Ok(());
                }
                let _ = self.bump()?;
                self.keep(quote);
            } else if byte == b'\\' && quote != b'`' {
                let escaped = self.bump()?.ok_or_else(unfinished)?;
                self.keep_escaped(escaped);
            } else {
                self.keep(byte);
            }
        }
    }

    /// MySQL's escape sequences (reference manual, "String Literals").
    fn keep_escaped(&mut self, escaped: u8) {
        match escaped {
            b'0' => self.keep(0),
            b'b' => self.keep(8),
            b't' => self.keep(b'\t'),
            b'n' => self.keep(b'\n'),
            b'r' => self.keep(b'\r'),
            b'Z' => self.keep(26),
            // These two keep their backslash outside of patterns too.
            b'%' | b'_' => {
                self.keep(b'\\');
                self.keep(escaped);
            }
            byte => self.keep(byte),
        }
    }

    fn skip_comment(&mut self) -> Result<(), DumpError> {
        let began = self.line;
        let _ = self.bump()?;
        let mut last = 0;
        loop {
            let byte = self.bump()?.ok_or(DumpError::Unfinished { line: began, what: "a comment" })?;
            if (last, byte) == (b'*', b'/') {
                return Ok(());
            }
            last = byte;
        }
    }

    fn skip_line(&mut self) -> Result<(), DumpError> {
        while self.bump()?.is_some_and(|byte| byte != b'\n') {}
        Ok(())
    }

    fn keep(&mut self, byte: u8) {
        if self.text.len() < KEPT_BYTES_MAX {
            self.text.push(byte);
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, DumpError> {
        Ok(self.source.fill_buf()?.first().copied())
    }

    fn bump(&mut self) -> Result<Option<u8>, DumpError> {
        let Some(byte) = self.peek()? else { return Ok(None) };
        self.source.consume(1);
        if byte == b'\n' {
            self.line += 1;
        }
        Ok(Some(byte))
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

fn is_sign(byte: u8) -> bool {
    matches!(byte, b'+' | b'-')
}

fn is_exponent(byte: u8) -> bool {
    matches!(byte, b'e' | b'E')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(sql: &str) -> Vec<(Token, String)> {
        // A buffer of two bytes is full in the middle of everything.
        let mut lexer = Lexer::new(std::io::BufReader::with_capacity(2, sql.as_bytes()));
        let mut read = Vec::new();
        loop {
            match lexer.next().unwrap() {
                Token::End => return read,
                token => read.push((token, String::from_utf8(lexer.text().to_vec()).unwrap())),
            }
        }
    }

    #[test]
    fn each_kind_of_token() {
        let check = |sql: &str, expect: &[(Token, &str)]| {
            let expect: Vec<_> = expect.iter().map(|(token, text)| (*token, (*text).to_owned())).collect();
            assert_eq!(tokens(sql), expect, "{sql}");
        };
        check("", &[]);
        check("CREATE `a``b`;", &[(Token::Word, "CREATE"), (Token::Name, "a`b"), (Token::Mark(b';'), "")]);
        check(r"'it''s' 'it\'s'", &[(Token::Text, "it's"), (Token::Text, "it's")]);
        check(r"'\0\b\t\n\r\Z\\\%\_\q'", &[(Token::Text, "\0\u{8}\t\n\r\u{1a}\\\\%\\_q")]);
        check(r#""a'\"""b""#, &[(Token::Text, r#"a'""b"#)]);
        check(r"`a\`", &[(Token::Name, r"a\")]);
        check(
            "-1 +2.5e-05,0x1F",
            &[(Token::Word, "-1"), (Token::Word, "+2.5e-05"), (Token::Mark(b','), ""), (Token::Word, "0x1F")],
        );
        check("a.b", &[(Token::Word, "a"), (Token::Mark(b'.'), ""), (Token::Word, "b")]);
        check(
            "_binary 'x'x'41'",
            &[(Token::Word, "_binary"), (Token::Text, "x"), (Token::Word, "x"), (Token::Text, "41")],
        );
        check(
            "-- 'a\n/*!40101 SET x='*' **/b # c\n/ - 'd'",
            &[(Token::Word, "b"), (Token::Mark(b'/'), ""), (Token::Mark(b'-'), ""), (Token::Text, "d")],
        );
    }

    #[test]
    fn what_does_not_end_is_told_with_the_line_where_it_begins() {
        let check = |sql: &str, expect_line: u64, expect_what: &str| {
            let mut lexer = Lexer::new(sql.as_bytes());
            let error = loop {
                match lexer.next() {
                    Ok(Token::End) => panic!("{sql} is read"),
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            let DumpError::Unfinished { line, what } = error else { panic!("{error}") };
            assert_eq!((line, what), (expect_line, expect_what), "{sql}");
        };
        check("a\n'b\nc", 2, "a quoted text");
        check("'a\\", 1, "a quoted text");
        check("\n\n`a", 3, "a name in backticks");
        check("/*/", 1, "a comment");
    }

    #[test]
    fn a_long_text_is_read_to_its_end_and_kept_in_part() {
        let sql = format!("'{}' b", "a".repeat(10 * KEPT_BYTES_MAX));
        let mut lexer = Lexer::new(sql.as_bytes());
        assert_eq!((lexer.next().unwrap(), lexer.text().len()), (Token::Text, KEPT_BYTES_MAX));
        assert_eq!((lexer.next().unwrap(), lexer.text()), (Token::Word, &b"b"[..]));
    }
}
