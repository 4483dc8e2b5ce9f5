//! The plugins that can be run: in memory, on disk, or compiled from the bytes of an upload.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use hookmill_core::limits::COMPUTE_NICE;
use hookmill_core::plugin::{ComponentBytes, PluginDigest, PluginFacts};
use hookmill_core::port::plugins::PluginRejected;
use tokio::sync::oneshot;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::artefact::{ArtefactDirectory, TrustedArtefact};
use crate::byte_lru::ByteLru;
use crate::limits::{COMPILE_QUEUE_MAX, COMPILE_STACK_BYTES};
use crate::link::{Linked, Links};
use crate::manifest;
use crate::priority::step_back;
use crate::structure::{self, rejected};

/// A plugin that can be run.
pub(crate) struct LinkedPlugin {
    pub(crate) linked: Linked,
    artefact_bytes: usize,
}

/// Compiles an upload, here or in another process.
pub(crate) type Compile = Box<dyn Fn(&[u8]) -> Result<TrustedArtefact, PluginRejected> + Send + Sync>;

/// Plugins by digest.
pub(crate) struct Library {
    engine: Engine,
    links: Links,
    compile: Compile,
    directory: ArtefactDirectory,
    linked: Mutex<ByteLru<PluginDigest, Arc<LinkedPlugin>>>,
    /// Held while an artefact is read, so that several threads do not read the same one at once.
    loading: Mutex<()>,
}

impl Library {
    pub(crate) fn new(
        engine: Engine,
        compile: Compile,
        directory: ArtefactDirectory,
        linked_bytes_max: usize,
    ) -> wasmtime::Result<Self> {
        let links = Links::new(&engine)?;
        let linked = Mutex::new(ByteLru::new(linked_bytes_max));
        Ok(Self { engine, links, compile, directory, linked, loading: Mutex::new(()) })
    }

    /// A plugin that is in memory.
    pub(crate) fn in_memory(&self, digest: PluginDigest) -> Option<Arc<LinkedPlugin>> {
        self.linked.lock().expect("nothing panics under this lock").get(digest)
    }

    /// A plugin that is in memory or on disk.
    pub(crate) fn get(&self, digest: PluginDigest) -> Option<Arc<LinkedPlugin>> {
        if let Some(plugin) = self.in_memory(digest) {
            return Some(plugin);
        }
        let _one_at_a_time = self.loading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(plugin) = self.in_memory(digest) {
            return Some(plugin);
        }
        let artefact = self.directory.load(digest)?;
        match self.link(digest, &artefact) {
            Ok(plugin) => Some(plugin),
            Err(rejected) => {
                tracing::warn!(%digest, reason = rejected.message, "compiled plugin does not load, it is deleted");
                self.directory.remove(digest);
                None
            }
        }
    }

    /// What is in a plugin that is in memory.
    pub(crate) fn known(
        &self,
        digest: PluginDigest,
        upload: &[u8],
    ) -> Option<Result<PluginFacts, PluginRejected>> {
        let plugin = self.in_memory(digest)?;
        Some(manifest::manifest_of(upload).map(|manifest| plugin.facts(manifest)))
    }

    /// Makes a plugin ready to run, and tells what is in it.
    pub(crate) fn prepare(&self, digest: PluginDigest, upload: &[u8]) -> Result<PluginFacts, PluginRejected> {
        structure::check_outside(upload)?;
        let manifest = manifest::manifest_of(upload)?;
        if let Some(plugin) = self.get(digest) {
            return Ok(plugin.facts(manifest));
        }
        let artefact = (self.compile)(upload)?;
        let plugin = self.link(digest, &artefact)?;
        self.directory.store(digest, &artefact);
        Ok(plugin.facts(manifest))
    }

    /// Frees a plugin's memory; runs under way go on, and the next one reads it from disk.
    pub(crate) fn unload(&self, digest: PluginDigest) {
        self.linked.lock().expect("nothing panics under this lock").remove(digest);
    }

    /// Forgets a plugin; runs under way go on.
    pub(crate) fn forget(&self, digest: PluginDigest) {
        self.linked.lock().expect("nothing panics under this lock").remove(digest);
        self.directory.remove(digest);
    }

