//! What mysqldump writes is read back; what it does not write is told.

use std::io::BufReader;

use proptest::prelude::*;

use super::*;

/// A row as the tests compare it: where it begins, and its values by column.
type Read = (u64, Vec<(String, Value)>);

fn read(dump: &[u8], buffer_bytes: usize) -> Result<Vec<Read>, DumpError> {
    let mut rows = Vec::new();
    Dump::new(BufReader::with_capacity(buffer_bytes, dump), "wanted").read(|row| {
        let names = row.columns.iter().cloned();
        rows.push((row.line, names.zip(row.values.iter().cloned()).collect()));
        Ok(())
    })?;
    Ok(rows)
}

fn values(dump: &str) -> Vec<Vec<Value>> {
    let rows = read(dump.as_bytes(), 8192).unwrap();
    rows.into_iter().map(|(_, values)| values.into_iter().map(|(_, value)| value).collect()).collect()
}

fn number(text: &str) -> Value {
    Value::Number(text.to_owned())
}

fn text(text: &str) -> Value {
    Value::Text(text.as_bytes().to_vec())
}

#[test]
fn each_form_of_a_value() {
    let check = |sql: &str, expect: Value| {
        let dump = format!("INSERT INTO wanted (a) VALUES ({sql});");
        assert_eq!(values(&dump), [[expect]], "{sql}");
    };
    check("NULL", Value::Null);
    check("null", Value::Null);
    check("-12", number("-12"));
    check("1.50", number("1.50"));
    check("1e-05", number("1e-05"));
    check("b'101'", number("5"));
    check("''", text(""));
    check(r"'a\'b''c\\'", text(r"a'b'c\"));
    check("_binary 'a'", text("a"));
    check("_utf8mb4'a'", text("a"));
    check("0x4142", text("AB"));
    check("_binary 0x4142", text("AB"));
    check("x'4142'", text("AB"));
    check("X'F'", Value::Text(vec![0x0f]));
    check("/* c */ 'a' -- d\n", text("a"));
}

#[test]
fn each_way_to_begin_a_statement() {
    let check = |dump: &str, expect_rows: usize| assert_eq!(values(dump).len(), expect_rows, "{dump}");
    let table = "CREATE TABLE wanted (a int);";
    check(table, 0);
    check(&format!("{table} INSERT INTO wanted VALUES (1),(2);"), 2);
    check(
        &format!("{table} insert ignore into `db`.`wanted` values (1); REPLACE INTO wanted VALUES (2);"),
        2,
    );
    check("CREATE TABLE IF NOT EXISTS `wanted` (`a` int) ENGINE=InnoDB; INSERT INTO `wanted` VALUES (1);", 1);
    check("CREATE TABLE \"wanted\" (\"a\" int); INSERT INTO \"wanted\" VALUES (1);", 1);
    check(&format!("{table} INSERT INTO `unwanted` VALUES ('INSERT INTO wanted VALUES (1);');"), 0);
    check(&format!("{table} -- INSERT INTO wanted VALUES (1);\n/* INSERT INTO wanted VALUES (1); */"), 0);
    let routine =
        "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN\nINSERT INTO wanted VALUES (1);\nEND ;;\nDELIMITER ;\n";
    check(&format!("{table} {routine} INSERT INTO wanted VALUES (1);"), 1);
    check(
        &format!(
            "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `d`; USE `d`; ;; {table} CREATE VIEW v AS SELECT 1;"
        ),
        0,
    );
}

#[test]
fn columns_are_those_of_the_definition_or_of_the_rows() {
    let check = |dump: &str, expect: &[&str]| {
        let rows = read(dump.as_bytes(), 8192).unwrap();
        let columns: Vec<_> = rows[0].1.iter().map(|(column, _)| column.as_str()).collect();
        assert_eq!(columns, expect, "{dump}");
    };
    let definition = "CREATE TABLE `wanted` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `kind` enum('a,(','b\\')') DEFAULT 'b',\n  \
                      `key` decimal(10,2) DEFAULT (1+(2)),\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`key`(10)),\n  \
                      CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `o` (`id`) ON DELETE CASCADE\n) ENGINE=InnoDB \
                      DEFAULT CHARSET=utf8mb4 /*!50100 PARTITION BY HASH (`id`) */;\n";
    check(&format!("{definition}INSERT INTO `wanted` VALUES (1,'a',NULL);"), &["id", "kind", "key"]);
    check(&format!("{definition}INSERT INTO `wanted` (`key`, `id`) VALUES (1,2);"), &["key", "id"]);
    check("INSERT INTO wanted (b, a) VALUES (1,2);", &["b", "a"]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let check = |dump: &str, code: &str, expect: &str| {
        let error = read(dump.as_bytes(), 8192).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, expect), "{dump}");
        assert!(error.hint().len() > 10);
    };
    let malformed = "dump_malformed";
    check("", "dump_table_missing", "expected a table `wanted`, found none up to the end");
    check(
        "CREATE TABLE other (a int);",
        "dump_table_missing",
        "expected a table `wanted`, found none up to the end",
    );
    check("\u{1f}\u{8b}\u{8}", malformed, "line 1: expected a statement of SQL, found `\\u{1f}`");
    check("\n{\"a\": 1}", malformed, "line 2: expected a statement of SQL, found `{`");
    check("id,url\n1,x", "dump_cut_off", "line 1: the file ends inside a statement that begins there");
    check(
        "\nLOCK TABLES `a` WRITE",
        "dump_cut_off",
        "line 2: the file ends inside a statement that begins there",
    );
    check(
        "CREATE TABLE wanted SELECT 1;",
        malformed,
        "line 1: expected `(` and the columns of the table, found `SELECT`",
    );
    check("CREATE TABLE wanted (a int;", malformed, "line 1: expected `)` after the columns, found `;`");
    check(
        "CREATE TABLE wanted (a int",
        "dump_cut_off",
        "line 1: the file ends inside a statement that begins there",
    );
    check(
        "INSERT INTO wanted VALUES (1);",
        "dump_columns_unknown",
        "line 1: expected the columns of `wanted` before its rows, found none",
    );
    let rows = |rows: &str| format!("INSERT INTO wanted (a, b) VALUES\n{rows}");
    check(&rows("(1,2);INSERT INTO wanted SET a=1;"), malformed, "line 2: expected `VALUES`, found `SET`");
    check(&rows("(1);"), malformed, "line 2: expected `,` and one value for each column, found `)`");
    check(
        &rows("(1,2,3);"),
        malformed,
        "line 2: expected `)` after as many values as there are columns, found `,`",
    );
    check(&rows("(1,2)\n(3,4);"), malformed, "line 3: expected `,` or `;` after a row, found `(`");
    check(&rows("(1,NOW());"), malformed, "line 2: expected a value, found `NOW`");
    check(&rows("(1,0xQ);"), malformed, "line 2: expected hexadecimal digits, found `0xQ`");
    check(&rows("(1,b'2');"), malformed, "line 2: expected digits in quotes, found `2`");
    check(
        &rows("(1,2),"),
        malformed,
        "line 2: expected `(` and the values of a row, found the end of the file",
    );
    check(&rows("(1,'2"), "dump_cut_off", "line 2: the file ends inside a quoted text that begins there");
    check(
        "DELIMITER ;;\nCREATE",
        "dump_cut_off",
        "line 1: the file ends inside a part with another DELIMITER that begins there",
    );
    let long = format!("{}\u{1b}", "a".repeat(100));
    check(
        &rows(&format!("({long}")),
        malformed,
        &format!("line 2: expected a value, found `{}...`", "a".repeat(60)),
    );
}

/// Writes a value as mysqldump does; `form` chooses between its options.
fn written(value: &Value, form: u8) -> Vec<u8> {
    match value {
        Value::Null => b"NULL".to_vec(),
        Value::Number(number) => number.clone().into_bytes(),
        Value::Text(bytes) if form == 0 && !bytes.is_empty() => {
            format!("0x{}", hex::encode_upper(bytes)).into_bytes()
        }
        Value::Text(bytes) => {
            let mut quoted = if form == 1 { b"_binary '".to_vec() } else { b"'".to_vec() };
            for byte in bytes {
                match byte {
                    0 => quoted.extend(b"\\0"),
                    b'\n' => quoted.extend(b"\\n"),
                    b'\r' => quoted.extend(b"\\r"),
                    26 => quoted.extend(b"\\Z"),
                    b'\'' if form == 2 => quoted.extend(b"''"),
                    b'\'' | b'"' | b'\\' => quoted.extend([b'\\', *byte]),
                    byte => quoted.push(*byte),
                }
            }
            quoted.push(b'\'');
            quoted
        }
    }
}

fn dump_of(rows: &[Vec<Value>], columns: usize, form: u8, rows_of_a_statement: usize) -> Vec<u8> {
    let mut dump =
        b"-- MySQL dump 10.13\n/*!40101 SET NAMES utf8mb4 */;\nCREATE TABLE `before` (`a` text);\n".to_vec();
    dump.extend(b"INSERT INTO `before` VALUES ('');\nCREATE TABLE `wanted` (\n".as_slice());
    for column in 0..columns {
        dump.extend(format!("  `c{column}` text DEFAULT 'a,)',\n").into_bytes());
    }
    dump.extend(b"  PRIMARY KEY (`c0`)\n) ENGINE=InnoDB;\nLOCK TABLES `wanted` WRITE;\n".as_slice());
    for rows in rows.chunks(rows_of_a_statement) {
        let rows: Vec<Vec<u8>> = rows
            .iter()
            .map(|row| {
                let values: Vec<Vec<u8>> = row.iter().map(|value| written(value, form)).collect();
                [b"(".as_slice(), &values.join(b",".as_slice()), b")"].concat()
            })
            .collect();
        dump.extend(
            [b"INSERT INTO `wanted` VALUES ".as_slice(), &rows.join(b",".as_slice()), b";\n"].concat(),
        );
    }
    dump.extend(
        b"UNLOCK TABLES;\nCREATE TABLE `after` (`b` int);\nINSERT INTO `after` VALUES (1);\n".as_slice(),
    );
    dump
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(|integer| Value::Number(integer.to_string())),
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(Value::Text),
        r#"['"\\;,()`/*# a-]{0,20}"#.prop_map(|text| Value::Text(text.into_bytes())),
    ]
}

