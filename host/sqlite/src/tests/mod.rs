//! What only this store must do, and the contract that every store must keep.

mod composed;
mod failing;
mod migrating;
mod opening;
mod plans;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hookmill_core::seal::SealKey;
use hookmill_testkit::doubles::CountingEntropy;
use hookmill_testkit::store_contract::Factory;

use crate::SqliteStore;
use crate::row::endpoint::Sealer;

/// Makes stores in a directory that goes with it.
struct Directory {
    directory: tempfile::TempDir,
    stores: AtomicU32,
}

impl Directory {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), stores: AtomicU32::new(0) }
    }

    fn next_file(&self) -> PathBuf {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        self.directory.path().join(format!("hookmill-{number}.db"))
    }
}

impl Factory for Directory {
    type Store = SqliteStore;

    fn create(&self) -> SqliteStore {
        open(&self.next_file())
    }

    fn reopen(&self, store: SqliteStore) -> SqliteStore {
        let file = store.file().to_owned();
        drop(store);
        open(&file)
    }
}

fn open(file: &Path) -> SqliteStore {
    let Sealer { key, entropy } = sealer();
    SqliteStore::open(file, key, entropy).unwrap()
}

fn sealer() -> Sealer {
    Sealer { key: SealKey::new([7; 32]), entropy: Arc::new(CountingEntropy::default()) }
}

mod contract {
    use super::Directory;

    hookmill_testkit::store_contract!(Directory::new());
}
