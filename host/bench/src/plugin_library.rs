//! Many plugins: what the host keeps of them in memory, and what one costs that it does not keep.

use std::path::Path;

use bytes::Bytes;
use hookmill_core::plugin::PluginDigest;
use hookmill_core::port::plugins::Plugins as _;
use hookmill_tests::plugin;
use hookmill_wasm::{WasmConfig, WasmHost};
use zeroize::Zeroizing;

use crate::clock;
use crate::error::BenchError;
use crate::plugin_runs::{read, run_of};
use crate::process;
use crate::report::{Figure, Quantiles, Target};

/// Bytes of compiled plugins that the host may keep here: less than all of them have.
const LINKED_BYTES_MAX: usize = 32 << 20;
/// What the process may grow by beside that: the allocator's slack after so many compilations.
const SLACK_MB: f64 = 100.0;
/// Loads of plugins that are not in memory.
const COLD_LOADS: u32 = 400;
const COLD_LOAD_MS_MAX: f64 = 5.0;
const EVENT_BYTES: usize = 512;

/// Uploads `plugins` different plugins, then runs some that are long out of memory, and at last a real one.
pub(crate) async fn measure(
    real: &Path,
    directory: &Path,
    plugins: u32,
) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
    let unusable = |reason: String| BenchError::Plugin { path: real.to_owned(), reason };
    let host = host(&directory.join("library"), LINKED_BYTES_MAX).map_err(unusable)?;
    let before = process::resident(std::process::id())?;
    let mut digests = Vec::new();
    let mut artefact_bytes = 0;
    let started_ns = clock::now_ns();
    for number in 0..plugins {
        let component = Bytes::from(plugin::saying(&format!("plugin {number}")));
        let prepared = host.prepare(component).await.map_err(|refusal| unusable(refusal.message))?;
        digests.push(prepared.digest);
        artefact_bytes += prepared.facts.artefact_bytes;
    }
    let upload_ms = (clock::now_ns() - started_ns) as f64 / 1e6 / f64::from(plugins);
    let after = process::resident(std::process::id())?;
    let cold = load_cold(&host, &digests).await.map_err(unusable)?;
    drop(host);

    let real_cold = load_real(real, &directory.join("real")).await?;
    let bound_mb = LINKED_BYTES_MAX as f64 / 1e6;
    let figures = vec![
        Figure::new(format!("memory taken by {plugins} plugins"), "MB", after.now_mb - before.now_mb)
            .target(Target::AtMost(bound_mb + SLACK_MB)),
        Figure::new("upload of a small plugin", "ms", upload_ms),
        Figure::new("a small one from disk and run, p50", "ms", cold.p50),
        Figure::new("a small one from disk and run, p99", "ms", cold.p99),
        Figure::new("a real one from disk and run, p50", "ms", real_cold.p50)
            .target(Target::AtMost(COLD_LOAD_MS_MAX)),
        Figure::new("a real one from disk and run, p99", "ms", real_cold.p99),
    ];
    let compiled_mb = artefact_bytes as f64 / 1e6;
    let remark = format!("{compiled_mb:.0} MB compiled, of which the host keeps {bound_mb:.0} MB in memory");
    Ok((figures, vec![remark]))
}

fn host(cache: &Path, linked_bytes_max: usize) -> Result<WasmHost, String> {
    let config =
        WasmConfig { linked_bytes_max, ..WasmConfig::new(cache.to_owned(), Zeroizing::new([7; 32])) };
    WasmHost::new(config).map_err(|error| error.to_string())
}

/// Runs the plugins that were used least recently, each once.
async fn load_cold(host: &WasmHost, digests: &[PluginDigest]) -> Result<Quantiles, String> {
    let mut times_ns = Quantiles::histogram();
    for digest in digests.iter().take(COLD_LOADS as usize) {
        let started_ns = clock::now_ns();
        let report = host.run(run_of(*digest, EVENT_BYTES, "{}")).await;
        times_ns.saturating_record(clock::now_ns() - started_ns);
        report.result.map_err(|failure| format!("{failure:?}"))?;
    }
    Ok(Quantiles::in_milliseconds(&times_ns))
}

/// A real plugin that another one drives out of memory each time.
async fn load_real(real: &Path, cache: &Path) -> Result<Quantiles, BenchError> {
    let unusable = |reason: String| BenchError::Plugin { path: real.to_owned(), reason };
    let host = host(cache, 1).map_err(unusable)?;
    let prepared = host.prepare(read(real)?).await.map_err(|refusal| unusable(refusal.message))?;
    let small = host.prepare(plugin::saying("next").into()).await;
    let small = small.map_err(|refusal| unusable(refusal.message))?;
    let mut times_ns = Quantiles::histogram();
    for _ in 0..COLD_LOADS {
        host.run(run_of(small.digest, EVENT_BYTES, "{}"))
            .await
            .result
            .map_err(|failure| unusable(format!("{failure:?}")))?;
        let started_ns = clock::now_ns();
        let report = host.run(run_of(prepared.digest, EVENT_BYTES, "{}")).await;
        times_ns.saturating_record(clock::now_ns() - started_ns);
        report.result.map_err(|failure| unusable(format!("{failure:?}")))?;
    }
    Ok(Quantiles::in_milliseconds(&times_ns))
}
