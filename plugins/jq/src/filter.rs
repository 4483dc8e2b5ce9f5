//! A filter: its text read, compiled and run.
//!
//! What jq has for the world outside is either left out (`halt`, `env`, `input`) or answered by the router: `now` is the
//! time of the run, and what `debug` and `stderr` say goes to the event's timeline.

use std::fmt::Write as _;

use hookmill_plugin::{Failure, Result, debug, info, now_ms};
use jaq_core::compile::Undefined;
use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::native::{self, Fun, v};
use jaq_core::{Compiler, Ctx, Error, RunPtr, Vars};
use jaq_json::{Val, read};

use crate::{base32, definitions, number};

/// The variables that every filter has.
pub(crate) const VARIABLES: [&str; 2] = ["$event", "$settings"];

/// jaq's functions that reach outside, which a plugin can't, and one that takes several texts for one.
const LEFT_OUT: [&str; 6] = ["debug_empty", "env", "fromjson", "halt", "now", "stderr_empty"];

/// A filter that can be run.
pub(crate) struct Filter(jaq_core::Filter<JustLut<Val>>);

impl Filter {
    /// Reads and compiles a filter.
    ///
    /// # Errors
    /// A permanent failure that says what is wrong with the text, in which line and column.
    pub(crate) fn compile(text: &str) -> Result<Self> {
        let arena = Arena::default();
        let loader = Loader::new(definitions::needed(text));
        let modules = loader
            .load(&arena, File { code: text, path: () })
            .map_err(|errors| refused(text, errors.into_iter().flat_map(|(_, error)| unreadable(error))))?;
        let compiler = Compiler::default().with_funs(functions()).with_global_vars(VARIABLES);
        let filter = compiler.compile(modules).map_err(|errors| {
            refused(text, errors.into_iter().flat_map(|(_, undefined)| unknown(undefined)))
        })?;
        Ok(Self(filter))
    }

    /// The values that the filter makes of `input`, one after the other as they are asked for; `variables` are the values
    /// of [`VARIABLES`]. After an error nothing follows.
    pub(crate) fn run(
        &self,
        input: Val,
        variables: [Val; VARIABLES.len()],
    ) -> impl Iterator<Item = Result<Val>> {
        let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new(variables));
        let mut failed = false;
        self.0.id.run((context, input)).map_while(move |value| {
            if std::mem::replace(&mut failed, value.is_err()) {
                return None;
            }
            Some(value.map_err(|exception| match exception.get_err() {
                Ok(error) => Failure::permanent(format!("the filter: {}", shown(&error.into_val()))),
                Err(_) => Failure::permanent("the filter: `break` without its `label`"),
            }))
        })
    }
}

/// jq's functions that are no definitions.
fn functions() -> impl Iterator<Item = Fun<JustLut<Val>>> {
    let jaqs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let own: [native::Filter<RunPtr<JustLut<Val>>>; 7] = [
        ("fromjson", v(0), |(_, value)| native::bome(from_json(&value))),
        ("tonumber_text", v(0), |(_, value)| {
            let number = text_of(&value).and_then(|text| number::number(&text));
            native::bome(number.ok_or_else(|| refusal(&value, "can't be parsed as a number")))
        }),
        ("encode_base32", v(0), |(_, value)| {
            let text = text_of(&value).unwrap_or_default();
            native::bome(Ok(Val::utf8_str(base32::encode(text.as_bytes()))))
        }),
        ("decode_base32", v(0), |(_, value)| {
            let bytes = text_of(&value).and_then(|text| base32::decode(text.as_bytes()));
            let text = bytes.map(|bytes| Val::utf8_str(String::from_utf8_lossy(&bytes).into_owned()));
            native::bome(text.ok_or_else(|| refusal(&value, "is not valid base32 data")))
        }),
        ("now", v(0), |_| native::bome(Ok(Val::from(seconds(now_ms()))))),
        ("debug_empty", v(0), |(_, value)| {
            debug!("{}", shown(&value));
            Box::new(std::iter::empty())
        }),
        ("stderr_empty", v(0), |(_, value)| {
            info!("{}", shown(&value));
            Box::new(std::iter::empty())
        }),
    ];
    jaqs.filter(|(name, ..)| !LEFT_OUT.contains(name)).chain(own.into_iter().map(native::run::<JustLut<Val>>))
}

/// The one value of a text.
fn from_json(value: &Val) -> std::result::Result<Val, Error<Val>> {
    let text = text_of(value).ok_or_else(|| refusal(value, "only strings can be parsed"))?;
    let json = number::with_whole_characters(text.as_bytes());
    read::parse_single(&json).map_err(|error| refusal(value, &format!("can't be parsed as JSON: {error}")))
}

fn text_of(value: &Val) -> Option<String> {
    match value {
        Val::TStr(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

fn refusal(value: &Val, what: &str) -> Error<Val> {
    Error::str(format_args!("{value} {what}"))
}

/// A value as people read it: a string as its text.
fn shown(value: &Val) -> String {
    match value {
        Val::TStr(text) => String::from_utf8_lossy(text).into_owned(),
        other => other.to_string(),
    }
}

/// As jq counts time: seconds since 1970, with a fraction.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 need 41 of the 52 bits")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// What is wrong, and the text where it is: the end of the filter where there is none.
type Complaint<'text> = (String, &'text str);

fn unreadable<'text>(error: load::Error<&'text str>) -> Vec<Complaint<'text>> {
    match error {
        load::Error::Io(imports) => {
            imports.into_iter().map(|(path, _)| ("there are no modules to import".to_owned(), path)).collect()
        }
        load::Error::Lex(errors) => errors
            .into_iter()
            .map(|(expected, found)| (format!("expected {}", expected.as_str()), found))
            .collect(),
        load::Error::Parse(errors) => errors
            .into_iter()
            .map(|(expected, found)| (format!("expected {}", expected.as_str()), found))
            .collect(),
    }
}

fn unknown(undefined: Vec<jaq_core::compile::Error<&str>>) -> Vec<Complaint<'_>> {
    let what = |name: &str, undefined: &Undefined| match undefined {
        Undefined::Filter(arguments) => format!("there is no filter `{name}/{arguments}`"),
        other => format!("there is no {} `{name}`", other.as_str()),
    };
    undefined.into_iter().map(|(name, undefined)| (what(name, &undefined), name)).collect()
}

/// The first complaint with its place.
fn refused<'text>(text: &'text str, complaints: impl Iterator<Item = Complaint<'text>>) -> Failure {
    let at = |found: &str| load::span(text, found).start;
    let mut message = String::from("the filter can't be compiled");
    if let Some((what, found)) = complaints.min_by_key(|(_, found)| at(found)) {
        let before = &text[..at(found)];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
        let _ = write!(message, ": line {line}, column {column}: {what}");
    }
    Failure::permanent(message)
}
