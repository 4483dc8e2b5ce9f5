//! What the rest of the program must bring: the traits to the world.
//!
//! Adapters implement them, `hookmill-app` calls them, and neither knows the other. They are object-safe, so the
//! binary picks adapters when it starts and tests bring doubles.

use std::future::Future;
use std::pin::Pin;

pub mod clock;
pub mod plugins;
pub mod store;
pub mod transport;

pub use clock::{Clock, Entropy};
pub use plugins::Plugins;
pub use store::Store;
pub use transport::Transport;

/// What an asynchronous port method returns.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
