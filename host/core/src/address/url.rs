//! URLs that can be delivered to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use thiserror::Error;
use url::{Host, ParseError, Url};

/// Bytes of a delivery's URL, as given and as written out.
pub const URL_BYTES_MAX: usize = 2048;

/// A URL that deliveries can be sent to: `http` or `https`, a host, no user name or password, no fragment.
///
/// It is read as browsers read one (WHATWG URL), which turns every spelling of an address, such as `0x7f.1` or
/// `2130706433`, into the address that would be dialled. A fragment is taken off: it is never sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryUrl(Url);

/// Text that is not a [`DeliveryUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidUrl {
    /// More than [`URL_BYTES_MAX`].
    #[error("a URL has at most {URL_BYTES_MAX} bytes, with all that must be percent-encoded")]
    TooLong,
    /// Not a URL, or none that HTTP can carry.
    #[error("not an absolute URL such as https://example.com/hooks")]
    Malformed,
    /// Another scheme.
    #[error("the scheme of the URL must be https or http")]
    Scheme,
    /// A user name or password.
    #[error("a URL must not hold a user name or password; send an authorization header instead")]
    UserInfo,
    /// The host is missing or can't be one.
    #[error("the host of the URL is missing, or not a name or an address")]
    Host,
    /// The port is 0 or no number up to 65535.
    #[error("the port of the URL must be from 1 to 65535")]
    Port,
}

impl InvalidUrl {
    /// The code that stays the same over versions.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "url_too_long",
            Self::Malformed => "url_invalid",
            Self::Scheme => "url_scheme",
            Self::UserInfo => "url_userinfo",
            Self::Host => "url_host",
            Self::Port => "url_port",
        }
    }
}

/// Scheme, host and port: two URLs with the same are served by the same server (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// A lowercase name in ASCII, or an address.
    pub host: Host<String>,
    /// The port, also where it is the scheme's own.
    pub port: u16,
}

impl Origin {
    /// The URL of its root.
    #[must_use]
    pub fn root(&self) -> DeliveryUrl {
        DeliveryUrl::parse(&self.to_string()).expect("it is the origin of a URL that was read")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.host)?;
        match (self.scheme, self.port) {
            ("http", 80) | ("https", 443) => Ok(()),
            (_, port) => write!(formatter, ":{port}"),
        }
    }
}

impl DeliveryUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > URL_BYTES_MAX {
            return Err(InvalidUrl::TooLong);
        }
        let mut url = Url::parse(text).map_err(parse_fault)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::UserInfo);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidUrl::Host)?;
        if url.port() == Some(0) {
            return Err(InvalidUrl::Port);
        }
        // What is sent is read by another parser, which accepts less, and must not see another host.
        let uri: Uri = url.as_str().parse().map_err(|_| InvalidUrl::Malformed)?;
        if uri.host() != Some(host) {
            return Err(InvalidUrl::Host);
        }
        url.set_fragment(None);
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(InvalidUrl::TooLong);
        }
        Ok(Self(url))
    }

    /// The URL in its one normal spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether it is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            scheme: if self.is_https() { "https" } else { "http" },
            host: self.host().to_owned(),
            port: self.0.port_or_known_default().expect("http and https have a default port"),
        }
    }

    /// Path and query of another URL at this one's origin.
    #[must_use]
    pub fn with_path_of(&self, other: &Self) -> Self {
        let mut url = self.0.clone();
        url.set_path(other.0.path());
        url.set_query(other.0.query());
        // Of two hosts the longer one may make it too long.
        Self::parse(url.as_str()).unwrap_or_else(|_| self.clone())
    }

    /// The host's address, if it is written as one.
    #[must_use]
    pub fn literal_ip(&self) -> Option<IpAddr> {
        match self.host() {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// Whether the host is `localhost` or a name below it, with or without the final dot (RFC 6761).
    #[must_use]
    pub fn host_is_local_name(&self) -> bool {
        match self.host() {
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Host::Ipv4(_) | Host::Ipv6(_) => false,
        }
    }

    pub(crate) fn host(&self) -> Host<&str> {
        self.0.host().expect("checked when it was read")
    }
}

impl fmt::Display for DeliveryUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for DeliveryUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        Self::parse(text)
    }
}

