//! The plugins of a server: upload, look at, promote, roll back, delete.

use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream;
use hookmill_core::limits::PLUGIN_BYTES_MAX;
use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Body;
use serde_json::{Value, json};

use super::component;
use super::project::Project;
use crate::client::show::{Column, table};
use crate::client::{Client, print, read_file};
use crate::failure::Failure;

const COLUMNS: [Column; 6] = [
    Column("plugin", "/name"),
    Column("world", "/world"),
    Column("current version", "/version"),
    Column("bytes", "/bytes"),
    Column("versions", "/count"),
    Column("description", "/description"),
];
const VERSION_COLUMNS: [Column; 5] = [
    Column("version", "/version"),
    Column("label", "/label"),
    Column("bytes", "/sizeBytes"),
    Column("uploaded", "/createdAt"),
    Column("runs for", "/share"),
];
/// Bytes that are handed to the connection at once.
const CHUNK_BYTES: usize = 64 << 10;

pub(super) async fn push(
    client: &Client,
    json: bool,
    subject: &str,
    file: Option<&Path>,
    promote: bool,
) -> Result<(), Failure> {
    let (name, component) = match file {
        Some(file) => (subject.to_owned(), read_plugin(file)?),
        None => {
            let project = Project::open(Path::new(subject))?;
            let component = component::read(&project)?;
            component::check_up_to_date(&component, &project)?;
            (project.name().to_owned(), component)
        }
    };
    let progress = if json { ProgressBar::hidden() } else { ProgressBar::no_length() };
    let plugin = client.push(&name, component, promote, progress).await?;
    print(json, &plugin, || table(&COLUMNS, &[row(&plugin)], ""));
    Ok(())
}

pub(super) async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let items = client.list(&["plugin"]).await?;
    let rows: Vec<Value> = items.iter().map(row).collect();
    let none = "no plugins yet: upload one with `hookmill plugin push`";
    print(json, &Value::from(items), || table(&COLUMNS, &rows, none));
    Ok(())
}

pub(super) async fn show(client: &Client, json: bool, name: &str) -> Result<(), Failure> {
    let mut plugin = client.call::<Value>(Method::GET, &["plugin", name], None).await?;
    let version = plugin["version"].as_str().unwrap_or_default().to_owned();
    let path = ["plugin", name, "version", &version];
    plugin["current"] = client.call::<Value>(Method::GET, &path, None).await?;
    print(json, &plugin, || {
        let list = |name: &str| {
            let items = plugin["current"][name].as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(Value::as_str).map(|item| format!("\n  {item}")).collect::<String>()
        };
        format!("{}\nimports of the current version:{}", described(&plugin), list("imports"))
    });
    Ok(())
}

pub(super) async fn promote(
    client: &Client,
    json: bool,
    name: &str,
    version: &str,
    canary_percent: Option<u8>,
) -> Result<(), Failure> {
    let target = match canary_percent {
        Some(percent) => json!({ "version": version, "canaryPercent": percent }),
        None => json!({ "version": version }),
    };
    move_to(client, json, name, "promote", &target).await
}

pub(super) async fn rollback(
    client: &Client,
    json: bool,
    name: &str,
    version: Option<&str>,
) -> Result<(), Failure> {
    let target = version.map_or_else(|| json!({}), |version| json!({ "version": version }));
    move_to(client, json, name, "rollback", &target).await
}

pub(super) async fn delete(
    client: &Client,
    json: bool,
    name: &str,
    version: Option<&str>,
) -> Result<(), Failure> {
    let path = match version {
        Some(version) => vec!["plugin", name, "version", version],
        None => vec!["plugin", name],
    };
    let deleted = client.call::<Value>(Method::DELETE, &path, None).await?;
    print(json, &deleted, || {
        format!("deleted {name}{}", version.map(|version| format!(" {version}")).unwrap_or_default())
    });
    Ok(())
}

async fn move_to(client: &Client, json: bool, name: &str, verb: &str, target: &Value) -> Result<(), Failure> {
    let plugin = client.call(Method::POST, &["plugin", name, verb], Some(target)).await?;
    print(json, &plugin, || described(&plugin));
    Ok(())
}

/// Reads a file that is to be uploaded or run.
pub(crate) fn read_plugin(file: &Path) -> Result<Bytes, Failure> {
    read_file(file, PLUGIN_BYTES_MAX, "plugin_too_large").map(Bytes::from)
}

