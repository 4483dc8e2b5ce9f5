//! Where deliveries may go: the policy on IP addresses, and URLs that can be delivered to.
//!
//! [`DeliveryUrl`] is the only way into a delivery, and [`AddressPolicy`] judges every address before it is dialled.
//! The policy is asked twice: when an endpoint is registered, about a host written as an address
//! ([`AddressPolicy::check_url`]), so that its owner hears of it at once; and by the transport, about every address
//! that a name resolves to, each time and right before dialling it, which is what holds against names that change
//! their mind.
//!
//! The order of judgement: what can't be a destination at all, the operator's deny list, the allow list, the
//! router's own addresses, and then the class of the address (`class`).

mod class;
mod url;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock};

use ipnet::IpNet;
use thiserror::Error;

pub use self::class::AddressClass;
use self::class::classify;
pub use self::url::{DeliveryUrl, InvalidUrl, Origin, URL_BYTES_MAX};

/// Which addresses deliveries may be sent to. The default is the public internet and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Whether the machine's and its network's own addresses may be reached: loopback, private, link-local and the
    /// like ([`AddressClass::is_private_network`]). Cloud metadata services stay out of reach.
    pub allow_private_network: bool,
    /// Networks that may be reached whatever their class.
    pub allow: Vec<IpNet>,
    /// Networks that may not be reached; goes before `allow`.
    pub deny: Vec<IpNet>,
    /// The addresses of this machine's interfaces: a public one may lead past a firewall to what only the machine
    /// itself should reach. They are private network too.
    pub own_addresses: OwnAddresses,
}

/// The addresses of this machine's interfaces, as they were last read. Interfaces come and go, so whoever reads them
/// again tells it here, and every copy of the policy knows.
#[derive(Debug, Clone, Default)]
pub struct OwnAddresses(Arc<RwLock<Vec<IpAddr>>>);

impl OwnAddresses {
    /// These addresses, for now.
    #[must_use]
    pub fn new(addresses: Vec<IpAddr>) -> Self {
        let own = Self::default();
        own.replace(addresses);
        own
    }

    /// From now on these are the machine's addresses.
    pub fn replace(&self, addresses: Vec<IpAddr>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Whether this is one of them, whichever of its spellings.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let addresses = self.0.read().unwrap_or_else(PoisonError::into_inner);
        addresses.iter().any(|own| own.to_canonical() == address.to_canonical())
    }
}

impl PartialEq for OwnAddresses {
    fn eq(&self, other: &Self) -> bool {
        let read = |own: &Self| own.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Arc::ptr_eq(&self.0, &other.0) || read(self) == read(other)
    }
}

impl Eq for OwnAddresses {}

/// An address that the policy refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BlockedAddress {
    /// An address in a class, or on a list, that is refused.
    #[error("{address} is {class}, where deliveries are not sent")]
    Address {
        /// The address as it was asked about.
        address: IpAddr,
        /// Why it is refused.
        class: AddressClass,
    },
    /// The name `localhost` or one below it, which always means this machine (RFC 6761, section 6.3).
    #[error("localhost is this machine, where deliveries are not sent")]
    LocalName,
}

impl BlockedAddress {
    /// The code that stays the same over versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "address_blocked"
    }

    /// Why it is refused.
    #[must_use]
    pub fn class(&self) -> AddressClass {
        match self {
            Self::Address { class, .. } => *class,
            Self::LocalName => AddressClass::Loopback,
        }
    }
}

impl AddressPolicy {
    /// Judges an address that is about to be dialled.
    ///
    /// # Errors
    /// The reason why it must not be.
    pub fn check(&self, address: IpAddr) -> Result<(), BlockedAddress> {
        match self.refusal(address) {
            Some(class) => Err(BlockedAddress::Address { address, class }),
            None => Ok(()),
        }
    }

    /// Judges an address that turned out to be this machine's own when it was dialled, whatever was known of it before.
    ///
    /// # Errors
    /// The reason why nothing may be sent to it.
    pub fn check_own(&self, address: IpAddr) -> Result<(), BlockedAddress> {
        self.check(address)?;
        let inner = address.to_canonical();
        if self.allow_private_network || contains(&self.allow, inner) {
            return Ok(());
        }
        Err(BlockedAddress::Address { address, class: AddressClass::Own })
    }

