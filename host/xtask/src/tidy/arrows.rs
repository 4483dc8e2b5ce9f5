//! Which crate may use which: `hookmill -> {server, transport, wasm, sqlite, postgres} -> app -> core`, never upwards and
//! never sideways.

use std::collections::BTreeSet;

use super::facts::{Crates, Member};
use super::report::Finding;

/// What one crate of ours may name of ours.
struct Row {
    name: &'static str,
    normal: &'static [&'static str],
    dev: &'static [&'static str],
}

const CORE: &str = "hookmill-core";
const APP: &str = "hookmill-app";
const TESTKIT: &str = "hookmill-testkit";

/// The arrows. An adapter of a port names `core`, where the ports are; the server also calls the use cases.
const ARROWS: &[Row] = &[
    Row { name: CORE, normal: &[], dev: &[TESTKIT] },
    Row { name: APP, normal: &[CORE], dev: &[TESTKIT] },
    Row { name: "hookmill-bundle", normal: &[], dev: &[] },
    Row { name: "hookmill-sqlite", normal: &[CORE], dev: &[TESTKIT] },
    Row { name: "hookmill-postgres", normal: &[CORE], dev: &[TESTKIT] },
    Row { name: "hookmill-wasm", normal: &[CORE], dev: &[TESTKIT] },
    Row { name: "hookmill-transport", normal: &[CORE], dev: &[TESTKIT] },
    Row { name: "hookmill-server", normal: &[CORE, APP], dev: &[TESTKIT] },
    Row {
        name: "hookmill",
        normal: &[
            CORE,
            APP,
            "hookmill-bundle",
            "hookmill-server",
            "hookmill-transport",
            "hookmill-wasm",
            "hookmill-sqlite",
            "hookmill-postgres",
        ],
        dev: &[TESTKIT],
    },
    Row { name: TESTKIT, normal: &[CORE], dev: &[] },
    Row {
        name: "hookmill-tests",
        normal: &[CORE, APP, TESTKIT, "hookmill-sqlite", "hookmill-wasm"],
        dev: &[CORE, TESTKIT],
    },
    Row { name: "hookmill-bench", normal: &[CORE, TESTKIT, "hookmill-tests", "hookmill-wasm"], dev: &[] },
    Row { name: "xtask", normal: &[], dev: &[] },
];

/// What core must not name: sockets, files, databases, engines, clocks and chance come in through its ports.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio-util",
    "async-std",
    "smol",
    "hyper",
    "hyper-util",
    "axum",
    "reqwest",
    "hickory-resolver",
    "rustls",
    "mio",
    "socket2",
    "rusqlite",
    "libsqlite3-sys",
    "sqlx",
    "tokio-postgres",
    "wasmtime",
    "wasmparser",
    "tempfile",
    "memmap2",
    "rand",
    "fastrand",
    "getrandom",
    "time",
    "chrono",
    "tracing",
];

/// What may not even be compiled into core through others. A shorter list: cryptography brings traits for chance along
/// and calls none of them by itself.
const IMPURE_THROUGH_OTHERS: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "hyper",
    "axum",
    "reqwest",
    "rustls",
    "rusqlite",
    "libsqlite3-sys",
    "wasmtime",
    "rand",
    "fastrand",
];

/// Each crate of ours uses only what its row allows, and each has a row.
pub(crate) fn check(members: &[Member]) -> Vec<Finding> {
    let ours: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in members {
        let manifest = format!("{}/Cargo.toml", member.directory);
        let Some(row) = ARROWS.iter().find(|row| row.name == member.name) else {
            let message = format!("`{}` has no row among tidy's arrows: say what it may use", member.name);
            findings.push(Finding::error(manifest, message));
            continue;
        };
        for (kind, named, allowed) in [
            ("a dependency", &member.normal, row.normal),
            ("a dev-dependency", &member.dev, row.dev),
            ("a build-dependency", &member.build, &[]),
        ] {
            let wrong =
                named.iter().filter(|name| ours.contains(name.as_str()) && !allowed.contains(&name.as_str()));
            for name in wrong {
                let message =
                    format!("`{}` may not have `{name}` as {kind}: arrows only point down", member.name);
                findings.push(Finding::error(manifest.clone(), message));
            }
        }
    }
    findings
}

