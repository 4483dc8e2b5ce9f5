//! The directory in which one router keeps its state.
//!
//! ```text
//! hookmill-data/          0700
//!   lock                  held while a router runs; has its process id, and whether there is a log beside the store
//!   secret.key            32 bytes under which secrets are sealed and compiled plugins authenticated
//!   hookmill.db           the store, with its -wal and -shm files
//!   plugins-cache/        compiled plugins; may be deleted
//! ```
//!
//! All files are for their owner only (0600); what is open to others is closed at the start, but for the key, which
//! others may have read.
//!
//! A key is called `secret.key.new` until the first start has come to its end. So beside a `secret.key` there is always a
//! store, and one that is missing, empty or without its log was lost: the router does not begin anew in its place.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
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
/// Bytes of the lock's file that are looked at.
const LOCK_BYTES_MAX: u64 = 64;
const PLUGIN_CACHE: &str = "plugins-cache";
const KEY_FILE: &str = "secret.key";
/// The key of a first start that has not ended.
const NEW_KEY_FILE: &str = "secret.key.new";
const DATABASE_FILE: &str = "hookmill.db";
/// What the store's log is called: the store's name with this behind it.
const LOG_SUFFIX: &str = "-wal";
/// The line of the lock's file that says that there is a log beside the store, always.
const HAS_LOG: &str = "log kept";
/// Bytes that a start writes before it takes anything: the log, its index, and what is compiled.
const START_BYTES: u64 = 32 << 20;

/// A data directory that this process alone has.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Locked until it is closed, whichever way the process ends.
    lock: File,
    /// Whether a log was seen beside the store before.
    had_log: bool,
}

