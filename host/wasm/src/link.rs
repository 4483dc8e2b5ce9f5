//! Whether a compiled plugin fits this router: what it wants is offered, and what is wanted of it is there.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker, Type};

use crate::bindings::{TransformPlugin, TransformPluginPre};
use crate::guest::RunState;
use crate::structure::rejected;
use hookmill_core::port::plugins::PluginRejected;

const PACKAGE: &str = "hookmill:plugin";
const EXPORT: &str = "transform";
const RUN_SIGNATURE: &str = "func(borrow, borrow) -> \
    result<deliver(list<own>) | drop(string), retryable(string) | permanent(string)>";
/// What a transform may import, by interface. A test holds it to `wit/`.
const OFFERED: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("log", &["write"]),
    ("ambient", &["now-ms", "random-u64"]),
    ("crypto", &["hash", "hmac", "hmac-verify", "signature-verify"]),
    (
        "event",
        &[
            "event",
            "[method]event.id",
            "[method]event.uid",
            "[method]event.event-type",
            "[method]event.channels",
            "[method]event.accepted-at",
            "[method]event.content-type",
            "[method]event.size",
            "[method]event.bytes",
            "[method]event.text",
            "[method]event.json",
            "target",
            "[method]target.endpoint-id",
            "[method]target.url",
            "[method]target.attempt",
            "[method]target.settings",
            "[method]target.setting",
        ],
    ),
    (
        "outbound",
        &[
            "request",
            "[constructor]request",
            "[method]request.set-method",
            "[method]request.set-url",
            "[method]request.set-header",
            "[method]request.append-header",
            "[method]request.set-secret-header",
            "[method]request.remove-header",
            "[method]request.set-body",
            "[method]request.set-body-text",
            "[method]request.set-body-patch",
            "[method]request.set-body-original",
            "[method]request.set-part-key",
        ],
    ),
];

/// Links plugins to the host's functions.
pub(crate) struct Links {
    engine: Engine,
    linker: Linker<RunState>,
}

impl Links {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        TransformPlugin::add_to_linker::<_, HasSelf<RunState>>(&mut linker, |state| state)?;
        Ok(Self { engine: engine.clone(), linker })
    }

    /// Links a plugin, so that a run has nothing left to look up.
    ///
    /// # Errors
    /// Everything that it imports and is not offered, or what its export lacks.
    pub(crate) fn link(&self, component: &Component) -> Result<TransformPluginPre<RunState>, PluginRejected> {
        self.check_world(component)?;
        self.check_imports(component)?;
        self.check_export(component)?;
        let mismatch = |error: wasmtime::Error| {
            let message = format!(
                "the plugin was built against another {PACKAGE} than this router's 1.0, rebuild it: {error:#}"
            );
            rejected("plugin_types_mismatch", message)
        };
        let pre = self.linker.instantiate_pre(component).map_err(mismatch)?;
        TransformPluginPre::new(pre).map_err(mismatch)
    }

    fn check_imports(&self, component: &Component) -> Result<(), PluginRejected> {
        let mut missing = Vec::new();
        let mut hints = Vec::new();
        for (name, import) in component.component_type().imports(&self.engine) {
            let before = missing.len();
            match (&import.ty, offered(name)) {
                (ComponentItem::ComponentInstance(instance), Some(functions)) => {
                    for (function, item) in instance.exports(&self.engine) {
                        let callable =
                            matches!(item.ty, ComponentItem::ComponentFunc(_) | ComponentItem::Resource(_));
                        if callable && !functions.contains(&function) {
                            missing.push(format!("`{name}` {function}"));
                        }
                    }
                }
                (ComponentItem::Type(_), _) => {}
                _ => missing.push(format!("`{name}`")),
            }
            let hint = hint(name);
            if missing.len() > before && !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        const NAMED_MAX: usize = 20;
        let more = missing.len().saturating_sub(NAMED_MAX);
        missing.truncate(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Err(rejected(
            "plugin_import_unknown",
            format!("this router does not offer {}{more}; {}", missing.join(", "), hints.join("; ")),
        ))
    }

    /// A plugin of another world imports other things too, and is not told about those.
    fn check_world(&self, component: &Component) -> Result<(), PluginRejected> {
        let exports = component.component_type();
        let mut other = None;
        for (name, _) in exports.exports(&self.engine) {
            match interface(name) {
                Some((EXPORT, 1)) => return Ok(()),
                Some((EXPORT, major)) => {
                    let message = format!("the plugin is for {PACKAGE} {major}, this router runs 1.x");
                    return Err(rejected("plugin_world_unknown", message));
                }
                Some((world @ ("source" | "classifier"), _)) => other = Some(world),
                Some(_) | None => {}
            }
        }
        let Some(other) = other else { return Ok(()) };
        let message = format!("this is a {other} plugin, where an endpoint needs a transform plugin");
        Err(rejected("plugin_export_missing", message))
    }

    fn check_export(&self, component: &Component) -> Result<(), PluginRejected> {
        let exports = component.component_type();
        let transform = exports.exports(&self.engine).find(|(name, _)| interface(name) == Some((EXPORT, 1)));
        if let Some((_, export)) = transform {
            return self.check_run(&export.ty);
        }
        let message = format!(
            "the plugin does not export `{PACKAGE}/{EXPORT}@1.0.0`: build it against the world \
             `transform-plugin`, in Rust with the macro of the crate hookmill-plugin"
        );
        Err(rejected("plugin_export_missing", message))
    }

    /// The typed call checks this too, but not before the first run.
    fn check_run(&self, export: &ComponentItem) -> Result<(), PluginRejected> {
        let run = match export {
            ComponentItem::ComponentInstance(instance) => {
                instance.get_export(&self.engine, "run").map(|run| run.ty)
            }
            _ => None,
        };
        let Some(ComponentItem::ComponentFunc(run)) = run else {
            let message = format!("the plugin's `{PACKAGE}/{EXPORT}` has no function `run`");
            return Err(rejected("plugin_export_missing", message));
        };
        let parameters: Vec<_> = run.params().map(|(_, ty)| shape(&ty)).collect();
        let results: Vec<_> = run.results().map(|ty| shape(&ty)).collect();
        let signature = format!("func({}) -> {}", parameters.join(", "), results.join(", "));
        if signature == RUN_SIGNATURE {
            return Ok(());
        }
        let message = format!("the plugin's `run` is `{signature}`, and has to be `{RUN_SIGNATURE}`");
        Err(rejected("plugin_types_mismatch", message))
    }
}

/// A type as far as a plugin can get it wrong, without the names of its resources.
fn shape(ty: &Type) -> String {
    match ty {
        Type::String => "string".to_owned(),
        Type::Borrow(_) => "borrow".to_owned(),
        Type::Own(_) => "own".to_owned(),
        Type::List(list) => format!("list<{}>", shape(&list.ty())),
        Type::Result(result) => format!("result<{}, {}>", payload(result.ok()), payload(result.err())),
        Type::Variant(variant) => {
            let cases = variant.cases().map(|case| format!("{}({})", case.name, payload(case.ty)));
            cases.collect::<Vec<_>>().join(" | ")
        }
        _ => "another type".to_owned(),
    }
}

fn payload(ty: Option<Type>) -> String {
    ty.map_or_else(|| "_".to_owned(), |ty| shape(&ty))
}

/// The functions that are offered of an interface, whatever its 1.x version.
fn offered(name: &str) -> Option<&'static [&'static str]> {
    let (wanted, major) = interface(name)?;
    let (_, functions) = OFFERED.iter().find(|(interface, _)| *interface == wanted)?;
    (major == 1).then_some(functions)
}