impl Client {
    /// Uploads a component; `progress` moves as the connection takes it.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub(crate) async fn push(
        &self,
        name: &str,
        component: Bytes,
        promote: bool,
        progress: ProgressBar,
    ) -> Result<Value, Failure> {
        let size = component.len();
        progress.set_style(
            ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes}")
                .expect("a constant template"),
        );
        progress.set_message(format!("uploading {name}"));
        progress.set_length(size as u64);
        let moved = progress.clone();
        let chunks = (0..size).step_by(CHUNK_BYTES).map(move |start| {
            let chunk = component.slice(start..size.min(start + CHUNK_BYTES));
            moved.inc(chunk.len() as u64);
            if start + chunk.len() == size {
                moved.set_message("the server checks and compiles it");
            }
            Ok::<Bytes, io::Error>(chunk)
        });
        let mut url = self.url(&["plugin", name]);
        if !promote {
            url.query_pairs_mut().append_pair("promote", "false");
        }
        let request = self
            .request(Method::PUT, url)
            .header(CONTENT_TYPE, "application/wasm")
            .header(CONTENT_LENGTH, size)
            .body(Body::wrap_stream(stream::iter(chunks)));
        let answer = self.send(request).await;
        progress.finish_and_clear();
        answer
    }
}

/// A plugin with its versions, and which of them runs how often.
fn described(plugin: &Value) -> String {
    let rows: Vec<Value> = versions(plugin)
        .iter()
        .map(|version| {
            let mut row = version.clone();
            row["share"] = share(plugin, &version["version"]).into();
            row
        })
        .collect();
    let text = |name: &str| plugin[name].as_str().unwrap_or_default();
    let heading = format!("{} ({}): {}", text("name"), text("world"), text("description"));
    format!("{heading}\n{}", table(&VERSION_COLUMNS, &rows, "no versions"))
}

/// How much of the deliveries a version gets.
fn share(plugin: &Value, version: &Value) -> String {
    let canary = plugin["canary"]["percent"].as_u64().unwrap_or_default();
    if *version == plugin["version"] {
        format!("{} %", 100 - canary.min(100))
    } else if *version == plugin["canary"]["version"] {
        format!("{canary} %, on trial")
    } else {
        String::new()
    }
}

fn versions(plugin: &Value) -> &[Value] {
    plugin["versions"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A plugin as the table shows it: the size of its current version, and how many versions there are. One that comes with
/// the router has none before it is used.
fn row(plugin: &Value) -> Value {
    let versions = versions(plugin);
    let is_bundled = plugin["bundled"] == true;
    let current = versions.iter().find(|version| version["version"] == plugin["version"]);
    json!({
        "name": plugin["name"],
        "world": plugin["world"],
        "version": if is_bundled { "bundled".into() } else { plugin["version"].clone() },
        "bytes": if is_bundled { Some(&plugin["sizeBytes"]) } else { current.map(|version| &version["sizeBytes"]) },
        "count": versions.len(),
        "description": plugin["description"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> Value {
        let versions = json!([
            {"version": "sha256:c", "label": "3", "sizeBytes": 3},
            {"version": "sha256:b", "label": "2", "sizeBytes": 2},
            {"version": "sha256:a", "label": "1", "sizeBytes": 1},
        ]);
        let canary = json!({"version": "sha256:c", "percent": 5});
        json!({"name": "p", "world": "transform", "description": "P.", "version": "sha256:b", "canary": canary,
            "versions": versions})
    }

    #[test]
    fn a_row_shows_the_current_version() {
        let expect = json!({"name": "p", "world": "transform", "version": "sha256:b", "bytes": 2, "count": 3, "description": "P."});
        assert_eq!(row(&plugin()), expect);
        let bundled = json!({"name": "jq", "world": "transform", "description": "Jq.", "version": null, "versions": [],
            "bundled": true, "sizeBytes": 7});
        let expect = json!({"name": "jq", "world": "transform", "version": "bundled", "bytes": 7, "count": 0, "description": "Jq."});
        assert_eq!(row(&bundled), expect);
    }

    #[test]
    fn versions_show_who_runs_how_often() {
        let mut plugin = plugin();
        let shares = |plugin: &Value| -> Vec<String> {
            versions(plugin).iter().map(|version| share(plugin, &version["version"])).collect()
        };
        assert_eq!(shares(&plugin), ["5 %, on trial", "95 %", ""]);
        plugin["canary"] = Value::Null;
        assert_eq!(shares(&plugin), ["", "100 %", ""]);
        assert!(described(&plugin).starts_with("p (transform): P.\n"));
    }
}
