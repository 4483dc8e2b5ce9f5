//! Module number n of a seed.
//!
//! Half of the modules are random but shaped as a plugin of one of the worlds, with all its imports and its export: they
//! compile, link and run. The others are random core modules and components, and sound plugins with damage.

use std::fmt;
use std::path::Path;

use arbitrary::{Arbitrary as _, Unstructured};
use hookmill_tests::plugin;
use hookmill_tests::world::{CoreFunction, World};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wasm_smith::{Component, Config, Module};
use wit_component::ComponentEncoder;

/// What a module is made of is drawn from so many random bytes.
const CHOICE_BYTES_MAX: usize = 16 << 10;
const WORLDS: [&str; 3] = ["transform-plugin", "source-plugin", "classifier-plugin"];

/// How a module was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A random core module, with any proposal.
    Module,
    /// A random component, with any proposal.
    Component,
    /// A random core module with the imports and the export of a world.
    Plugin,
    /// The same as a component, and then damaged.
    DamagedPlugin,
    /// A plugin of the repository, damaged.
    DamagedBundled,
    /// A file that was named.
    File,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// Makes the modules of one seed.
pub(crate) struct Maker {
    seed: u64,
    shapes: Vec<Shape>,
    sound: Vec<Vec<u8>>,
}

/// A world, and a module with all of its imports and exports.
struct Shape {
    world: World,
    module: Vec<u8>,
}

impl Maker {
    /// `plugins` is the folder of built plugins.
    pub(crate) fn new(seed: u64, plugins: &Path) -> Self {
        let mut paths: Vec<_> = std::fs::read_dir(plugins)
            .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask plugins` first", plugins.display()))
            .map(|entry| entry.expect("the folder can be read").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
            .collect();
        paths.sort();
        let mut sound: Vec<Vec<u8>> =
            paths.iter().map(|path| std::fs::read(path).expect("a built plugin can be read")).collect();
        sound.extend([plugin::saying("{}"), plugin::logging(3, 3), plugin::returning_bytes(9)]);
        Self { seed, shapes: WORLDS.map(Shape::of).into(), sound }
    }

    /// The module of this number.
    pub(crate) fn make(&self, number: u64) -> Input {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&number.to_le_bytes());
        let mut random = StdRng::from_seed(seed);
        let kind = match random.random_range(0..10) {
            0 => Kind::Module,
            1 => Kind::Component,
            2..7 => Kind::Plugin,
            7 => Kind::DamagedPlugin,
            _ => Kind::DamagedBundled,
        };
        let bytes = match kind {
            Kind::Module => random_module(&mut random),
            Kind::Component => random_component(&mut random),
            Kind::Plugin | Kind::File => self.plugin(&mut random),
            Kind::DamagedPlugin => {
                let plugin = componentised(&self.plugin(&mut random));
                self.damaged(plugin, &mut random)
            }
            Kind::DamagedBundled => {
                let sound = self.sound[random.random_range(0..self.sound.len())].clone();
                self.damaged(sound, &mut random)
            }
        };
        Input { number, kind, bytes }
    }

    fn plugin(&self, random: &mut StdRng) -> Vec<u8> {
        let shape = &self.shapes[random.random_range(0..self.shapes.len())];
        let choices = choices(random);
        let config = Config {
            module_shape: Some(shape.module.clone()),
            disallow_traps: random.random_bool(0.7),
            max_instructions: random.random_range(10..2000),
            generate_custom_sections: random.random_bool(0.1),
            ..offered_proposals()
        };
        let module = Module::new(config, &mut Unstructured::new(&choices)).expect("any bytes make a module");
        shape.world.embedded_in(&module.to_bytes())
    }

    /// Bytes changed, cut out, doubled, moved, or brought from another plugin.
    fn damaged(&self, mut bytes: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
        for _ in 0..random.random_range(1..4) {
            if bytes.len() < 8 {
                break;
            }
            let at = random.random_range(0..bytes.len());
            let length = random.random_range(1..64).min(bytes.len() - at);
            // Mostly a bit or a byte: what is cut or moved is rarely more than a section that does not add up.
            match random.random_range(0..12) {
                0..5 => bytes[at] ^= 1 << random.random_range(0..8),
                5..7 => bytes[at] = random.random(),
                7 => bytes.truncate(at),
                8 => drop(bytes.drain(at..at + length)),
                9 => {
                    let copy = bytes[at..at + length].to_vec();
                    let to = random.random_range(0..bytes.len());
                    bytes.splice(to..to, copy);
                }
                10 => bytes[at..at + length].fill(random.random()),
                _ => {
                    let other = &self.sound[random.random_range(0..self.sound.len())];
                    let from = random.random_range(0..other.len());
                    let until = (from + length).min(other.len());
                    bytes.splice(at..at + length, other[from..until].iter().copied());
                }
            }
        }
        bytes
    }
}

impl Shape {
    fn of(name: &str) -> Self {
        let world = World::named(name);
        let imports: String = world.imports().iter().map(CoreFunction::import_text).collect();
        let export = |function: CoreFunction| {
            format!("(func (export \"{}\"){} unreachable)", function.name, function.type_text())
        };
        let exports: String = world.exports().into_iter().map(export).collect();
        let text = format!(
            r#"(module {imports} (memory (export "memory") 2)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable) {exports})"#
        );
        let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
        Self { world, module }
    }
}

/// What plugins may use, so that most modules get past the validator. References to the outside go with the proposal
/// for garbage collection, which is off.
fn offered_proposals() -> Config {
    Config {
        bulk_memory_enabled: true,
        exceptions_enabled: false,
        gc_enabled: false,
        max_memories: 1,
        max_memory32_bytes: 8 << 20,
        max_table_elements: 1000,
        max_tables: 1,
        memory64_enabled: false,
        multi_value_enabled: true,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        simd_enabled: true,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

fn choices(random: &mut StdRng) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(64..CHOICE_BYTES_MAX)];
    random.fill(&mut bytes[..]);
    bytes
}

fn random_module(random: &mut StdRng) -> Vec<u8> {
    let choices = choices(random);
    let mut choices = Unstructured::new(&choices);
    let config = Config::arbitrary(&mut choices).expect("any bytes make a configuration");
    Module::new(config, &mut choices).expect("any bytes make a module").to_bytes()
}

fn random_component(random: &mut StdRng) -> Vec<u8> {
    let choices = choices(random);
    let mut choices = Unstructured::new(&choices);
    let component = Component::new(Config::default(), &mut choices);
    component.expect("any bytes make a component").to_bytes()
}

/// The component that a shaped module makes; the module itself where it makes none.
fn componentised(module: &[u8]) -> Vec<u8> {
    let encoded = ComponentEncoder::default().module(module).and_then(|mut encoder| encoder.encode());
    encoded.unwrap_or_else(|_| module.to_vec())
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Module => "random core modules",
            Self::Component => "random components",
            Self::Plugin => "random code in a plugin's shape",
            Self::DamagedPlugin => "the same, damaged",
            Self::DamagedBundled => "sound plugins, damaged",
            Self::File => "files",
        })
    }
}
