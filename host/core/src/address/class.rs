//! What an address is for, after the special-purpose registries of IANA (RFC 6890 and its updates).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for, or which list it is on. All but [`Public`](Self::Public) are reasons to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Reachable by anyone on the internet.
    Public,
    /// On the operator's deny list.
    Denied,
    /// An address of the router's own machine.
    Own,
    /// This machine: 127.0.0.0/8, ::1.
    Loopback,
    /// A private network: RFC 1918, and fc00::/7 of RFC 4193.
    Private,
    /// One network segment: 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// A private network in the form that RFC 3879 took back: fec0::/10.
    SiteLocal,
    /// Between a provider and its customers: 100.64.0.0/10 of RFC 6598.
    CarrierGradeNat,
    /// A cloud's metadata service, which hands out credentials to whoever asks from the machine.
    Metadata,
    /// Any address, or this network: 0.0.0.0/8 and ::. Many systems take it for loopback.
    Unspecified,
    /// All machines of the segment: 255.255.255.255.
    Broadcast,
    /// Many receivers: 224.0.0.0/4, ff00::/8.
    Multicast,
    /// For examples in documents.
    Documentation,
    /// For benchmarks of network devices: 198.18.0.0/15, 2001:2::/48.
    Benchmarking,
    /// An IPv6 address that a gateway turns into the IPv4 address within it: NAT64, 6to4, Teredo, and the
    /// compatible and translated forms.
    Embedding,
    /// Held for protocols or the future.
    Reserved,
}

impl AddressClass {
    /// A short name that stays the same over versions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Denied => "denied",
            Self::Own => "own",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link_local",
            Self::SiteLocal => "site_local",
            Self::CarrierGradeNat => "cgnat",
            Self::Metadata => "metadata",
            Self::Unspecified => "unspecified",
            Self::Broadcast => "broadcast",
            Self::Multicast => "multicast",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Embedding => "embedding",
            Self::Reserved => "reserved",
        }
    }

    /// Whether allowing the private network allows it. That leaves out what leads elsewhere than it says
    /// (embedding), and metadata services.
    #[must_use]
    pub fn is_private_network(self) -> bool {
        match self {
            Self::Own
            | Self::Loopback
            | Self::Private
            | Self::LinkLocal
            | Self::SiteLocal
            | Self::CarrierGradeNat
            | Self::Documentation
            | Self::Benchmarking => true,
            Self::Public
            | Self::Denied
            | Self::Metadata
            | Self::Unspecified
            | Self::Broadcast
            | Self::Multicast
            | Self::Embedding
            | Self::Reserved => false,
        }
    }

    /// Whether no setting makes it one machine that a connection can be opened to.
    pub(super) fn is_never_a_destination(self) -> bool {
        matches!(self, Self::Unspecified | Self::Broadcast | Self::Multicast)
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "a public address",
            Self::Denied => "on the deny list",
            Self::Own => "an address of this machine",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::SiteLocal => "a site-local address",
            Self::CarrierGradeNat => "a carrier-grade NAT address",
            Self::Metadata => "a cloud metadata service",
            Self::Unspecified => "an unspecified address",
            Self::Broadcast => "the broadcast address",
            Self::Multicast => "a multicast address",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarks",
            Self::Embedding => "an IPv6 address that stands for an IPv4 one",
            Self::Reserved => "a reserved address",
        })
    }
}

/// What an address is for. IPv4-mapped IPv6 must be turned into IPv4 before.
pub(super) fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// Public unless the registry says otherwise. The registry's few globally reachable entries are public here too,
/// but for those within 192.0.0.0/24, which serve no HTTP.
fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [169, 254, 169, 254]      // AWS, Azure, Google Cloud, Oracle, OpenStack and most others
        | [169, 254, 170, 2 | 23] // AWS: credentials of containers (ECS, EKS)
        | [100, 100, 100, 200]    // Alibaba Cloud
        | [192, 0, 0, 192]        // Oracle Cloud, older machines
        | [168, 63, 129, 16]      // Azure: the host's own services, at a public address
            => AddressClass::Metadata,
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::CarrierGradeNat,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [198, 18..=19, ..] => AddressClass::Benchmarking,
        // 192.88.99.0/24 was the relay of 6to4 (RFC 7526).
        [192, 0, 0, _] | [192, 88, 99, _] => AddressClass::Reserved,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

