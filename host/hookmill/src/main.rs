//! Hookmill: a WebAssembly-pluggable webhook router in one binary.
//!
//! This crate is the command line ([`cli`]), the configuration ([`config`]), the wiring of the adapters ([`serve`]), the
//! verbs that talk to a running server ([`client`]), what they make of other systems' data ([`import`]) and the demo
//! ([`demo`]). Time, chance and the environment come from [`world`]; how a command ends is in [`failure`].

mod cli;
mod client;
mod config;
mod demo;
mod failure;
mod import;
mod log;
mod serve;
mod world;

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _, Subcommand};
use tokio::runtime::Runtime;

use crate::cli::{Command, CommandLine, Verb};
use crate::client::Client;
use crate::config::ServeArguments;
use crate::failure::{Exit, Failure};
use crate::log::LogFormat;

/// How long the last lines of the router may take to be written.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// The system's allocator keeps more memory under load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Serve(arguments) => serve(arguments),
        Command::Demo(arguments) => finish(false, run(demo::run(arguments))),
        Command::App(verb) => talk(verb, client::run_application),
        Command::Endpoint(verb) => talk(verb, client::run_endpoint),
        Command::Event(verb) => talk(verb, client::run_event),
        Command::Plugin(verb) => talk(verb, client::run_plugin),
        Command::Key(verb) => talk(verb, client::run_key),
        Command::Import(verb) => talk(verb, client::run_import),
        Command::Doctor(arguments) => {
            let json = arguments.connection.json;
            finish(json, run(client::run_doctor(arguments)))
        }
        // Nobody reads what it would say: a worker that fails is one that does not answer.
        Command::CompilePlugin => match hookmill_wasm::serve_compile_job() {
            Ok(()) => Exit::Done.into(),
            Err(_) => Exit::Failed.into(),
        },
        Command::Completions { shell } => {
            let mut definition = CommandLine::command();
            clap_complete::generate(shell, &mut definition, "hookmill", &mut std::io::stdout());
            Exit::Done.into()
        }
    }
}

/// Runs the router. The process ends without waiting for what may be stuck in threads: all that counts is in the store.
fn serve(arguments: ServeArguments) -> ExitCode {
    serve::keep_files_private();
    let started = config::load(arguments).and_then(|config| {
        log::start(config.log, log::parse_filter(&config.log_level)?);
        for told in config::unknown_variables() {
            tracing::warn!("{told}");
        }
        Ok(config)
    });
    let config = match started {
        Ok(config) => config,
        Err(failure) => return finish(false, Err(failure)),
    };
    let json = config.log == LogFormat::Json;
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(failure) => return finish(json, Err(failure)),
    };
    let outcome = runtime.block_on(serve::run(config));
    runtime.shutdown_background();
    // Whoever started us may not read what we say, and still waits for our end.
    log::flush(LAST_WORDS_MAX);
    let (told, waits) = mpsc::channel();
    let exit = outcome.as_ref().map_or_else(|failure| failure.exit, |exit| *exit);
    std::thread::spawn(move || told.send(finish(json, outcome)));
    waits.recv_timeout(LAST_WORDS_MAX).unwrap_or_else(|_| exit.into())
}

/// Runs a verb against a server.
fn talk<C: Subcommand, F>(verb: Verb<C>, act: impl FnOnce(Client, bool, C) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    let Verb { connection, command } = verb;
    let json = connection.json;
    let outcome = Client::new(&connection).and_then(|client| run(act(client, json, command)));
    finish(json, outcome.map(|()| Exit::Done))
}

fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime()?.block_on(work)
}

/// Ends a command: tells why it failed, if it did.
fn finish(json: bool, outcome: Result<Exit, Failure>) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.report(json);
            failure.exit.into()
        }
    }
}

/// One thread a core for requests and deliveries; plugins and the store have threads of their own.
fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Failed, "runtime_failed", format!("no threads: {error}"))
            .hint("check the limits on processes and memory of this user")
    })
}
