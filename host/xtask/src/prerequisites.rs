//! What the tests and the demo need of the machine beyond Rust and a C compiler, in one place.
//!
//! All of it is looked for before anything is built. What is missing is installed where that needs nobody's consent, on
//! Debian and its children as root; what still is missing afterwards is told once: for which tests, why, and how to get
//! it. Those tests are then left out and listed. Where the environment variable `CI` is set nothing may be left out.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Stdio;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};

use crate::binaries::target_directory;
use crate::plugins::{self, Toolchain};
use crate::steps::{Failure, answers, tool};
use crate::{debian, receivers, verifiers};

/// Something that has to be on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// A compiler for WebAssembly.
    Compiler,
    /// Node.js with npm, and the packages that are fetched with it.
    Node,
    /// Python with `venv`, and the packages that are fetched with it.
    Python,
    /// PHP with SQLite.
    Php,
    /// What judges Prometheus' rules.
    Promtool,
    /// What knows which files are kept.
    Git,
}

/// What is said of a need.
struct Row {
    name: &'static str,
    purpose: &'static str,
    /// How to get it by hand.
    hint: &'static str,
    tests: TestsOf,
}

/// Tests that can't run without something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TestsOf {
    /// Of this package.
    pub(crate) package: &'static str,
    /// Beginnings of their names.
    pub(crate) names: &'static [&'static str],
}

impl TestsOf {
    const fn processes(names: &'static [&'static str]) -> Self {
        Self { package: "hookmill-tests", names }
    }
}

impl Need {
    /// What `cargo xtask test` looks for.
    pub(crate) const OF_TESTS: &[Self] =
        &[Self::Compiler, Self::Node, Self::Python, Self::Php, Self::Promtool, Self::Git];
    /// What `cargo xtask demo` looks for.
    pub(crate) const OF_DEMO: &[Self] = &[Self::Compiler, Self::Node];

    fn row(self) -> Row {
        match self {
            Self::Compiler => Row {
                name: "WebAssembly compiler",
                purpose: "the plugins in Rust, and all tests that run them",
                hint: "rustup target add wasm32-unknown-unknown; on Debian: apt-get install rustc-web rust-web-src",
                tests: COMPILER_TESTS,
            },
            Self::Node => Row {
                name: "Node.js 20.6 with npm",
                purpose: "the plugins in JavaScript, an official verifier, a receiver",
                hint: "on Debian: apt-get install nodejs npm",
                tests: NODE_TESTS,
            },
            Self::Python => Row {
                name: "Python 3 with venv",
                purpose: "official verifiers and clients, receivers, a guide's own code",
                hint: "on Debian: apt-get install python3 python3-venv",
                tests: PYTHON_TESTS,
            },
            Self::Php => Row {
                name: "PHP 8.1 with SQLite",
                purpose: "a receiver",
                hint: "on Debian: apt-get install php-cli php-sqlite3",
                tests: PHP_TESTS,
            },
            Self::Promtool => Row {
                name: "promtool",
                purpose: "the alert rules, judged by Prometheus itself",
                hint: "on Debian it is in the package prometheus: apt-get install prometheus",
                tests: PROMTOOL_TESTS,
            },
            Self::Git => Row {
                name: "git",
                purpose: "the tests of tidy, which asks git for its files",
                hint: "on Debian: apt-get install git",
                tests: GIT_TESTS,
            },
        }
    }

    /// Sees to it that it is there; answers why it is not.
    fn provide(self, root: &Path) -> Result<(), String> {
        match self {
            // Looked for by `prepare`, which keeps what is found.
            Self::Compiler => Ok(()),
            Self::Node => {
                let found = || ["node", "npm"].iter().all(|name| answers(tool(name, root).arg("--version")));
                provide_program(root, found, &["nodejs", "npm"])?;
                let fetched = verifiers::prepare_node(root).and_then(|()| receivers::prepare_node(root));
                fetched.map_err(|failure| failure.to_string())
            }
            Self::Python => {
                let found = || answers(tool("python3", root).args(["-c", "import ensurepip, venv"]));
                provide_program(root, found, &["python3", "python3-venv"])?;
                let fetched = verifiers::prepare_python(root).and_then(|()| receivers::prepare_python(root));
                fetched.map_err(|failure| failure.to_string())
            }
            Self::Php => {
                let found = || answers(tool("php", root).args(["-r", "new PDO('sqlite::memory:');"]));
                provide_program(root, found, &["php-cli", "php-sqlite3"])
            }
            Self::Promtool => provide_promtool(root),
            Self::Git => provide_program(root, || answers(tool("git", root).arg("--version")), &["git"]),
        }
    }
}

/// What was found, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// What compiles plugins to WebAssembly.
    pub(crate) toolchain: Option<Toolchain>,
    missing: BTreeMap<Need, String>,
}

