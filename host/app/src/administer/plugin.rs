//! Plugins: upload, versions, which one runs, which one is on trial.
//!
//! An upload is a version once the host took it and its own samples passed. Promoting, rolling back and trials only move
//! pointers to versions, so they are one commit each and touch no delivery under way.

use std::sync::Arc;
use std::time::Duration;

use hookmill_core::canary::{Canary, CanaryPercent, Worse};
use hookmill_core::id::ApplicationId;
use hookmill_core::limits::{PLUGIN_BYTES_MAX, PLUGIN_VERSIONS_MAX, PLUGINS_MAX};
use hookmill_core::manifest::{Manifest, settings_check, settings_refusal};
use hookmill_core::plugin::{
    ComponentBytes, JAVASCRIPT_PLUGIN, PluginBinding, PluginDigest, PluginFacts, PluginInterface, PluginName,
    PluginVersion,
};
use hookmill_core::port::plugins::PluginRejected;
use hookmill_core::port::store::Change;
use hookmill_core::route::PluginEntry;
use hookmill_core::source::Intake;

use super::{Edit, Written, conflict};
use crate::operational::Notice;
use crate::{App, AppError, ErrorKind};

/// How long a change waits for what a plugin says of its settings; other changes do not.
const SETTINGS_CHECK_MAX: Duration = Duration::from_secs(1);

/// A plugin to be uploaded.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Which plugin it is a version of; an unknown name makes a new plugin.
    pub name: PluginName,
    /// The WebAssembly.
    pub component: ComponentBytes,
    /// Whose key it came with.
    pub uploaded_by: Box<str>,
    /// Whether it is to be the current version at once. The first version of a plugin always is.
    pub promote: bool,
}

/// What an upload came to.
#[derive(Debug, Clone)]
pub struct Uploaded {
    /// The version; one that was known before where the bytes are the same.
    pub version: Written<PluginVersion>,
    /// The plugin as it is now.
    pub entry: PluginEntry,
}

/// Where a version is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promotion {
    /// It runs for all deliveries; a trial ends.
    Full,
    /// It runs for some, on trial.
    Canary(CanaryPercent),
}

impl App {
    /// Takes an upload: checks and compiles it, runs the samples of its manifest, and keeps it as a version.
    ///
    /// # Errors
    /// A component that is refused, with the plugin host's code; a manifest that breaks a rule or does not tell the
    /// truth; a sample that comes out otherwise; too many plugins or versions.
    pub async fn upload_plugin(&self, upload: Upload) -> Result<Uploaded, AppError> {
        let bytes = upload.component.len();
        if bytes > PLUGIN_BYTES_MAX {
            return Err(AppError::new(
                ErrorKind::TooLarge,
                "plugin_too_large",
                format!("the plugin has {bytes} bytes, at most {PLUGIN_BYTES_MAX} are taken"),
            ));
        }
        // Compiling takes seconds, so it comes before the lock that all changes wait for.
        let prepared = self.plugins.prepare(upload.component.clone()).await.map_err(rejected)?;
        let uploaded = self.keep(upload, prepared.digest, prepared.facts).await;
        if uploaded.is_err() {
            self.forget_if_unused(prepared.digest).await;
        }
        uploaded
    }

    async fn keep(
        &self,
        upload: Upload,
        digest: PluginDigest,
        facts: PluginFacts,
    ) -> Result<Uploaded, AppError> {
        let manifest = checked_manifest(&facts)?;
        if let Some(manifest) = &manifest {
            self.run_samples(digest, manifest).await?;
        }
        let version = PluginVersion {
            name: upload.name,
            digest,
            world: facts.world,
            answers: manifest.as_ref().map(|manifest| manifest.answers).unwrap_or_default(),
            label: manifest.as_ref().map(|manifest| manifest.version.as_str().into()).unwrap_or_default(),
            description: manifest.map(|manifest| manifest.description.into()).unwrap_or_default(),
            size_bytes: upload.component.len() as u64,
            created_at: self.now(),
            uploaded_by: upload.uploaded_by,
        };
        let interface = PluginInterface { imports: facts.imports, manifest: facts.manifest };
        let mut edit = self.edit().await;
        let uploaded = edit.put_plugin_version(version, upload.component, interface, upload.promote)?;
        edit.commit().await?;
        Ok(uploaded)
    }

