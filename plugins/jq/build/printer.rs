//! Writes jq's syntax trees as text that is read as the same trees. Parentheses stand wherever they may.

use std::fmt::Write as _;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::{Opt, Part, Path};

/// `def name(args): body;`
pub(crate) fn definition(definition: &Def<&str>) -> String {
    let arguments = match definition.args.as_slice() {
        [] => String::new(),
        arguments => format!("({})", arguments.join(";")),
    };
    format!("def {}{arguments}:{};", definition.name, term(&definition.body))
}

fn term(printed: &Term<&str>) -> String {
    match printed {
        Term::Id => ".".to_owned(),
        Term::Recurse => "..".to_owned(),
        Term::Num(text) | Term::Var(text) => (*text).to_owned(),
        Term::Break(name) => format!("break {name}"),
        Term::Str(format, parts) => string(*format, parts),
        Term::Arr(None) => "[]".to_owned(),
        Term::Arr(Some(items)) => format!("[{}]", term(items)),
        Term::Obj(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| entry(key, value.as_ref())).collect();
            format!("{{{}}}", entries.join(","))
        }
        Term::Neg(of) => format!("(-{})", group(of)),
        Term::BinOp(left, operator, right) => {
            format!("({}{}{})", group(left), binary(operator), group(right))
        }
        Term::Label(name, then) => format!("(label {name}|{})", term(then)),
        Term::Fold(name, source, bound, arguments) => {
            let arguments: Vec<String> = arguments.iter().map(term).collect();
            format!("({name} {} as {}({}))", group(source), pattern(bound), arguments.join(";"))
        }
        Term::TryCatch(tried, None) => format!("(try {})", group(tried)),
        Term::TryCatch(tried, Some(caught)) => format!("(try {} catch {})", group(tried), group(caught)),
        Term::IfThenElse(branches, otherwise) => conditional(branches, otherwise.as_deref()),
        Term::Def(definitions, then) => {
            let definitions: String = definitions.iter().map(definition).collect();
            format!("({definitions}{})", term(then))
        }
        Term::Call(name, arguments) if arguments.is_empty() => (*name).to_owned(),
        Term::Call(name, arguments) => {
            let arguments: Vec<String> = arguments.iter().map(term).collect();
            format!("{name}({})", arguments.join(";"))
        }
        Term::Path(of, parts) => path(of, parts),
    }
}

/// A term that may be followed by anything.
fn group(printed: &Term<&str>) -> String {
    let text = term(printed);
    if text.starts_with('(') { text } else { format!("({text})") }
}

fn string(format: Option<&str>, parts: &[StrPart<&str, Term<&str>>]) -> String {
    let mut text = format.map(|format| format!("{format} ")).unwrap_or_default();
    text.push('"');
    for part in parts {
        match part {
            StrPart::Str(verbatim) => text.push_str(verbatim),
            StrPart::Term(inner) => {
                let _ = write!(text, "\\({})", term(inner));
            }
            StrPart::Char(escaped) => push_escaped(&mut text, *escaped),
        }
    }
    text.push('"');
    text
}

fn push_escaped(text: &mut String, escaped: char) {
    for unit in escaped.encode_utf16(&mut [0; 2]) {
        let _ = write!(text, "\\u{unit:04x}");
    }
}

fn entry(key: &Term<&str>, value: Option<&Term<&str>>) -> String {
    match value {
        None => term(key),
        Some(value) => format!("({}):{}", term(key), group(value)),
    }
}

fn binary(operator: &BinaryOp<&str>) -> String {
    match operator {
        BinaryOp::Pipe(None) => "|".to_owned(),
        BinaryOp::Pipe(Some(bound)) => format!(" as {}|", pattern(bound)),
        BinaryOp::Comma => ",".to_owned(),
        BinaryOp::Alt => "//".to_owned(),
        BinaryOp::Or => " or ".to_owned(),
        BinaryOp::And => " and ".to_owned(),
        BinaryOp::Math(operation) => operation.as_str().to_owned(),
        BinaryOp::Cmp(comparison) => comparison.as_str().to_owned(),
        BinaryOp::Assign => "=".to_owned(),
        BinaryOp::Update => "|=".to_owned(),
        BinaryOp::UpdateMath(operation) => format!("{}=", operation.as_str()),
        BinaryOp::UpdateAlt => "//=".to_owned(),
    }
}

fn pattern(bound: &Pattern<&str>) -> String {
    match bound {
        Pattern::Var(name) => (*name).to_owned(),
        Pattern::Arr(items) => {
            let items: Vec<String> = items.iter().map(pattern).collect();
            format!("[{}]", items.join(","))
        }
        Pattern::Obj(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("({}):{}", term(key), pattern(value))).collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

fn conditional(branches: &[(Term<&str>, Term<&str>)], otherwise: Option<&Term<&str>>) -> String {
    let mut text = String::new();
    for (index, (condition, then)) in branches.iter().enumerate() {
        let word = if index == 0 { "if" } else { "elif" };
        let _ = write!(text, "{word} {} then {} ", group(condition), group(then));
    }
    if let Some(otherwise) = otherwise {
        let _ = write!(text, "else {} ", group(otherwise));
    }
    format!("({text}end)")
}

fn path(of: &Term<&str>, Path(parts): &Path<Term<&str>>) -> String {
    let mut text = match of {
        Term::Id => ".".to_owned(),
        of => group(of),
    };
    for (part, optional) in parts {
        let _ = match part {
            Part::Index(index) => write!(text, "[{}]", term(index)),
            Part::Range(None, None) => write!(text, "[]"),
            Part::Range(from, to) => {
                let bound = |bound: &Option<Term<&str>>| bound.as_ref().map(group).unwrap_or_default();
                write!(text, "[{}:{}]", bound(from), bound(to))
            }
        };
        if let Opt::Optional = optional {
            text.push('?');
        }
    }
    text
}
