//! Where `hookmill plugin test` and `run` keep what they compiled: in the user's cache folder.
//!
//! Compiled code is loaded without a second look. So it is kept under a key of this user's, as a router keeps its own under
//! one of the installation, in a folder that nobody else may write: what a project brings along is never taken for it. A
//! version of the program that compiles otherwise deletes what the earlier one left.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hookmill_core::port::Entropy as _;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::world::{SystemEntropy, environment};

/// Compiled plugins that are kept; each has some megabytes.
const FILES_MAX: usize = 32;
/// How long one is kept that nobody compiled again.
const KEPT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const KEY_FILE: &str = "artefact.key";
const KEY_BYTES: usize = 32;

/// A folder for compiled plugins, and the key that they are kept under.
pub(super) struct Cache {
    place: Place,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

enum Place {
    Kept(PathBuf),
    /// Where there is no folder that can be trusted, everything is forgotten at the end.
    Temporary(TempDir),
}

impl Cache {
    /// The user's, or a temporary one where that can't be used.
    ///
    /// # Errors
    /// There is no temporary directory either.
    pub(super) fn open() -> io::Result<Self> {
        if let Some(folder) = user_cache()
            && let Ok(cache) = Self::at(&folder)
        {
            return Ok(cache);
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        SystemEntropy.fill(&mut *key);
        Ok(Self { place: Place::Temporary(TempDir::new()?), key })
    }

    fn at(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let metadata = fs::symlink_metadata(folder)?;
        let is_own = metadata.is_dir()
            && metadata.uid() == rustix::process::geteuid().as_raw()
            && metadata.mode() & 0o022 == 0;
        if !is_own {
            return Err(io::Error::other("others may write here"));
        }
        let key = key_in(folder)?;
        let artefacts = folder.join("plugins");
        // What can't be thinned out does no harm but take room.
        let _ = thin_out(&artefacts);
        Ok(Self { place: Place::Kept(artefacts), key })
    }

    pub(super) fn path(&self) -> PathBuf {
        match &self.place {
            Place::Kept(path) => path.clone(),
            Place::Temporary(directory) => directory.path().to_owned(),
        }
    }

    pub(super) fn key(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.key.clone()
    }
}

/// `$XDG_CACHE_HOME/hookmill`, by default `~/.cache/hookmill`; the specification wants absolute paths.
fn user_cache() -> Option<PathBuf> {
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("hookmill"))
}

/// The key of the folder, made where there is none.
fn key_in(folder: &Path) -> io::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let path = folder.join(KEY_FILE);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            SystemEntropy.fill(&mut *key);
            file.write_all(&*key)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut file = OpenOptions::new().read(true).open(&path)?;
            let metadata = file.metadata()?;
            if metadata.mode() & 0o077 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
                return Err(io::Error::other("others may read the key"));
            }
            file.read_exact(&mut *key)?;
        }
        Err(error) => return Err(error),
    }
    Ok(key)
}

/// Deletes what is old, and the oldest of what is too much.
fn thin_out(folder: &Path) -> io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let too_many = files.len().saturating_sub(FILES_MAX);
    for (index, (modified, path)) in files.iter().enumerate() {
        if index < too_many || modified.elapsed().is_ok_and(|age| age > KEPT_MAX) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_cache_keeps_its_key_and_is_the_users_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("cache/hookmill");
        let first = Cache::at(&folder).unwrap();
        assert_eq!(*Cache::at(&folder).unwrap().key(), *first.key());
        assert_ne!(*first.key(), [0; KEY_BYTES]);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(KEY_FILE))), (0o700, 0o600));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Cache::at(&folder).is_err(), "others could bring a key of their own");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(folder.join(KEY_FILE), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Cache::at(&folder).is_err(), "others could have read the key");
    }

    #[test]
    fn a_cache_is_thinned_out() {
        let home = tempfile::tempdir().unwrap();
        for number in 0..FILES_MAX + 3 {
            fs::write(home.path().join(format!("{number}.cwasm")), "").unwrap();
        }
        thin_out(home.path()).unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), FILES_MAX);
    }
}
