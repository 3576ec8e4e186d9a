//! Writes what a client said into the corpus.

use std::fmt::Write;
use std::path::Path;

use diagnose::Reading;

use crate::clients::Client;

/// Writes the file of a client, if `UPDATE` is set. The corpus test of `crates/diagnose` reads it.
pub(crate) fn write(client: Client, version: &str, told: &[(&'static str, String, Reading)]) {
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    let mut text = String::from(
        "# What this client really says; written by `UPDATE=1 cargo nextest run -p pullgate --test corpus`.\n",
    );
    for (fault, said, reading) in told {
        let source = format!("{version}: {fault}");
        write!(text, "\n[[sample]]\nsource = {source:?}\ntext = {}\n", toml::Value::from(said.as_str()))
            .unwrap();
        writeln!(text, "class = \"{}\"", reading.class).unwrap();
        for (key, value) in
            [("stage", reading.stage.map(|stage| stage.as_str())), ("host", reading.host.as_deref())]
        {
            if let Some(value) = value {
                writeln!(text, "{key} = {value:?}").unwrap();
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/diagnose/corpus");
    std::fs::write(folder.join(format!("real-{}.toml", client.file())), text).unwrap();
}
