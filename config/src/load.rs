//! Loads a file into a configuration, or into a report of all its problems.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::file::advice;
use crate::file::raw::Root;
use crate::file::read::{Node, Reader, Value};
use crate::mask;
use crate::model::Config;
use crate::origins::Origins;
use crate::report::{Problem, Report};
use crate::resolve::resolve;

/// A configuration, with the origin of each value.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The effective values.
    pub config: Config,
    /// The file, if there was one.
    pub path: Option<PathBuf>,
    pub(crate) origins: Origins,
}

impl Config {
    /// Reads the file, or uses the defaults if there is none. Opens no other file: the code that uses credentials and
    /// certificates reads them.
    ///
    /// # Errors
    /// A report of all problems of the file.
    pub fn load(path: Option<&Path>) -> Result<Loaded, Report> {
        let Some(path) = path else {
            return parse("", Path::new("")).map(|loaded| Loaded { path: None, ..loaded });
        };
        let text = std::fs::read_to_string(path).map_err(|error| Report::unreadable(path, &error))?;
        parse(&text, path)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::load(None).expect("invariant: the defaults are valid").config
    }
}

/// Reads a text as if it were the content of `path`.
///
/// # Errors
/// A report of all problems of the text.
pub fn parse(text: &str, path: &Path) -> Result<Loaded, Report> {
    let mut masks = mask::user_info(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        masks.extend(mask::all_but_known(text, |name| advice::is_known_key(name, Root::KEYS)));
        return Err(Report::new(path, text, &masks, errors.iter().map(syntax).collect()));
    }
    let mut reader = Reader::new(Root::KEYS);
    let span = table.span();
    let node = Node::new(span, toml::de::DeValue::Table(table.into_inner()));
    let root = Root::read(&node, &mut reader).expect("invariant: a document is a table");
    let config = resolve(root, &folder(path), &mut reader);
    if !reader.problems.is_empty() {
        masks.append(&mut reader.masks);
        return Err(Report::new(path, text, &masks, reader.problems));
    }
    let origins = Origins::new(path, text, reader.written);
    Ok(Loaded { config, path: Some(path.to_owned()), origins })
}

/// The absolute path of the file's folder. Relative paths in the file begin there, independent of the working
/// directory.
fn folder(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

fn syntax(error: &toml::de::Error) -> Problem {
    let span: Range<usize> = error.span().unwrap_or(0..0);
    let (message, expected) =
        error.message().split_once(", expected ").unwrap_or((error.message(), "valid TOML"));
    Problem::new(span, "", format!("not TOML: {message}")).expected(expected)
}
