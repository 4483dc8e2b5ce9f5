//! Random modules through the whole upload pipeline: `cargo xtask fuzz [--seconds N] [--seed N]`.
//!
//! Who is who: [`input`] makes module number n out of the seed and n, so that two numbers reproduce any finding.
//! [`pipeline`] gives it to a real plugin host, whose compiler is a child process of this same program, and runs what
//! links. [`tally`] counts what became of each, and prints it.
//!
//! A finding is whatever no module may bring about: a panic, a compiler that dies or babbles, an answer that does not
//! come, a host that fails, memory that does not come back. The module is kept as a file, which can be given back as an
//! argument. A compiler that aborts is kept too, and is none: the upload is refused, and the router does not notice.

mod input;
mod pipeline;
mod tally;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use hookmill_tests::fixture::{repository, target_directory};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::input::{Input, Kind, Maker};
use crate::pipeline::{Ended, Pipeline};
use crate::tally::Tally;

/// After so many findings there is enough to mend.
const FINDINGS_MAX: usize = 10;
const EXIT_FOUND: u8 = 1;

/// Feeds random modules to the plugin host.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask fuzz", bin_name = "cargo xtask fuzz", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// How long
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// The same seed makes the same modules in the same order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only the module of this number
    #[arg(long, value_name = "N")]
    number: Option<u64>,
    /// Files to try in the place of random modules
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Compile one upload; the fuzzer starts this by itself
    #[command(hide = true)]
    Compile,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.part {
        Some(Part::Compile) => match hookmill_wasm::serve_compile_job() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        None => fuzz(&arguments),
    }
}

#[tokio::main]
async fn fuzz(arguments: &Arguments) -> ExitCode {
    let pipeline = Pipeline::start();
    let directory = target_directory().join("fuzz");
    let mut tally = Tally::default();
    let progress = bar(arguments);
    // Modules that were named are all tried, and each is told about.
    let timed = arguments.files.is_empty() && arguments.number.is_none();
    let began = Instant::now();
    for input in inputs(arguments) {
        let elapsed = began.elapsed();
        if timed && elapsed >= Duration::from_secs(arguments.seconds) || tally.findings() >= FINDINGS_MAX {
            break;
        }
        progress.set_position(elapsed.as_secs());
        let ended = pipeline.try_input(&input).await;
        let remarkable = match &ended {
            Err(finding) => Some((finding.name(), finding.to_string())),
            Ok(Ended::CompilerDied(rejected)) => Some(("compiler_died", rejected.message.clone())),
            Ok(_) => None,
        };
        if let Some((name, said)) = remarkable {
            let path = keep(&directory, arguments.seed, &input, name);
            progress.suspend(|| println!("{name}: {said}\n    kept as {}", path.display()));
        }
        if let (false, Ok(ended)) = (timed, &ended) {
            progress.suspend(|| println!("{ended}"));
        }
        tally.add(input.kind, ended);
        progress.set_message(tally.line());
    }
    progress.finish_and_clear();
    println!("{}", tally.report(arguments.seed, began.elapsed(), pipeline.peak_bytes()));
    if tally.findings() == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) }
}

/// The files that were named, the module that was named, or modules without end.
fn inputs(arguments: &Arguments) -> Box<dyn Iterator<Item = Input> + '_> {
    if !arguments.files.is_empty() {
        return Box::new(arguments.files.iter().map(|path| Input {
            number: 0,
            kind: Kind::File,
            bytes: std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        }));
    }
    let maker = Maker::new(arguments.seed, &repository().join("plugins/target/plugins"));
    match arguments.number {
        Some(number) => Box::new(std::iter::once(maker.make(number))),
        None => Box::new((0..).map(move |number| maker.make(number))),
    }
}

fn bar(arguments: &Arguments) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} s  {msg}").expect("the template is sound");
    ProgressBar::new(arguments.seconds).with_style(style)
}

fn keep(directory: &Path, seed: u64, input: &Input, name: &str) -> PathBuf {
    let path = directory.join(format!("{seed}-{}-{name}.wasm", input.number));
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&path, &input.bytes))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}
