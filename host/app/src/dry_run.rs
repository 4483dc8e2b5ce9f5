//! Trying a plugin without consequences: nothing is stored, nothing is sent.

use std::sync::Arc;

use hookmill_core::delivery::TransformFailure;
use hookmill_core::event::Event;
use hookmill_core::json::Document;
use hookmill_core::manifest::{Manifest, Sample, SampleReport, settings_refusal};
use hookmill_core::plugin::{ComponentBytes, PluginDigest, PluginName, World};
use hookmill_core::port::plugins::TransformReport;
use hookmill_core::port::store::EventLookup;

use crate::administer::plugin::rejected;
use crate::{App, AppError};

/// What is tried.
#[derive(Debug, Clone)]
pub enum Candidate {
    /// An uploaded plugin: this version of it, or its current one.
    Uploaded {
        /// Which plugin.
        plugin: PluginName,
        /// Which version.
        version: Option<PluginDigest>,
    },
    /// A component that is not uploaded. It is compiled and forgotten again.
    Component(ComponentBytes),
}

/// A dry run to be made.
#[derive(Debug)]
pub struct DryRun {
    /// What is tried.
    pub candidate: Candidate,
    /// What it is given: a sample of a manifest without `name` and `expect`.
    pub input: Document,
    /// A recorded event, in the place of one in the input.
    pub recorded: Option<Arc<Event>>,
}

/// What came of a dry run.
#[derive(Debug)]
pub struct DryRunReport {
    /// Which version ran.
    pub version: PluginDigest,
    /// What it is for.
    pub world: World,
    /// What it was given.
    pub sample: Sample,
    /// What it made of that.
    pub report: SampleReport,
}

impl App {
    /// Runs a plugin once, with the limits that hold for deliveries.
    ///
    /// # Errors
    /// No such plugin or version, a component that is refused, an input that is not one for its world.
    pub async fn dry_run(&self, run: DryRun) -> Result<DryRunReport, AppError> {
        match run.candidate.clone() {
            Candidate::Uploaded { plugin, version } => {
                let (version, world) = self.uploaded(&plugin, version)?;
                let interface = self.plugin_interface(version).await?;
                self.try_out(version, world, interface.manifest.as_deref(), run).await
            }
            Candidate::Component(component) => {
                let prepared = self.plugins.prepare(component).await.map_err(rejected)?;
                let (version, facts) = (prepared.digest, prepared.facts);
                let report = self.try_out(version, facts.world, facts.manifest.as_deref(), run).await;
                self.forget_if_unused(version).await;
                report
            }
        }
    }

    /// A recorded event, for a dry run.
    ///
    /// # Errors
    /// No such application or event.
    pub async fn recorded_event(
        &self,
        application: &str,
        lookup: EventLookup,
    ) -> Result<Arc<Event>, AppError> {
        let routes = self.table().application(application).cloned();
        let application = routes.ok_or_else(|| AppError::not_found("application"))?.application.id;
        let event = self.store.event(application, lookup).await?;
        event.ok_or_else(|| AppError::not_found("message"))
    }

    fn uploaded(
        &self,
        plugin: &PluginName,
        version: Option<PluginDigest>,
    ) -> Result<(PluginDigest, World), AppError> {
        let table = self.table();
        let entry = table.plugins.get(plugin).ok_or_else(|| AppError::not_found("plugin"))?;
        let digest = version.unwrap_or(entry.current);
        let version = entry.versions.iter().find(|version| version.digest == digest);
        let version = version.ok_or_else(|| AppError::not_found("plugin version"))?;
        Ok((digest, version.world))
    }

    async fn try_out(
        &self,
        version: PluginDigest,
        world: World,
        manifest: Option<&[u8]>,
        run: DryRun,
    ) -> Result<DryRunReport, AppError> {
        let manifest = manifest.map(Manifest::parse).transpose();
        let manifest =
            manifest.map_err(|error| AppError::invalid(error.code(), format!("the manifest: {error}")))?;
        let mut sample = Sample::input_only(&run.input, world, manifest.as_ref())
            .map_err(|error| AppError::invalid(error.code(), format!("the input: {error}")))?;
        if let Some(recorded) = run.recorded {
            sample.replace_event(recorded);
        }
        // As when settings are saved: the plugin looks at them first, and what it refuses never gets an event.
        if let Some(check) = sample.settings_check(version, manifest.as_ref()) {
            let checked = self.run_transform(check).await;
            if let Some(refusal) = settings_refusal(&checked) {
                let detail = format!("the plugin can't work with these settings: {refusal}");
                let result = Err(TransformFailure::Fault { code: "settings_refused", detail });
                let report = SampleReport::Transform(TransformReport { result, ..checked });
                return Ok(DryRunReport { version, world, sample, report });
            }
        }
        let report = self.run_sample(sample.run(version)).await;
        Ok(DryRunReport { version, world, sample, report })
    }
}
