//! One run of a plugin, without HTTP and disk, beside native code that does as much.
//!
//! The plugin host is the router's own, and so are its limits: each run gets a fresh instance, fuel is counted, the clock
//! is watched. Beside it runs in one instance, which the router does not do, tell what the freshness costs. The time of a run is what the host itself measures on its thread, from taking the instance to giving back
//! its memory; "as the dispatcher waits" adds the way through the queue and two threads. Native is the plugin's own function,
//! compiled for this machine.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hdrhistogram::Histogram;
use hookmill_core::plugin::{InstancePolicy, PluginDigest};
use hookmill_core::port::plugins::{Plugins as _, TransformRun};
use hookmill_core::time::UnixMillis;
use hookmill_plugin::test;
use hookmill_testkit::store_contract::fixture;
use hookmill_wasm::{WasmConfig, WasmHost};
use zeroize::Zeroizing;

use crate::clock;
use crate::error::BenchError;
use crate::event;
use crate::native_json;
use crate::report::{Figure, Quantiles, Target};

const SIZES: [(usize, &str); 2] = [(512, "0.5 KB"), (10 * 1024, "10 KB")];
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);
const WARM_UP_RUNS: u32 = 500;

/// Medians of a fresh instance that takes 0.5 KB, without and with the kernel's list of dirty pages.
const FRESH_US_MAX: f64 = 45.0;
const FRESH_SCANNED_US_MAX: f64 = 18.0;

/// Medians of a fresh instance of the plugins whose languages bring a machine of their own, by size.
const JAVASCRIPT_US_MAX: [f64; 2] = [250.0, 600.0];
const JQ_US_MAX: [Option<f64>; 2] = [Some(250.0), None];
/// 99th percentile of a fresh instance in Rust that takes 0.5 KB, with the kernel's list of dirty pages.
const FRESH_SCANNED_P99_US_MAX: f64 = 60.0;
/// A warm instance against native code that does the same with serde_json's values.
const REUSED_OF_NATIVE_MAX: f64 = 2.5;

const JAVASCRIPT_SETTINGS: &str = r#"{"code":"function handle(event) { const report = event.json(); report.reference = report.id; delete report.id; return { body: report, headers: { 'x-kind': 'report' } }; }"}"#;
const JQ_SETTINGS: &str = r#"{"filter":"{reference: .id} + del(.id) | select(.reference != null)"}"#;

/// What many runs of one kind took.
struct Runs {
    on_thread_ns: Histogram<u64>,
    awaited_ns: Histogram<u64>,
    fuel: u64,
}

/// Measures `runs` runs of each kind of the Rust plugin at `plugin`, and of the bundled ones beside it.
pub(crate) async fn measure(
    plugin: &Path,
    directory: &Path,
    runs: u32,
) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
    let component = read(plugin)?;
    let (mut figures, mut remarks) = (Vec::new(), Vec::new());
    let native: Vec<Quantiles> =
        SIZES.iter().map(|(bytes, _)| native(&event::notification(*bytes), runs)).collect();
    let same_code: Vec<Quantiles> =
        SIZES.iter().map(|(bytes, _)| native_plugin(&event::notification(*bytes), runs)).collect();
    for pagemap_scan in [false, true] {
        if pagemap_scan && !pagemap_scan_is_used() {
            remarks.push("PAGEMAP_SCAN is not used here: an older kernel, or swap is active".into());
            continue;
        }
        let (suffix, aim_us) =
            if pagemap_scan { (", PAGEMAP_SCAN", FRESH_SCANNED_US_MAX) } else { ("", FRESH_US_MAX) };
        let unusable = |reason| BenchError::Plugin { path: plugin.to_owned(), reason };
        let host =
            host(&directory.join(format!("plugins-{pagemap_scan}")), pagemap_scan).map_err(unusable)?;
        let digest =
            host.prepare(component.clone()).await.map_err(|refusal| unusable(refusal.message))?.digest;
        for (index, (bytes, size)) in SIZES.into_iter().enumerate() {
            let run = run_of(digest, bytes, "{}");
            let is_small = index == 0;
            let found = warm_then(&host, &run, runs).await.map_err(unusable)?;
            let Quantiles { p50, p99, .. } = Quantiles::in_microseconds(&found.on_thread_ns);
            let aim = is_small.then_some(aim_us);
            figures.push(aimed(format!("Rust, fresh, {size}{suffix}, p50"), p50, aim));
            let aim = (is_small && pagemap_scan).then_some(FRESH_SCANNED_P99_US_MAX);
            figures.push(aimed(format!("Rust, fresh, {size}{suffix}, p99"), p99, aim));
            let again = TransformRun { instance: InstancePolicy::Reused, ..run };
            let reused = warm_then(&host, &again, runs).await.map_err(unusable)?;
            let reused = Quantiles::in_microseconds(&reused.on_thread_ns);
            let aim = pagemap_scan.then_some(REUSED_OF_NATIVE_MAX * native[index].p50);
            figures.push(aimed(format!("Rust, reused, {size}{suffix}, p50"), reused.p50, aim));
            let awaited = Quantiles::in_microseconds(&found.awaited_ns);
            remarks.push(format!(
                "{size}{suffix}: {:.1} / {:.1} us p50 / p99 as the dispatcher waits; {} units of fuel a run",
                awaited.p50, awaited.p99, found.fuel,
            ));
        }
    }
    for ((_, size), (native, same_code)) in SIZES.into_iter().zip(native.iter().zip(&same_code)) {
        figures.push(Figure::new(format!("serde_json, native, {size}, p50"), "us", native.p50));
        figures.push(Figure::new(format!("the plugin's code, native, {size}, p50"), "us", same_code.p50));
    }
    let beside = plugin.parent().unwrap_or(Path::new("."));
    let javascript = JAVASCRIPT_US_MAX.map(Some);
    for (name, settings, aims) in
        [("javascript", JAVASCRIPT_SETTINGS, javascript), ("jq", JQ_SETTINGS, JQ_US_MAX)]
    {
        let path = beside.join(format!("{name}.wasm"));
        let unusable = |reason| BenchError::Plugin { path: path.clone(), reason };
        let host = host(&directory.join(name), pagemap_scan_is_used()).map_err(unusable)?;
        let prepared = host.prepare(read(&path)?).await.map_err(|refusal| unusable(refusal.message))?;
        for ((bytes, size), aim) in SIZES.into_iter().zip(aims) {
            let run = run_of(prepared.digest, bytes, settings);
            let found = warm_then(&host, &run, runs / 5).await.map_err(unusable)?;
            let Quantiles { p50, p99, .. } = Quantiles::in_microseconds(&found.on_thread_ns);
            figures.push(aimed(format!("{name}, fresh, {size}, p50"), p50, aim));
            figures.push(Figure::new(format!("{name}, fresh, {size}, p99"), "us", p99));
            let again = TransformRun { instance: InstancePolicy::Reused, ..run };
            let reused = warm_then(&host, &again, runs / 5).await.map_err(unusable)?;
            let reused = Quantiles::in_microseconds(&reused.on_thread_ns);
            figures.push(Figure::new(format!("{name}, reused, {size}, p50"), "us", reused.p50));
            remarks.push(format!("{name}, {size}: {} units of fuel a run", found.fuel));
        }
    }
    Ok((figures, remarks))
}

