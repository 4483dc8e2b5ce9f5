//! The router as a source sees it: what came in, and by which source. In a plugin and on the developer's machine.

#[cfg(not(target_arch = "wasm32"))]
mod double;
#[cfg(target_arch = "wasm32")]
pub(crate) mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use double::{InboundHandle, OriginHandle};
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::{InboundHandle, OriginHandle};
