//! `hookmill plugin`.

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

use super::show::{Column, table};
use super::{Client, print, read_file};
use crate::cli::PluginCommand;
use crate::failure::Failure;

const COLUMNS: [Column; 4] = [
    Column("plugin", "/name"),
    Column("current version", "/version"),
    Column("bytes", "/bytes"),
    Column("versions", "/count"),
];
/// Bytes that are handed to the connection at once.
const CHUNK_BYTES: usize = 64 << 10;

pub(crate) async fn run(client: Client, json: bool, command: PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::Push { name, file } => {
            let component = read_plugin(&file)?;
            let progress = if json { ProgressBar::hidden() } else { ProgressBar::no_length() };
            let plugin = client.push(&name, component, progress).await?;
            print(json, &plugin, || table(&COLUMNS, &[row(&plugin)], ""));
        }
        PluginCommand::List => {
            let items = client.list(&["plugin"]).await?;
            let rows: Vec<Value> = items.iter().map(row).collect();
            let none = "no plugins yet: upload one with `hookmill plugin push`";
            print(json, &Value::from(items), || table(&COLUMNS, &rows, none));
        }
        PluginCommand::Rollback { name, version } => {
            let target = version.map_or_else(|| json!({}), |version| json!({ "version": version }));
            let path = ["plugin", &name, "rollback"];
            let plugin = client.call(Method::POST, &path, Some(&target)).await?;
            print(json, &plugin, || table(&COLUMNS, &[row(&plugin)], ""));
        }
    }
    Ok(())
}

/// Reads a file that is to be uploaded.
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
        let request = self
            .request(Method::PUT, self.url(&["plugin", name]))
            .header(CONTENT_TYPE, "application/wasm")
            .header(CONTENT_LENGTH, size)
            .body(Body::wrap_stream(stream::iter(chunks)));
        let answer = self.send(request).await;
        progress.finish_and_clear();
        answer
    }
}

/// A plugin as the table shows it: the size of its current version, and how many versions there are.
fn row(plugin: &Value) -> Value {
    let versions = plugin["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let current = versions.iter().find(|version| version["version"] == plugin["version"]);
    json!({
        "name": plugin["name"],
        "version": plugin["version"],
        "bytes": current.map(|version| &version["sizeBytes"]),
        "count": versions.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_the_current_version() {
        let versions =
            json!([{"version": "sha256:b", "sizeBytes": 2}, {"version": "sha256:a", "sizeBytes": 1}]);
        let plugin = json!({"name": "p", "version": "sha256:a", "versions": versions});
        assert_eq!(row(&plugin), json!({"name": "p", "version": "sha256:a", "bytes": 1, "count": 2}));
    }
}