    /// Gives a plugin host that has lost a version its bytes from the store.
    ///
    /// # Errors
    /// For the log: the bytes are gone, or the host does not take them any more.
    pub(crate) async fn reload_plugin(&self, digest: PluginDigest) -> Result<(), String> {
        match self.store.plugin_bytes(digest).await {
            Ok(Some(bytes)) => match self.plugins.prepare(bytes).await {
                Ok(_) => Ok(()),
                Err(rejected) => Err(rejected.message),
            },
            Ok(None) => Err("its bytes are not in the store".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What a version asks for and says of itself.
    ///
    /// # Errors
    /// No such version, or a store that fails.
    pub async fn plugin_interface(&self, digest: PluginDigest) -> Result<PluginInterface, AppError> {
        let interface = self.store.plugin_interface(digest).await?;
        interface.ok_or_else(|| AppError::not_found("plugin version"))
    }

    /// Checks settings against the schema of the version that would read them.
    ///
    /// # Errors
    /// The places that break the schema.
    pub(super) async fn check_settings(
        &self,
        owner: Option<ApplicationId>,
        version: PluginDigest,
        binding: &PluginBinding,
    ) -> Result<(), AppError> {
        let Some(text) = self.plugin_interface(version).await?.manifest else { return Ok(()) };
        // It was checked when it was uploaded; a rule that is newer must not make the plugin unusable.
        let Ok(manifest) = Manifest::parse(&text) else { return Ok(()) };
        check_declared(&manifest, binding)?;
        if let Some(schema) = &manifest.settings_schema {
            schema.validate(&binding.settings).map_err(|error| {
                let name = &binding.plugin;
                AppError::invalid(
                    "settings_invalid",
                    format!("the plugin `{name}` refuses its settings: {error}"),
                )
            })?;
        }
        if manifest.checks_settings { self.show_settings(owner, version, binding).await } else { Ok(()) }
    }

    /// Shows settings to the plugin itself, in a run that delivers nothing, in turns with its owner's other runs. Somebody
    /// waits for it, so where the host can't run it soon (it is busy, the plugin is not compiled, the machine is slow) the
    /// first delivery will tell.
    async fn show_settings(
        &self,
        owner: Option<ApplicationId>,
        version: PluginDigest,
        binding: &PluginBinding,
    ) -> Result<(), AppError> {
        let run = self.plugins.run(settings_check(owner, version, binding));
        let Ok(report) = tokio::time::timeout(SETTINGS_CHECK_MAX, run).await else { return Ok(()) };
        let Some(refusal) = settings_refusal(&report) else { return Ok(()) };
        let name = &binding.plugin;
        let message = format!("the plugin `{name}` can't work with these settings: {refusal}");
        Err(AppError::invalid("settings_refused", message))
    }

    /// Ends the trial of a version that does worse than the current one.
    pub(crate) async fn end_canary(self: &Arc<Self>, name: &PluginName, version: PluginDigest, worse: Worse) {
        let mut edit = self.edit().await;
        let on_trial = edit.table.plugins.get(name).and_then(|entry| entry.canary);
        if on_trial.is_none_or(|canary| canary.digest != version) {
            return;
        }
        let (new, old) = (worse.on_trial, worse.current);
        tracing::warn!(
            plugin = %name,
            %version,
            failed = new.failures,
            of = new.runs,
            current_failed = old.failures,
            current_of = old.runs,
            "the version on trial fails more often than the current one; its trial is over"
        );
        edit.changes.push(Change::SetCanary(name.clone(), None));
        if let Err(error) = edit.commit().await {
            tracing::error!(plugin = %name, %error, "the trial of a failing version could not be ended");
            return;
        }
        self.announce(&Notice::CanaryEnded { plugin: name.clone(), version, worse });
    }

    /// Deletes a plugin that nothing uses.
    ///
    /// # Errors
    /// No such plugin, or one in use.
    pub async fn delete_plugin(&self, name: &PluginName) -> Result<(), AppError> {
        let mut edit = self.edit().await;
        let entry = edit.plugin(name)?;
        if let Some(user) = edit.user_of(|binding| binding.plugin == *name) {
            let message = format!("{user} uses the plugin `{name}`; change that first");
            return Err(conflict("plugin_in_use", message));
        }
        edit.changes.push(Change::DeletePlugin(name.clone()));
        edit.commit().await?;
        for version in &entry.versions {
            self.forget_if_unused(version.digest).await;
        }
        Ok(())
    }

    /// Deletes a version that nothing uses.
    ///
    /// # Errors
    /// No such version, or one that is current, on trial, or that something stays at.
    pub async fn delete_plugin_version(
        &self,
        name: &PluginName,
        version: PluginDigest,
    ) -> Result<(), AppError> {
        let mut edit = self.edit().await;
        let entry = edit.plugin(name)?;
        entry.require(version)?;
        let in_use = |message: String| conflict("plugin_version_in_use", message);
        if entry.current == version {
            return Err(in_use(format!("this is the current version of `{name}`; promote another first")));
        }
        if entry.canary.is_some_and(|canary| canary.digest == version) {
            return Err(in_use(format!("this version of `{name}` is on trial; roll back first")));
        }
        let pins = |binding: &PluginBinding| binding.plugin == *name && binding.pinned == Some(version);
        if let Some(user) = edit.user_of(pins) {
            return Err(in_use(format!("{user} stays at this version of `{name}`; change that first")));
        }
        edit.changes.push(Change::DeletePluginVersion(name.clone(), version));
        edit.commit().await?;
        self.forget_if_unused(version).await;
        Ok(())
    }

    /// Drops the compiled form of a version that no plugin has.
    pub(crate) async fn forget_if_unused(&self, digest: PluginDigest) {
        let is_used = {
            let table = self.table();
            let mut versions = table.plugins.values().flat_map(|entry| &entry.versions);
            versions.any(|version| version.digest == digest)
        };
        if !is_used {
            self.plugins.forget(digest).await;
        }
    }
}

impl Edit<'_> {
    /// Makes a known version the current one, or puts it on trial.
    ///
    /// # Errors
    /// No such plugin or version; a version of another world; the current version on trial against itself.
    pub fn promote_plugin(
        &mut self,
        name: &PluginName,
        version: PluginDigest,
        promotion: Promotion,
    ) -> Result<PluginEntry, AppError> {
        let mut entry = PluginEntry::clone(&*self.plugin(name)?);
        let world = entry.require(version)?.world;
        if world != entry.require(entry.current)?.world {
            return Err(conflict(
                "plugin_world_differs",
                format!(
                    "this version is a {}, what uses `{name}` expects another; upload it under another name",
                    world.as_str()
                ),
            ));
        }
        match promotion {
            Promotion::Full => {
                self.end_trial(&mut entry, name);
                self.changes.push(Change::SetCurrentPlugin(name.clone(), version));
                entry.current = version;
            }
            Promotion::Canary(_) if entry.current == version => {
                return Err(conflict(
                    "plugin_version_current",
                    "this is the current version; there is nothing to try",
                ));
            }
            Promotion::Canary(percent) => {
                let canary = Canary { digest: version, percent };
                self.changes.push(Change::SetCanary(name.clone(), Some(canary)));
                entry.canary = Some(canary);
            }
        }
        Ok(entry)
    }

    /// Takes back the last step: ends a trial, or makes the version current that was uploaded before the current one.
    /// A version that is named becomes the current one whatever was before.
    ///
    /// # Errors
    /// No such plugin or version, or none before the current.
    pub fn roll_back_plugin(
        &mut self,
        name: &PluginName,
        version: Option<PluginDigest>,
    ) -> Result<PluginEntry, AppError> {
        let mut entry = PluginEntry::clone(&*self.plugin(name)?);
        if version.is_none() && entry.canary.is_some() {
            self.end_trial(&mut entry, name);
            return Ok(entry);
        }
        let earlier = match version {
            Some(version) => version,
            None => {
                let before = entry.versions.iter().take_while(|known| known.digest != entry.current);
                let earlier = before.last().ok_or_else(|| {
                    conflict(
                        "no_earlier_version",
                        format!("the plugin `{name}` has no version before its current one; name a version"),
                    )
                })?;
                earlier.digest
            }
        };
        self.promote_plugin(name, earlier, Promotion::Full)
    }

    fn end_trial(&mut self, entry: &mut PluginEntry, name: &PluginName) {
        if entry.canary.take().is_some() {
            self.changes.push(Change::SetCanary(name.clone(), None));
        }
    }

    fn plugin(&self, name: &PluginName) -> Result<Arc<PluginEntry>, AppError> {
        self.table.plugins.get(name).cloned().ok_or_else(|| AppError::not_found("plugin"))
    }

    /// Who has such a binding, in words.
    fn user_of(&self, matches: impl Fn(&PluginBinding) -> bool) -> Option<String> {
        let endpoint = self.table.endpoints.values().find(|endpoint| {
            let transform = endpoint.transformation.configured().map(|used| &used.binding);
            transform.into_iter().chain(endpoint.classifier.as_deref()).any(&matches)
        });
        if let Some(endpoint) = endpoint {
            return Some(format!("the endpoint {}", endpoint.id));
        }
        let uses = |intake: &Intake| matches!(intake, Intake::Plugin(binding) if matches(binding));
        let source = self.table.sources.values().find(|source| uses(&source.intake))?;
        Some(format!("the source `{}`", source.name))
    }

    fn put_plugin_version(
        &mut self,
        version: PluginVersion,
        component: ComponentBytes,
        interface: PluginInterface,
        promote: bool,
    ) -> Result<Uploaded, AppError> {
        let (name, digest) = (version.name.clone(), version.digest);
        let Some(entry) = self.table.plugins.get(&name).cloned() else {
            if self.table.plugins.len() >= PLUGINS_MAX {
                let message =
                    format!("there are {PLUGINS_MAX} plugins, the most there may be; delete one first");
                return Err(conflict("too_many_plugins", message));
            }
            let entry = PluginEntry { current: digest, canary: None, versions: vec![version.clone()] };
            self.changes.push(Change::PutPluginVersion(version.clone(), component, interface));
            self.changes.push(Change::SetCurrentPlugin(name, digest));
            return Ok(Uploaded { version: Written::Created(version), entry });
        };
        let mut entry = PluginEntry::clone(&entry);
        let written = match entry.versions.iter().find(|known| known.digest == digest) {
            Some(known) => Written::Existing(known.clone()),
            None if entry.versions.len() >= PLUGIN_VERSIONS_MAX => {
                let message = format!(
                    "the plugin `{name}` has {PLUGIN_VERSIONS_MAX} versions, the most it may have; delete some"
                );
                return Err(conflict("too_many_plugin_versions", message));
            }
            None => {
                self.changes.push(Change::PutPluginVersion(version.clone(), component, interface));
                entry.versions.push(version.clone());
                Written::Created(version)
            }
        };
        if promote && entry.current != digest {
            if written.get().world != entry.require(entry.current)?.world {
                let message =
                    format!("what uses `{name}` expects a plugin of another world; choose another name");
                return Err(conflict("plugin_world_differs", message));
            }
            self.end_trial(&mut entry, &name);
            self.changes.push(Change::SetCurrentPlugin(name, digest));
            entry.current = digest;
        }
        Ok(Uploaded { version: written, entry })
    }
}

/// A version that a plugin must have.
trait Require {
    fn require(&self, version: PluginDigest) -> Result<&PluginVersion, AppError>;
}

impl Require for PluginEntry {
    fn require(&self, version: PluginDigest) -> Result<&PluginVersion, AppError> {
        let mut versions = self.versions.iter();
        versions.find(|known| known.digest == version).ok_or_else(|| AppError::not_found("plugin version"))
    }
}

/// Whether the plugin asks for each secret that is bound for it. A script asks in its text, so its runner can't say.
fn check_declared(manifest: &Manifest, binding: &PluginBinding) -> Result<(), AppError> {
    if binding.plugin.as_str() == JAVASCRIPT_PLUGIN {
        return Ok(());
    }
    let is_declared = |name: &&str| manifest.secrets.iter().any(|secret| secret.name.as_str() == *name);
    let Some(undeclared) = binding.secrets.names().find(|name| !is_declared(name)) else { return Ok(()) };
    let declared: Vec<&str> = manifest.secrets.iter().map(|secret| secret.name.as_str()).collect();
    let known = match declared.as_slice() {
        [] => "it has none".to_owned(),
        names => format!("it has `{}`", names.join("`, `")),
    };
    let plugin = &binding.plugin;
    let message = format!("the plugin `{plugin}` declares no secret `{undeclared}`: {known}");
    Err(AppError::invalid("plugin_secret_undeclared", message))
}

/// The manifest of an upload, which must tell the truth.
fn checked_manifest(facts: &PluginFacts) -> Result<Option<Manifest>, AppError> {
    let Some(text) = &facts.manifest else { return Ok(None) };
    let manifest = Manifest::parse(text).and_then(|manifest| {
        manifest.check_component(facts.world)?;
        Ok(manifest)
    });
    manifest.map(Some).map_err(|error| AppError::invalid(error.code(), format!("the manifest: {error}")))
}

pub(crate) fn rejected(rejected: PluginRejected) -> AppError {
    AppError::invalid(rejected.code, rejected.message)
}
