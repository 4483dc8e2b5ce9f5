//! `hookmill plugin`: from an idea to a version that runs.
//!
//! [`new`] makes a [`project`]; [`build`] runs the [`toolchain`] of its language and lets [`component`] finish what that
//! left; [`samples`] and [`run`] try a plugin, in a plugin host of this process ([`local`]) or on a server; [`registry`]
//! has the verbs of the server's plugins.

mod build;
mod cache;
mod component;
mod local;
mod new;
mod project;
mod registry;
mod report;
mod run;
mod samples;
mod toolchain;
mod vendored;

use std::io::Write as _;
use std::path::Path;

pub(crate) use self::registry::read_plugin;
use super::Client;
use crate::cli::PluginCommand;
use crate::failure::{Exit, Failure};

pub(crate) async fn run(client: Client, json: bool, command: PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::New(arguments) => new::create(json, arguments),
        PluginCommand::Build { directory } => build::build(json, &directory),
        PluginCommand::Test { subject, update } => samples::test(json, &subject, update).await,
        PluginCommand::Run(arguments) => run::run(&client, json, arguments).await,
        PluginCommand::Push { subject, file, no_promote } => {
            registry::push(&client, json, &subject, file.as_deref(), !no_promote).await
        }
        PluginCommand::List => registry::list(&client, json).await,
        PluginCommand::Show { name } => registry::show(&client, json, &name).await,
        PluginCommand::Promote { name, version, canary } => {
            registry::promote(&client, json, &name, &version, canary).await
        }
        PluginCommand::Rollback { name, version } => {
            registry::rollback(&client, json, &name, version.as_deref()).await
        }
        PluginCommand::Delete { name, version } => {
            registry::delete(&client, json, &name, version.as_deref()).await
        }
    }
}

/// Tells a person what is no part of the answer.
fn note(text: &str) {
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn not_written(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "file_not_writable", format!("{} can't be written: {error}", path.display()))
}
