//! Measures the real router: `cargo xtask bench [--quick] [scenario...] [--json FILE]`.
//!
//! Who is who: this process is the [`generator`] and the [`receiver`], on one thread, so that they take as little of the
//! machine as they can. The router runs as a process of its own, as users run it, and the kernel says what it cost. A
//! [`null_router`] runs the same loads in the same run: it shows what this machine allows at best, so that figures of
//! different machines, or of the same virtual one at different hours, can be held against each other. [`disk`] times
//! `fdatasync` around each scenario for the same reason.
//!
//! A target that is missed is a result and no error; `--check` makes it one.

mod attackers;
mod clock;
mod disk;
mod error;
mod event;
mod generator;
mod http1;
mod native_json;
mod null_router;
mod plugin_library;
mod plugin_runs;
mod process;
mod receiver;
mod report;
mod router;
mod scenario;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

use crate::error::BenchError;
use crate::report::{Machine, RunReport};
use crate::scenario::{Bench, Scenario};

// The router has it too: the null router must not win or lose by its allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the router's throughput, latency, processor time and memory.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// What to measure; everything where nothing is named
    scenarios: Vec<Scenario>,
    /// Shorter runs: under three minutes in all, with more noise
    #[arg(long)]
    quick: bool,
    /// Write all figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Exit with 1 where a target is missed
    #[arg(long)]
    check: bool,
    /// The router's program
    #[arg(long, value_name = "FILE", default_value = "target/release/hookmill")]
    router: PathBuf,
    /// The plugin of the WebAssembly scenarios
    #[arg(long, value_name = "FILE", default_value = "plugins/target/plugins/osmox-notification.wasm")]
    plugin: PathBuf,
    /// Where data directories are made: the file system that is measured
    #[arg(long, value_name = "DIRECTORY", default_value = "target")]
    directory: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Serve as the null router; the bench starts this by itself
    #[command(hide = true)]
    NullRouter {
        /// Where events go; nowhere without
        #[arg(long)]
        to: Option<SocketAddr>,
    },
    /// Attack a router; the bench starts this by itself
    #[command(hide = true)]
    Attackers {
        #[arg(long)]
        router: SocketAddr,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.part {
        Some(Part::NullRouter { to }) => run_null_router(to),
        Some(Part::Attackers { router }) => run_attackers(router),
        None => run_bench(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

fn run_null_router(to: Option<SocketAddr>) -> Result<ExitCode, BenchError> {
    let failed = |source| BenchError::Connection { what: "the null router's port", source };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(null_router::run(to)).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

fn run_attackers(router: SocketAddr) -> Result<ExitCode, BenchError> {
    let failed = |source| BenchError::Connection { what: "the attackers' input", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(attackers::run(router)).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

/// One thread for generator and receiver: they are cheaper so, and the router has the other core whenever it wants.
fn run_bench(arguments: &Arguments) -> Result<ExitCode, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| BenchError::Connection { what: "the event loop", source })?;
    runtime.block_on(measure(arguments))
}

async fn measure(arguments: &Arguments) -> Result<ExitCode, BenchError> {
    let bench = Bench::prepare(arguments.quick, &arguments.router, &arguments.plugin, &arguments.directory)?;
    let wanted =
        if arguments.scenarios.is_empty() { Scenario::ALL.to_vec() } else { arguments.scenarios.clone() };
    let machine = Machine::read();
    println!("{}, {} cores, Linux {}", machine.processor, machine.cores, machine.kernel);
    println!("generator, receiver and router share the machine; 0.5 KB events, every 2xx after its commit\n");
    let mut run = RunReport { machine, commit: commit(), quick: arguments.quick, scenarios: Vec::new() };
    for scenario in wanted {
        let report = bench.run(scenario).await?;
        println!("{report}");
        run.scenarios.push(report);
    }
    let (met, of) = run.score();
    println!("{met} of {of} targets met");
    if let Some(path) = &arguments.json {
        write_json(path, &run)?;
    }
    Ok(if arguments.check && met < of { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn write_json(path: &Path, run: &RunReport) -> Result<(), BenchError> {
    let text = serde_json::to_string_pretty(run).expect("figures are finite numbers and plain text");
    std::fs::write(path, text + "\n").map_err(|source| BenchError::Write { path: path.to_owned(), source })
}

fn commit() -> Option<String> {
    let answer = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    if answer.status.success() { Some(text.trim().to_owned()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn scenarios_and_the_null_router_are_told_apart() {
        let arguments = Arguments::try_parse_from(["bench", "--quick", "e2e-wasm", "backlog"]).unwrap();
        assert_eq!(arguments.scenarios, [Scenario::E2eWasm, Scenario::Backlog]);
        let arguments = Arguments::try_parse_from(["bench", "null-router", "--to", "127.0.0.1:1"]).unwrap();
        assert!(matches!(arguments.part, Some(Part::NullRouter { to: Some(_) })));
        assert!(Arguments::try_parse_from(["bench", "no-such-scenario"]).is_err());
    }
}
