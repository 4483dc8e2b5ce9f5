//! From an upload to machine code.
//!
//! The dangerous part of hosting plugins: a compiler is fed by strangers. Nothing reaches it that `structure` has not
//! counted, and everything that it needs comes through [`Compiler::compile`], which takes bytes and gives bytes, so it
//! may as well run in another process.

use hookmill_core::port::plugins::PluginRejected;
use wasmtime::Engine;
use wit_component::ComponentEncoder;

use crate::artefact::TrustedArtefact;
use crate::limits::ARTEFACT_BYTES_MAX;
use crate::structure::{self, Kind, rejected};

/// Compiles uploads for one engine.
pub(crate) struct Compiler {
    engine: Engine,
    memory_bytes_max: usize,
}

impl Compiler {
    pub(crate) fn new(engine: Engine, memory_bytes_max: usize) -> Self {
        Self { engine, memory_bytes_max }
    }

    /// Checks an upload and compiles it, as a component or as a core module that has its component type embedded.
    ///
    /// # Errors
    /// What is wrong with the upload.
    pub(crate) fn compile(&self, upload: &[u8]) -> Result<TrustedArtefact, PluginRejected> {
        let compiled = match structure::check(upload, self.memory_bytes_max)? {
            Kind::Component => self.compile_component(upload),
            Kind::CoreModule => self.compile_component(&componentise(upload)?),
        }?;
        if compiled.len() > ARTEFACT_BYTES_MAX {
            let message = format!(
                "the plugin compiles to {} bytes, at most {ARTEFACT_BYTES_MAX} are kept",
                compiled.len()
            );
            return Err(rejected("plugin_structure_limit", message));
        }
        Ok(TrustedArtefact::just_compiled(compiled))
    }

    fn compile_component(&self, component: &[u8]) -> Result<Vec<u8>, PluginRejected> {
        self.engine.precompile_component(component).map_err(|error| {
            let message = format!(
                "the plugin does not validate, or needs a WebAssembly proposal that is off here: {error:#}"
            );
            rejected("plugin_invalid", message)
        })
    }
}

/// What `wasm32-unknown-unknown` gives: a core module with its component type in a custom section.
fn componentise(module: &[u8]) -> Result<Vec<u8>, PluginRejected> {
    let encode = || ComponentEncoder::default().validate(true).module(module)?.encode();
    encode().map_err(|error| {
        let message = format!(
            "the core module does not make a component: build it with the crate hookmill-plugin or with \
             wit-bindgen, which embed its component type: {error:#}"
        );
        rejected("plugin_not_component", message)
    })
}
