//! The command line.

mod import;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use hookmill_core::event::Name;
use hookmill_core::plugin::{PluginName, World};
use url::Url;

pub(crate) use self::import::{ImportCommand, ImportOsmox, ImportSvix};
use crate::config::{FILE_HELP, ServeArguments};
use crate::failure::EXIT_CODES_HELP;

/// A WebAssembly-pluggable webhook router: events in, reshaped by plugins, signed, delivered with durable retries.
#[derive(Debug, Parser)]
#[command(name = "hookmill", version, after_help = EXIT_CODES_HELP, disable_help_subcommand = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the router
    ///
    /// Needs no configuration: state is kept in ./hookmill-data, and the first start prints an admin key. Once the router
    /// takes requests it prints `listening on http://ADDRESS:PORT` to standard output. SIGTERM, SIGINT or
    /// SIGHUP drains it: requests and deliveries under way end, the rest is kept for the next start; a second signal ends
    /// it at once.
    /// The limit on open files is raised as far as the system's hard limit allows, since each connection is one.
    #[command(after_long_help = FILE_HELP)]
    Serve(ServeArguments),
    /// Show the main job on real input: reshaped, signed, delivered, through a crash
    ///
    /// Starts a router of its own on a new data directory, uploads two plugins, sends events to receivers that work, fail
    /// and hang, kills the router on the way, starts it again, and checks what arrived.
    Demo(DemoArguments),
    /// Applications: the tenants whose endpoints receive events
    App(Verb<AppCommand>),
    /// Endpoints: where an application's events are delivered
    Endpoint(Verb<EndpointCommand>),
    /// Events
    Event(Verb<EventCommand>),
    /// Plugins: WebAssembly components that reshape events
    Plugin(Verb<PluginCommand>),
    /// API keys: who may do what
    Key(Verb<KeyCommand>),
    /// Create the endpoints of another system here
    ///
    /// What is here already, by uid, is left as it is: an import that was cut off is run again, and a second one makes
    /// nothing. What the router refuses is told at the end, with its code; the rest is made all the same, and the exit
    /// code is 1.
    Import(Verb<ImportCommand>),
    /// Find out what keeps an endpoint from its deliveries, and what to do
    ///
    /// Shows the endpoint's state and terms, what waits and until when, and its latest attempts by their cause. Ends with 0
    /// when all is well, and with 1 when something needs attention.
    Doctor(DoctorArguments),
    /// Print a completion script, to be sourced by a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Compile one plugin for a router that started this process
    #[command(name = COMPILE_PLUGIN, hide = true)]
    CompilePlugin,
}

/// The argument that makes this program a compile worker.
pub(crate) const COMPILE_PLUGIN: &str = "compile-plugin";

/// Something to do on a server.
#[derive(Debug, Args)]
pub(crate) struct Verb<C: Subcommand> {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: C,
}

/// How to reach a server.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// Where the server is
    #[arg(long = "server", global = true, env = "HOOKMILL_URL", value_name = "URL", default_value = "http://127.0.0.1:8080", value_hint = ValueHint::Url)]
    pub(crate) url: Url,

    /// API key; give it in the environment, since other users of a machine can see arguments
    #[arg(long, global = true, env = "HOOKMILL_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Print the server's answer as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Create an application
    Create {
        /// For people
        name: String,
        /// Your own id for it, usable wherever its id is
        #[arg(long)]
        uid: Option<String>,
    },
    /// List the applications
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EndpointCommand {
    /// Create an endpoint
    Create {
        /// Where deliveries go
        #[arg(value_name = "URL", value_hint = ValueHint::Url)]
        receiver: String,
        /// The application, by id or uid
        #[arg(long)]
        app: String,
        /// Your own id for it, usable wherever its id is
        #[arg(long)]
        uid: Option<String>,
        /// Only events of this type; may be repeated [default: all]
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// How it has to prove that it wants events before it receives any [default: it need not]
        #[arg(long, value_enum, value_name = "METHOD")]
        verification: Option<VerificationMethod>,
        /// The plugin that reshapes its events
        #[arg(long)]
        plugin: Option<String>,
        /// Settings for the plugin, as JSON
        #[arg(long, requires = "plugin", value_name = "JSON")]
        settings: Option<String>,
        /// Let the plugin's runs for this endpoint share an instance: faster, and no longer without memory of each other
        #[arg(long, requires = "plugin")]
        reuse_instance: bool,
        /// An origin beside the URL's own that the plugin may send to, such as https://files.example.com; may be repeated
        #[arg(long, requires = "plugin", value_name = "ORIGIN")]
        allow_origin: Vec<String>,
    },
    /// List the endpoints of an application
    List {
        /// The application, by id or uid
        #[arg(long)]
        app: String,
    },
    /// Show an endpoint
    Show(EndpointName),
    /// Ask an endpoint whether it wants events; if it does, it is enabled
    Verify {
        #[command(flatten)]
        endpoint: EndpointName,
        /// How it is asked [default: as it was created]
        #[arg(long, value_enum)]
        method: Option<VerificationMethod>,
    },
    /// Let an endpoint that failed receive again; what waits for it is tried from the beginning, in order
    Reactivate(EndpointName),
    /// Send again, in the background, what failed for good at an endpoint
    Recover(Again),
    /// Send, in the background, what passes an endpoint's filter and never went to it, as while it was turned off
    ReplayMissing(Again),
    /// Let an endpoint that was turned off receive again
    Enable(EndpointName),
    /// Turn an endpoint off: it receives nothing new, and what waits for it, waits
    Disable(EndpointName),
    /// Show the secret that an endpoint's deliveries are signed with
    Secret {
        /// The endpoint, by id or uid
        endpoint: String,
        /// The application, by id or uid
        #[arg(long)]
        app: String,
    },
}