fn parse_fault(error: ParseError) -> InvalidUrl {
    match error {
        ParseError::InvalidPort => InvalidUrl::Port,
        ParseError::EmptyHost
        | ParseError::IdnaError
        | ParseError::InvalidIpv4Address
        | ParseError::InvalidIpv6Address
        | ParseError::InvalidDomainCharacter => InvalidUrl::Host,
        ParseError::Overflow => InvalidUrl::TooLong,
        // The rest, and what a later version may add, says that it is no absolute URL.
        _ => InvalidUrl::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_can_be_delivered_to() {
        let check = |text: &str, expect: &str, origin: &str| {
            let url = DeliveryUrl::parse(text).unwrap();
            assert_eq!((url.as_str(), url.origin().to_string().as_str()), (expect, origin), "{text}");
            assert_eq!(DeliveryUrl::parse(url.as_str()), Ok(url.clone()), "{text}");
        };
        check("https://example.com", "https://example.com/", "https://example.com");
        check("HTTPS://Example.COM:443/a?b#c", "https://example.com/a?b", "https://example.com");
        check("http://example.com:8080/ä", "http://example.com:8080/%C3%A4", "http://example.com:8080");
        check("https://bücher.example/", "https://xn--bcher-kva.example/", "https://xn--bcher-kva.example");
        check("http://0x7f.1/", "http://127.0.0.1/", "http://127.0.0.1");
        check("http://[2001:DB8::0:1]:81/", "http://[2001:db8::1]:81/", "http://[2001:db8::1]:81");
        check("http://１２７.0.0.1/", "http://127.0.0.1/", "http://127.0.0.1");
        // What stands before `@` is a path here, not a user: a browser reads it the same way.
        check("http://127.0.0.1:80\\@example.com/", "http://127.0.0.1/@example.com/", "http://127.0.0.1");
        check(" https://example.com/\n", "https://example.com/", "https://example.com");
        check(
            "https://ex_ample.com/?q={\"a\":|^`}",
            "https://ex_ample.com/?q={%22a%22:|^`}",
            "https://ex_ample.com",
        );
    }

    #[test]
    fn refuses_what_can_not() {
        let check = |text: &str, code: &str| {
            assert_eq!(DeliveryUrl::parse(text).map_err(InvalidUrl::code), Err(code), "{text}");
        };
        check("", "url_invalid");
        check("example.com/hooks", "url_invalid");
        check("//example.com", "url_invalid");
        check("gopher://example.com/", "url_scheme");
        check("file:///etc/passwd", "url_scheme");
        check("ftp://example.com/", "url_scheme");
        check("data:text/plain,x", "url_scheme");
        check("javascript:alert(1)", "url_scheme");
        check("http://a@127.0.0.1/", "url_userinfo");
        check("http://:b@example.com/", "url_userinfo");
        check("https://", "url_host");
        check("https://exa mple.com/", "url_host");
        check("https://256.0.0.1/", "url_host");
        check("https://[::1/", "url_host");
        check("https://[fe80::1%25eth0]/", "url_host");
        check("https://example.com:0/", "url_port");
        check("https://example.com:65536/", "url_port");
        check("https://example.com:x/", "url_port");
        let long = |bytes: usize| {
            format!("https://example.com/{}", "x".repeat(bytes - "https://example.com/".len()))
        };
        assert!(DeliveryUrl::parse(&long(URL_BYTES_MAX)).is_ok());
        check(&long(URL_BYTES_MAX + 1), "url_too_long");
        check(&format!("https://example.com/{}", "ä".repeat(1000)), "url_too_long");
    }

    #[test]
    fn knows_addresses_and_local_names() {
        let check = |host: &str, literal: Option<&str>, local: bool| {
            let url = DeliveryUrl::parse(&format!("http://{host}/")).unwrap();
            assert_eq!(url.literal_ip(), literal.map(|text| text.parse().unwrap()), "{host}");
            assert_eq!(url.host_is_local_name(), local, "{host}");
        };
        check("localhost", None, true);
        check("LocalHost.", None, true);
        check("a.b.localhost", None, true);
        check("localhost.example.com", None, false);
        check("notlocalhost", None, false);
        check("2130706433", Some("127.0.0.1"), false);
        check("0177.0.0.1", Some("127.0.0.1"), false);
        check("127.0.0.1.", Some("127.0.0.1"), false);
        check("[::ffff:127.0.0.1]", Some("::ffff:127.0.0.1"), false);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_deliverable(text in "(https?://)?[a-z0-9.:@\\[\\]/?#\\\\% \t-]{0,40}") {
            if let Ok(url) = DeliveryUrl::parse(&text) {
                prop_assert!(url.as_str().len() <= URL_BYTES_MAX && !url.as_str().contains('#'));
                prop_assert_eq!(DeliveryUrl::parse(url.as_str()), Ok(url.clone()));
                prop_assert_ne!(url.origin().port, 0);
            }
        }
    }
}
