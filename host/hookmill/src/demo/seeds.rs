//! The payloads: one JSON file each, as their providers document them.

use std::path::Path;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::read_file;
use crate::failure::{Exit, Failure};

/// Bytes of one payload file.
const FILE_BYTES_MAX: usize = 1 << 20;

/// One payload.
#[derive(Debug)]
pub(super) struct Seed {
    /// From the file's name: `whatsapp-status.json` is `whatsapp.status`.
    pub(super) event_type: String,
    /// The text that is sent, and that arrives where nothing reshapes it.
    pub(super) text: Box<RawValue>,
    /// What the text says.
    pub(super) value: Value,
}

/// Reads every payload of a directory, by name.
///
/// # Errors
/// A directory or file that can't be read, a file that is no JSON, or none at all.
pub(super) fn read(directory: &Path) -> Result<Vec<Seed>, Failure> {
    let failed = |detail: String| {
        Failure::new(Exit::Failed, "demo_events_missing", format!("{}: {detail}", directory.display())).hint(
            "name the directory with the payloads with --events; the repository has them in tests/data/seeds",
        )
    };
    let listed = std::fs::read_dir(directory).map_err(|error| failed(error.to_string()))?;
    let mut seeds = Vec::new();
    for entry in listed {
        let path = entry.map_err(|error| failed(error.to_string()))?.path();
        let (Some(stem), Some("json")) = (path.file_stem(), path.extension().and_then(|ext| ext.to_str()))
        else {
            continue;
        };
        let bytes = read_file(&path, FILE_BYTES_MAX, "demo_event_too_large")?;
        let text: Box<RawValue> = serde_json::from_slice(&bytes)
            .map_err(|error| failed(format!("{} is no JSON: {error}", path.display())))?;
        let value = serde_json::from_str(text.get()).map_err(|error| failed(error.to_string()))?;
        seeds.push(Seed { event_type: stem.to_string_lossy().replace('-', "."), text, value });
    }
    if seeds.is_empty() {
        return Err(failed("there is no .json file".into()));
    }
    seeds.sort_by(|left, right| left.event_type.cmp(&right.event_type));
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_becomes_its_type_and_its_text_stays() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("whatsapp-status.json"), "{ \"n\":  1.0 }\n").unwrap();
        std::fs::write(directory.path().join("mifumo-message-sent.json"), "{}").unwrap();
        std::fs::write(directory.path().join("README.md"), "not a payload").unwrap();
        let seeds = read(directory.path()).unwrap();
        let read: Vec<(&str, &str)> =
            seeds.iter().map(|seed| (seed.event_type.as_str(), seed.text.get())).collect();
        assert_eq!(read, [("mifumo.message.sent", "{}"), ("whatsapp.status", "{ \"n\":  1.0 }")]);
    }

    #[test]
    fn what_is_no_payload_is_told() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).expect_err("empty").code, "demo_events_missing");
        std::fs::write(directory.path().join("broken.json"), "{").unwrap();
        assert!(read(directory.path()).expect_err("broken").message.contains("broken.json"));
        assert_eq!(read(&directory.path().join("none")).expect_err("none").code, "demo_events_missing");
    }
}
