//! Generates the reference page and the annotated example from the same definitions that the reader uses.

use crate::file::key::{Key, Shape};
use crate::file::raw::Root;
use crate::file::read::Value;

/// The reference page, Markdown: every section and key, with kind, default, bounds and meaning.
pub fn page() -> String {
    let mut page = PAGE_HEAD.to_owned();
    page.push_str(&keys_of(Root::KEYS));
    each_section("", Root::KEYS, &mut |section, key| {
        page.push_str(&format!("\n## `{section}`\n\n{}{}", paragraph(key.doc), keys_of(key.keys)));
    });
    page
}

/// A file with every key, commented out, with its default or an example. Used unchanged, it has no effect.
pub fn example() -> String {
    let mut text = EXAMPLE_HEAD.to_owned();
    for key in Root::KEYS.iter().filter(|key| is_value(key)) {
        text.push_str(&example_key(key));
    }
    each_section("", Root::KEYS, &mut |section, key| {
        if key.shape != Shape::Inline {
            text.push_str(&comment(key.doc));
            let opening = section.replace("ID", "dockerhub");
            text.push_str(&if key.shape == Shape::Section {
                format!("{opening}\n\n")
            } else {
                format!("# {opening}\n\n")
            });
            key.keys.iter().filter(|key| is_value(key)).for_each(|key| text.push_str(&example_key(key)));
        }
    });
    text.truncate(text.trim_end().len() + 1);
    text
}

/// Calls `visit` for every section below, parents first.
fn each_section(path: &str, keys: &'static [Key], visit: &mut impl FnMut(&str, &Key)) {
    for key in keys.iter().filter(|key| !key.keys.is_empty()) {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let path = if key.shape == Shape::Named { format!("{path}.ID") } else { path };
        let header = match key.shape {
            Shape::Section | Shape::Named => format!("[{path}]"),
            Shape::List => format!("[[{path}]]"),
            Shape::Inline => format!("{path} = {{ ... }}"),
        };
        visit(&header, key);
        each_section(&path, key.keys, visit);
    }
}

fn keys_of(keys: &[Key]) -> String {
    let mut text = String::new();
    for key in keys.iter().filter(|key| key.shape == Shape::Inline) {
        text.push_str(&format!(
            "\n### `{}`\n\n{}\n\n- Value: {}",
            key.name,
            paragraph(key.doc).trim_end(),
            key.kind
        ));
        if let Some((low, high)) = key.within {
            text.push_str(&format!(", from {low} to {high}"));
        }
        text.push('\n');
        if let Some(default) = key.default {
            text.push_str(&format!("- Default: `{}`\n", quoted(default)));
        }
        if let Some(example) = key.example {
            text.push_str(&format!("- Example: `{} = {}`\n", key.name, quoted(example)));
        }
    }
    text
}

/// True if the key is a value on its own line and not a section.
fn is_value(key: &Key) -> bool {
    key.shape == Shape::Inline
}

fn example_key(key: &Key) -> String {
    let value = key.example.or(key.default).map_or_else(|| "...".to_owned(), quoted);
    let default = match (key.example, key.default) {
        (Some(_), Some(default)) => format!("# Default: {}\n", quoted(default)),
        _ => String::new(),
    };
    format!("{}{default}# {} = {value}\n\n", comment(key.doc), key.name)
}

fn paragraph(doc: &str) -> String {
    let text: Vec<&str> = doc.lines().map(str::trim).collect();
    format!("{}\n", text.join("\n"))
}

fn comment(doc: &str) -> String {
    doc.lines().map(|line| format!("# {}\n", line.trim())).collect()
}

/// Replaces the single quotes of definitions with the double quotes of files.
fn quoted(toml: &str) -> String {
    toml.replace('\'', "\"")
}

const PAGE_HEAD: &str = "\
# Configuration

<!-- Written from the definitions in config/src/file/raw.rs; do not edit. `UPDATE=1 cargo test -p config` writes it again. -->

The configuration is one TOML file, given with `--config`; write only the values that differ from the defaults. Without a
file, `pullgate serve` uses the defaults. `pullgate check config` reports all problems of a file in one run;
`pullgate check config --print` shows the effective values and the origin of each. Unknown keys are refused.
A change of the file is noticed within 2 s. A file with an error changes nothing, and the status page, `/status.json` and
`/readyz` warn of it. Relative paths begin at the file's folder.
This file must not contain secrets: it names the files and helpers that hold them.

## Top level
";
const EXAMPLE_HEAD: &str = "\
# Every key of pullgate's configuration, commented out. Keep only what you change.
# Written from the definitions in config/src/file/raw.rs; the reference is docs/configuration.md.

";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// Compares a file with the text generated from the definitions; `UPDATE=1` writes the file.
    fn assert_current(file: &str, text: &str) {
        let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "{file} is out of date; write it again with: UPDATE=1 cargo test -p config");
    }

    #[test]
    fn the_page_is_current() {
        assert_current("../docs/configuration.md", &page());
    }

    #[test]
    fn the_example_is_current() {
        assert_current("examples/pullgate.toml", &example());
    }

    #[test]
    fn the_example_is_valid_as_it_is_and_changes_nothing() {
        let loaded = crate::parse(&example(), Path::new("pullgate.toml")).unwrap();
        assert_eq!(loaded.effective(), crate::Config::load(None).unwrap().effective());
    }

    #[test]
    fn every_key_has_a_meaning_and_a_place_in_page_and_example() {
        fn all(keys: &'static [Key]) -> Vec<&'static Key> {
            keys.iter().flat_map(|key| std::iter::once(key).chain(all(key.keys))).collect()
        }
        for key in all(Root::KEYS) {
            assert!(!key.doc.trim().is_empty(), "{}", key.name);
            let forms = [format!("`{}`", key.name), format!("{}]", key.name), format!("{}.ID]", key.name)];
            assert!(forms.iter().any(|form| page().contains(form)), "{}", key.name);
        }
    }

    /// Each example in the definitions is valid for its key.
    #[test]
    fn every_example_is_accepted() {
        let base = "registry = \"docker.io\"\naccess = \"shared\"\ncredentials = { helper = \"pass\" }\n";
        let keys = <crate::file::raw::Upstream as Value>::KEYS;
        for key in keys.iter().filter(|key| key.example.is_some()) {
            let others: String = base
                .lines()
                .filter(|line| !line.starts_with(key.name))
                .map(|line| format!("{line}\n"))
                .collect();
            let text = format!("[upstreams.dockerhub]\n{others}{} = {}\n", key.name, key.example.unwrap());
            crate::parse(&text, Path::new("x.toml")).unwrap_or_else(|report| panic!("{report}"));
        }
    }
}
