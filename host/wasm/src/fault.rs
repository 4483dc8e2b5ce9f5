//! How a run can fail, each way with its own stable code and a message that names the limit.

use hookmill_core::delivery::TransformFailure;
use hookmill_core::limits::PLUGIN_FAILURE_BYTES_MAX;
use hookmill_core::plugin::World;
use hookmill_core::port::plugins::PLUGIN_DEADLINE;
use thiserror::Error;
use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use crate::limits::{BACKTRACE_FRAMES_MAX, RunLimits, WASM_STACK_BYTES_MAX};
use crate::run_log::printable;

/// A limit or a rule that the host holds a run to, as against what the engine itself finds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Breach {
    #[error("more than {max} bytes of memory")]
    Memory { max: usize },
    #[error("a table of more than {max} elements")]
    Table { max: usize },
    #[error("more than {max} calls of the host")]
    HostCalls { max: u32 },
    #[error("bodies of more than {max} bytes")]
    Output { max: usize },
    #[error("more than {max} requests")]
    Requests { max: usize },
    #[error("`deliver` without a request; to send nothing, answer `drop` with a reason")]
    NoRequests,
    #[error("several requests without part keys that differ: receivers would take them for one")]
    PartKeys,
    #[error("more than {max} events")]
    Events { max: usize },
    #[error("more than {max} replies")]
    Replies { max: usize },
    #[error("a handle that was handed over or dropped before")]
    Handle,
    #[error("more than {max} random bytes in one call")]
    RandomBytes { max: usize },
    #[error("the plugin ended itself with exit status {status}; a plugin returns from its export")]
    Exit { status: u8 },
    #[error("`{function}` of {interface} was called: plugins have no files and no sockets")]
    Refused { interface: String, function: String },
    #[error("this is a {found} plugin, where a {wanted} plugin is needed")]
    World { wanted: World, found: World },
}

impl Breach {
    fn code(&self) -> &'static str {
        match self {
            Self::Memory { .. } => "plugin_memory_limit",
            Self::Table { .. } => "plugin_table_limit",
            Self::HostCalls { .. } => "plugin_host_call_limit",
            Self::Output { .. } => "plugin_output_limit",
            Self::Requests { .. } => "plugin_request_limit",
            Self::NoRequests => "plugin_output_empty",
            Self::PartKeys => "plugin_part_keys",
            Self::Events { .. } => "plugin_event_limit",
            Self::Replies { .. } => "plugin_reply_limit",
            Self::Handle => "plugin_handle_invalid",
            Self::RandomBytes { .. } => "plugin_host_call_bytes_limit",
            Self::Exit { .. } => "plugin_exit",
            Self::Refused { .. } => "plugin_wasi_refused",
            Self::World { .. } => "plugin_world_mismatch",
        }
    }
}

/// The host could not run the plugin.
pub(crate) fn unavailable(code: &'static str, detail: impl AsRef<str>) -> TransformFailure {
    TransformFailure::Unavailable { code, detail: printable(detail.as_ref(), PLUGIN_FAILURE_BYTES_MAX) }
}

/// The plugin trapped or broke a rule.
pub(crate) fn fault(code: &'static str, detail: impl AsRef<str>) -> TransformFailure {
    TransformFailure::Fault { code, detail: printable(detail.as_ref(), PLUGIN_FAILURE_BYTES_MAX) }
}

/// A broken rule, found after the plugin returned.
pub(crate) fn fault_of_breach(breach: &Breach) -> TransformFailure {
    fault(breach.code(), breach.to_string())
}

/// What ended a run.
pub(crate) fn fault_of_error(error: &wasmtime::Error, limits: &RunLimits) -> TransformFailure {
    let place = error.downcast_ref::<WasmBacktrace>().map(place).unwrap_or_default();
    if let Some(breach) = error.downcast_ref::<Breach>() {
        return fault(breach.code(), format!("{breach}{place}"));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            fault("plugin_out_of_fuel", format!("more than {} of fuel{place}", limits.fuel))
        }
        Some(Trap::Interrupt) => {
            fault(PLUGIN_DEADLINE, format!("more than {} ms{place}", limits.time.as_millis()))
        }
        Some(Trap::StackOverflow) => {
            fault("plugin_stack_overflow", format!("more than {WASM_STACK_BYTES_MAX} bytes of stack{place}"))
        }
        Some(trap) => fault("plugin_trap", format!("{trap}{place}")),
        None => fault_of_engine(&error.root_cause().to_string(), &place, limits),
    }
}

/// Errors that the engine has no public type for, told apart by their text; tests hold the texts to this version.
fn fault_of_engine(text: &str, place: &str, limits: &RunLimits) -> TransformFailure {
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        let max = limits.host_call_bytes;
        fault("plugin_host_call_bytes_limit", format!("more than {max} bytes in one call of the host{place}"))
    } else if text.contains("store handle limit exceeded") {
        fault("plugin_handle_limit", format!("more than {} handles at once{place}", limits.handles))
    } else {
        fault("plugin_trap", format!("{text}{place}"))
    }
}

/// The functions that a run was in, innermost first: ` in parse (src/lib.rs:7) < run`.
fn place(backtrace: &WasmBacktrace) -> String {
    let named: Vec<String> = backtrace.frames().iter().filter_map(frame).take(BACKTRACE_FRAMES_MAX).collect();
    if named.is_empty() { String::new() } else { format!(" in {}", named.join(" < ")) }
}

/// A function by its name, and the line where there is debug information.
fn frame(frame: &FrameInfo) -> Option<String> {
    let name = readable(frame.func_name()?);
    let line = frame.symbols().iter().find_map(|symbol| Some((symbol.file()?, symbol.line()?)));
    Some(match line {
        Some((file, line)) => format!("{name} ({file}:{line})"),
        None => name,
    })
}

/// A function's name as its author wrote it: compilers of Rust leave it mangled.
fn readable(name: &str) -> String {
    match rustc_demangle::try_demangle(name) {
        // Without the digits that change with every build.
        Ok(name) => format!("{name:#}"),
        Err(_) => without_hash(name).to_owned(),
    }
}

/// Rust's names end in `::h` and 16 digits that change with every build.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        Some(_) | None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_were_written() {
        let check = |name: &str, expect: &str| assert_eq!(readable(name), expect);
        check("_ZN5guest5parse17h0123456789abcdefE", "guest::parse");
        check("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar");
        check("guest::parse::h0123456789abcdef", "guest::parse");
        check("JS_CallInternal", "JS_CallInternal");
    }

    #[test]
    fn names_lose_their_hash_only() {
        let check = |name: &str, expect: &str| assert_eq!(without_hash(name), expect);
        check("guest::parse::h0123456789abcdef", "guest::parse");
        check("guest::h0123", "guest::h0123");
        check("run", "run");
    }
}
