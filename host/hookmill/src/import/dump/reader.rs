//! Statements of a dump: which table they are about, its columns, its rows.

use std::io::BufRead;

use super::lexer::{Lexer, Token};
use super::{DumpError, Row, Value, shown};

/// Columns of one table (MySQL's own bound).
const COLUMNS_MAX: usize = 4096;
/// What begins a part of a CREATE TABLE that is no column; a name in backticks is always one.
const NO_COLUMN: [&str; 9] =
    ["PRIMARY", "KEY", "UNIQUE", "INDEX", "CONSTRAINT", "FOREIGN", "FULLTEXT", "SPATIAL", "CHECK"];

/// Reads one table of a dump.
#[derive(Debug)]
pub(crate) struct Dump<R> {
    lexer: Lexer<R>,
    table: &'static str,
    /// In the order of the rows, from the table's definition.
    columns: Vec<String>,
}

impl<R: BufRead> Dump<R> {
    pub(crate) fn new(source: R, table: &'static str) -> Self {
        Self { lexer: Lexer::new(source), table, columns: Vec::new() }
    }

    /// Gives each row to `take`.
    ///
    /// # Errors
    /// What is no dump, or has no such table; and what `take` answers.
    pub(crate) fn read(
        mut self,
        mut take: impl FnMut(&Row<'_>) -> Result<(), DumpError>,
    ) -> Result<(), DumpError> {
        let mut is_there = false;
        loop {
            match self.lexer.next()? {
                Token::End if is_there => return Ok(()),
                Token::End => return Err(DumpError::TableMissing { table: self.table }),
                Token::Mark(b';') => {}
                Token::Word => is_there |= self.statement(&mut take)?,
                token @ (Token::Name | Token::Text | Token::Mark(_)) => {
                    return Err(self.expected("a statement of SQL", token));
                }
            }
        }
    }

    /// Reads a statement, whose first word was read; answers whether it was about the table.
    fn statement(
        &mut self,
        take: &mut impl FnMut(&Row<'_>) -> Result<(), DumpError>,
    ) -> Result<bool, DumpError> {
        let began = self.lexer.line();
        if self.is_word("DELIMITER") {
            return self.skip_delimited().map(|()| false);
        }
        let is_insert = self.is_word("INSERT") || self.is_word("REPLACE");
        let is_about_table = if is_insert {
            self.take_words(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE"], "INTO")?
        } else {
            self.is_word("CREATE") && self.take_words(&["TEMPORARY"], "TABLE")?
        };
        if !(is_about_table && self.is_table_name()?) {
            return self.skip_statement(began).map(|()| false);
        }
        if is_insert {
            self.rows(take)?;
        } else {
            self.definition(began)?;
        }
        Ok(true)
    }

    /// Reads a table's name, the database before it if there is one; answers whether it is the wanted one.
    fn is_table_name(&mut self) -> Result<bool, DumpError> {
        let mut token = self.lexer.next()?;
        while token == Token::Word && ["IF", "NOT", "EXISTS"].iter().any(|word| self.is_word(word)) {
            token = self.lexer.next()?;
        }
        let mut name = self.name("the name of a table", token)?;
        if self.lexer.take_byte(b'.')? {
            let token = self.lexer.next()?;
            name = self.name("the name of a table", token)?;
        }
        Ok(name == self.table)
    }

    /// Reads `(COLUMN TYPE ..., KEY ...) ...;` into the columns.
    fn definition(&mut self, began: u64) -> Result<(), DumpError> {
        self.expect_mark(b'(', "`(` and the columns of the table")?;
        self.columns.clear();
        loop {
            let token = self.lexer.next()?;
            let is_column = token != Token::Word || !NO_COLUMN.iter().any(|word| self.is_word(word));
            if is_column {
                let column = self.name("the name of a column", token)?;
                self.add_column(column)?;
            }
            if !self.skip_definition(began)? {
                return self.skip_statement(began);
            }
        }
    }

    /// Reads to the end of a column's definition; answers whether another one follows.
    fn skip_definition(&mut self, began: u64) -> Result<bool, DumpError> {
        let mut depth = 0_usize;
        loop {
            match self.lexer.next()? {
                Token::Mark(b',') if depth == 0 => return Ok(true),
                Token::Mark(b')') if depth == 0 => return Ok(false),
                Token::Mark(b'(') => depth += 1,
                Token::Mark(b')') => depth -= 1,
                token @ Token::Mark(b';') => return Err(self.expected("`)` after the columns", token)),
                Token::End => return Err(unfinished_statement(began)),
                Token::Name | Token::Word | Token::Text | Token::Mark(_) => {}
            }
        }
    }

    /// Reads `(COLUMN, ...) VALUES (VALUE, ...), ...;`, of which the columns may be missing.
    fn rows(&mut self, take: &mut impl FnMut(&Row<'_>) -> Result<(), DumpError>) -> Result<(), DumpError> {
        let mut token = self.lexer.next()?;
        if token == Token::Mark(b'(') {
            self.column_list()?;
            token = self.lexer.next()?;
        }
        if token != Token::Word || !(self.is_word("VALUES") || self.is_word("VALUE")) {
            return Err(self.expected("`VALUES`", token));
        }
        if self.columns.is_empty() {
            return Err(DumpError::ColumnsUnknown { line: self.lexer.line(), table: self.table });
        }
        let mut values = Vec::with_capacity(self.columns.len());
        loop {
            self.expect_mark(b'(', "`(` and the values of a row")?;
            let line = self.lexer.line();
            self.row(&mut values)?;
            take(&Row { line, table: self.table, columns: &self.columns, values: &values })?;
            match self.lexer.next()? {
                Token::Mark(b',') => {}
                Token::Mark(b';') => return Ok(()),
                token => return Err(self.expected("`,` or `;` after a row", token)),
            }
        }
    }

    fn column_list(&mut self) -> Result<(), DumpError> {
        self.columns.clear();
        loop {
            let token = self.lexer.next()?;
            let column = self.name("the name of a column", token)?;
            self.add_column(column)?;
            match self.lexer.next()? {
                Token::Mark(b',') => {}
                Token::Mark(b')') => return Ok(()),
                token => return Err(self.expected("`,` or `)` after a column", token)),
            }
        }
    }

    /// Reads `VALUE, ...)`, one for each column.
    fn row(&mut self, values: &mut Vec<Value>) -> Result<(), DumpError> {
        values.clear();
        for _ in 1..self.columns.len() {
            values.push(self.value()?);
            self.expect_mark(b',', "`,` and one value for each column")?;
        }
        values.push(self.value()?);
        self.expect_mark(b')', "`)` after as many values as there are columns")
    }

    fn value(&mut self) -> Result<Value, DumpError> {
        let mut token = self.lexer.next()?;
        // The character set of the value, as in `_binary 'x'`.
        if token == Token::Word && self.lexer.text().starts_with(b"_") {
            token = self.lexer.next()?;
        }
        let word = match token {
            Token::Text => return Ok(Value::Text(self.lexer.text().to_vec())),
            Token::Word => self.lexer.text(),
            Token::Name | Token::Mark(_) | Token::End => return Err(self.expected("a value", token)),
        };
        match word {
            [b'0', b'x', digits @ ..] => {
                bytes_of_hex(digits).ok_or_else(|| self.expected("hexadecimal digits", token))
            }
            [b'0'..=b'9' | b'-' | b'+', ..] => Ok(Value::Number(String::from_utf8_lossy(word).into_owned())),
            [b'x' | b'X'] => self.digits(bytes_of_hex),
            [b'b' | b'B'] => self.digits(number_of_bits),
            _ if self.is_word("NULL") => Ok(Value::Null),
            _ => Err(self.expected("a value", token)),
        }
    }

    /// Reads the text of `x'...'` or `b'...'`.
    fn digits(&mut self, parse: impl FnOnce(&[u8]) -> Option<Value>) -> Result<Value, DumpError> {
        let token = self.lexer.next()?;
        let parsed = if token == Token::Text { parse(self.lexer.text()) } else { None };
        parsed.ok_or_else(|| self.expected("digits in quotes", token))
    }

    /// Reads this word and those that may stand before it; answers whether it came.
    fn take_words(&mut self, before: &[&str], word: &str) -> Result<bool, DumpError> {
        loop {
            let token = self.lexer.next()?;
            if token == Token::Word && self.is_word(word) {
                return Ok(true);
            }
            if token != Token::Word || !before.iter().any(|word| self.is_word(word)) {
                self.lexer.unread(token);
                return Ok(false);
            }
        }
    }

    fn skip_statement(&mut self, began: u64) -> Result<(), DumpError> {
        loop {
            match self.lexer.next()? {
                Token::Mark(b';') => return Ok(()),
                Token::End => return Err(unfinished_statement(began)),
                Token::Word | Token::Name | Token::Text | Token::Mark(_) => {}
            }
        }
    }

    /// Passes over what stands between `DELIMITER ;;` and `DELIMITER ;`: triggers and routines, whose bodies may have
    /// statements that look like rows.
    fn skip_delimited(&mut self) -> Result<(), DumpError> {
        let began = self.lexer.line();
        self.lexer.take_line()?;
        let mut is_usual = self.lexer.text().trim_ascii() == b";";
        while !is_usual {
            if !self.lexer.take_line()? {
                return Err(DumpError::Unfinished { line: began, what: "a part with another DELIMITER" });
            }
            is_usual = self.lexer.text().trim_ascii().eq_ignore_ascii_case(b"DELIMITER ;");
        }
        Ok(())
    }

    fn add_column(&mut self, column: String) -> Result<(), DumpError> {
        if self.columns.len() < COLUMNS_MAX {
            self.columns.push(column);
            return Ok(());
        }
        Err(self.expected(&format!("at most {COLUMNS_MAX} columns"), Token::Name))
    }

    /// A name in backticks, bare, or in quotes as other dumps have them.
    fn name(&self, expected: &str, token: Token) -> Result<String, DumpError> {
        match token {
            Token::Name | Token::Word | Token::Text => {
                Ok(String::from_utf8_lossy(self.lexer.text()).into_owned())
            }
            Token::Mark(_) | Token::End => Err(self.expected(expected, token)),
        }
    }

    fn expect_mark(&mut self, mark: u8, expected: &str) -> Result<(), DumpError> {
        match self.lexer.next()? {
            Token::Mark(found) if found == mark => Ok(()),
            token => Err(self.expected(expected, token)),
        }
    }

    fn is_word(&self, word: &str) -> bool {
        self.lexer.text().eq_ignore_ascii_case(word.as_bytes())
    }

    fn expected(&self, expected: &str, found: Token) -> DumpError {
        let found = match found {
            Token::End => "the end of the file".to_owned(),
            Token::Mark(byte) => shown(&[byte]),
            Token::Name | Token::Word | Token::Text => shown(self.lexer.text()),
        };
        DumpError::Malformed { line: self.lexer.line(), expected: expected.to_owned(), found }
    }
}

fn unfinished_statement(line: u64) -> DumpError {
    DumpError::Unfinished { line, what: "a statement" }
}

fn bytes_of_hex(digits: &[u8]) -> Option<Value> {
    // An odd number of digits has a zero before them (MySQL's rule).
    let odd: &[u8] = if digits.len().is_multiple_of(2) { b"" } else { b"0" };
    hex::decode([odd, digits].concat()).ok().map(Value::Text)
}

fn number_of_bits(digits: &[u8]) -> Option<Value> {
    let number = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 2).ok()?;
    Some(Value::Number(number.to_string()))
}
