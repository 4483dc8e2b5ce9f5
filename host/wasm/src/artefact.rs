//! Compiled plugins on disk.
//!
//! A file is a magic number, a tag and the artefact. The tag is HMAC-SHA256 under a key of this installation, over the
//! plugin's digest, the engine's compatibility hash and the artefact; so a file that was altered, renamed, or brought
//! from elsewhere is told from one that this installation wrote. Such a file is deleted, and the plugin compiled again
//! when its bytes are at hand. Files may vanish at any time: the cache holds nothing that can't be made again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use hookmill_core::plugin::PluginDigest;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::limits::ARTEFACT_BYTES_MAX;

const MAGIC: &[u8; 8] = b"HMARTE01";
const TAG_BYTES: usize = 32;
const EXTENSION: &str = "cwasm";

/// The directory of compiled plugins.
pub(crate) struct ArtefactDirectory {
    path: PathBuf,
    key: Zeroizing<[u8; 32]>,
    engine: String,
}

/// An artefact that this installation wrote for this plugin and this engine. Only [`ArtefactDirectory`] and the
/// compiler make one, so what is in it may be loaded as machine code.
pub(crate) struct TrustedArtefact(Vec<u8>);

impl TrustedArtefact {
    /// What the engine of this process has just compiled.
    pub(crate) fn just_compiled(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl ArtefactDirectory {
    /// Opens the directory, makes it where there is none, and removes what other engines compiled.
    pub(crate) fn open(path: PathBuf, key: Zeroizing<[u8; 32]>, engine: String) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let directory = Self { path, key, engine };
        directory.sweep()?;
        Ok(directory)
    }

    /// The artefact of a plugin, where there is one that can be trusted.
    pub(crate) fn load(&self, digest: PluginDigest) -> Option<TrustedArtefact> {
        let path = self.file_of(digest);
        let bytes = match read_bounded(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%digest, %error, "compiled plugin is not readable");
                return None;
            }
        };
        let artefact = self.verify(digest, bytes);
        if artefact.is_none() {
            tracing::warn!(%digest, path = %path.display(), "compiled plugin was altered, it is deleted");
            self.remove(digest);
        }
        artefact
    }

    /// Keeps an artefact. A failure costs a compilation later, and nothing else.
    pub(crate) fn store(&self, digest: PluginDigest, artefact: &TrustedArtefact) {
        if let Err(error) = self.write(digest, artefact.as_bytes()) {
            tracing::warn!(%digest, %error, "compiled plugin could not be kept on disk");
        }
    }

    /// Forgets a plugin.
    pub(crate) fn remove(&self, digest: PluginDigest) {
        match fs::remove_file(self.file_of(digest)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%digest, %error, "compiled plugin could not be deleted"),
        }
    }

    fn write(&self, digest: PluginDigest, artefact: &[u8]) -> io::Result<()> {
        let path = self.file_of(digest);
        // One thread compiles, so no two writers share a name; a file left by a crash is overwritten or swept.
        let unfinished = path.with_extension("part");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(MAGIC)?;
        file.write_all(&self.mac(digest, artefact).finalize().into_bytes())?;
        file.write_all(artefact)?;
        drop(file);
        fs::rename(&unfinished, &path)
    }

    fn verify(&self, digest: PluginDigest, mut bytes: Vec<u8>) -> Option<TrustedArtefact> {
        let (tag, artefact) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<TAG_BYTES>()?;
        self.mac(digest, artefact).verify_slice(tag).ok()?;
        bytes.drain(..MAGIC.len() + TAG_BYTES);
        Some(TrustedArtefact(bytes))
    }

    fn mac(&self, digest: PluginDigest, artefact: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&*self.key).expect("HMAC takes keys of any length");
        mac.update(digest.as_bytes());
        mac.update(&(self.engine.len() as u64).to_be_bytes());
        mac.update(self.engine.as_bytes());
        mac.update(artefact);
        mac
    }

    fn file_of(&self, digest: PluginDigest) -> PathBuf {
        self.path.join(format!("{}-{}.{EXTENSION}", hex::encode(digest.as_bytes()), self.engine))
    }

    fn sweep(&self) -> io::Result<()> {
        let own = format!("-{}.{EXTENSION}", self.engine);
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.ends_with(".part") || name.ends_with(&format!(".{EXTENSION}"));
            if ours && !name.ends_with(&own) {
                tracing::info!(file = %name, "compiled plugin of another engine is deleted");
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let max = (ARTEFACT_BYTES_MAX + MAGIC.len() + TAG_BYTES) as u64;
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(max)).unwrap_or(0));
    // One byte more than was written makes the tag fail, so a longer file is not read whole to find that out.
    file.take(max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    fn open(path: &Path, key: u8, engine: &str) -> ArtefactDirectory {
        ArtefactDirectory::open(path.to_owned(), Zeroizing::new([key; 32]), engine.to_owned()).unwrap()
    }

    fn stored() -> (TempDir, PluginDigest, PathBuf) {
        let temporary = TempDir::new().unwrap();
        let digest = PluginDigest::of(b"plugin");
        let directory = open(temporary.path(), 1, "engine");
        directory.store(digest, &TrustedArtefact(b"machine code".to_vec()));
        let path = directory.file_of(digest);
        (temporary, digest, path)
    }

    #[test]
    fn reads_what_it_wrote_and_nobody_else_does() {
        let (temporary, digest, path) = stored();
        let load = |key, engine| {
            open(temporary.path(), key, engine).load(digest).map(|artefact| artefact.as_bytes().to_vec())
        };
        assert_eq!(load(1, "engine"), Some(b"machine code".to_vec()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(2, "engine"), None, "another installation's key");
        assert!(!path.exists());
    }

    #[test]
    fn any_altered_byte_deletes_the_file() {
        let (temporary, digest, path) = stored();
        let whole = fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut altered = whole.clone();
            altered[position] ^= 1;
            fs::write(&path, &altered).unwrap();
            assert!(open(temporary.path(), 1, "engine").load(digest).is_none(), "byte {position}");
            assert!(!path.exists());
        }
        for damaged in [&whole[..whole.len() - 1], &whole[..10], b"", &[&whole[..], b"x"].concat()] {
            fs::write(&path, damaged).unwrap();
            assert!(open(temporary.path(), 1, "engine").load(digest).is_none());
        }
    }

    #[test]
    fn a_renamed_file_is_not_another_plugin() {
        let (temporary, _, path) = stored();
        let directory = open(temporary.path(), 1, "engine");
        let other = PluginDigest::of(b"other");
        fs::rename(path, directory.file_of(other)).unwrap();
        assert!(directory.load(other).is_none());
    }

    #[test]
    fn opening_removes_what_other_engines_and_crashes_left() {
        let (temporary, digest, path) = stored();
        fs::write(temporary.path().join("ab-engine.part"), b"half").unwrap();
        fs::write(temporary.path().join("notes.txt"), b"not ours").unwrap();
        assert!(open(temporary.path(), 1, "newer").load(digest).is_none());
        assert!(!path.exists());
        let left: Vec<_> =
            fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.txt"]);
    }
}
