//! What `wit/` says, as Rust: traits that the host implements, and the typed calls of the exports.
//!
//! Generated when this crate is compiled, so a function that `wit/` gains and the host lacks is a compile error. One
//! world has the imports and exports of all, so they share their types; `link` gives a plugin those of its own world.

wasmtime::component::bindgen!({
    path: ["../../wit", "wit"],
    world: "hookmill:host/every",
    imports: { default: trappable },
    with: {
        "hookmill:plugin/event.event": crate::guest::handles::EventHandle,
        "hookmill:plugin/event.target": crate::guest::handles::TargetHandle,
        "hookmill:plugin/outbound.request": crate::guest::handles::RequestHandle,
        "hookmill:plugin/inbound.request": crate::guest::handles::InboundHandle,
        "hookmill:plugin/inbound.origin": crate::guest::handles::OriginHandle,
        "hookmill:plugin/inbound.new-event": crate::guest::handles::NewEventHandle,
        "hookmill:plugin/inbound.reply": crate::guest::handles::ReplyHandle,
        "hookmill:plugin/answer.response": crate::guest::handles::ResponseHandle,
        "wasi:cli/terminal-input.terminal-input": crate::guest::handles::TerminalHandle,
        "wasi:cli/terminal-output.terminal-output": crate::guest::handles::TerminalHandle,
        "wasi:filesystem/types.descriptor": crate::guest::handles::DescriptorHandle,
        "wasi:io/error.error": crate::guest::handles::ErrorHandle,
        "wasi:io/poll.pollable": crate::guest::handles::PollableHandle,
        "wasi:io/streams.input-stream": crate::guest::handles::InputHandle,
        "wasi:io/streams.output-stream": crate::guest::handles::OutputHandle,
    },
});