/// The key of this installation.
#[derive(Debug)]
pub(crate) struct InstallationKey {
    pub(crate) key: SealKey,
    /// Whether the installation begins with this start.
    pub(crate) is_new: bool,
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
    /// The disk has no room for what a start writes.
    #[error("there is no room for {path}")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// There is a key, and no store or an empty one.
    #[error("{path} is {state}, but {KEY_FILE} beside it belongs to a store that was there")]
    StoreMissing {
        /// The store's file.
        path: PathBuf,
        /// `missing` or `empty`.
        state: &'static str,
    },
    /// The store's log is gone.
    #[error("{path} is missing, which had the latest of what was accepted")]
    LogMissing {
        /// The log's file.
        path: PathBuf,
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
            Self::Full { .. } => "data_dir_full",
            Self::StoreMissing { .. } => "store_missing",
            Self::LogMissing { .. } => "store_log_missing",
            Self::KeyExposed { .. } => "secret_key_exposed",
            Self::KeyMalformed { .. } => "secret_key_malformed",
            Self::KeyMissing { .. } => "secret_key_missing",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Locked { .. } => "stop that router first, or choose another directory with --data-dir".into(),
            Self::NotWritable { .. } => {
                "check that the path is a directory of the user that the router runs as, or choose another with --data-dir"
                    .into()
            }
            Self::Full { path } => room_hint(path),
            Self::StoreMissing { .. } => format!(
                "restore the store from a backup of the data directory; to begin anew instead, without any of what was \
                 there, move {KEY_FILE} away"
            ),
            Self::LogMissing { path } => format!(
                "restore {DATABASE_FILE} and its log together from a backup; if {DATABASE_FILE} is whole by itself, as \
                 one from `sqlite3 {DATABASE_FILE} '.backup FILE'` is, or what is missing is to be given up, run \
                 `touch {}`",
                path.display()
            ),
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
        let not_writable = |source| not_written(path, source);
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(not_writable)?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&lock_path)
            .map_err(|source| not_written(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(DataDirError::Locked { path: path.to_owned(), process: process_in(&mut lock) });
            }
            Err(std::fs::TryLockError::Error(source)) => {
                return Err(DataDirError::NotWritable { path: lock_path, source });
            }
        }
        close_to_others(path);
        let mut text = String::new();
        // Whatever is in it that is no text is not ours.
        let _ = (&lock).take(LOCK_BYTES_MAX).read_to_string(&mut text);
        let had_log = text.lines().any(|line| line == HAS_LOG);
        let data_dir = Self { path: path.to_owned(), lock, had_log };
        data_dir.write_lock(had_log)?;
        Ok(data_dir)
    }

    /// The number is for people; the lock is what counts.
    fn write_lock(&self, has_log: bool) -> Result<(), DataDirError> {
        let log = if has_log { HAS_LOG } else { "" };
        let text = format!("{}\n{log}\n", std::process::id());
        // Never empty in between: what it says of the log must not be lost to a full disk.
        let written = self.lock.write_all_at(text.as_bytes(), 0);
        let written = written.and_then(|()| self.lock.set_len(text.len() as u64));
        written.map_err(|source| not_written(&self.path.join("lock"), source))
    }

    /// Notes that the first start has come to its end, and that a log is beside the store from here on.
    ///
    /// # Errors
    /// Nothing can be written.
    pub(crate) fn started(&self, key: &InstallationKey) -> Result<(), DataDirError> {
        if key.is_new {
            let (new, path) = (self.path.join(NEW_KEY_FILE), self.path.join(KEY_FILE));
            let kept = std::fs::rename(new, &path).and_then(|()| File::open(&self.path)?.sync_all());
            kept.map_err(|source| not_written(&path, source))?;
        }
        if self.had_log { Ok(()) } else { self.write_lock(true) }
    }

    /// Notes that the store is closed. Where all of its log is in it, tools that open the store may take the log away.
    ///
    /// # Errors
    /// Nothing can be written.
    pub(crate) fn stopped(&self) -> Result<(), DataDirError> {
        let is_empty = self.log().metadata().map_or(true, |log| log.len() == 0);
        if is_empty { self.write_lock(false) } else { Ok(()) }
    }

    fn log(&self) -> PathBuf {
        let mut path = self.database().into_os_string();
        path.push(LOG_SUFFIX);
        path.into()
    }

    /// Where the store is.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// Where compiled plugins are kept.
    pub(crate) fn plugin_cache(&self) -> PathBuf {
        self.path.join(PLUGIN_CACHE)
    }

    /// The key of this installation, made at the first start.
    ///
    /// # Errors
    /// A key that others may read, that is none, or that is missing beside a store; a store that is missing beside a
    /// key.
    pub(crate) fn seal_key(&self, entropy: &dyn Entropy) -> Result<InstallationKey, DataDirError> {
        let path = self.path.join(KEY_FILE);
        match File::open(&path) {
            Ok(file) => {
                let key = read_key(&path, file)?;
                self.check_store()?;
                Ok(InstallationKey { key, is_new: false })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = self.first_key(entropy)?;
                Ok(InstallationKey { key, is_new: true })
            }
            Err(source) => Err(DataDirError::NotWritable { path, source }),
        }
    }

    /// A new key; where a first start was cut off after it had made a store, the key that it made.
    fn first_key(&self, entropy: &dyn Entropy) -> Result<SealKey, DataDirError> {
        let new = self.path.join(NEW_KEY_FILE);
        if self.database().exists() {
            // It is synced before the store is made, so beside a store it is whole.
            return match File::open(&new) {
                Ok(file) => read_key(&new, file),
                Err(_) => Err(DataDirError::KeyMissing { path: self.path.join(KEY_FILE) }),
            };
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(&mut *key);
        self.write_key(&new, &key).map_err(|source| not_written(&new, source))?;
        Ok(SealKey::new(*key))
    }

    fn write_key(&self, new: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
        match std::fs::remove_file(new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(new)?;
        file.write_all(key)?;
        file.sync_all()?;
        File::open(&self.path)?.sync_all()
    }

    /// Beside a key there is a store, with its log.
    fn check_store(&self) -> Result<(), DataDirError> {
        let path = self.database();
        let state = match path.metadata() {
            Ok(found) if found.len() > 0 => None,
            Ok(_) => Some("empty"),
            Err(error) if error.kind() == ErrorKind::NotFound => Some("missing"),
            Err(source) => return Err(DataDirError::NotWritable { path, source }),
        };
        if let Some(state) = state {
            return Err(DataDirError::StoreMissing { path, state });
        }
        let log = self.log();
        if self.had_log && !log.exists() {
            return Err(DataDirError::LogMissing { path: log });
        }
        Ok(())
    }
}

/// How much room there is where a file is to be, and how much a start wants.
pub(crate) fn room_hint(file: &Path) -> String {
    let directory = file.parent().unwrap_or(file);
    let Ok(disk) = rustix::fs::statvfs(directory) else {
        return format!("free at least {} MiB on its disk", START_BYTES >> 20);
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let missing = START_BYTES.saturating_sub(free).max(1 << 20);
    format!(
        "free at least {} MiB on the disk of {}: a start wants {} MiB, and {} MiB are free",
        missing.div_ceil(1 << 20),
        directory.display(),
        START_BYTES >> 20,
        free >> 20
    )
}

fn not_written(path: &Path, source: io::Error) -> DataDirError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            DataDirError::Full { path }
        }
        _ => DataDirError::NotWritable { path, source },
    }
}