proptest! {
    #[test]
    fn what_mysqldump_writes_reads_back(
        (columns, rows) in (1..5_usize).prop_flat_map(|columns| {
            let row = proptest::collection::vec(any_value(), columns);
            (Just(columns), proptest::collection::vec(row, 0..12))
        }),
        form in 0..4_u8,
        rows_of_a_statement in 1..5_usize,
        buffer_bytes in 1..40_usize,
    ) {
        let dump = dump_of(&rows, columns, form, rows_of_a_statement);
        let read: Vec<Vec<Value>> = read(&dump, buffer_bytes)
            .unwrap()
            .into_iter()
            .map(|(_, values)| values.into_iter().map(|(_, value)| value).collect())
            .collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn no_bytes_make_it_panic(
        start in 0..4_usize,
        bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), proptest::sample::select(br#"'"`\;,()/*-_x0 N"#.to_vec())],
            0..80,
        ),
    ) {
        let starts = ["", "CREATE TABLE wanted (", "INSERT INTO wanted (a) VALUES (", "DELIMITER "];
        // An error is as good as an answer.
        let _ = read(&[starts[start].as_bytes(), &bytes].concat(), 3);
    }

    #[test]
    fn a_dump_that_is_cut_off_gives_no_other_rows(
        rows in proptest::collection::vec(proptest::collection::vec(any_value(), 2), 1..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let dump = dump_of(&rows, 2, 1, 3);
        if let Ok(read) = read(&dump[..cut.index(dump.len())], 16) {
            let read: Vec<Vec<Value>> =
                read.into_iter().map(|(_, row)| row.into_iter().map(|(_, value)| value).collect()).collect();
            prop_assert!(rows.starts_with(&read));
        }
    }
}
