//! The configuration file: one flat TOML table.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use hookmill_core::handshake::RequestOrigin;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::{
    BODY_TIMEOUT_SECS_MAX, CONNECTIONS_MAX, GRAPHQL_BODY_BYTES_MAX, GRAPHQL_CALLS_MAX, GRAPHQL_DEPTH_MAX,
    GRAPHQL_FIELDS_MAX, IDLE_TIMEOUT_SECS_MAX, RETENTION_DAYS_MAX, SHUTDOWN_GRACE_SECS_MAX,
    UNFINISHED_BYTES_MAX, UNFINISHED_BYTES_MIN, WRITE_TIMEOUT_SECS_MAX, WRONG_KEYS_PER_MINUTE_MAX,
};
use crate::log::LogFormat;

/// Every key with its meaning and default, in the order of [`ConfigFile`].
pub(super) const HELP: &str = "\
Keys of the configuration file, all of them optional:
  listen                 address and port of the API               \"127.0.0.1:8080\"
  data_dir               where the state lives, seen from the
                         working directory                         \"./hookmill-data\"
  allow_private_network  deliver to loopback, private and
                         link-local addresses too                  false
  allow_addresses        addresses and networks that may be
                         delivered to whatever their class, like
                         [\"203.0.113.7\", \"10.1.0.0/16\"]             none
  deny_addresses         addresses and networks that may not be;
                         goes before allow_addresses               none
  origin                 the DNS name by which the router
                         introduces itself when it verifies an
                         endpoint (CloudEvents webhooks)           \"hookmill\"
  log                    \"text\" or \"json\"                          by where standard error goes
  log_level              error, warn, info, debug or trace, or a
                         list like \"info,hookmill_transport=debug\" \"info\"
  retention_days         days that finished events stay readable,
                         1 to 3650                                 14
  keep_request_bodies    keep the beginning of sent bodies, 16 KiB,
                         with attempts that failed or that a
                         plugin shaped                             false
  shutdown_grace_secs    seconds that deliveries under way may go
                         on after SIGTERM, SIGINT or SIGHUP, 0 to
                         600                                       10
  graphql_introspection  answer questions about the schema of
                         POST /graphql                             false
  graphql_depth_max      fields within fields of a GraphQL query,
                         1 to 32                                   16
  graphql_fields_max     its fields, those of a fragment wherever
                         it is spread, 1 to 10000                  400
  graphql_calls_max      queries or mutations of one request,
                         aliases included, 1 to 100                16
  graphql_body_bytes_max bytes of its body, 1024 to 262144         16384
  connections_max        connections to the API at once; never more
                         than about half of the descriptors that
                         the system allows, 1 to 100000            10000
  connections_per_client_max
                         of one IPv4 address, or the first half of
                         an IPv6 address, 1 to 100000              half of connections_max
  idle_timeout_secs      seconds that a connection may be without a
                         request in progress, 1 to 3600            30
  body_timeout_secs      seconds that a request's body may take,
                         1 to 600                                  30
  write_timeout_secs     seconds that a client may leave an answer
                         unread, 1 to 600                          30
  unfinished_bytes_max   bytes of requests that did not end yet, all
                         together; one client, source or application
                         gets half, 4194304 to 1073741824          50331648
  wrong_keys_per_minute_max
                         wrong API keys of one client that are
                         answered before it is told to wait,
                         1 to 6000                                 30
  trusted_proxies        addresses and networks of proxies whose
                         X-Forwarded-For is believed               none

Each key has a variable of the environment, HOOKMILL_ and the key in capitals, such as HOOKMILL_RETENTION_DAYS=3;
lists have commas between their items. Flags go before variables, and variables before the file.

Secrets come through the environment:
  HOOKMILL_ADMIN_KEY     taken as an admin key; without it the first start makes one and prints it, once";

/// The file as it was written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) listen: Option<SocketAddr>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) allow_private_network: Option<bool>,
    #[serde(deserialize_with = "networks")]
    pub(super) allow_addresses: Vec<IpNet>,
    #[serde(deserialize_with = "networks")]
    pub(super) deny_addresses: Vec<IpNet>,
    #[serde(deserialize_with = "origin")]
    pub(super) origin: Option<RequestOrigin>,
    pub(super) log: Option<LogFormat>,
    pub(super) log_level: Option<String>,
    pub(super) retention_days: Option<Bounded<1, RETENTION_DAYS_MAX>>,
    pub(super) keep_request_bodies: Option<bool>,
    pub(super) shutdown_grace_secs: Option<Bounded<0, SHUTDOWN_GRACE_SECS_MAX>>,
    pub(super) graphql_introspection: Option<bool>,
    pub(super) graphql_depth_max: Option<Bounded<1, GRAPHQL_DEPTH_MAX>>,
    pub(super) graphql_fields_max: Option<Bounded<1, GRAPHQL_FIELDS_MAX>>,
    pub(super) graphql_calls_max: Option<Bounded<1, GRAPHQL_CALLS_MAX>>,
    pub(super) graphql_body_bytes_max: Option<Bounded<1024, GRAPHQL_BODY_BYTES_MAX>>,
    pub(super) connections_max: Option<Bounded<1, CONNECTIONS_MAX>>,
    pub(super) connections_per_client_max: Option<Bounded<1, CONNECTIONS_MAX>>,
    pub(super) idle_timeout_secs: Option<Bounded<1, IDLE_TIMEOUT_SECS_MAX>>,
    pub(super) body_timeout_secs: Option<Bounded<1, BODY_TIMEOUT_SECS_MAX>>,
    pub(super) write_timeout_secs: Option<Bounded<1, WRITE_TIMEOUT_SECS_MAX>>,
    pub(super) unfinished_bytes_max: Option<Bounded<UNFINISHED_BYTES_MIN, UNFINISHED_BYTES_MAX>>,
    pub(super) wrong_keys_per_minute_max: Option<Bounded<1, WRONG_KEYS_PER_MINUTE_MAX>>,
    #[serde(deserialize_with = "networks")]
    pub(super) trusted_proxies: Vec<IpNet>,
}

