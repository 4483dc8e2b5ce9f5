//! From a host's name to its addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use hookmill_core::port::PortFuture;
use thiserror::Error;

/// Looks up names. What it answers is not trusted: the connector judges every address.
pub trait Resolve: Send + Sync {
    /// The addresses of a name that is not itself an address, in the order in which to try them.
    fn lookup<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<Vec<IpAddr>, LookupFailed>>;
}

/// A name gave no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct LookupFailed {
    /// Why, for people.
    pub detail: String,
}

/// Looks names up as the machine is configured to: its hosts file and its name servers, with their search list.
///
/// Lookups are cached for as long as the records live, and end when nobody awaits them any more.
pub struct SystemResolver {
    hickory: TokioResolver,
}

impl SystemResolver {
    /// Reads the machine's configuration.
    ///
    /// # Errors
    ///
    /// If it can't be read.
    pub fn new() -> Result<Self, LookupFailed> {
        Self::build(TokioResolver::builder_tokio().map_err(|error| failed(&error))?)
    }

    /// Asks these name servers instead of the machine's, over UDP and TCP, without hosts file and search list.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn with_name_servers(servers: &[SocketAddr]) -> Result<Self, LookupFailed> {
        if servers.is_empty() {
            return Err(LookupFailed { detail: "at least one name server is needed".to_owned() });
        }
        let server = |address: &SocketAddr| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = address.port();
                connection
            });
            NameServerConfig::new(address.ip(), true, connections.to_vec())
        };
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        Self::build(builder)
    }

    fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, LookupFailed> {
        // Both families at once; the connector interleaves them.
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
        let hickory = builder.build().map_err(|error| failed(&error))?;
        Ok(Self { hickory })
    }
}

impl Resolve for SystemResolver {
    fn lookup<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<Vec<IpAddr>, LookupFailed>> {
        Box::pin(async move {
            if is_local_name(name) {
                return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
            }
            let answer = self.hickory.lookup_ip(name).await.map_err(|error| failed(&error))?;
            Ok(answer.iter().collect())
        })
    }
}

/// RFC 6761, section 6.3: `localhost` and the names below it are this machine, whatever a name server says.
fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn failed(error: &dyn std::error::Error) -> LookupFailed {
    LookupFailed { detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;

    /// Record types (RFC 1035, RFC 3596).
    const A: u8 = 1;
    const AAAA: u8 = 28;
    /// Response codes (RFC 1035).
    const NO_ERROR: u8 = 0;
    const NO_SUCH_NAME: u8 = 3;

    /// Answers questions about `both.example`, `old.example` (IPv4 only) and no other name.
    async fn name_server() -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                socket.send_to(&answer(&buffer[..length]), client).await.unwrap();
            }
        });
        (address, serving)
    }

    fn answer(query: &[u8]) -> Vec<u8> {
        // After 12 bytes of header come the labels, each with its length, up to an empty one, then type and class.
        let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap();
        let name = String::from_utf8_lossy(&query[12..name_end]).to_lowercase();
        let (rcode, data): (u8, &[u8]) = match (name.as_str(), query[name_end + 2]) {
            ("\u{4}both\u{7}example" | "\u{3}old\u{7}example", A) => (NO_ERROR, &[192, 0, 2, 7]),
            ("\u{4}both\u{7}example", AAAA) => {
                (NO_ERROR, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7])
            }
            ("\u{4}both\u{7}example" | "\u{3}old\u{7}example", _) => (NO_ERROR, &[]),
            _ => (NO_SUCH_NAME, &[]),
        };
        let records = u8::from(!data.is_empty());
        let mut message = query[..2].to_vec();
        message.extend([0x81, 0x80 | rcode, 0, 1, 0, records, 0, 0, 0, 0]);
        message.extend(&query[12..name_end + 5]);
        if records == 1 {
            // The name is the one at byte 12; the record lives for a minute.
            message.extend([0xc0, 12, 0, query[name_end + 2], 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            message.extend(data);
        }
        message
    }

    #[tokio::test]
    async fn asks_the_name_servers_for_both_families() {
        let (server, serving) = name_server().await;
        let resolver = SystemResolver::with_name_servers(&[server]).unwrap();
        let check = async |name: &str, expect: &[&str]| {
            let mut found: Vec<_> =
                resolver.lookup(name).await.unwrap().iter().map(IpAddr::to_string).collect();
            found.sort_unstable();
            assert_eq!(found, expect, "{name}");
        };
        check("both.example", &["192.0.2.7", "2001:db8::7"]).await;
        check("old.example", &["192.0.2.7"]).await;
        check("old.example.", &["192.0.2.7"]).await;
        assert!(resolver.lookup("gone.example").await.is_err());
        serving.abort();
    }

    #[tokio::test]
    async fn local_names_are_this_machine_and_nobody_is_asked() {
        let resolver = SystemResolver::with_name_servers(&["127.0.0.1:1".parse().unwrap()]).unwrap();
        for name in ["localhost", "localhost.", "x.localhost", "a.b.localhost."] {
            let addresses = resolver.lookup(name).await.unwrap();
            assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{name}");
        }
        assert!(!is_local_name("notlocalhost") && !is_local_name("localhost.example.com"));
        assert!(SystemResolver::with_name_servers(&[]).is_err());
    }
}
