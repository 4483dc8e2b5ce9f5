//! The command line of `hookmill import`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use hookmill_core::event::Name;
use url::Url;

use crate::import::osmox::APPLICATION;

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// The webhooks of an OsmoX server, from a dump of its MySQL database
    ///
    /// Each active row of the table `notify_webhooks` becomes an endpoint on the terms of the preset `osmox`: its uid is
    /// `provider-` and the provider's id, and it gets the events with that `providerId`. Of several active rows of one
    /// provider the newest counts. A dump of that table alone is enough:
    /// `mysqldump DATABASE notify_webhooks | hookmill import osmox --mysql-dump -`
    Osmox(ImportOsmox),
    /// Event types, applications and endpoints of a Svix server, from its API
    ///
    /// Endpoints keep their secrets, so receivers go on verifying. They keep their headers, filters and rate limits, and
    /// a transformation runs in the plugin `javascript`. What has no uid gets its id there as its uid here. Values of
    /// headers that the server does not show, `Authorization` for example, have to be set by hand and are told at the end.
    /// What several requests make is disabled until the last of them, and completed by the next import if one is cut off.
    Svix(ImportSvix),
}

#[derive(Debug, Args)]
pub(crate) struct ImportOsmox {
    /// What mysqldump wrote; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) mysql_dump: PathBuf,
    /// The application that gets the endpoints, by uid; it is created if there is none
    #[arg(long, value_name = "UID", default_value = APPLICATION)]
    pub(crate) app: Name,
    /// Make disabled endpoints of providers whose webhooks are all inactive
    #[arg(long)]
    pub(crate) include_inactive: bool,
    /// Only show what would be made
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportSvix {
    /// Where the Svix server is, for example https://api.eu.svix.com
    #[arg(long = "url", value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) source: Url,
    /// A token of that server; give it in the environment, since other users of a machine can see arguments
    #[arg(long, env = "SVIX_AUTH_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: String,
    /// Only show what would be made
    #[arg(long)]
    pub(crate) dry_run: bool,
}