    /// Judges a URL by what can be told without resolving a name: a host that is an address, or `localhost`.
    ///
    /// # Errors
    /// The reason why nothing may be delivered to it.
    pub fn check_url(&self, url: &DeliveryUrl) -> Result<(), BlockedAddress> {
        if let Some(address) = url.literal_ip() {
            return self.check(address);
        }
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        if url.host_is_local_name() && loopback.iter().all(|address| self.refusal(*address).is_some()) {
            return Err(BlockedAddress::LocalName);
        }
        Ok(())
    }

    fn refusal(&self, address: IpAddr) -> Option<AddressClass> {
        // An IPv4 address in IPv6 clothes (::ffff:0:0/96) is dialled as IPv4, so that is what is judged.
        let inner = address.to_canonical();
        let class = classify(inner);
        let refused_by_class = || match class {
            AddressClass::Public => None,
            class if class.is_private_network() && self.allow_private_network => None,
            class => Some(class),
        };
        if class.is_never_a_destination() {
            Some(class)
        } else if contains(&self.deny, address) || contains(&self.deny, inner) {
            Some(AddressClass::Denied)
        } else if contains(&self.allow, inner) {
            None
        } else if !self.allow_private_network && self.own_addresses.contains(inner) {
            Some(AddressClass::Own)
        } else {
            refused_by_class()
        }
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SSRF: &str = include_str!("../../../tests/data/vectors/ssrf.txt");

    fn policy(allow_private_network: bool) -> AddressPolicy {
        AddressPolicy { allow_private_network, ..AddressPolicy::default() }
    }

    fn networks(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn check_host(policy: &AddressPolicy, host: &str) -> Result<(), AddressClass> {
        let url = DeliveryUrl::parse(&format!("http://{host}/")).unwrap();
        policy.check_url(&url).map_err(|blocked| blocked.class())
    }

    #[test]
    fn refuses_every_host_of_the_vectors() {
        let hosts: Vec<_> = SSRF.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        assert!(hosts.len() >= 34, "the vectors were read");
        for host in hosts {
            assert!(check_host(&policy(false), host).is_err(), "{host}");
        }
    }

    #[test]
    fn allows_the_controls_of_the_vectors() {
        let line = SSRF.lines().find_map(|line| line.strip_prefix("# Allowed controls: ")).unwrap();
        let controls: Vec<_> = line.split_whitespace().collect();
        assert!(controls.len() >= 6, "the controls were read");
        for host in controls.into_iter().chain(["example.com", "localhost.example.com", "notlocalhost"]) {
            assert_eq!(check_host(&policy(false), host), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_private_network_may_be_allowed() {
        let check = |host: &str, expect: Result<(), AddressClass>| {
            assert_eq!(check_host(&policy(true), host), expect, "{host}");
        };
        for host in
            ["127.0.0.1", "10.0.0.1", "192.168.0.1", "[::1]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]"]
        {
            check(host, Ok(()));
        }
        for host in ["localhost", "localhost.", "x.localhost", "100.64.0.1", "169.254.1.1", "8.8.8.8"] {
            check(host, Ok(()));
        }
        check("0.0.0.0", Err(AddressClass::Unspecified));
        check("0.1.2.3", Err(AddressClass::Unspecified));
        check("[::]", Err(AddressClass::Unspecified));
        check("[::ffff:0.0.0.0]", Err(AddressClass::Unspecified));
        check("224.0.0.1", Err(AddressClass::Multicast));
        check("[ff02::1]", Err(AddressClass::Multicast));
        check("255.255.255.255", Err(AddressClass::Broadcast));
        check("240.0.0.1", Err(AddressClass::Reserved));
        check("169.254.169.254", Err(AddressClass::Metadata));
        check("[::ffff:169.254.169.254]", Err(AddressClass::Metadata));
        check("[fd00:ec2::254]", Err(AddressClass::Metadata));
        check("[64:ff9b::a9fe:a9fe]", Err(AddressClass::Embedding));
    }

    #[test]
    fn lists_go_before_classes_and_deny_before_allow() {
        let policy = AddressPolicy {
            allow: networks(&[
                "10.1.0.0/16",
                "169.254.169.254/32",
                "0.0.0.0/8",
                "224.0.0.0/4",
                "127.0.0.0/8",
            ]),
            deny: networks(&["10.1.2.0/24", "8.8.8.0/24", "2606:4700::/32"]),
            ..AddressPolicy::default()
        };
        let check = |host: &str, expect: Result<(), AddressClass>| {
            assert_eq!(check_host(&policy, host), expect, "{host}");
        };
        check("10.1.0.1", Ok(()));
        check("[::ffff:10.1.0.1]", Ok(()));
        check("10.1.2.3", Err(AddressClass::Denied));
        check("[::ffff:10.1.2.3]", Err(AddressClass::Denied));
        check("10.2.0.1", Err(AddressClass::Private));
        check("8.8.8.8", Err(AddressClass::Denied));
        check("[2606:4700:4700::1111]", Err(AddressClass::Denied));
        check("1.1.1.1", Ok(()));
        check("169.254.169.254", Ok(()));
        check("0.0.0.0", Err(AddressClass::Unspecified));
        check("224.0.0.1", Err(AddressClass::Multicast));
        check("localhost", Ok(()));
        // All of IPv6 is not IPv4 in IPv6 clothes, but what is denied in those clothes is denied.
        let all_v6 = AddressPolicy { allow: networks(&["::/0"]), ..AddressPolicy::default() };
        assert_eq!(check_host(&all_v6, "[::ffff:127.0.0.1]"), Err(AddressClass::Loopback));
        let mapped = AddressPolicy { deny: networks(&["::ffff:8.8.8.0/120"]), ..AddressPolicy::default() };
        assert_eq!(check_host(&mapped, "[::ffff:8.8.8.8]"), Err(AddressClass::Denied));
    }

    #[test]
    fn own_addresses_are_private_network() {
        let own_addresses =
            OwnAddresses::new(vec!["203.0.114.7".parse().unwrap(), "2a00::7".parse().unwrap()]);
        let check = |allow_private_network: bool, host: &str, expect: Result<(), AddressClass>| {
            let own_addresses = own_addresses.clone();
            let policy = AddressPolicy { allow_private_network, own_addresses, ..AddressPolicy::default() };
            assert_eq!(check_host(&policy, host), expect, "{host}");
        };
        check(false, "203.0.114.7", Err(AddressClass::Own));
        check(false, "[::ffff:203.0.114.7]", Err(AddressClass::Own));
        check(false, "[2a00::7]", Err(AddressClass::Own));
        check(false, "203.0.114.8", Ok(()));
        check(true, "203.0.114.7", Ok(()));
    }

    #[test]
    fn an_address_that_comes_later_is_the_machines_own_from_then_on() {
        let policy = AddressPolicy::default();
        let copy = policy.clone();
        assert_eq!(check_host(&copy, "203.0.114.7"), Ok(()));
        policy.own_addresses.replace(vec!["203.0.114.7".parse().unwrap()]);
        assert_eq!(check_host(&copy, "203.0.114.7"), Err(AddressClass::Own));
        policy.own_addresses.replace(Vec::new());
        assert_eq!(check_host(&copy, "203.0.114.7"), Ok(()));
    }

    #[test]
    fn what_is_found_to_be_this_machine_is_refused_unless_it_is_allowed() {
        let address = "203.0.114.7".parse().unwrap();
        let check = |policy: &AddressPolicy, expect| {
            assert_eq!(policy.check_own(address).map_err(|blocked| blocked.class()), expect);
        };
        check(&policy(false), Err(AddressClass::Own));
        check(&policy(true), Ok(()));
        let allowed = AddressPolicy { allow: networks(&["203.0.114.7/32"]), ..policy(false) };
        check(&allowed, Ok(()));
        check(&AddressPolicy { deny: networks(&["203.0.114.7/32"]), ..allowed }, Err(AddressClass::Denied));
    }

    #[test]
    fn a_refusal_says_what_and_why() {
        let blocked = policy(false).check("10.0.0.1".parse().unwrap()).unwrap_err();
        assert_eq!(blocked.to_string(), "10.0.0.1 is a private address, where deliveries are not sent");
        assert_eq!((blocked.code(), blocked.class().name()), ("address_blocked", "private"));
    }

    proptest! {
        #[test]
        fn mapping_an_address_changes_no_verdict(bits: u32, private: bool) {
            let plain = Ipv4Addr::from(bits);
            let class = |address: IpAddr| policy(private).check(address).map_err(|blocked| blocked.class());
            prop_assert_eq!(class(plain.into()), class(plain.to_ipv6_mapped().into()));
        }

        #[test]
        fn only_global_unicast_is_public_in_ipv6(bits: u128) {
            let address = Ipv6Addr::from(bits);
            prop_assume!(address.to_ipv4_mapped().is_none());
            if policy(false).check(address.into()).is_ok() {
                prop_assert_eq!(bits >> 125, 1, "{} is outside 2000::/3", address);
            }
        }

        #[test]
        fn allowing_the_private_network_refuses_nothing_more(bits: u32) {
            let address = IpAddr::from(Ipv4Addr::from(bits));
            prop_assert!(policy(true).check(address).is_ok() || policy(false).check(address).is_err());
        }
    }
}
