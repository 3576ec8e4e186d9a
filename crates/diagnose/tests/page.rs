//! The table of causes in `docs/diagnose.md`, compared with what the corpus is read as.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use diagnose::classify;
use support::corpus;

const BEGIN: &str = "<!-- causes: `UPDATE=1 cargo test -p diagnose --test page` writes this table -->\n";
const END: &str = "<!-- end of causes -->\n";

#[test]
fn the_page_lists_every_cause_with_words_that_tell_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnose.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, wanted).unwrap();
    } else {
        assert!(page == wanted, "docs/diagnose.md is out of date; its comment says how to write it anew");
    }
}

fn table() -> String {
    let mut words: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sample in corpus() {
        let reading = classify(&sample.text);
        let class = reading.class.as_str();
        reasons.entry(class).or_default().extend(reading.reason.map(|reason| reason.as_str()));
        let Some(matched) = reading.span.map(|span| shown(&sample.text[span])) else { continue };
        if matched.len() <= LONGEST {
            words.entry(class).or_default().insert(matched);
        }
    }
    let rows = reasons.into_iter().map(|(class, reasons)| {
        let words = words.remove(class).unwrap_or_default();
        let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).take(SHOWN).collect();
        let reasons: Vec<String> = reasons.into_iter().map(|reason| format!("`{reason}`")).collect();
        format!("| [`{class}`](errors.md#{class}) | {} | {} |\n", words.join(", "), reasons.join(", "))
    });
    format!(
        "| Class | Words that tell it, among others | Finer causes |\n|---|---|---|\n{}",
        rows.collect::<String>()
    )
}

/// The words in one line of a table. Case and quotes do not matter to the rules.
fn shown(text: &str) -> String {
    let text = text.to_ascii_lowercase().replace(['|', '`', '"', '\\'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The longest words that a table shows, in bytes.
const LONGEST: usize = 48;
/// The most words that a row shows.
const SHOWN: usize = 6;
