//! What the router runs with.
//!
//! Four places say something about each setting; the first that does wins: a flag of the command line, a variable
//! of the environment (those of flags arrive in [`ServeArguments`], read by clap, the others are read by
//! [`variables`]), the configuration file ([`file`]), and the default. [`resolve`] is the only place that merges them.

mod file;
mod variables;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use hookmill_core::handshake::RequestOrigin;
use hookmill_core::limits::RETENTION_DEFAULT;
use hookmill_server::{GraphqlConfig, ServerConfig, UnfinishedLimits};
use ipnet::IpNet;

use self::file::ConfigFile;
use crate::failure::{Exit, Failure};
use crate::log::LogFormat;
use crate::world::{environment, environment_names};

/// Where the API listens unless told otherwise: this machine only.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Where the state lives unless told otherwise.
const DATA_DIR_DEFAULT: &str = "./hookmill-data";
const LOG_LEVEL_DEFAULT: &str = "info";
/// How long deliveries under way may go on after a signal to stop.
const SHUTDOWN_GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// The longest such time.
const SHUTDOWN_GRACE_SECS_MAX: u32 = 600;
/// The longest time for which finished events are kept.
const RETENTION_DAYS_MAX: u32 = 3650;
/// The largest bounds on a request in GraphQL.
const GRAPHQL_DEPTH_MAX: u32 = GraphqlConfig::DEPTH_MAX as u32;
const GRAPHQL_FIELDS_MAX: u32 = 10_000;
const GRAPHQL_CALLS_MAX: u32 = 100;
const GRAPHQL_BODY_BYTES_MAX: u32 = GraphqlConfig::BODY_BYTES_MAX as u32;
/// The largest bounds on strangers.
const CONNECTIONS_MAX: u32 = 100_000;
const IDLE_TIMEOUT_SECS_MAX: u32 = 3600;
const BODY_TIMEOUT_SECS_MAX: u32 = 600;
const WRITE_TIMEOUT_SECS_MAX: u32 = 600;
/// Half of it, which is what one client gets, has room for an event of the largest size and for what is beside it.
const UNFINISHED_BYTES_MIN: u32 = 4 << 20;
const UNFINISHED_BYTES_MAX: u32 = 1 << 30;
const WRONG_KEYS_PER_MINUTE_MAX: u32 = 6000;
/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the command line and the environment say.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArguments {
    /// Address and port of the API; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "HOOKMILL_LISTEN", value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Where the state lives; made if missing, with access for its owner only [default: ./hookmill-data]
    #[arg(long, env = "HOOKMILL_DATA_DIR", value_name = "DIRECTORY")]
    pub(crate) data_dir: Option<PathBuf>,

    /// A configuration file (TOML); flags and environment go before it
    #[arg(long, env = "HOOKMILL_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Deliver to loopback, private and link-local addresses too
    #[arg(
        long,
        env = "HOOKMILL_ALLOW_PRIVATE_NETWORK",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) allow_private_network: Option<bool>,

    /// Keep the beginning of sent bodies with attempts that failed or that a plugin shaped
    #[arg(
        long,
        env = "HOOKMILL_KEEP_REQUEST_BODIES",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) keep_request_bodies: Option<bool>,

    /// The DNS name by which the router introduces itself when it verifies an endpoint [default: hookmill]
    #[arg(long, env = "HOOKMILL_ORIGIN", value_name = "NAME")]
    pub(crate) origin: Option<RequestOrigin>,

    /// Take the wall clock for right at this start, however far it is ahead of what the store has seen: retention does not
    /// wait a day until it deletes by it
    #[arg(long, env = "HOOKMILL_BELIEVE_CLOCK", value_parser = BoolishValueParser::new())]
    pub(crate) believe_clock: bool,

    /// How log lines look [default: text on a terminal, json otherwise]
    #[arg(long, env = "HOOKMILL_LOG", value_name = "FORMAT")]
    pub(crate) log: Option<LogFormat>,

    /// Which log lines: error, warn, info, debug, trace, or a list like info,hookmill_transport=debug [default: info]
    #[arg(long, env = "HOOKMILL_LOG_LEVEL", value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// What the router runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Address and port of the API.
    pub(crate) listen: SocketAddr,
    /// Where the state lives.
    pub(crate) data_dir: PathBuf,
    /// Whether deliveries may go to the machine's and its network's own addresses.
    pub(crate) allow_private_network: bool,
    /// Networks that may be reached whatever their class.
    pub(crate) allow_addresses: Vec<IpNet>,
    /// Networks that may not be reached; goes before the allowed ones.
    pub(crate) deny_addresses: Vec<IpNet>,
    /// By which name the router introduces itself when it verifies an endpoint.
    pub(crate) origin: RequestOrigin,
    /// How log lines look.
    pub(crate) log: LogFormat,
    /// Which log lines there are.
    pub(crate) log_level: String,
    /// How long finished events stay readable.
    pub(crate) retention: Duration,
    /// Whether the attempt log keeps the bodies of the requests that it keeps.
    pub(crate) keep_request_bodies: bool,
    /// Whether retention goes by the wall clock at once.
    pub(crate) believe_clock: bool,
    /// How long deliveries under way may go on after a signal to stop.
    pub(crate) shutdown_grace: Duration,
    /// Bounds on connections and requests; how they end at a stop is [`shutdown_grace`](Self::shutdown_grace).
    pub(crate) server: ServerConfig,
}

