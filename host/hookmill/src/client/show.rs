//! Answers as people see them.

use std::io::Write as _;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use hookmill_core::json::{Kind, Node};
use serde_json::Value;

/// A column: its title, and where its value is in an item (a JSON pointer).
pub(super) struct Column(pub(super) &'static str, pub(super) &'static str);

/// A table of items; `none` where there are none.
pub(super) fn table(columns: &[Column], items: &[Value], none: &str) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().map(|Column(title, _)| *title));
    for item in items {
        table.add_row(columns.iter().map(|Column(_, pointer)| cell(item.pointer(pointer))));
    }
    table.to_string()
}

/// Writes a line to standard output, where nobody may be reading any more.
pub(super) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Levels that are spread over lines; what is nested deeper stays on one.
const SPREAD_DEPTH_MAX: usize = 128;

/// JSON over several lines, with numbers and strings as they are written.
pub(super) fn pretty(node: Node<'_>) -> String {
    let mut text = String::new();
    write_pretty(node, 0, &mut text);
    text
}

fn write_pretty(node: Node<'_>, depth: usize, text: &mut String) {
    let break_line = |depth: usize, text: &mut String| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    let is_spread = node.count() > 0 && depth < SPREAD_DEPTH_MAX;
    match node.kind() {
        Kind::Object if is_spread => {
            for (index, (name, value)) in node.members().enumerate() {
                text.push(if index == 0 { '{' } else { ',' });
                break_line(depth + 1, text);
                text.push_str(name.json());
                text.push_str(": ");
                write_pretty(value, depth + 1, text);
            }
            break_line(depth, text);
            text.push('}');
        }
        Kind::Array if is_spread => {
            for (index, value) in node.elements().enumerate() {
                text.push(if index == 0 { '[' } else { ',' });
                break_line(depth + 1, text);
                write_pretty(value, depth + 1, text);
            }
            break_line(depth, text);
            text.push(']');
        }
        _ => text.push_str(&node.compact()),
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", "),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Object(_))) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_shows_each_kind_of_value() {
        let columns =
            [Column("id", "/id"), Column("types", "/types"), Column("n", "/deep/n"), Column("uid", "/uid")];
        let items = [json!({"id": "app_1", "types": ["a", "b"], "deep": {"n": 3}, "uid": null})];
        let text = table(&columns, &items, "none");
        let cells =
            |line: &str| line.trim_matches('│').split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<Vec<String>> = text.lines().map(cells).collect();
        assert!(lines.contains(&vec!["id".into(), "types".into(), "n".into(), "uid".into()]), "{text}");
        assert!(
            lines.contains(&vec!["app_1".into(), "a,".into(), "b".into(), "3".into(), "-".into()]),
            "{text}"
        );
        assert_eq!(table(&columns, &[], "none"), "none");
    }
}
