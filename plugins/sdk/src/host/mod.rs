//! The router, as the rest of the crate sees it.
//!
//! Two modules of one shape: in a plugin the functions of package `hookmill:plugin`, on the developer's machine a double
//! that [`test`](crate::test) sets up. Nothing else in the crate knows which of them it talks to. [`source`] and
//! [`classifier`] have what only these worlds need, in the same two shapes.

pub(crate) mod classifier;
#[cfg(not(target_arch = "wasm32"))]
mod double;
pub(crate) mod source;
#[cfg(target_arch = "wasm32")]
pub(crate) mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use double::{
    Ambient, EventHandle, TargetHandle, hash, hmac, log, now_ms, random_u64, with_ambient,
};
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::{EventHandle, TargetHandle, hash, hmac, log, now_ms, random_u64};