/// Reads the configuration file, if one is named, and merges it with the rest.
///
/// # Errors
/// A file that can't be read, is no TOML, or has an unknown key or a value out of its bounds.
pub(crate) fn load(arguments: ServeArguments) -> Result<Config, Failure> {
    let text = arguments.config.as_deref().map(read).transpose()?.unwrap_or_default();
    let path = arguments.config.clone().unwrap_or_default();
    // By itself first, so that an error names its line.
    ConfigFile::parse(&text).map_err(|detail| invalid(&path, &detail))?;
    let set = variables::read(environment).map_err(|detail| {
        Failure::new(Exit::Usage, "config_invalid", detail)
            .hint("`hookmill serve --help` lists every key with its meaning and default")
    })?;
    let file = ConfigFile::parse_over(&text, set).map_err(|detail| invalid(&path, &detail))?;
    Ok(resolve(arguments, file))
}

/// What is told of variables of the environment that have our prefix and mean nothing.
pub(crate) fn unknown_variables() -> Vec<String> {
    let set = environment_names();
    variables::unknown(set.iter().map(String::as_str))
}

fn resolve(arguments: ServeArguments, file: ConfigFile) -> Config {
    let retention = file.retention_days.map(|days| Duration::from_secs(u64::from(days.get()) * 24 * 3600));
    let server = server(&file);
    let shutdown_grace = file.shutdown_grace_secs.map(|secs| Duration::from_secs(u64::from(secs.get())));
    Config {
        listen: arguments.listen.or(file.listen).unwrap_or(LISTEN_DEFAULT),
        data_dir: arguments.data_dir.or(file.data_dir).unwrap_or_else(|| DATA_DIR_DEFAULT.into()),
        allow_private_network: arguments
            .allow_private_network
            .or(file.allow_private_network)
            .unwrap_or_default(),
        allow_addresses: file.allow_addresses,
        deny_addresses: file.deny_addresses,
        origin: arguments.origin.or(file.origin).unwrap_or_default(),
        log: arguments.log.or(file.log).unwrap_or_else(LogFormat::for_stderr),
        log_level: arguments.log_level.or(file.log_level).unwrap_or_else(|| LOG_LEVEL_DEFAULT.into()),
        retention: retention.unwrap_or(RETENTION_DEFAULT),
        keep_request_bodies: arguments.keep_request_bodies.or(file.keep_request_bodies).unwrap_or_default(),
        believe_clock: arguments.believe_clock,
        shutdown_grace: shutdown_grace.unwrap_or(SHUTDOWN_GRACE_DEFAULT),
        server,
    }
}

/// Bounds on connections and requests.
fn server(file: &ConfigFile) -> ServerConfig {
    let default = ServerConfig::default();
    let secs = |secs: u32| Duration::from_secs(u64::from(secs));
    let connections_max = file.connections_max.map_or(default.connections_max, |max| max.get() as usize);
    let per_client = file.connections_per_client_max.map(|max| max.get() as usize);
    ServerConfig {
        idle_timeout: file.idle_timeout_secs.map_or(default.idle_timeout, |max| secs(max.get())),
        body_timeout: file.body_timeout_secs.map_or(default.body_timeout, |max| secs(max.get())),
        write_timeout: file.write_timeout_secs.map_or(default.write_timeout, |max| secs(max.get())),
        connections_max,
        connections_per_client_max: per_client.unwrap_or_else(|| connections_max.div_ceil(2)),
        unfinished: file
            .unfinished_bytes_max
            .map_or(default.unfinished, |max| UnfinishedLimits::of(max.get() as usize)),
        wrong_keys_per_minute_max: file
            .wrong_keys_per_minute_max
            .map_or(default.wrong_keys_per_minute_max, file::Bounded::get),
        trusted_proxies: file.trusted_proxies.clone(),
        graphql: graphql(file),
        ..default
    }
}

fn graphql(file: &ConfigFile) -> GraphqlConfig {
    let default = GraphqlConfig::default();
    GraphqlConfig {
        introspection: file.graphql_introspection.unwrap_or(default.introspection),
        depth_max: file.graphql_depth_max.map_or(default.depth_max, |max| max.get() as usize),
        fields_max: file.graphql_fields_max.map_or(default.fields_max, |max| max.get() as usize),
        calls_max: file.graphql_calls_max.map_or(default.calls_max, |max| max.get() as usize),
        body_bytes_max: file.graphql_body_bytes_max.map_or(default.body_bytes_max, |max| max.get() as usize),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > FILE_BYTES_MAX => {
            Err(invalid(path, &format!("a configuration file has at most {FILE_BYTES_MAX} bytes")))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::new(
            Exit::Usage,
            "config_not_readable",
            format!("the configuration file {} can't be read: {error}", path.display()),
        )
        .hint("check the path given with --config or HOOKMILL_CONFIG")),
    }
}