/// Which endpoint.
#[derive(Debug, Args)]
pub(crate) struct EndpointName {
    /// The endpoint, by id or uid
    pub(crate) endpoint: String,
    /// The application, by id or uid
    #[arg(long)]
    pub(crate) app: String,
}

/// What is sent again.
#[derive(Debug, Args)]
pub(crate) struct Again {
    #[command(flatten)]
    pub(crate) endpoint: EndpointName,
    /// From this moment on, such as 2026-11-22T01:02:03Z [default: all that is kept]
    #[arg(long, value_name = "TIME", default_value = "1970-01-01T00:00:00Z", hide_default_value = true)]
    pub(crate) since: String,
    /// Before this moment [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

/// How an endpoint proves that it wants events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerificationMethod {
    /// It echoes a challenge that is posted to it.
    Challenge,
    /// It answers the OPTIONS request of CloudEvents webhooks, and allows origin and rate.
    Cloudevents,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// The endpoint, by its id; with --app by its uid too
    #[arg(long)]
    pub(crate) endpoint: String,
    /// The application, by id or uid [default: all are searched]
    #[arg(long)]
    pub(crate) app: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Send an event
    Send(SendArguments),
    /// Show an event's timeline: each attempt, where it went, what was sent, and what its plugins wrote
    Show(ShowArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The application, by id or uid
    #[arg(long)]
    pub(crate) app: String,
    /// The event, by id or by your own id of it
    pub(crate) event: String,
}

#[derive(Debug, Args)]
pub(crate) struct SendArguments {
    /// The application, by id or uid
    #[arg(long)]
    pub(crate) app: String,
    /// What happened, for example invoice.paid
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: String,
    #[command(flatten)]
    pub(crate) payload: Payload,
    /// Your own id of the event; sent again with the same id, it is not stored again
    #[arg(long)]
    pub(crate) id: Option<String>,
}

/// What an event carries.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Payload {
    /// A file with the payload, JSON; `-` is standard input
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// The payload, JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) data: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Make a project of a plugin that works, to be changed into yours
    New(NewPlugin),
    /// Compile a project into a component: target/NAME.wasm
    ///
    /// Runs the toolchain of the project's language (cargo, npm, or pip in a virtual environment of the project) and says
    /// what is missing. Tools are fetched from the registries that this machine is set up for.
    Build {
        /// The project, with its plugin.json
        #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// Run the samples of a manifest, with the limits of the server; needs none
    Test {
        /// A project that was built, or a component
        #[arg(default_value = ".", value_name = "DIRECTORY|FILE", value_hint = ValueHint::AnyPath)]
        subject: PathBuf,
        /// Write what the plugin does now into plugin.json as what is expected of it
        #[arg(long)]
        update: bool,
    },
    /// Try a plugin on an event without delivering anything
    ///
    /// Shows the requests that it makes, how they differ from the event, what the run cost and what it logged. A NAME is a
    /// plugin of the server and runs there; a DIRECTORY or FILE runs on this machine, with the same limits.
    Run(RunPlugin),
    /// Upload a plugin; the version becomes the current one
    ///
    /// The first version of a plugin always is the current one.
    Push {
        /// A project that was built; or a plugin's name, followed by a file
        #[arg(default_value = ".", value_name = "DIRECTORY|NAME", value_hint = ValueHint::DirPath)]
        subject: String,
        /// A WebAssembly component, or a core module with its component type embedded
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Only keep the version: the current one goes on until `hookmill plugin promote`
        #[arg(long)]
        no_promote: bool,
    },
    /// List the plugins, those that come with the router included
    List,
    /// Show a plugin's manifest and versions
    Show {
        /// The plugin
        name: String,
    },
    /// Make a version the current one, for all deliveries or some
    Promote {
        /// The plugin
        name: String,
        /// Which version, `sha256:...`
        version: String,
        /// Only for so many percent of the deliveries; the rest goes on with the current version
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
        canary: Option<u8>,
    },
    /// Go back to an earlier version
    Rollback {
        /// The plugin
        name: String,
        /// Which version, `sha256:...` [default: the one before the current]
        #[arg(long)]
        version: Option<String>,
    },
    /// Delete a plugin that no endpoint uses, or one version of it
    Delete {
        /// The plugin
        name: String,
        /// Only this version, `sha256:...`
        version: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewPlugin {
    /// The plugin's name, and that of the folder that is made: lowercase letters, digits, hyphens
    pub(crate) name: PluginName,
    /// What you write it in
    #[arg(long, value_enum)]
    pub(crate) lang: PluginLanguage,
    /// What it is for: transform reshapes events, source makes events of what a provider posts, classifier reads
    /// receivers' answers
    #[arg(long, default_value = "transform", value_name = "transform|source|classifier")]
    pub(crate) world: World,
    /// Where to put the project [default: a folder of the plugin's name]
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PluginLanguage {
    /// Built by cargo.
    Rust,
    /// Built by componentize-qjs.
    #[value(alias = "js")]
    Javascript,
    /// Built by componentize-py.
    Python,
    /// Built by Zig's C compiler.
    C,
}

#[derive(Debug, Args)]
pub(crate) struct RunPlugin {
    /// A plugin of the server; or a project that was built, or a component
    #[arg(value_name = "NAME|DIRECTORY|FILE")]
    pub(crate) subject: String,
    /// A file with the event's body; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) event: PathBuf,
    /// What happened, for example invoice.paid
    #[arg(long = "type", value_name = "TYPE", default_value = "test.event")]
    pub(crate) event_type: Name,
    /// Settings for the plugin: JSON, or `@` and a file with it. They are checked as those of an endpoint are
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    pub(crate) settings: String,
    /// Run here, although there may be a plugin of this name on the server
    #[arg(long)]
    pub(crate) local: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key; its text is shown once
    Create {
        /// What it opens
        #[arg(long, value_enum)]
        scope: KeyScope,
        /// The application that it opens, by id or uid
        #[arg(long, required_if_eq_any([("scope", "application"), ("scope", "ingest")]))]
        app: Option<String>,
        /// For people
        #[arg(long, default_value = "")]
        label: String,
    },
    /// Take a text that callers already have as a key
    ///
    /// The text comes from a file or standard input, since other users of a machine can see arguments; the end of its line
    /// is not part of it. It has 16 to 512 characters of visible ASCII.
    Import {
        /// A file with the key; `-` is standard input
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// What it opens
        #[arg(long, value_enum)]
        scope: KeyScope,
        /// The application that it opens, by id or uid
        #[arg(long, required_if_eq_any([("scope", "application"), ("scope", "ingest")]))]
        app: Option<String>,
        /// For people
        #[arg(long, default_value = "")]
        label: String,
        /// Take 8 to 15 characters too, for a key of one application: whoever can send requests can guess them
        #[arg(long)]
        allow_short: bool,
    },
    /// List the keys; their texts are not kept and can't be shown
    List,
    /// Delete a key; from then on it opens nothing
    Delete {
        /// The key's id
        id: String,
    },
}

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyScope {
    /// Everything.
    Admin,
    /// Everything of one application.
    Application,
    /// Sending events to one application.
    Ingest,
    /// Reading metrics, nothing else.
    Metrics,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Where osmox-notification.wasm and whatsapp-status.wasm are
    #[arg(long, default_value = "plugins/target/plugins", value_hint = ValueHint::DirPath, value_name = "DIRECTORY")]
    pub(crate) plugins: PathBuf,
    /// Where the payloads are, one JSON file each
    #[arg(long, default_value = "tests/data/seeds", value_hint = ValueHint::DirPath, value_name = "DIRECTORY")]
    pub(crate) events: PathBuf,
    /// How many events to send
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    pub(crate) count: u32,
    /// Seconds after which what has not arrived is given up
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(10..=3600))]
    pub(crate) timeout_secs: u32,
    /// Leave the router running at the end, and print its address and key
    #[arg(long)]
    pub(crate) keep: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_told() {
        let check = |line: &[&str], expect: Option<ErrorKind>| {
            let parsed = CommandLine::try_parse_from([&["hookmill"], line].concat());
            assert_eq!(parsed.err().map(|error| error.kind()), expect, "{line:?}");
        };
        check(&["serve"], None);
        check(&["serve", "--listen", "localhost"], Some(ErrorKind::ValueValidation));
        check(&["serve", "--port", "1"], Some(ErrorKind::UnknownArgument));
        check(&["event", "send", "--app", "a", "--type", "t", "--data", "{}"], None);
        check(&["event", "send", "--app", "a", "--type", "t"], Some(ErrorKind::MissingRequiredArgument));
        let both = ["event", "send", "--app", "a", "--type", "t", "--data", "{}", "--file", "f"];
        check(&both, Some(ErrorKind::ArgumentConflict));
        check(&["key", "create", "--scope", "admin"], None);
        check(&["key", "create", "--scope", "ingest"], Some(ErrorKind::MissingRequiredArgument));
        check(&["key", "import", "--scope", "application", "--app", "osmox", "--allow-short"], None);
        check(&["key", "import", "--scope", "application"], Some(ErrorKind::MissingRequiredArgument));
        check(
            &["endpoint", "create", "http://x/", "--app", "a", "--settings", "{}"],
            Some(ErrorKind::MissingRequiredArgument),
        );
        check(&["endpoint", "create", "http://x/", "--app", "a", "--server", "http://y/", "--json"], None);
        check(&["endpoint", "verify", "ep", "--app", "a", "--method", "cloudevents"], None);
        check(
            &["endpoint", "verify", "ep", "--app", "a", "--method", "email"],
            Some(ErrorKind::InvalidValue),
        );
        check(&["endpoint", "reactivate", "ep"], Some(ErrorKind::MissingRequiredArgument));
        check(&["doctor", "--endpoint", "ep", "--server", "http://y/", "--json"], None);
        check(&["doctor"], Some(ErrorKind::MissingRequiredArgument));
        check(&["demo", "--count", "19"], Some(ErrorKind::ValueValidation));
        check(&["plugin", "new", "--lang", "c", "reshape", "--world", "source"], None);
        check(&["plugin", "new", "--lang", "c", "Reshape"], Some(ErrorKind::ValueValidation));
        check(&["plugin", "new", "--lang", "cobol", "reshape"], Some(ErrorKind::InvalidValue));
        check(&["plugin", "new", "--lang", "c", "a", "--world", "b"], Some(ErrorKind::ValueValidation));
        check(&["plugin", "push"], None);
        check(&["plugin", "push", "reshape", "reshape.wasm"], None);
        check(&["plugin", "run", "reshape"], Some(ErrorKind::MissingRequiredArgument));
        check(&["import", "osmox"], Some(ErrorKind::MissingRequiredArgument));
        check(&["import", "osmox", "--mysql-dump", "-", "--dry-run", "--server", "http://x/"], None);
        check(&["import", "osmox", "--mysql-dump", "-", "--app", "a b"], Some(ErrorKind::ValueValidation));
        check(&["import", "svix", "--url", "http://x/", "--token", "t", "--server", "http://y/"], None);
        check(&["import", "svix", "--token", "t"], Some(ErrorKind::MissingRequiredArgument));
        check(&["plugin", "promote", "p", "v", "--canary", "101"], Some(ErrorKind::ValueValidation));
        check(&[], Some(ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand));
    }

    #[test]
    fn help_tells_the_exit_codes_and_the_keys_of_the_file() {
        let help = CommandLine::command().render_long_help().to_string();
        assert!(help.contains("the router failed while it ran"), "{help}");
        let mut command = CommandLine::command();
        let serve = command.find_subcommand_mut("serve").unwrap().render_long_help().to_string();
        assert!(serve.contains("retention_days") && serve.contains("HOOKMILL_ADMIN_KEY"), "{serve}");
    }
}