impl ConfigFile {
    /// Reads the text of a file; an error names the line and the key.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Reads the text of a file, but for keys that something else says already.
    pub(super) fn parse_over(text: &str, set: toml::Table) -> Result<Self, String> {
        let mut table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        table.extend(set);
        table.try_into().map_err(|error| error.to_string())
    }
}

/// A whole number within bounds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
pub(super) struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    pub(super) fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<i64> for Bounded<MIN, MAX> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match u32::try_from(number) {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            Ok(_) | Err(_) => Err(format!("{number} is out of bounds, this is {MIN} to {MAX}")),
        }
    }
}

fn origin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RequestOrigin>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Networks, and addresses as networks of one.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| network(text).map_err(serde::de::Error::custom)).collect()
}

fn network(text: &str) -> Result<IpNet, String> {
    let as_address = || text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse::<IpNet>().ok().or_else(as_address).ok_or_else(|| {
        format!("`{text}` is no network: write it like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_key() {
        let check = |text: &str, expect: &[&str]| {
            let error = ConfigFile::parse(text).expect_err(text);
            for part in expect {
                assert!(error.contains(part), "{part:?} in {error}");
            }
        };
        check("lisen = '127.0.0.1:1'", &["line 1", "unknown field `lisen`", "`listen`"]);
        check("\n[server]\nlisten = '127.0.0.1:1'", &["unknown field `server`"]);
        check("listen = 'localhost'", &["listen = ", "invalid socket address"]);
        check("data_dir = 5", &["data_dir = 5", "expected"]);
        check("allow_private_network = 'yes'", &["allow_private_network", "boolean"]);
        check("deny_addresses = ['10.0.0.0/33']", &["deny_addresses", "`10.0.0.0/33` is no network"]);
        check("origin = 'https://example.com'", &["origin = ", "an origin is a DNS name"]);
        check("log = 'xml'", &["log = ", "unknown variant `xml`"]);
        check("retention_days = 0", &["retention_days", "0 is out of bounds, this is 1 to 3650"]);
        check("retention_days = -1", &["-1 is out of bounds"]);
        check("shutdown_grace_secs = 601", &["601 is out of bounds, this is 0 to 600"]);
        check("graphql_depth_max = 33", &["33 is out of bounds, this is 1 to 32"]);
        check("graphql_body_bytes_max = 1023", &["1023 is out of bounds, this is 1024 to 262144"]);
        check("listen = '127.0.0.1:1'\nlisten = '127.0.0.1:2'", &["line 2", "duplicate key"]);
        check("listen", &["line 1"]);
    }

    #[test]
    fn the_example_is_valid_and_has_every_key() {
        let example = include_str!("../../../../examples/hookmill.toml");
        ConfigFile::parse(example).expect("the example is valid");
        for key in HELP.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()) {
            let is_key =
                !key.is_empty() && key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
            // A key whose default is nothing, or depends on something, has an example behind a comment's mark.
            let lines = ["", "# "].map(|mark| format!("\n{mark}{key} = "));
            assert!(!is_key || lines.iter().any(|line| example.contains(line)), "{key}");
        }
    }

    #[test]
    fn every_key_is_documented() {
        // An unknown key makes serde list the known ones.
        let error = ConfigFile::parse("no_such_key = 1").expect_err("it is unknown");
        let (_, listed) = error.split_once("expected one of ").expect("serde lists them");
        let keys: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        assert!(keys.len() >= 14, "{keys:?}");
        for key in keys {
            let is_named =
                |line: &str| line.trim_end() == format!("  {key}") || line.starts_with(&format!("  {key} "));
            assert!(HELP.lines().any(is_named), "{key}");
        }
    }
}
