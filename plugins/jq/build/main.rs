//! Makes a table of jq's standard definitions, each as a text of its own with the definitions that it needs.
//!
//! jaq has its definitions as three texts that it reads and compiles in full, which takes longer than most filters run. A
//! plugin has a new instance for each event, so it would do that each time. With the table it reads the few definitions
//! that its filter uses.

mod printer;
#[path = "../src/words.rs"]
mod words;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use jaq_core::load::parse::Def;

use crate::words::words;

/// Definitions that take the place of jaq's, and more.
const OWN: &str = include_str!("own.jq");

/// What a plugin can't offer: to end the process.
const LEFT_OUT: [&str; 2] = ["halt", "halt_error"];

/// jaq follows the event's nesting and the filter's by recursion: 64 KiB of stack, which do for other plugins, don't.
const STACK_BYTES: usize = 512 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/words.rs");
    if std::env::var_os("CARGO_CFG_TARGET_ARCH").is_some_and(|architecture| architecture == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
    let directory = std::env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?;
    let table = Path::new(&directory).join("definitions.rs");
    std::fs::write(table, definitions()?)?;
    Ok(())
}

/// The table as a Rust expression.
fn definitions() -> Result<String, std::fmt::Error> {
    let own = jaq_core::load::parse(OWN, |parser| parser.defs()).expect("own.jq can be read");
    let is_replaced = |definition: &Def<&str>| {
        own.iter().any(|own| (own.name, own.args.len()) == (definition.name, definition.args.len()))
    };
    let jaqs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|definition| !LEFT_OUT.contains(&definition.name) && !is_replaced(definition));
    let definitions: Vec<Def<&str>> = jaqs.chain(own.iter().cloned()).collect();
    let mut table = String::from("&[\n");
    for (index, definition) in definitions.iter().enumerate() {
        let text = printer::definition(definition);
        // A definition sees those before it and itself.
        let used: BTreeSet<&str> = words(&text).collect();
        let needs: Vec<usize> =
            (0..index).filter(|earlier| used.contains(definitions[*earlier].name)).collect();
        let name = definition.name;
        writeln!(table, "Definition {{ name: {name:?}, text: {text:?}, needs: &{needs:?} }},")?;
    }
    table.push(']');
    Ok(table)
}
