//! Running a plugin, wherever that is asked for: deliveries, sources, samples, dry runs.

use hookmill_core::delivery::TransformFailure;
use hookmill_core::manifest::{Manifest, SampleReport, SampleRun};
use hookmill_core::plugin::{PluginDigest, World};
use hookmill_core::port::PortFuture;
use hookmill_core::port::plugins::{
    ClassifierReport, ClassifierRun, PLUGIN_NOT_LOADED, RunReport, SourceReport, SourceRun, TransformReport,
    TransformRun,
};

use crate::{App, AppError};

impl App {
    /// Runs a transform.
    pub(crate) async fn run_transform(&self, run: TransformRun) -> TransformReport {
        let report = self.run_loaded(run.digest, || self.plugins.run(run.clone())).await;
        self.metrics.plugin_ran(World::Transform, &report);
        report
    }

    /// Shows a source plugin one request.
    pub(crate) async fn run_source(&self, run: SourceRun) -> SourceReport {
        let report = self.run_loaded(run.digest, || self.plugins.receive(run.clone())).await;
        self.metrics.plugin_ran(World::Source, &report);
        report
    }

    /// Shows a classifier one answer.
    pub(crate) async fn run_classifier(&self, run: ClassifierRun) -> ClassifierReport {
        let report = self.run_loaded(run.digest, || self.plugins.classify(run.clone())).await;
        self.metrics.plugin_ran(World::Classifier, &report);
        report
    }

    /// Runs a sample.
    pub(crate) async fn run_sample(&self, run: SampleRun) -> SampleReport {
        match run {
            SampleRun::Transform(run) => SampleReport::Transform(self.run_transform(run).await),
            SampleRun::Source(run) => SampleReport::Source(self.run_source(run).await),
            SampleRun::Classifier(run) => SampleReport::Classifier(self.run_classifier(run).await),
        }
    }

    /// Runs all samples of a manifest.
    ///
    /// # Errors
    /// The first sample that comes out otherwise than expected, and where.
    pub(crate) async fn run_samples(
        &self,
        digest: PluginDigest,
        manifest: &Manifest,
    ) -> Result<(), AppError> {
        for sample in &manifest.samples {
            let report = self.run_sample(sample.run(digest)).await;
            sample.judge(&report).map_err(|difference| {
                let message = format!("the sample `{}` comes out otherwise:\n{difference}", sample.name);
                AppError::invalid("plugin_sample_failed", message)
            })?;
        }
        Ok(())
    }

    /// A host that has lost the version gets its bytes from the store, once.
    async fn run_loaded<'run, T: 'static>(
        &self,
        digest: PluginDigest,
        run: impl Fn() -> PortFuture<'run, RunReport<T>> + Send,
    ) -> RunReport<T> {
        let report = run().await;
        let is_lost = report.result.as_ref().is_err_and(|failure| failure.code() == PLUGIN_NOT_LOADED);
        if !is_lost {
            return report;
        }
        match self.reload_plugin(digest).await {
            Ok(()) => run().await,
            Err(reason) => RunReport::not_begun(TransformFailure::Unavailable {
                code: "plugin_unavailable",
                detail: format!("{digest} can't be loaded: {reason}"),
            }),
        }
    }
}
