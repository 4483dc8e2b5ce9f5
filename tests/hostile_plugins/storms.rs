//! Each function of the host, called without end: what a world offers is read from `wit/`, so none is left out.

use hookmill_tests::world::{CoreFunction, value_type};
use wit_parser::abi::WasmType;

use crate::hostile_plugins::guest::{ANSWER_AT, Maker, Parts, data, forever};
use crate::hostile_plugins::{Ends, Hostile};

const TEXT_AT: u32 = 1024;
/// A text that is a name, a number and a JSON document at once, and no pointer or URL.
const TEXT: &str = "11";
/// Whichever of these a function meets first.
const LIMITS: &[&str] = &[
    "plugin_host_call_limit",
    "plugin_out_of_fuel",
    "plugin_request_limit",
    "plugin_event_limit",
    "plugin_reply_limit",
    "plugin_handle_limit",
    "plugin_deadline",
];

/// One plugin for each function.
pub(crate) fn rows(maker: &Maker, world: &str) -> Vec<Hostile> {
    let is_storm = |function: &&CoreFunction| !function.label.ends_with(".drop");
    maker.imports().iter().filter(is_storm).map(|function| row(maker, world, function)).collect()
}

fn row(maker: &Maker, world: &str, function: &CoreFunction) -> Hostile {
    let made = made(function);
    let drops = "drop ".repeat(function.signature.results.len());
    let call = format!("{} (call ${}) {drops}", arguments(function), function.label);
    let body = format!("{made} {}", forever(&call));
    let upload = maker.make(Parts { items: &data(TEXT_AT, TEXT), body: &body, ..Parts::default() });
    Hostile::new(&format!("{world}: a storm of {}", function.label), upload, Ends::FailsByAny(LIMITS))
}

/// What has to be made before the function can be called, in `$made`.
fn made(function: &CoreFunction) -> String {
    // The address and the length of a text as a name, or a status.
    let result = |label: &str, arguments: &str| {
        format!(
            "(call ${label} {arguments} (i32.const {ANSWER_AT})) (local.set $made (i32.load (i32.const 516)))"
        )
    };
    match function.handles.first().and_then(Option::as_deref) {
        Some("request") if function.module.contains("/outbound@") => {
            "(local.set $made (call $request.new))".into()
        }
        Some("new-event") => {
            result("new-event.create", &format!("(i32.const {TEXT_AT}) (i32.const {})", TEXT.len()))
        }
        Some("reply") => result("reply.create", "(i32.const 200)"),
        Some(_) | None => String::new(),
    }
}

fn arguments(function: &CoreFunction) -> String {
    let mut types = function.signature.params.iter().copied();
    let mut arguments = Vec::new();
    if let Some(Some(resource)) = function.handles.first() {
        types.next();
        let is_made =
            matches!(resource.as_str(), "new-event" | "reply") || function.module.contains("/outbound@");
        arguments.push(if is_made {
            "(local.get $made)".to_owned()
        } else {
            format!("(local.get ${resource})")
        });
    }
    for ty in types {
        let value = match ty {
            WasmType::Pointer | WasmType::PointerOrI64 => TEXT_AT.to_string(),
            WasmType::Length => TEXT.len().to_string(),
            // Of an enum the first case, of a status the first that is one.
            WasmType::I32 if function.label == "reply.create" => "200".to_owned(),
            WasmType::I32 | WasmType::I64 | WasmType::F32 | WasmType::F64 => "0".to_owned(),
        };
        arguments.push(format!("({}.const {value})", value_type(ty)));
    }
    if function.signature.retptr {
        arguments.pop();
        arguments.push(format!("(i32.const {ANSWER_AT})"));
    }
    arguments.join(" ")
}
