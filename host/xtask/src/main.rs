//! Automation of this repository: `cargo xtask <command>`.
//!
//! Each command is a list of steps. A step announces itself, runs a tool with its own output in sight, and says how long
//! it took; the first step that fails ends the command with that tool's exit code. Everything is built with one profile,
//! `--release`, so that what is tested, shown, measured and shipped is the same build.

mod binaries;
mod clock;
mod debian;
mod plugins;
mod prerequisites;
mod receivers;
mod steps;
mod suite;
mod tidy;
mod verifiers;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use crate::prerequisites::{Machine, Need};
use crate::steps::{Failure, Steps, cargo, tool};
use crate::suite::Profile;

/// Automation of Hookmill's repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the main job on real input: events in, reshaped by plugins, signed, delivered, through a crash
    ///
    /// Builds the plugins and the router, then runs `hookmill demo`. Start here. Arguments are passed on: with `--keep`
    /// the router goes on running at the end, and its address is printed.
    Demo(Passed),
    /// Run all tests, of the router and of the plugins
    ///
    /// Builds the plugins, the router and the deliberately broken router that the crash test must catch, fetches the
    /// official signature verifiers and what the example receivers need (PyPI, npm; kept in `target/verifiers` and
    /// `target/receivers`), then runs every test.
    Test {
        /// Run only the router's tests whose name contains this
        filter: Vec<String>,
    },
    /// Check what needs no tests: formatting, lints, tidy
    Lint,
    /// Do what must pass before a change is merged: `lint`, then `test`
    Ci,
    /// Check the rules of the house: which crate may use which, file sizes, licences, words that must not be left behind
    Tidy,
    /// Measure throughput, latency, CPU and memory of the router, next to the machine's own limits
    ///
    /// Arguments are passed on: `cargo xtask bench --quick` takes three minutes, `cargo xtask bench --help` lists the rest.
    Bench(Passed),
    /// Feed random modules to the plugin host: the whole way from the upload to a run
    ///
    /// Arguments are passed on: `--seconds N`, `--seed N`. A module that brings about what none may is kept in
    /// `target/fuzz`, and the exit code is 1.
    Fuzz(Passed),
    /// Build the plugins of this repository as WebAssembly
    Plugins,
}

#[derive(Debug, clap::Args)]
struct Passed {
    /// Passed on as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let root = repository_root();
    let mut steps = Steps::new();
    let outcome = match arguments.command {
        Command::Demo(passed) => demo(&root, &mut steps, &passed.arguments),
        Command::Test { filter } => test(&root, &mut steps, Profile::Default, &filter),
        Command::Lint => lint(&root, &mut steps),
        Command::Ci => lint(&root, &mut steps).and_then(|()| test(&root, &mut steps, Profile::Ci, &[])),
        Command::Tidy => tidy(&root, &mut steps),
        Command::Bench(passed) => bench(&root, &mut steps, &passed.arguments),
        Command::Fuzz(passed) => fuzz(&root, &mut steps, &passed.arguments),
        Command::Plugins => build_all_plugins(&root, &mut steps),
    };
    steps.finish(outcome)
}

fn demo(root: &Path, steps: &mut Steps, passed: &[OsString]) -> Result<(), Failure> {
    let machine = look_for(root, steps, Need::OF_DEMO)?;
    machine.require(Need::Compiler)?;
    build_plugins(root, steps, &machine)?;
    steps.step("build the router", || binaries::build_programs(root))?;
    steps.step("run the demo", || {
        let plugins = plugins_directory(root);
        let events = root.join("tests/data/seeds");
        let mut demo = tool(binaries::router_path(root), root);
        demo.arg("demo").arg("--plugins").arg(plugins).arg("--events").arg(events).args(passed);
        steps::run(&mut demo)
    })
}

fn test(root: &Path, steps: &mut Steps, profile: Profile, filter: &[String]) -> Result<(), Failure> {
    let machine = look_for(root, steps, Need::OF_TESTS)?;
    build_plugins(root, steps, &machine)?;
    steps.step("build the router, and the broken one that the crash test must catch", || {
        binaries::prepare_binaries(root)
    })?;
    // Each suite runs, whatever came of the one before: one run shows all that is broken.
    let mut suites = vec![steps.step("test the router", || suite::run_host(root, profile, filter, &machine))];
    if filter.is_empty() {
        suites.push(steps.step("test the examples in the documentation", || suite::run_documentation(root)));
        suites.push(steps.step("test the plugins on this machine", || suite::run_plugins(root)));
        if machine.has(Need::Node) {
            suites.push(steps.step("test the plugins in JavaScript", || suite::run_javascript(root)));
        }
    }
    println!("\nlogs: {}", suite::log_directory(root).display());
    let mut total = suite::Counts::default();
    for counts in suites {
        total = total + counts?;
    }
    println!("tests: {total}");
    if !machine.left_out().is_empty() {
        println!("left out, for want of what they need:");
        for (missing, tests) in machine.left_out() {
            println!("    {missing}: {}", tests.names.join(", "));
        }
    }
    Ok(())
}