/// Takes the permissions of others away from all that is the router's, but for the key: whoever could read that one has
/// to hear of it.
fn close_to_others(directory: &Path) {
    close(directory);
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        match entry.file_type() {
            Ok(kind) if kind.is_file() && (name == "lock" || name.starts_with(DATABASE_FILE)) => {
                close(&entry.path());
            }
            Ok(kind) if kind.is_dir() && name == PLUGIN_CACHE => {
                close(&entry.path());
                let cached = std::fs::read_dir(entry.path()).into_iter().flatten().flatten();
                cached.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).for_each(|entry| {
                    close(&entry.path());
                });
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn close(path: &Path) {
    let Ok(mut permissions) = path.metadata().map(|found| found.permissions()) else { return };
    if permissions.mode() & OTHERS == 0 {
        return;
    }
    permissions.set_mode(permissions.mode() & 0o7777 & !OTHERS);
    match std::fs::set_permissions(path, permissions) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), "this was open to others than its owner, and is no longer");
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "this is open to others than its owner; close it with chmod");
        }
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
    text.lines().next()?.trim().parse().ok()
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
        data_dir.started(&data_dir.seal_key(&SystemEntropy).unwrap()).unwrap();
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
        fs::write(path.join("hookmill.db"), "").unwrap();
        let interrupted = data_dir.seal_key(&SystemEntropy).unwrap();
        assert_eq!(first.key.derive("test"), interrupted.key.derive("test"));
        data_dir.started(&interrupted).unwrap();
        fs::write(path.join("hookmill.db"), "a store").unwrap();
        let again = data_dir.seal_key(&SystemEntropy).unwrap();
        assert_eq!((first.key.derive("test"), again.is_new), (again.key.derive("test"), false));
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
    fn a_key_without_its_store_is_no_new_installation() {
        let check = |prepare: &dyn Fn(&Path), expect: &str| {
            let (_parent, path, data_dir) = opened();
            data_dir.started(&data_dir.seal_key(&SystemEntropy).unwrap()).unwrap();
            fs::write(path.join("hookmill.db"), "a store").unwrap();
            fs::write(path.join("hookmill.db-wal"), "").unwrap();
            drop(data_dir);
            prepare(&path);
            for _ in 0..2 {
                let data_dir = DataDir::open(&path).unwrap();
                let code = data_dir.seal_key(&SystemEntropy).map_err(|error| error.code()).map(drop);
                assert_eq!(code.err().unwrap_or_default(), expect);
            }
        };
        check(&|_| {}, "");
        check(&|path| fs::remove_file(path.join("hookmill.db")).unwrap(), "store_missing");
        check(&|path| fs::write(path.join("hookmill.db"), "").unwrap(), "store_missing");
        check(&|path| fs::remove_file(path.join("hookmill.db-wal")).unwrap(), "store_log_missing");
    }

    #[test]
    fn a_log_that_was_empty_at_the_stop_may_be_taken_away() {
        let check = |log: &str, expect: &str| {
            let (_parent, path, data_dir) = opened();
            data_dir.started(&data_dir.seal_key(&SystemEntropy).unwrap()).unwrap();
            fs::write(path.join("hookmill.db"), "a store").unwrap();
            fs::write(path.join("hookmill.db-wal"), log).unwrap();
            data_dir.stopped().unwrap();
            drop(data_dir);
            fs::remove_file(path.join("hookmill.db-wal")).unwrap();
            let data_dir = DataDir::open(&path).unwrap();
            let code = data_dir.seal_key(&SystemEntropy).map_err(|error| error.code()).map(drop);
            assert_eq!(code.err().unwrap_or_default(), expect);
        };
        check("", "");
        check("the latest", "store_log_missing");
    }

    #[test]
    fn what_is_open_to_others_is_closed() {
        let (_parent, path, data_dir) = opened();
        fs::create_dir(path.join("plugins-cache")).unwrap();
        let files = ["hookmill.db", "hookmill.db-wal", "hookmill.db-shm", "plugins-cache/one"];
        for file in files {
            fs::write(path.join(file), "").unwrap();
            fs::set_permissions(path.join(file), fs::Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        drop(data_dir);
        let _data_dir = DataDir::open(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        files.iter().for_each(|file| assert_eq!(mode(&path.join(file)), 0o600, "{file}"));
    }

    #[test]
    fn a_full_disk_says_how_much_to_free() {
        let parent = tempfile::tempdir().unwrap();
        let error = not_written(&parent.path().join("lock"), ErrorKind::StorageFull.into());
        assert_eq!(error.code(), "data_dir_full");
        assert!(error.hint().contains(" MiB on the disk of "), "{}", error.hint());
    }

    #[test]
    fn a_start_that_was_cut_off_while_making_the_key_is_repeated() {
        let (_parent, path, data_dir) = opened();
        fs::write(path.join("secret.key.new"), "half").unwrap();
        data_dir.started(&data_dir.seal_key(&SystemEntropy).expect("the half is thrown away")).unwrap();
        assert!(!path.join("secret.key.new").exists());
    }
}
