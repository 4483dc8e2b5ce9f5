//! The directory in which one router keeps its state.
//!
//! ```text
//! hookmill-data/          0700
//!   lock                  held while a router runs; has its process id
//!   secret.key            0600; 32 bytes under which secrets are sealed and compiled plugins authenticated
//!   hookmill.db           the store, with its -wal and -shm files
//!   plugins-cache/        compiled plugins; may be deleted
//! ```

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hookmill_core::port::Entropy;
use hookmill_core::seal::SealKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// What others than the owner may do.
const OTHERS: u32 = 0o077;
const KEY_BYTES: usize = 32;
const KEY_FILE: &str = "secret.key";
const DATABASE_FILE: &str = "hookmill.db";

/// A data directory that this process alone has.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Locked until it is closed, whichever way the process ends.
    _lock: File,
}

/// Why a data directory can't be used. The [`code`](Self::code)s are stable.
#[derive(Debug, Error)]
pub(crate) enum DataDirError {
    /// Another process has it.
    #[error("the data directory {path} is used by another router{}", by(*.process))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Which process, as far as it is known.
        process: Option<u32>,
    },
    /// It can't be made or written.
    #[error("{path} can't be written: {source}")]
    NotWritable {
        /// The directory or the file in it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others than the owner may read the key.
    #[error("{path} may be read by others than its owner (mode {mode:03o})")]
    KeyExposed {
        /// The key's file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The key's file is no key.
    #[error("{path} has {bytes} bytes, an installation's key has {KEY_BYTES}")]
    KeyMalformed {
        /// The key's file.
        path: PathBuf,
        /// How many there are, counted to one more than there should be.
        bytes: usize,
    },
    /// There is a store, but no key for its secrets.
    #[error("{path} is missing, and the secrets in the store beside it are sealed with it")]
    KeyMissing {
        /// The key's file.
        path: PathBuf,
    },
}

fn by(process: Option<u32>) -> String {
    process.map(|id| format!(" (process {id})")).unwrap_or_default()
}

impl DataDirError {
    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "data_dir_locked",
            Self::NotWritable { .. } => "data_dir_not_writable",
            Self::KeyExposed { .. } => "secret_key_exposed",
            Self::KeyMalformed { .. } => "secret_key_malformed",
            Self::KeyMissing { .. } => "secret_key_missing",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Locked { .. } => "stop that router first, or choose another directory with --data-dir".into(),
            Self::NotWritable { .. } => {
                "check that the path is a directory of the user that the router runs as, and that the disk has room, \
                 or choose another with --data-dir"
                    .into()
            }
            Self::KeyExposed { path, .. } => format!("run `chmod 600 {}`", path.display()),
            Self::KeyMalformed { .. } | Self::KeyMissing { .. } => {
                "restore the file from a backup of the data directory".into()
            }
        }
    }
}

impl From<DataDirError> for Failure {
    fn from(error: DataDirError) -> Self {
        Self::new(Exit::NotStarted, error.code(), error.to_string()).hint(error.hint())
    }
}

impl DataDir {
    /// Makes the directory where it is missing, and locks it.
    ///
    /// # Errors
    /// It can't be written, or another process has it.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let not_writable = |source| DataDirError::NotWritable { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(not_writable)?;
        let mode = path.metadata().map_err(not_writable)?.permissions().mode();
        if mode & OTHERS != 0 {
            tracing::warn!(path = %path.display(), "the data directory is open to others than its owner; chmod 700 it");
        }
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&lock_path)
            .map_err(|source| DataDirError::NotWritable { path: lock_path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(DataDirError::Locked { path: path.to_owned(), process: process_in(&mut lock) });
            }
            Err(std::fs::TryLockError::Error(source)) => {
                return Err(DataDirError::NotWritable { path: lock_path, source });
            }
        }
        // The number is for people; the lock is what counts.
        let written = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        written.map_err(|source| DataDirError::NotWritable { path: lock_path, source })?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where the store is.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// Where compiled plugins are kept.
    pub(crate) fn plugin_cache(&self) -> PathBuf {
        self.path.join("plugins-cache")
    }

    /// The key of this installation, made at the first start.
    ///
    /// # Errors
    /// A key that others may read, that is none, or that is missing beside a store.
    pub(crate) fn seal_key(&self, entropy: &dyn Entropy) -> Result<SealKey, DataDirError> {
        let path = self.path.join(KEY_FILE);
        match File::open(&path) {
            Ok(file) => read_key(&path, file),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.database().exists() {
                    return Err(DataDirError::KeyMissing { path });
                }
                let mut key = Zeroizing::new([0; KEY_BYTES]);
                entropy.fill(&mut *key);
                self.write_key(&path, &key).map_err(|source| DataDirError::NotWritable { path, source })?;
                Ok(SealKey::new(*key))
            }
            Err(source) => Err(DataDirError::NotWritable { path, source }),
        }
    }

    /// Whole or not at all: a key of which half was written would lock its owner out for good.
    fn write_key(&self, path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
        let partial = self.path.join("secret.key.new");
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&partial)?;
        file.write_all(key)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        File::open(&self.path)?.sync_all()
    }
}

