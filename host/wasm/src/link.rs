//! Whether a compiled plugin fits this router: what it wants is offered, and what is wanted of it is there.

use hookmill_core::plugin::World;
use hookmill_core::port::plugins::PluginRejected;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker, ResourceType, Type};

use crate::bindings::hookmill::plugin::{ambient, answer, crypto, event, inbound, log, outbound, types};
use crate::bindings::wasi::{cli, clocks, filesystem, io, random};
use crate::fault::Breach;
use crate::guest::RunState;
use crate::guest::handles::DescriptorHandle;
use crate::offer::{Offer, refused, track};
use crate::structure::rejected;
use crate::world::Export;

const PACKAGE: &str = "hookmill:plugin";
/// Imports that an error names.
const NAMED_MAX: usize = 20;

/// Links plugins to the host's functions.
pub(crate) struct Links {
    engine: Engine,
    worlds: [WorldLinks; 3],
    every: Offer,
}

/// What the plugins of one world are linked to.
struct WorldLinks {
    offer: Offer,
    linker: Linker<RunState>,
}

/// A plugin with nothing left to look up.
pub(crate) struct Linked {
    pub(crate) pre: InstancePre<RunState>,
    pub(crate) export: Export,
    /// The interfaces that it imports.
    pub(crate) imports: Vec<String>,
}