    fn link(
        &self,
        digest: PluginDigest,
        artefact: &TrustedArtefact,
    ) -> Result<Arc<LinkedPlugin>, PluginRejected> {
        let component = self.load(artefact).map_err(|error| {
            rejected(
                "plugin_structure_limit",
                format!("the compiled plugin does not fit this router: {error:#}"),
            )
        })?;
        let linked = self.links.link(&component)?;
        let artefact_bytes = artefact.as_bytes().len();
        let plugin = Arc::new(LinkedPlugin { linked, artefact_bytes });
        let mut linked = self.linked.lock().expect("nothing panics under this lock");
        linked.insert(digest, Arc::clone(&plugin), artefact_bytes);
        Ok(plugin)
    }

    #[expect(
        unsafe_code,
        reason = "the one place that turns bytes into code; why they can be trusted is below"
    )]
    fn load(&self, artefact: &TrustedArtefact) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` wants unmodified output of `precompile_component`, or anything could be run as machine
        // code. A `TrustedArtefact` is made in two places: from the compiler's return value (in this process, or
        // in a child of the same program over a pipe that only the two have), and from a file whose HMAC tag, under a key that only this installation has, was verified over these very bytes after
        // they were read into memory. The engine itself refuses output of other versions and configurations.
        unsafe { Component::deserialize(&self.engine, artefact.as_bytes()) }
    }
}

impl LinkedPlugin {
    fn facts(&self, manifest: Option<Bytes>) -> PluginFacts {
        PluginFacts {
            world: self.linked.export.world(),
            imports: self.linked.imports.clone(),
            manifest,
            artefact_bytes: self.artefact_bytes as u64,
        }
    }
}

/// The thread that prepares uploads, one at a time: compiling is long, and bounded in memory when done alone.
pub(crate) struct Preparer {
    uploads: SyncSender<Upload>,
}

struct Upload {
    digest: PluginDigest,
    bytes: ComponentBytes,
    answer: oneshot::Sender<Result<PluginFacts, PluginRejected>>,
}

impl Preparer {
    /// Starts the thread. It ends after the upload in hand when the preparer is dropped.
    pub(crate) fn start(library: Arc<Library>) -> io::Result<Self> {
        let (uploads, waiting) = mpsc::sync_channel::<Upload>(COMPILE_QUEUE_MAX);
        thread::Builder::new().name("hookmill-compile".into()).stack_size(COMPILE_STACK_BYTES).spawn(
            move || {
                step_back(COMPUTE_NICE);
                for upload in waiting {
                    if !upload.answer.is_closed() {
                        let _ = upload.answer.send(prepare(&library, upload.digest, &upload.bytes));
                    }
                }
            },
        )?;
        Ok(Self { uploads })
    }

    /// Prepares an upload when its turn comes.
    pub(crate) async fn prepare(
        &self,
        digest: PluginDigest,
        bytes: ComponentBytes,
    ) -> Result<PluginFacts, PluginRejected> {
        let (answer, answered) = oneshot::channel();
        self.uploads.try_send(Upload { digest, bytes, answer }).map_err(|error| match error {
            TrySendError::Full(_) => rejected(
                "plugin_compiler_busy",
                format!("{COMPILE_QUEUE_MAX} uploads wait for the compiler already, try again later"),
            ),
            TrySendError::Disconnected(_) => stopped(),
        })?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// A panic of the compiler is an upload that does not compile, not the end of the thread.
fn prepare(library: &Library, digest: PluginDigest, upload: &[u8]) -> Result<PluginFacts, PluginRejected> {
    catch_unwind(AssertUnwindSafe(|| library.prepare(digest, upload))).unwrap_or_else(|_| {
        tracing::error!(%digest, "the compiler panicked");
        let message = "the compiler gave up on the plugin; please report it with the plugin attached".into();
        Err(rejected("plugin_compiler_failed", message))
    })
}

fn stopped() -> PluginRejected {
    rejected("plugin_host_stopped", "the router is shutting down, try again later".into())
}
