//! The rows of one table in what `mysqldump` writes, read in one pass with little memory.
//!
//! [`lexer`] turns bytes into tokens. [`Dump`] looks at how a statement begins: `CREATE TABLE` of the wanted table gives
//! the order of its columns, `INSERT` gives rows, and all else is passed over to its end. What no mysqldump writes is
//! told with its line.
//!
//! A parser crate does not fit here: `sqlparser` wants a whole statement as UTF-8 text, answers a tree of it, and does
//! not know `DELIMITER`. An extended INSERT has up to 16 MB in one line, and may have bytes that are no UTF-8; of one
//! with nine short columns the tree took 1.8 GB.

mod lexer;
mod reader;
#[cfg(test)]
mod tests;

use std::io;

use thiserror::Error;

pub(crate) use self::reader::Dump;

/// Why a dump can't be read.
#[derive(Debug, Error)]
pub(crate) enum DumpError {
    /// Something else stands where it can't.
    #[error("line {line}: expected {expected}, found {found}")]
    Malformed { line: u64, expected: String, found: String },
    /// The file is cut off.
    #[error("line {line}: the file ends inside {what} that begins there")]
    Unfinished { line: u64, what: &'static str },
    /// Rows, and nothing that says what is where in them.
    #[error("line {line}: expected the columns of `{table}` before its rows, found none")]
    ColumnsUnknown { line: u64, table: &'static str },
    /// The table is another one.
    #[error("line {line}: expected `{table}` to have a column `{column}`, found {found}")]
    ColumnMissing { line: u64, table: &'static str, column: &'static str, found: String },
    /// More rows than anything makes use of.
    #[error("line {line}: expected at most {rows_max} rows of `{table}`, found more")]
    TooManyRows { line: u64, table: &'static str, rows_max: usize },
    /// Neither its definition nor a row.
    #[error("expected a table `{table}`, found none up to the end")]
    TableMissing { table: &'static str },
    /// The file, or the disk below it.
    #[error("reading failed: {0}")]
    Read(#[from] io::Error),
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// NULL.
    Null,
    /// As it is written.
    Number(String),
    /// The first kilobytes of it.
    Text(Vec<u8>),
}

/// A row of the wanted table.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// Where it begins.
    pub(crate) line: u64,
    table: &'static str,
    columns: &'a [String],
    values: &'a [Value],
}

impl DumpError {
    /// The code that stays the same over versions.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "dump_malformed",
            Self::Unfinished { .. } => "dump_cut_off",
            Self::ColumnsUnknown { .. } => "dump_columns_unknown",
            Self::ColumnMissing { .. } => "dump_column_missing",
            Self::TooManyRows { .. } => "dump_too_many_rows",
            Self::TableMissing { .. } => "dump_table_missing",
            Self::Read(_) => "file_not_readable",
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => {
                "give what mysqldump wrote, as text; one that is compressed goes through gunzip first"
            }
            Self::Unfinished { .. } => "dump it again: this one is cut off",
            Self::ColumnsUnknown { .. } => "dump it without --no-create-info, or with --complete-insert",
            Self::ColumnMissing { .. } => "dump the database of an OsmoX server",
            Self::TooManyRows { .. } => "dump fewer of them, with --where",
            Self::TableMissing { .. } => "dump the database that has it, with its rows",
            Self::Read(_) => "check the disk, and that the file is not being written",
        }
    }
}

impl Value {
    /// A whole number, also one that is written as a text.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Null => None,
            Self::Number(number) => number.parse().ok(),
            Self::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        }
    }
}

impl Row<'_> {
    /// The value of a column that may be missing.
    pub(crate) fn get(&self, column: &str) -> Option<&Value> {
        let index = self.columns.iter().position(|known| known.eq_ignore_ascii_case(column))?;
        self.values.get(index)
    }

    /// The value of the column with one of these names.
    ///
    /// # Errors
    /// There is none of them.
    pub(crate) fn require(&self, names: [&'static str; 2]) -> Result<&Value, DumpError> {
        names.iter().find_map(|name| self.get(name)).ok_or_else(|| DumpError::ColumnMissing {
            line: self.line,
            table: self.table,
            column: names[0],
            found: shown(self.columns.join(", ").as_bytes()),
        })
    }

    /// The error that a value of this row is not what it should be.
    pub(crate) fn unexpected(&self, expected: &str, found: &Value) -> DumpError {
        let found = match found {
            Value::Null => "NULL".to_owned(),
            Value::Number(number) => shown(number.as_bytes()),
            Value::Text(text) => shown(text),
        };
        DumpError::Malformed { line: self.line, expected: expected.to_owned(), found }
    }
}

/// Bytes of a dump as an error quotes them.
fn shown(bytes: &[u8]) -> String {
    const CHARS_MAX: usize = 60;
    let text = String::from_utf8_lossy(bytes);
    let cut: String = text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
    let more = if text.chars().nth(CHARS_MAX).is_some() { "..." } else { "" };
    format!("`{cut}{more}`")
}