impl Links {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let links = |world| -> wasmtime::Result<WorldLinks> {
            Ok(WorldLinks { offer: Offer::of(world), linker: linker(engine, world)? })
        };
        let [transform, source, classifier] = World::ALL;
        let worlds = [links(transform)?, links(source)?, links(classifier)?];
        Ok(Self { engine: engine.clone(), worlds, every: Offer::of_every_world() })
    }

    /// Links a plugin, so that a run has nothing left to look up.
    ///
    /// # Errors
    /// Everything that it imports and is not offered, or what its export lacks.
    pub(crate) fn link(&self, component: &Component) -> Result<Linked, PluginRejected> {
        let world = self.world_of(component)?;
        self.check_imports(component, world)?;
        let Some(world) = world else {
            let message = format!(
                "the plugin exports none of `{PACKAGE}/transform@1.0.0`, `{PACKAGE}/source@1.0.0` and \
                 `{PACKAGE}/classifier@1.0.0`: build it against one of the worlds of {PACKAGE}, in Rust with the \
                 macros of the crate hookmill-plugin"
            );
            return Err(rejected("plugin_export_missing", message));
        };
        self.check_export(component, world)?;
        let mismatch = |error: wasmtime::Error| {
            let message = format!(
                "the plugin was built against another {PACKAGE} than this router's 1.0, rebuild it: {error:#}"
            );
            rejected("plugin_types_mismatch", message)
        };
        let pre = self.instantiate_pre(component, world).map_err(mismatch)?;
        let export = Export::find(world, &pre).map_err(mismatch)?;
        let imports = component.component_type();
        let imports = imports.imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        Ok(Linked { pre, export, imports })
    }

    fn of(&self, world: World) -> &WorldLinks {
        let [transform, source, classifier] = &self.worlds;
        match world {
            World::Transform => transform,
            World::Source => source,
            World::Classifier => classifier,
        }
    }

    /// The world that a plugin's export is of; it may export other things, but nothing of a second world.
    fn world_of(&self, component: &Component) -> Result<Option<World>, PluginRejected> {
        let exports = component.component_type();
        let mut found: Vec<World> = Vec::new();
        for (name, _) in exports.exports(&self.engine) {
            let Some((world, version)) = name
                .strip_prefix(PACKAGE)
                .and_then(|rest| rest.strip_prefix('/')?.split_once('@'))
                .and_then(|(interface, version)| Some((interface.parse::<World>().ok()?, version)))
            else {
                continue;
            };
            if track(name).as_deref() != Some(&format!("{PACKAGE}/{world}@1")) {
                let message = format!("the plugin is for {PACKAGE} {version}, this router runs 1.x");
                return Err(rejected("plugin_world_unknown", message));
            }
            found.push(world);
        }
        match found.as_slice() {
            [] => Ok(None),
            [world] => Ok(Some(*world)),
            [first, second, ..] => Err(rejected(
                "plugin_world_ambiguous",
                format!(
                    "the plugin exports `{first}` and `{second}`, and a plugin is of one world: make two of it"
                ),
            )),
        }
    }

    fn check_imports(&self, component: &Component, world: Option<World>) -> Result<(), PluginRejected> {
        let offer = world.map_or(&self.every, |world| &self.of(world).offer);
        let imports = component.component_type();
        let mut missing = Vec::new();
        let mut hints = Vec::new();
        for (name, import) in imports.imports(&self.engine) {
            let before = missing.len();
            match &import.ty {
                ComponentItem::ComponentInstance(_) if refused(name).is_some() => {}
                ComponentItem::ComponentInstance(instance) if offer.has(name) => {
                    for (item, function) in instance.exports(&self.engine) {
                        let called = matches!(function.ty, ComponentItem::ComponentFunc(_));
                        if called && !offer.has_item(name, item) {
                            missing.push(format!("`{name}` {item}"));
                        }
                    }
                }
                ComponentItem::Type(_) => {}
                _ => missing.push(format!("`{name}`")),
            }
            let hint = self.hint(name, world);
            if missing.len() > before && !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let more = missing.len().saturating_sub(NAMED_MAX);
        missing.truncate(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Err(rejected(
            "plugin_import_unknown",
            format!("this router does not offer {}{more}; {}", missing.join(", "), hints.join("; ")),
        ))
    }

    fn hint(&self, name: &str, world: Option<World>) -> String {
        match world {
            Some(world) if self.every.has(name) && !self.of(world).offer.has(name) => {
                format!("a {world} plugin has no use for `{name}`, which is of another world")
            }
            Some(_) | None if name.starts_with("hookmill:") => "the plugin needs a newer router".to_owned(),
            Some(_) | None if name.starts_with("wasi:") => {
                "of WASI 0.2 there are cli, clocks, filesystem, io, random and sockets, all of them inert: leave \
                 the rest out, for JavaScript and Python with --stub-wasi"
                    .to_owned()
            }
            Some(_) | None => {
                "a plugin imports interfaces of hookmill:plugin and of WASI 0.2, and no others".to_owned()
            }
        }
    }

    /// The typed call checks this too, but not before the first run.
    fn check_export(&self, component: &Component, world: World) -> Result<(), PluginRejected> {
        let (function, wanted) = signature(world);
        let exports = component.component_type();
        let export = exports
            .exports(&self.engine)
            .find(|(name, _)| track(name).as_deref() == Some(&format!("{PACKAGE}/{world}@1")));
        let found = match export.map(|(_, export)| export.ty) {
            Some(ComponentItem::ComponentInstance(instance)) => {
                instance.get_export(&self.engine, function).map(|export| export.ty)
            }
            Some(_) | None => None,
        };
        let Some(ComponentItem::ComponentFunc(found)) = found else {
            let message = format!("the plugin's `{PACKAGE}/{world}` has no function `{function}`");
            return Err(rejected("plugin_export_missing", message));
        };
        let parameters: Vec<_> = found.params().map(|(_, ty)| shape(&ty)).collect();
        let results: Vec<_> = found.results().map(|ty| shape(&ty)).collect();
        let found = format!("func({}) -> {}", parameters.join(", "), results.join(", "));
        if found == wanted {
            return Ok(());
        }
        let message = format!("the plugin's `{function}` is `{found}`, and has to be `{wanted}`");
        Err(rejected("plugin_types_mismatch", message))
    }

    fn instantiate_pre(
        &self,
        component: &Component,
        world: World,
    ) -> wasmtime::Result<InstancePre<RunState>> {
        let linker = &self.of(world).linker;
        let imports = component.component_type();
        if imports.imports(&self.engine).any(|(name, _)| refused(name).is_some()) {
            self.with_refusals(linker.clone(), component)?.instantiate_pre(component)
        } else {
            linker.instantiate_pre(component)
        }
    }

    /// Adds what a plugin imports and may not call. No type is checked here: no call ever gets beyond the refusal.
    fn with_refusals(
        &self,
        mut linker: Linker<RunState>,
        component: &Component,
    ) -> wasmtime::Result<Linker<RunState>> {
        linker.allow_shadowing(true);
        let imports = component.component_type();
        for (name, import) in imports.imports(&self.engine) {
            let (Some(resources), ComponentItem::ComponentInstance(instance)) = (refused(name), import.ty)
            else {
                continue;
            };
            let mut linker = linker.instance(name)?;
            for (item, export) in instance.exports(&self.engine) {
                match export.ty {
                    ComponentItem::ComponentFunc(_) => {
                        let (interface, function) = (name.to_owned(), item.to_owned());
                        linker.func_new(item, move |_, _, _, _| {
                            let (interface, function) = (interface.clone(), function.clone());
                            Err(Breach::Refused { interface, function }.into())
                        })?;
                    }
                    // Others are known from the interface that they are of.
                    ComponentItem::Resource(_) if resources.contains(&item) => {
                        linker.resource(item, ResourceType::host::<DescriptorHandle>(), |_, _| Ok(()))?;
                    }
                    _ => {}
                }
            }
        }
        Ok(linker)
    }
}

/// The functions of one world.
fn linker(engine: &Engine, world: World) -> wasmtime::Result<Linker<RunState>> {
    let mut linker = Linker::new(engine);
    // Each interface has a generated function of its own, and no trait that they share.
    macro_rules! link {
        ($($interface:ident)::+) => {
            $($interface)::+::add_to_linker::<_, HasSelf<RunState>>(&mut linker, |state| state)?
        };
    }
    link!(types);
    link!(log);
    link!(ambient);
    link!(crypto);
    match world {
        World::Transform => {
            link!(event);
            link!(outbound);
        }
        World::Source => link!(inbound),
        World::Classifier => {
            link!(event);
            link!(answer);
        }
    }
    link!(cli::environment);
    link!(cli::exit);
    link!(cli::stdin);
    link!(cli::stdout);
    link!(cli::stderr);
    link!(cli::terminal_input);
    link!(cli::terminal_output);
    link!(cli::terminal_stdin);
    link!(cli::terminal_stdout);
    link!(cli::terminal_stderr);
    link!(clocks::wall_clock);
    link!(clocks::monotonic_clock);
    link!(filesystem::types);
    link!(filesystem::preopens);
    link!(io::error);
    link!(io::poll);
    link!(io::streams);
    link!(random::random);
    link!(random::insecure);
    link!(random::insecure_seed);
    Ok(linker)
}

/// The function that a world's plugin exports, and its type as [`shape`] shows it.
fn signature(world: World) -> (&'static str, &'static str) {
    match world {
        World::Transform => (
            "run",
            "func(borrow, borrow) -> \
             result<deliver(list<own>) | drop(string), retryable(string) | permanent(string)>",
        ),
        World::Source => {
            ("receive", "func(borrow, borrow) -> accept(list<own>) | reply(own) | reject(string)")
        }
        World::Classifier => {
            ("classify", "func(borrow, borrow, borrow) -> delivered(_) | retry(string) | fail(string)")
        }
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
