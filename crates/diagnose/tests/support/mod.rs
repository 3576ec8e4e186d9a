//! Reads the corpus: `corpus/*.toml`, one file for each source.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use diagnose::classify;
use serde::Deserialize;

/// A text with what it is known to tell.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    /// The program that printed it, with its version.
    pub(crate) source: String,
    /// The text.
    pub(crate) text: String,
    /// The label of the class.
    pub(crate) class: String,
    /// The label of the stage, if the text tells it.
    pub(crate) stage: Option<String>,
    /// The host that failed, if the text names it.
    pub(crate) host: Option<String>,
    /// The label of the reason, if it is asserted.
    pub(crate) reason: Option<String>,
}

#[derive(Deserialize)]
struct File {
    sample: Vec<Sample>,
}

/// All samples.
pub(crate) fn corpus() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(file: &Path) -> Vec<Sample> {
    let text = fs::read_to_string(file).unwrap();
    toml::from_str::<File>(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())).sample
}

/// The differences between what the sample tells and what is read; `None` if there is none.
#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) fn differences(sample: &Sample) -> Option<String> {
    let reading = classify(&sample.text);
    let pairs = [
        ("class", Some(sample.class.as_str()), Some(reading.class.as_str())),
        ("stage", sample.stage.as_deref(), reading.stage.map(|stage| stage.as_str())),
        ("host", sample.host.as_deref(), reading.host.as_deref()),
        ("reason", sample.reason.as_deref(), reading.reason.map(|reason| reason.as_str())),
    ];
    let mut found = String::new();
    for (name, expected, read) in pairs {
        if expected.is_some() && expected != read {
            let _ = write!(found, " {name} {read:?}, not {expected:?};");
        }
    }
    let span = reading.span.map(|span| &sample.text[span]);
    (!found.is_empty()).then(|| format!("{}:{found} by {span:?}\n    {}", sample.source, sample.text))
}