fn read_key(path: &Path, file: File) -> Result<SealKey, DataDirError> {
    let not_readable = |source| DataDirError::NotWritable { path: path.to_owned(), source };
    let mode = file.metadata().map_err(not_readable)?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(DataDirError::KeyExposed { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(not_readable)?;
    match <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
        Ok(key) => Ok(SealKey::new(key)),
        Err(_) => Err(DataDirError::KeyMalformed { path: path.to_owned(), bytes: bytes.len() }),
    }
}

fn process_in(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::world::SystemEntropy;

    fn opened() -> (tempfile::TempDir, PathBuf, DataDir) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/data");
        let data_dir = DataDir::open(&path).unwrap();
        (parent, path, data_dir)
    }

    #[test]
    fn only_the_owner_gets_in() {
        let (_parent, path, data_dir) = opened();
        data_dir.seal_key(&SystemEntropy).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("lock")), 0o600);
        assert_eq!(mode(&path.join("secret.key")), 0o600);
    }

    #[test]
    fn one_process_at_a_time() {
        let (_parent, path, data_dir) = opened();
        // Two open files of one process exclude each other as those of two processes do.
        let error = DataDir::open(&path).expect_err("it is locked");
        assert_eq!(error.code(), "data_dir_locked");
        assert!(error.to_string().ends_with(&format!("(process {})", std::process::id())), "{error}");
        drop(data_dir);
        DataDir::open(&path).expect("a lock goes with its process");
    }

    #[test]
    fn a_path_that_is_no_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            assert_eq!(DataDir::open(&path).expect_err("a file").code(), "data_dir_not_writable");
        }
    }

    #[test]
    fn the_key_stays_the_same() {
        let (_parent, path, data_dir) = opened();
        let first = data_dir.seal_key(&SystemEntropy).unwrap();
        let again = data_dir.seal_key(&SystemEntropy).unwrap();
        assert_eq!(first.derive("test"), again.derive("test"));
        assert_eq!(fs::read(path.join("secret.key")).unwrap().len(), KEY_BYTES);
    }

    #[test]
    fn a_key_that_is_not_one_is_refused() {
        let check = |prepare: &dyn Fn(&Path), expect: &str| {
            let (_parent, path, data_dir) = opened();
            prepare(&path);
            assert_eq!(data_dir.seal_key(&SystemEntropy).expect_err(expect).code(), expect);
        };
        let write = |path: &Path, bytes: usize, mode: u32| {
            let key = path.join("secret.key");
            fs::write(&key, vec![1; bytes]).unwrap();
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        };
        check(&|path| write(path, 32, 0o640), "secret_key_exposed");
        check(&|path| write(path, 32, 0o604), "secret_key_exposed");
        check(&|path| write(path, 31, 0o600), "secret_key_malformed");
        check(&|path| write(path, 33, 0o600), "secret_key_malformed");
        check(&|path| fs::write(path.join("hookmill.db"), "").unwrap(), "secret_key_missing");
    }

    #[test]
    fn a_start_that_was_cut_off_while_making_the_key_is_repeated() {
        let (_parent, path, data_dir) = opened();
        fs::write(path.join("secret.key.new"), "half").unwrap();
        data_dir.seal_key(&SystemEntropy).expect("the half is thrown away");
        assert!(!path.join("secret.key.new").exists());
    }
}