/// The interface and the major version of a name such as `hookmill:plugin/event@1.2.0`.
fn interface(name: &str) -> Option<(&str, u64)> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')?;
    let major = version.split('.').next()?.parse().ok()?;
    Some((interface, major))
}

fn hint(name: &str) -> &'static str {
    if name.starts_with("hookmill:") {
        "the plugin needs a newer router"
    } else if name.starts_with("wasi:") {
        "plugins have no WASI: build Rust for wasm32-unknown-unknown, JavaScript and Python with --stub-wasi"
    } else {
        "a plugin imports interfaces of hookmill:plugin and no others"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn offers_what_wit_says() {
        let mut resolve = wit_parser::Resolve::default();
        let (package, _) = resolve.push_dir(Path::new("../../wit")).unwrap();
        let world = resolve.select_world(&[package], Some("transform-plugin")).unwrap();
        let mut said = BTreeSet::new();
        for (key, item) in &resolve.worlds[world].imports {
            let wit_parser::WorldItem::Interface { id, .. } = item else { panic!("an interface: {key:?}") };
            let interface = &resolve.interfaces[*id];
            let name = interface.name.clone().unwrap();
            said.insert((name.clone(), String::new()));
            for function in interface.functions.keys() {
                said.insert((name.clone(), function.clone()));
            }
            for (type_name, type_id) in &interface.types {
                if matches!(resolve.types[*type_id].kind, wit_parser::TypeDefKind::Resource) {
                    said.insert((name.clone(), type_name.clone()));
                }
            }
        }
        let mut offers = BTreeSet::new();
        for (interface, functions) in OFFERED {
            offers.insert(((*interface).to_owned(), String::new()));
            for function in *functions {
                offers.insert(((*interface).to_owned(), (*function).to_owned()));
            }
        }
        assert_eq!(offers, said);
    }

    #[test]
    fn reads_names_of_interfaces() {
        let check = |name: &str, expect| assert_eq!(interface(name), expect, "{name}");
        check("hookmill:plugin/event@1.0.0", Some(("event", 1)));
        check("hookmill:plugin/event@1.7.3", Some(("event", 1)));
        check("hookmill:plugin/event@2.0.0-rc.1", Some(("event", 2)));
        check("hookmill:plugin/event", None);
        check("hookmill:plugins/event@1.0.0", None);
        check("wasi:cli/environment@0.2.3", None);
    }
}