impl Machine {
    /// Looks for these needs and installs what may be installed.
    ///
    /// # Errors
    /// Something is missing, and the environment variable `CI` is set.
    pub(crate) fn prepare(root: &Path, needs: &[Need]) -> Result<Self, Failure> {
        let mut machine = Self::default();
        for need in needs {
            let provided = match need {
                Need::Compiler => plugins::find_toolchain(root).map(|found| machine.toolchain = Some(found)),
                Need::Node | Need::Python | Need::Php | Need::Promtool | Need::Git => need.provide(root),
            };
            match provided {
                Ok(()) => println!("    {}: present", need.row().name),
                Err(why) => {
                    println!("    {}: missing", need.row().name);
                    machine.missing.insert(*need, why);
                }
            }
        }
        if !machine.missing.is_empty() {
            println!("\n{machine}");
            if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
                return Err(Failure::of(
                    "nothing may be left out where CI is set; what is missing stands above",
                ));
            }
        }
        Ok(machine)
    }

    /// Whether it was looked for and is there.
    pub(crate) fn has(&self, need: Need) -> bool {
        !self.missing.contains_key(&need)
    }

    /// Fails where this is missing.
    pub(crate) fn require(&self, need: Need) -> Result<(), Failure> {
        match self.missing.get(&need) {
            None => Ok(()),
            Some(why) => Err(Failure::of(format!("{}: {why}; {}", need.row().name, need.row().hint))),
        }
    }

    /// The tests that have to be left out, by the name of what they lack.
    pub(crate) fn left_out(&self) -> Vec<(&'static str, TestsOf)> {
        self.missing.keys().map(|need| (need.row().name, need.row().tests)).collect()
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["missing", "needed for", "why", "how to get it"]);
        for (need, why) in &self.missing {
            let row = need.row();
            table.add_row([row.name, row.purpose, why, row.hint]);
        }
        write!(formatter, "{table}")
    }
}

/// Looks for a program and, where it is missing, installs these packages and looks again.
fn provide_program(root: &Path, found: impl Fn() -> bool, packages: &[&str]) -> Result<(), String> {
    if found() || (debian::install(root, packages) && found()) { Ok(()) } else { Err("not found".to_owned()) }
}

/// `promtool` on the `PATH`, or in `target/tools`, where it is unpacked out of the package of Prometheus: installed whole,
/// that starts a service.
fn provide_promtool(root: &Path) -> Result<(), String> {
    let tools = target_directory(root).join("tools");
    let unpacked = tools.join("usr/bin/promtool");
    let found = || {
        [Path::new("promtool"), &unpacked]
            .into_iter()
            .any(|program| answers(tool(program, root).arg("--version").stdin(Stdio::null())))
    };
    if found() {
        return Ok(());
    }
    if !debian::is_there(root) {
        return Err("not found".to_owned());
    }
    std::fs::create_dir_all(&tools).map_err(|error| format!("create {}: {error}", tools.display()))?;
    debian::unpack(&tools, "prometheus")?;
    if found() { Ok(()) } else { Err("the package of Prometheus does not have it".to_owned()) }
}

const COMPILER_TESTS: TestsOf = TestsOf::processes(&[
    "authoring::",
    "bad_plugins::an_upload_that_is_cut_off_leaves_nothing",
    "bad_plugins::what_is_no_plugin_is_refused_by_name",
    "bundled_plugins::",
    "main_job::a_whatsapp_status_becomes",
    "main_job::an_osmox_notification_becomes",
    "nothing_ignored::an_endpoint_is_not_left_without_its_plugin",
    "plugin_platform::",
    "sources::as_providers_are::metas_unsigned_handshake",
    "sources::reports_of_providers_become_notifications",
]);
const NODE_TESTS: TestsOf = TestsOf::processes(&[
    "authoring::a_dry_run",
    "authoring::a_project_in_javascript",
    "authoring::a_run_shows",
    "authoring::a_sample_that_fails",
    "authoring::sources_and_classifiers",
    "bundled_plugins::plugins_that_come",
    "bundled_plugins::scripts_are_written",
    "import::an_import_that_was_cut_off",
    "import::endpoints_of_a_svix_server",
    "nothing_ignored::a_plugin_sends_to_origins",
    "nothing_ignored::a_retry_of_what_a_script_made",
    "plugin_platform::",
    "receivers::express",
    "verifiers::",
]);
const PYTHON_TESTS: TestsOf = TestsOf::processes(&[
    "authoring::a_project_in_c",
    "authoring::a_project_in_python",
    "mifumo::a_test_call_delivers",
    "mifumo::existing_plain_text_secrets",
    "mifumo::the_guides_own_function",
    "mifumo::the_json_dumps_variant",
    "mifumo::the_printed_test_event",
    "receivers::django",
    "receivers::fastapi",
    "receivers::flask",
    "svix_client::",
    "verifiers::",
]);
const PHP_TESTS: TestsOf = TestsOf::processes(&["receivers::php"]);
const PROMTOOL_TESTS: TestsOf = TestsOf::processes(&[
    "metrics::dead_letters_fire",
    "metrics::many_retries_fire",
    "metrics::more_calm_traffic",
    "metrics::receivers_that",
    "metrics::the_shipped_examples",
]);
const GIT_TESTS: TestsOf = TestsOf { package: "xtask", names: &["tidy::tests::"] };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_its_purpose_and_its_cure() {
        let missing = BTreeMap::from([(Need::Php, "not found".to_owned())]);
        let machine = Machine { toolchain: None, missing };
        let table = machine.to_string();
        for part in ["PHP 8.1", "a receiver", "not found", "apt-get install php-cli"] {
            assert!(table.contains(part), "{part}: {table}");
        }
        assert!(!machine.has(Need::Php) && machine.has(Need::Node));
        assert!(machine.require(Need::Node).is_ok());
        let failure = machine.require(Need::Php).unwrap_err().to_string();
        assert!(failure.contains("apt-get install php-cli php-sqlite3"), "{failure}");
        assert_eq!(machine.left_out(), [("PHP 8.1 with SQLite", PHP_TESTS)]);
    }

    #[test]
    fn each_need_has_tests_that_are_left_out_without_it() {
        for need in Need::OF_TESTS {
            assert!(!need.row().tests.names.is_empty(), "{need:?}");
        }
    }
}