/// Refused unless it is in 2000::/3, the only part that IANA gives out, and not special there.
fn classify_v6(address: Ipv6Addr) -> AddressClass {
    match address.segments() {
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23]      // AWS: metadata, credentials of containers
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]            // Google Cloud
        | [0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe]         // OpenStack
            => AddressClass::Metadata,
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0, 0, 0, 0, 0, 0, _, _]              // ::/96, IPv4-compatible (RFC 4291)
        | [0, 0, 0, 0, 0xffff, 0, _, _]       // ::ffff:0:0:0/96, IPv4-translated (RFC 2765)
        | [0x64, 0xff9b, 0, 0, 0, 0, _, _]    // 64:ff9b::/96, NAT64 (RFC 6052)
        | [0x64, 0xff9b, 1, _, _, _, _, _]    // 64:ff9b:1::/48, NAT64 of one network (RFC 8215)
        | [0x2001, 0, ..]                     // 2001::/32, Teredo (RFC 4380)
        | [0x2002, ..]                        // 2002::/16, 6to4 (RFC 3056)
            => AddressClass::Embedding,
        [0xfc00..=0xfdff, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xfec0..=0xfeff, ..] => AddressClass::SiteLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Documentation,
        [0x2001, 2, 0, ..] => AddressClass::Benchmarking,
        [0x2001, 0..=0x1ff, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_ends_where_the_registry_says() {
        let check = |text: &str, expect: AddressClass| {
            assert_eq!(classify(text.parse::<IpAddr>().unwrap()), expect, "{text}");
        };
        let check_block = |first: &str, last: &str, expect: AddressClass| {
            check(first, expect);
            check(last, expect);
        };
        check_block("0.0.0.0", "0.255.255.255", AddressClass::Unspecified);
        check_block("1.0.0.0", "9.255.255.255", AddressClass::Public);
        check_block("10.0.0.0", "10.255.255.255", AddressClass::Private);
        check_block("11.0.0.0", "100.63.255.255", AddressClass::Public);
        check_block("100.64.0.0", "100.127.255.255", AddressClass::CarrierGradeNat);
        check_block("100.128.0.0", "126.255.255.255", AddressClass::Public);
        check_block("127.0.0.0", "127.255.255.255", AddressClass::Loopback);
        check_block("169.254.0.0", "169.254.255.255", AddressClass::LinkLocal);
        check_block("169.253.255.255", "169.255.0.0", AddressClass::Public);
        check_block("172.16.0.0", "172.31.255.255", AddressClass::Private);
        check_block("172.15.255.255", "172.32.0.0", AddressClass::Public);
        check_block("192.0.0.0", "192.0.0.255", AddressClass::Reserved);
        check_block("192.0.2.0", "192.0.2.255", AddressClass::Documentation);
        check_block("192.0.1.255", "192.0.3.0", AddressClass::Public);
        check_block("192.88.99.0", "192.88.99.255", AddressClass::Reserved);
        check_block("192.168.0.0", "192.168.255.255", AddressClass::Private);
        check_block("192.167.255.255", "192.169.0.0", AddressClass::Public);
        check_block("198.18.0.0", "198.19.255.255", AddressClass::Benchmarking);
        check_block("198.17.255.255", "198.20.0.0", AddressClass::Public);
        check_block("198.51.100.0", "198.51.100.255", AddressClass::Documentation);
        check_block("203.0.113.0", "203.0.113.255", AddressClass::Documentation);
        check_block("203.0.114.0", "223.255.255.255", AddressClass::Public);
        check_block("224.0.0.0", "239.255.255.255", AddressClass::Multicast);
        check_block("240.0.0.0", "255.255.255.254", AddressClass::Reserved);
        check("255.255.255.255", AddressClass::Broadcast);
        for metadata in
            ["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"]
        {
            check(metadata, AddressClass::Metadata);
        }
    }

    #[test]
    fn only_given_out_ipv6_is_public() {
        let check = |text: &str, expect: AddressClass| {
            assert_eq!(classify(text.parse::<IpAddr>().unwrap()), expect, "{text}");
        };
        check("::", AddressClass::Unspecified);
        check("::1", AddressClass::Loopback);
        check("::127.0.0.1", AddressClass::Embedding);
        check("::ffff:0:127.0.0.1", AddressClass::Embedding);
        check("64:ff9b::7f00:1", AddressClass::Embedding);
        check("64:ff9b:1::7f00:1", AddressClass::Embedding);
        check("64:ff9b:2::1", AddressClass::Reserved);
        check("100::1", AddressClass::Reserved);
        check("1fff:ffff::1", AddressClass::Reserved);
        check("2000::1", AddressClass::Public);
        check("2001::1", AddressClass::Embedding);
        check("2001:1::1", AddressClass::Reserved);
        check("2001:2::1", AddressClass::Benchmarking);
        check("2001:2:1::1", AddressClass::Reserved);
        check("2001:1ff:ffff::1", AddressClass::Reserved);
        check("2001:200::1", AddressClass::Public);
        check("2001:db8::1", AddressClass::Documentation);
        check("2001:db9::1", AddressClass::Public);
        check("2002:7f00:1::1", AddressClass::Embedding);
        check("2003::1", AddressClass::Public);
        check("2606:4700:4700::1111", AddressClass::Public);
        check("3fff::1", AddressClass::Documentation);
        check("3fff:fff::1", AddressClass::Documentation);
        check("3fff:1000::1", AddressClass::Public);
        check("4000::1", AddressClass::Reserved);
        check("5f00::1", AddressClass::Reserved);
        check("fbff::1", AddressClass::Reserved);
        check("fc00::1", AddressClass::Private);
        check("fd00:ec2::254", AddressClass::Metadata);
        check("fd00:ec2::253", AddressClass::Private);
        check("fe7f::1", AddressClass::Reserved);
        check("fe80::1", AddressClass::LinkLocal);
        check("fe80::a9fe:a9fe", AddressClass::Metadata);
        check("febf::1", AddressClass::LinkLocal);
        check("fec0::1", AddressClass::SiteLocal);
        check("ff02::1", AddressClass::Multicast);
    }
}