fn look_for(root: &Path, steps: &mut Steps, needs: &[Need]) -> Result<Machine, Failure> {
    steps.step("look for what is needed", || Machine::prepare(root, needs))
}

fn lint(root: &Path, steps: &mut Steps) -> Result<(), Failure> {
    let plugin_workspace = root.join("plugins");
    let clippy = ["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];
    steps.step("check the formatting of the router", || {
        steps::run(cargo(root).args(["fmt", "--all", "--check"]))
    })?;
    steps.step("check the formatting of the plugins", || {
        steps::run(cargo(&plugin_workspace).args(["fmt", "--all", "--check"]))
    })?;
    tidy(root, steps)?;
    steps.step("lint the router", || steps::run(cargo(root).args(clippy)))?;
    steps.step("lint the plugins", || steps::run(cargo(&plugin_workspace).args(clippy)))
}

fn tidy(root: &Path, steps: &mut Steps) -> Result<(), Failure> {
    steps.step("check the rules of the house", || {
        let report = tidy::check_tree(root)?;
        print!("{report}");
        if report.passed() { Ok(()) } else { Err(Failure::of("tidy: see the table above")) }
    })
}

fn bench(root: &Path, steps: &mut Steps, passed: &[OsString]) -> Result<(), Failure> {
    build_all_plugins(root, steps)?;
    steps.step("build the router and the load generator", || binaries::build_programs(root))?;
    steps.step("measure", || {
        let generator = binaries::release_directory(root).join("hookmill-bench");
        steps::run(tool(&generator, root).args(passed))
    })
}

fn fuzz(root: &Path, steps: &mut Steps, passed: &[OsString]) -> Result<(), Failure> {
    build_all_plugins(root, steps)?;
    steps.step("build the fuzzer", || binaries::build_programs(root))?;
    steps.step("feed random modules to the plugin host", || {
        let fuzzer = binaries::release_directory(root).join("plugin-fuzzer");
        steps::run(tool(&fuzzer, root).args(passed))
    })
}

/// Builds them, or fails where the machine lacks what they need.
fn build_all_plugins(root: &Path, steps: &mut Steps) -> Result<(), Failure> {
    let machine = look_for(root, steps, Need::OF_DEMO)?;
    machine.require(Need::Compiler)?;
    machine.require(Need::Node)?;
    build_plugins(root, steps, &machine)
}

fn build_plugins(root: &Path, steps: &mut Steps, machine: &Machine) -> Result<(), Failure> {
    steps.step("build the plugins", || {
        let built = plugins::build_all(root, machine).map_err(Failure::of)?;
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["plugin", "bytes", "file"]);
        for plugin in built {
            let file = plugin.path.strip_prefix(root).unwrap_or(&plugin.path).display().to_string();
            table.add_row([plugin.name, plugin.bytes.to_string(), file]);
        }
        println!("{table}");
        Ok(())
    })
}

/// Where `cargo xtask plugins` leaves what it built.
fn plugins_directory(root: &Path) -> PathBuf {
    root.join("plugins/target/plugins")
}

/// The repository that this program is a part of. `cargo run` names it at run time; a copied program falls back to the
/// place where it was compiled.
fn repository_root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut root = PathBuf::from(manifest);
    root.pop();
    root.pop();
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn arguments_of_other_programs_are_passed_on() {
        let check = |line: &[&str], expect: &[&str]| {
            let arguments = Arguments::try_parse_from(line).expect("parses");
            let passed = match arguments.command {
                Command::Demo(passed) | Command::Bench(passed) | Command::Fuzz(passed) => passed.arguments,
                other => panic!("{other:?}"),
            };
            assert_eq!(passed, expect);
        };
        check(&["xtask", "demo"], &[]);
        check(&["xtask", "demo", "--keep"], &["--keep"]);
        check(&["xtask", "fuzz", "--seconds", "60", "--seed", "7"], &["--seconds", "60", "--seed", "7"]);
        check(
            &["xtask", "bench", "--quick", "e2e", "--json", "figures.json"],
            &["--quick", "e2e", "--json", "figures.json"],
        );
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(repository_root().join("host/xtask/Cargo.toml").is_file());
    }
}
