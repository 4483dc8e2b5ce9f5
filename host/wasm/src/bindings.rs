//! What `wit/` says, as Rust: traits that the host implements, and the typed call of the export.
//!
//! Generated when this crate is compiled, so a function that `wit/` gains and the host lacks is a compile error.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "transform-plugin",
    imports: { default: trappable },
    with: {
        "hookmill:plugin/event.event": crate::guest::handles::EventHandle,
        "hookmill:plugin/event.target": crate::guest::handles::TargetHandle,
        "hookmill:plugin/outbound.request": crate::guest::handles::RequestHandle,
    },
});