fn aimed(name: String, value_us: f64, aim_us: Option<f64>) -> Figure {
    let figure = Figure::new(name, "us", value_us);
    match aim_us {
        Some(aim_us) => figure.target(Target::AtMost(aim_us)),
        None => figure,
    }
}

pub(crate) fn read(path: &Path) -> Result<Bytes, BenchError> {
    let component =
        std::fs::read(path).map_err(|source| BenchError::Read { path: path.to_owned(), source })?;
    Ok(component.into())
}

fn host(cache: &Path, pagemap_scan: bool) -> Result<WasmHost, String> {
    let config = WasmConfig { pagemap_scan, ..WasmConfig::new(cache.to_owned(), Zeroizing::new([7; 32])) };
    WasmHost::new(config).map_err(|error| error.to_string())
}

async fn warm_then(host: &WasmHost, run: &TransformRun, runs: u32) -> Result<Runs, String> {
    repeat(host, run, WARM_UP_RUNS).await?;
    repeat(host, run, runs).await
}

async fn repeat(host: &WasmHost, run: &TransformRun, times: u32) -> Result<Runs, String> {
    let mut found =
        Runs { on_thread_ns: Quantiles::histogram(), awaited_ns: Quantiles::histogram(), fuel: 0 };
    for _ in 0..times {
        let started_ns = clock::now_ns();
        let report = host.run(run.clone()).await;
        found.awaited_ns.saturating_record(clock::now_ns() - started_ns);
        report.result.map_err(|failure| format!("{failure:?}"))?;
        let on_thread_ns = u64::try_from(report.cost.wall.as_nanos()).unwrap_or(u64::MAX);
        found.on_thread_ns.saturating_record(on_thread_ns);
        found.fuel = report.cost.fuel;
    }
    Ok(found)
}

pub(crate) fn run_of(digest: PluginDigest, bytes: usize, settings: &str) -> TransformRun {
    let mut event = fixture::event(1, 1, NOW);
    event.body = Bytes::from(event::notification(bytes));
    TransformRun {
        digest,
        event: Arc::new(event),
        endpoint: Arc::new(fixture::endpoint(1, 1)),
        settings: settings.into(),
        secrets: Arc::default(),
        attempt: 1,
        now: NOW,
        instance: InstancePolicy::Fresh,
    }
}

/// The plugin's work as native code, with serde_json's values.
fn native(notification: &str, runs: u32) -> Quantiles {
    let mut times_ns = Quantiles::histogram();
    for _ in 0..runs {
        let started_ns = clock::now_ns();
        let report = native_json::report(std::hint::black_box(notification));
        times_ns.saturating_record(clock::now_ns() - started_ns);
        std::hint::black_box(report).expect("the notification is one");
    }
    Quantiles::in_microseconds(&times_ns)
}

/// The plugin's own function as native code: what the SDK does without a sandbox.
fn native_plugin(notification: &str, runs: u32) -> Quantiles {
    let mut times_ns = Quantiles::histogram();
    for _ in 0..runs {
        let (event, target) = (test::event(notification), test::target("{}"));
        let started_ns = clock::now_ns();
        let outcome = test::run(osmox_notification::reshape, event, target);
        times_ns.saturating_record(clock::now_ns() - started_ns);
        std::hint::black_box(outcome).expect("the notification is one");
    }
    Quantiles::in_microseconds(&times_ns)
}

/// The plugin host's own rule: Linux 6.7 brought the call, and swap makes it unsafe.
fn pagemap_scan_is_used() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    has_pagemap_scan(&release) && swaps.lines().count() == 1
}

fn has_pagemap_scan(release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (6, 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_with_the_scan_are_known() {
        let check = |release: &str, expect: bool| assert_eq!(has_pagemap_scan(release), expect, "{release}");
        check("6.7.0", true);
        check("6.18.44-cloud", true);
        check("7.0-rc1", true);
        check("6.6.32", false);
        check("5.15.0-generic", false);
        check("", false);
    }
}
