//! Doubles of every port, the store contract suite, misbehaving receivers.

pub mod doubles;
pub mod model_store;
pub mod receiver;
pub mod store_contract;