/// Core names nothing impure and has none of the worst compiled in through others.
pub(crate) fn check_purity(crates: &Crates) -> Vec<Finding> {
    let Some(core) = crates.members.iter().find(|member| member.name == CORE) else {
        return vec![Finding::error("Cargo.toml", "there is no crate `hookmill-core`")];
    };
    let manifest = format!("{}/Cargo.toml", core.directory);
    let mut findings = Vec::new();
    for name in IMPURE.iter().filter(|name| core.normal.contains(**name) || core.build.contains(**name)) {
        findings
            .push(Finding::error(manifest.clone(), format!("core may not use `{name}`: add a port instead")));
    }
    for name in IMPURE_THROUGH_OTHERS.iter().filter(|name| core.reached.contains(**name)) {
        if !core.normal.contains(*name) {
            let message =
                format!("core has `{name}` compiled in through another crate: see `cargo tree -i {name}`");
            findings.push(Finding::error(manifest.clone(), message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn member(name: &str, normal: &[&str], dev: &[&str]) -> Member {
        let directory = format!("host/{}", name.trim_start_matches("hookmill-"));
        Member { name: name.into(), directory, normal: names(normal), dev: names(dev), ..Member::default() }
    }

    #[test]
    fn arrows_only_point_down() {
        let all =
            ["core", "app", "sqlite", "wasm", "server", "testkit"].map(|room| format!("hookmill-{room}"));
        let check = |name: &str, normal: &[&str], dev: &[&str], expect: &[&str]| {
            let mut members: Vec<Member> = all.iter().map(|name| member(name, &[], &[])).collect();
            members.retain(|other| other.name != name);
            members.push(member(name, normal, dev));
            let messages: Vec<String> = check(&members).into_iter().map(|finding| finding.message).collect();
            assert_eq!(messages.len(), expect.len(), "{messages:?}");
            for (message, expect) in messages.iter().zip(expect) {
                assert!(message.contains(expect), "{message}");
            }
        };
        check("hookmill-core", &["serde_json"], &["hookmill-testkit"], &[]);
        check("hookmill-core", &["hookmill-app"], &[], &["may not have `hookmill-app`"]);
        check("hookmill-app", &["hookmill-core", "tokio"], &[], &[]);
        check(
            "hookmill-app",
            &["hookmill-core", "hookmill-sqlite"],
            &[],
            &["may not have `hookmill-sqlite`"],
        );
        check("hookmill-sqlite", &["hookmill-app"], &[], &["may not have `hookmill-app`"]);
        check(
            "hookmill-wasm",
            &["hookmill-core"],
            &["hookmill-sqlite"],
            &["`hookmill-sqlite` as a dev-dependency"],
        );
        check("hookmill-server", &["hookmill-app", "hookmill-core"], &["hookmill-testkit"], &[]);
        check("hookmill-server", &["hookmill-testkit"], &[], &["may not have `hookmill-testkit`"]);
        check("xtask", &["hookmill-core"], &[], &["may not have `hookmill-core`"]);
        check("hookmill-new", &[], &[], &["has no row"]);
    }

    #[test]
    fn core_stays_pure() {
        let check = |normal: &[&str], reached: &[&str], expect: usize| {
            let core = Member { reached: names(reached), ..member("hookmill-core", normal, &["proptest"]) };
            let crates = Crates { members: vec![core], foreign: Vec::new() };
            assert_eq!(check_purity(&crates).len(), expect, "{normal:?} {reached:?}");
        };
        check(&["serde_json", "hmac"], &["serde_json", "rand_core", "getrandom"], 0);
        check(&["tokio"], &["tokio", "mio"], 2);
        check(&["getrandom"], &["getrandom"], 1);
        check(&["innocent"], &["innocent", "tokio"], 1);
    }
}
