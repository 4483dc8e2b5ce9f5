//! The environment: each key of the configuration file has a variable, `HOOKMILL_` and the key in capitals.
//!
//! Where the command line has a flag of that name, clap reads the variable with it. All others are read here, as the
//! file would be: a number, `true` or `false`, text, or a list of texts with commas between them.

use std::fmt;

use clap::Args as _;
use serde::Deserialize as _;
use serde::de::{self, Deserializer, Visitor};

use super::ServeArguments;
use super::file::ConfigFile;
use crate::world::ADMIN_KEY;

/// What the names of all variables begin with.
const PREFIX: &str = "HOOKMILL_";
/// Variables of the verbs that talk to a server, which may stand beside those of the server.
const OF_CLIENTS: [&str; 2] = ["HOOKMILL_URL", "HOOKMILL_KEY"];
/// How alike two names are that may be meant as one, from 0 to 1.
const ALIKE_MIN: f64 = 0.8;

/// The variable of a key of the file.
pub(super) fn name_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

/// What the environment says of keys without a flag; an error names the variable.
pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<toml::Table, String> {
    let flags = flags();
    let mut table = toml::Table::new();
    for key in keys() {
        let name = name_of(key);
        if flags.contains(&name) {
            continue;
        }
        if let Some(text) = variable(&name) {
            let value = value_of(key, &text).map_err(|detail| format!("{name}: {detail}"))?;
            table.insert((*key).to_owned(), value);
        }
    }
    Ok(table)
}

/// What is told of variables of ours that mean nothing, given the names of all that are set.
pub(super) fn unknown<'a>(set: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut known: Vec<String> = keys().iter().map(|key| name_of(key)).chain(flags()).collect();
    known.push(ADMIN_KEY.to_owned());
    known.extend(OF_CLIENTS.map(str::to_owned));
    let ours = set.into_iter().filter(|name| name.starts_with(PREFIX));
    let unknown = ours.filter(|name| !known.iter().any(|known| known == name));
    unknown.map(|name| told(name, &known)).collect()
}

fn told(name: &str, known: &[String]) -> String {
    let alike = known.iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let closest =
        alike.filter(|(alike, _)| *alike > ALIKE_MIN).max_by(|one, other| one.0.total_cmp(&other.0));
    match closest {
        Some((_, closest)) => format!("the variable {name} means nothing; did you mean {closest}?"),
        None => format!("the variable {name} means nothing"),
    }
}

/// Variables that clap reads.
fn flags() -> Vec<String> {
    let command = ServeArguments::augment_args(clap::Command::new("serve"));
    let names =
        command.get_arguments().filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned));
    names.collect()
}

/// The first reading of the text that the key takes.
fn value_of(key: &str, text: &str) -> Result<toml::Value, String> {
    let list = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let readings = [
        text.trim().parse().ok().map(toml::Value::Integer),
        text.trim().parse().ok().map(toml::Value::Boolean),
        Some(toml::Value::String(text.to_owned())),
        Some(toml::Value::Array(list().map(|item| toml::Value::String(item.to_owned())).collect())),
    ];
    let mut errors = Vec::new();
    for value in readings.into_iter().flatten() {
        let table = toml::Table::from_iter([(key.to_owned(), value.clone())]);
        match table.try_into::<ConfigFile>() {
            Ok(_) => return Ok(value),
            Err(error) => errors.push(error.message().to_owned()),
        }
    }
    // That of the reading that has the right type says more than that it has not.
    let says_more = errors.iter().position(|error| !error.starts_with("invalid type"));
    Err(errors.swap_remove(says_more.unwrap_or_default()))
}

/// The keys of the file.
pub(super) fn keys() -> &'static [&'static str] {
    match ConfigFile::deserialize(FieldNames) {
        Err(Names(names)) => names,
        // It has fields, so it asks for them.
        Ok(_) => &[],
    }
}

/// Tells which fields a struct asks for.
struct FieldNames;

/// The names, as the error that ends the reading.
#[derive(Debug)]
struct Names(&'static [&'static str]);

impl fmt::Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("nothing is read")
    }
}

impl std::error::Error for Names {}

impl de::Error for Names {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl<'de> Deserializer<'de> for FieldNames {
    type Error = Names;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Names> {
        Err(Names(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Names> {
        Err(Names(fields))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_variable() {
        assert!(keys().len() >= 14 && keys().contains(&"retention_days"), "{:?}", keys());
        let flags = flags();
        for key in keys() {
            let name = name_of(key);
            assert!(!unknown([name.as_str()]).iter().any(|told| told.contains(&name)));
            // A flag's variable is read by clap, any other here.
            let is_read = flags.contains(&name)
                || read(|asked| (asked == name).then(|| "\0".into())).is_err()
                || read(|asked| (asked == name).then(|| "\0".into()))
                    .is_ok_and(|table| table.contains_key(*key));
            assert!(is_read, "{name}");
        }
    }

    #[test]
    fn variables_are_read_as_the_file_is() {
        let check = |name: &str, text: &str, expect: Result<&str, &str>| {
            let read = read(|asked| (asked == name).then(|| text.to_owned()));
            match (read, expect) {
                (Ok(table), Ok(expect)) => assert_eq!(table, expect.parse().unwrap(), "{name}"),
                (Err(error), Err(expect)) => {
                    assert!(error.starts_with(name) && error.contains(expect), "{error}");
                }
                (read, _) => panic!("{name}={text}: {read:?}"),
            }
        };
        check("HOOKMILL_RETENTION_DAYS", "3", Ok("retention_days = 3"));
        check("HOOKMILL_RETENTION_DAYS", "0", Err("0 is out of bounds"));
        check("HOOKMILL_RETENTION_DAYS", "a week", Err("invalid type"));
        check("HOOKMILL_GRAPHQL_INTROSPECTION", "true", Ok("graphql_introspection = true"));
        check(
            "HOOKMILL_DENY_ADDRESSES",
            "10.0.0.0/8, 192.0.2.1",
            Ok("deny_addresses = ['10.0.0.0/8', '192.0.2.1']"),
        );
        check("HOOKMILL_DENY_ADDRESSES", "10.0.0.0/33", Err("`10.0.0.0/33` is no network"));
    }

    #[test]
    fn unknown_variables_are_told() {
        let check = |name: &str, expect: Option<&str>| {
            let told = unknown([name]);
            assert_eq!(told.first().map(String::as_str), expect);
        };
        check("HOOKMILL_LISTEN", None);
        check("HOOKMILL_ADMIN_KEY", None);
        check("HOOKMILL_KEY", None);
        check("PATH", None);
        check(
            "HOOKMILL_RETENTION_DAY",
            Some("the variable HOOKMILL_RETENTION_DAY means nothing; did you mean HOOKMILL_RETENTION_DAYS?"),
        );
        check(
            "HOOKMILL_LISTN",
            Some("the variable HOOKMILL_LISTN means nothing; did you mean HOOKMILL_LISTEN?"),
        );
    }
}
