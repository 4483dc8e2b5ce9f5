//! Who sends a request: the network that limits on strangers count by.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::HeaderName;
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Bits of an IPv6 address that are one customer's: whoever has one address has all that begin like it.
const IPV6_CUSTOMER_BITS: u32 = 64;

/// The network of a client: its address in IPv4, the first half of it in IPv6. Carried in a request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client(IpAddr);

impl Client {
    pub(crate) fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> IPV6_CUSTOMER_BITS << IPV6_CUSTOMER_BITS;
                Self(Ipv6Addr::from_bits(network).into())
            }
        }
    }

    /// Whose connection this is; none of a trusted proxy, through which many come.
    pub(crate) fn of_connection(peer: SocketAddr, trusted_proxies: &[IpNet]) -> Option<Self> {
        (!is_trusted(peer.ip(), trusted_proxies)).then(|| Self::new(peer.ip()))
    }

    /// Whose request this is. A trusted proxy says so in `X-Forwarded-For`, where the last address that is no such proxy is
    /// the client's: what comes before it, the client may have written itself.
    pub(crate) fn of_request(peer: SocketAddr, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> Self {
        if !is_trusted(peer.ip(), trusted_proxies) {
            return Self::new(peer.ip());
        }
        let values = headers.get_all(FORWARDED_FOR).into_iter().collect::<Vec<_>>();
        let hops = values.into_iter().rev().filter_map(|value| value.to_str().ok());
        for hop in hops.flat_map(|value| value.rsplit(',')) {
            match parse(hop.trim()) {
                Some(address) if is_trusted(address, trusted_proxies) => {}
                Some(address) => return Self::new(address),
                None => break,
            }
        }
        Self::new(peer.ip())
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An address, perhaps with a port, as proxies write it.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.split_once(']')).map_or(hop, |(address, _)| address);
    bare.parse().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))
}

fn is_trusted(address: IpAddr, trusted_proxies: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted_proxies.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_is_one_client() {
        let check = |one: &str, other: &str, same: bool| {
            let client = |text: &str| Client::new(text.parse().unwrap());
            assert_eq!(client(one) == client(other), same, "{one} {other}");
        };
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:2", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let check = |peer: &str, forwarded: &[&'static str], expect: &str| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            let peer = format!("{peer}:1").parse().unwrap();
            let client = Client::of_request(peer, &headers, &trusted);
            assert_eq!(client, Client::new(expect.parse().unwrap()), "{peer} {forwarded:?}");
        };
        check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check("10.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["198.51.100.7, 10.2.2.2"], "198.51.100.7");
        check("10.0.0.1", &["198.51.100.7", "10.2.2.2"], "198.51.100.7");
        check("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7");
        check("10.0.0.1", &["198.51.100.7, what"], "10.0.0.1");
        check("10.0.0.1", &[], "10.0.0.1");
        let proxy = "10.0.0.1:1".parse().unwrap();
        assert_eq!(Client::of_connection(proxy, &trusted), None);
        assert!(Client::of_connection(proxy, &[]).is_some());
    }
}
