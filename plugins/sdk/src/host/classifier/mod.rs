//! The router as a classifier sees it: what a receiver answered. In a plugin and on the developer's machine.

#[cfg(not(target_arch = "wasm32"))]
mod double;
#[cfg(target_arch = "wasm32")]
pub(crate) mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use double::AnswerHandle;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::AnswerHandle;
