//! What a plugin of each world may import, read from the very texts that the bindings are generated from.

use std::collections::{BTreeMap, BTreeSet};

use hookmill_core::plugin::World;
use wit_parser::{Resolve, SourceMap, TypeDefKind, WorldItem};

/// `wit/`: what plugins are written against.
const PLUGIN_TEXTS: [(&str, &str); 10] = [
    ("ambient.wit", include_str!("../../../wit/ambient.wit")),
    ("classifier.wit", include_str!("../../../wit/classifier.wit")),
    ("crypto.wit", include_str!("../../../wit/crypto.wit")),
    ("event.wit", include_str!("../../../wit/event.wit")),
    ("log.wit", include_str!("../../../wit/log.wit")),
    ("outbound.wit", include_str!("../../../wit/outbound.wit")),
    ("source.wit", include_str!("../../../wit/source.wit")),
    ("transform.wit", include_str!("../../../wit/transform.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("worlds.wit", include_str!("../../../wit/worlds.wit")),
];
/// The host's own worlds, which add the inert part of WASI.
const HOST_TEXTS: [(&str, &str); 2] =
    [("host.wit", include_str!("../wit/host.wit")), ("wasi.wit", include_str!("../wit/wasi.wit"))];
/// Interfaces of WASI 0.2 that are linked and refused when they are called: without a file or a socket nothing of them
/// can be reached but the functions that would make one. With each, the resources that are its own.
const REFUSED: &[(&str, &[&str])] = &[
    ("wasi:filesystem/types@0.2", &["descriptor", "directory-entry-stream"]),
    ("wasi:sockets/instance-network@0.2", &[]),
    ("wasi:sockets/ip-name-lookup@0.2", &["resolve-address-stream"]),
    ("wasi:sockets/network@0.2", &["network"]),
    ("wasi:sockets/tcp@0.2", &["tcp-socket"]),
    ("wasi:sockets/tcp-create-socket@0.2", &[]),
    ("wasi:sockets/udp@0.2", &["udp-socket", "incoming-datagram-stream", "outgoing-datagram-stream"]),
    ("wasi:sockets/udp-create-socket@0.2", &[]),
];

/// Interfaces, by name and compatible versions, with their functions and resources.
pub(crate) struct Offer(BTreeMap<String, BTreeSet<String>>);

impl Offer {
    /// What the world of these plugins has.
    pub(crate) fn of(world: World) -> Self {
        Self::of_named(world.as_str())
    }

    /// What any world has.
    pub(crate) fn of_every_world() -> Self {
        Self::of_named("every")
    }

    fn of_named(name: &str) -> Self {
        let mut resolve = Resolve::default();
        push(&mut resolve, &PLUGIN_TEXTS);
        let package = push(&mut resolve, &HOST_TEXTS);
        let world = resolve.select_world(&[package], Some(name)).expect("the texts have this world");
        let mut interfaces = BTreeMap::new();
        for item in resolve.worlds[world].imports.values() {
            let WorldItem::Interface { id, .. } = item else { continue };
            let interface = &resolve.interfaces[*id];
            let resources = interface
                .types
                .iter()
                .filter(|(_, ty)| matches!(resolve.types[**ty].kind, TypeDefKind::Resource))
                .map(|(name, _)| name);
            let items = interface.functions.keys().chain(resources).cloned().collect();
            let name = resolve.id_of(*id).expect("interfaces of packages have names");
            interfaces.insert(track(&name).expect("the packages have versions"), items);
        }
        Self(interfaces)
    }

    /// Whether an interface is offered.
    pub(crate) fn has(&self, interface: &str) -> bool {
        track(interface).is_some_and(|track| self.0.contains_key(&track))
    }

    /// Whether a function or resource of an interface is.
    pub(crate) fn has_item(&self, interface: &str, item: &str) -> bool {
        let items = track(interface).and_then(|track| self.0.get(&track));
        items.is_some_and(|items| items.contains(item))
    }
}

/// The resources of an interface that is linked and refused when it is called.
pub(crate) fn refused(interface: &str) -> Option<&'static [&'static str]> {
    let track = track(interface)?;
    REFUSED.iter().find(|(name, _)| *name == track).map(|(_, resources)| *resources)
}

/// The interface and its compatible versions: `hookmill:plugin/event@1` for `hookmill:plugin/event@1.2.0`, and
/// `wasi:io/poll@0.2` for `wasi:io/poll@0.2.6`.
pub(crate) fn track(name: &str) -> Option<String> {
    let (interface, version) = name.split_once('@')?;
    let mut numbers = version.splitn(3, '.');
    let (major, minor) = (numbers.next()?.parse::<u64>().ok()?, numbers.next()?.parse::<u64>().ok()?);
    numbers.next()?.parse::<u64>().ok()?;
    Some(if major > 0 { format!("{interface}@{major}") } else { format!("{interface}@0.{minor}") })
}

fn push(resolve: &mut Resolve, texts: &[(&str, &str)]) -> wit_parser::PackageId {
    let mut map = SourceMap::default();
    for (name, text) in texts {
        map.push_str(name, *text);
    }
    let group = map.parse().unwrap_or_else(|(_, error)| panic!("the bindings were made from this: {error}"));
    resolve.push_group(group).expect("the bindings were made from these packages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_world_has_its_own() {
        let check = |world, interface: &str, offered| {
            assert_eq!(Offer::of(world).has(interface), offered, "{world} {interface}");
        };
        check(World::Transform, "hookmill:plugin/outbound@1.0.0", true);
        check(World::Transform, "hookmill:plugin/outbound@1.9.0", true);
        check(World::Transform, "hookmill:plugin/outbound@2.0.0", false);
        check(World::Transform, "hookmill:plugin/inbound@1.0.0", false);
        check(World::Source, "hookmill:plugin/inbound@1.0.0", true);
        check(World::Source, "hookmill:plugin/event@1.0.0", false);
        check(World::Classifier, "hookmill:plugin/answer@1.0.0", true);
        check(World::Classifier, "wasi:io/poll@0.2.9", true);
        check(World::Classifier, "wasi:io/poll@0.3.0", false);
        assert!(Offer::of_every_world().has_item("hookmill:plugin/event@1.0.0", "[method]event.json"));
        assert!(!Offer::of_every_world().has_item("hookmill:plugin/event@1.0.0", "[method]event.secret"));
    }

    #[test]
    fn reads_names_of_interfaces() {
        let check = |name: &str, expect: Option<&str>| assert_eq!(track(name).as_deref(), expect, "{name}");
        check("hookmill:plugin/event@1.0.0", Some("hookmill:plugin/event@1"));
        check("wasi:cli/environment@0.2.3", Some("wasi:cli/environment@0.2"));
        check("hookmill:plugin/event@2.0.0-rc.1", None);
        check("hookmill:plugin/event", None);
        check("hookmill:plugin/event@1", None);
    }
}