fn invalid(path: &Path, detail: &str) -> Failure {
    Failure::new(Exit::Usage, "config_invalid", format!("{}: {}", path.display(), detail.trim_end()))
        .hint("`hookmill serve --help` lists every key with its meaning and default")
}

/// Every key of the configuration file, for `serve --help`.
pub(crate) const FILE_HELP: &str = file::HELP;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        serve: ServeArguments,
    }

    fn arguments(line: &[&str]) -> ServeArguments {
        CommandLine::try_parse_from([&["hookmill"], line].concat()).unwrap().serve
    }

    fn merged(line: &[&str], file: &str) -> Config {
        resolve(arguments(line), ConfigFile::parse(file).unwrap())
    }

    #[test]
    fn nothing_is_required() {
        let config = merged(&["--log", "text"], "");
        let expect = Config {
            listen: "127.0.0.1:8080".parse().unwrap(),
            data_dir: "./hookmill-data".into(),
            allow_private_network: false,
            allow_addresses: vec![],
            deny_addresses: vec![],
            origin: RequestOrigin::default(),
            log: LogFormat::Text,
            log_level: "info".into(),
            retention: Duration::from_secs(14 * 24 * 3600),
            keep_request_bodies: false,
            believe_clock: false,
            shutdown_grace: Duration::from_secs(10),
            server: ServerConfig::default(),
        };
        assert_eq!(config, expect);
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let file = "
            listen = '0.0.0.0:80'
            data_dir = '/var/lib/hookmill'
            allow_private_network = true
            deny_addresses = ['10.0.0.0/8', '192.0.2.1']
            origin = 'hooks.example.com'
            log = 'json'
            retention_days = 3
            shutdown_grace_secs = 0
            graphql_introspection = true
            graphql_calls_max = 3
            connections_max = 9
            unfinished_bytes_max = 5000000
            trusted_proxies = ['192.0.2.1']
        ";
        let config = merged(&[], file);
        assert_eq!(config.listen, "0.0.0.0:80".parse().unwrap());
        assert_eq!(config.data_dir, Path::new("/var/lib/hookmill"));
        assert!(config.allow_private_network);
        assert_eq!(config.deny_addresses, ["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()]);
        assert_eq!(config.origin, "hooks.example.com".parse().unwrap());
        assert_eq!((config.log, config.log_level.as_str()), (LogFormat::Json, "info"));
        assert_eq!((config.retention, config.shutdown_grace), (Duration::from_secs(259_200), Duration::ZERO));
        let graphql = GraphqlConfig { introspection: true, calls_max: 3, ..GraphqlConfig::default() };
        assert_eq!(config.server.graphql, graphql);
        assert_eq!((config.server.connections_max, config.server.connections_per_client_max), (9, 5));
        assert_eq!(config.server.unfinished, UnfinishedLimits::of(5_000_000));
        assert_eq!(config.server.trusted_proxies, ["192.0.2.1/32".parse().unwrap()]);

        let line =
            ["--listen", "[::1]:0", "--allow-private-network=false", "--log", "text", "--log-level", "debug"];
        let config = merged(&line, file);
        assert_eq!(config.listen, "[::1]:0".parse().unwrap());
        assert!(!config.allow_private_network);
        assert_eq!((config.log, config.log_level.as_str()), (LogFormat::Text, "debug"));
    }

    /// Whoever copies the example changes nothing until he edits it.
    #[test]
    fn the_example_copied_as_it_is_changes_nothing() {
        let example = include_str!("../../../../examples/hookmill.toml");
        assert_eq!(merged(&["--log", "text"], example), merged(&["--log", "text"], ""));
        assert_eq!(merged(&[], example), merged(&[], ""));
    }

    #[test]
    fn a_variable_goes_before_the_file() {
        let set = "retention_days = 5".parse().unwrap();
        let file = ConfigFile::parse_over("retention_days = 3\norigin = 'a.example'", set).unwrap();
        let config = resolve(arguments(&[]), file);
        assert_eq!(config.retention, Duration::from_secs(5 * 24 * 3600));
        assert_eq!(config.origin, "a.example".parse().unwrap());
    }

    #[test]
    fn the_private_network_flag_needs_no_value() {
        let check = |line: &[&str], expect: Option<bool>| {
            assert_eq!(arguments(line).allow_private_network, expect, "{line:?}");
        };
        check(&[], None);
        check(&["--allow-private-network"], Some(true));
        check(&["--allow-private-network=true"], Some(true));
        check(&["--allow-private-network=no"], Some(false));
    }
}
