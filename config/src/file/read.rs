//! A small typed reader of a parsed TOML document. Unlike serde, it does not stop at the first problem, so that one run
//! reports all problems of a file.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::advice;
use super::key::{Field, Key, Shape};
use crate::report::Problem;

/// A value of the document, with its place.
pub(crate) type Node<'a> = Spanned<DeValue<'a>>;

/// A type of value in the file.
pub(crate) trait Value: Sized {
    /// The name of the type in messages and in the reference, such as `duration`.
    const KIND: &'static str;
    /// The keys, if the type is a section.
    const KEYS: &'static [Key] = &[];
    /// The form in which the section is written.
    const SHAPE: Shape = Shape::Inline;

    /// Reads a value. If it is wrong, adds a problem to the reader and returns `None`.
    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self>;

    /// The value of a key that is not in the file and has no default.
    fn absent() -> Option<Self> {
        None
    }

    /// True if the value is within the bounds of its key.
    fn within(&self, _low: &str, _high: &str) -> bool {
        true
    }
}

/// Collects what is found besides the values: problems, secrets to hide, and the place of each key.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The keys of the whole document, for advice on a key in the wrong section.
    document: &'static [Key],
    /// Problems so far.
    pub(crate) problems: Vec<Problem>,
    /// Places that must never be shown.
    pub(crate) masks: Vec<Range<usize>>,
    /// Path of every key that the file sets, and its place.
    pub(crate) written: Vec<(String, Range<usize>)>,
    path: Vec<String>,
}

impl Reader {
    /// A reader for a document with these keys.
    pub(crate) fn new(document: &'static [Key]) -> Self {
        Self { document, ..Self::default() }
    }

    /// Dotted path of the value that is being read.
    pub(crate) fn path(&self) -> String {
        self.path.join(".")
    }

    /// Reads the value `name` below the current path.
    pub(crate) fn below<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name.to_owned());
        let value = read(self);
        self.path.pop();
        value
    }

    /// Adds a problem at a value.
    pub(crate) fn problem(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.problems.push(Problem::new(span, self.path(), message));
        self.problems.last_mut().expect("invariant: just pushed")
    }

    /// Adds a problem for a value of the wrong type, and returns `None`.
    pub(crate) fn wrong_type<T: Value>(&mut self, node: &Node<'_>) -> Option<T> {
        // A text in place of a section is masked, because it may be a secret such as `user:password`.
        self.masks.extend((!T::KEYS.is_empty()).then(|| node.span()));
        let message = format!("`{}` is {}", self.path(), article(node.get_ref().type_str()));
        self.problem(node.span(), message).expected = T::KIND.to_owned();
        None
    }

    /// The text of a string node.
    pub(crate) fn text<'n, T: Value>(&mut self, node: &'n Node<'_>) -> Option<&'n str> {
        let text = node.get_ref().as_str();
        if text.is_none() {
            self.wrong_type::<T>(node);
        }
        text
    }

    /// The table of a section node; each unknown key becomes a problem.
    pub(crate) fn table<'n, 'i, T: Value>(&mut self, node: &'n Node<'i>) -> Option<&'n DeTable<'i>> {
        let Some(table) = node.get_ref().as_table() else {
            return self.wrong_type::<T>(node).and(None);
        };
        self.unknown_keys(table, T::KEYS);
        Some(table)
    }

    /// The value of one key of a section: from the file, else the default.
    pub(crate) fn field<T: Value>(
        &mut self,
        table: Option<&DeTable<'_>>,
        keys: &[Key],
        name: &str,
    ) -> Field<T> {
        let key = keys.iter().find(|key| key.name == name).expect("invariant: sections read their own keys");
        let found = table.and_then(|table| table.get_key_value(name));
        let Some((written, node)) = found else {
            return Field { value: default(key), span: None };
        };
        self.below(name, |reader| {
            reader.written.push((reader.path(), written.span()));
            let value = T::read(node, reader).filter(|value| reader.bounded(value, key, node));
            Field { value: value.unwrap_or_else(|| default(key)), span: Some(node.span()) }
        })
    }

    fn bounded<T: Value>(&mut self, value: &T, key: &Key, node: &Node<'_>) -> bool {
        let Some((low, high)) = key.within else { return true };
        let inside = value.within(low, high);
        if !inside {
            let message = format!("`{}` is out of bounds", self.path());
            self.problem(node.span(), message).expected = format!("{} from {low} to {high}", short(T::KIND));
        }
        inside
    }

    fn unknown_keys(&mut self, table: &DeTable<'_>, known: &[Key]) {
        for (name, value) in table.iter() {
            if !known.iter().any(|key| key.name == name.get_ref().as_ref()) {
                self.mask_unknown(&name.span(), value);
                let problem = self.unknown_key(name.get_ref(), name.span(), known);
                self.problems.push(problem);
            }
        }
    }

    /// Hides the value of an unknown key. The span of a table that begins with a header covers its names, too. For such
    /// a table only the values below are hidden, so that the message can still be read.
    fn mask_unknown(&mut self, name: &Range<usize>, value: &Node<'_>) {
        let span = value.span();
        let opened_by_header = span.start <= name.start && name.end <= span.end;
        match value.get_ref() {
            DeValue::Table(table) if opened_by_header => {
                for (name, value) in table.iter() {
                    self.mask_unknown(&name.span(), value);
                }
            }
            DeValue::Array(items) if opened_by_header => {
                for item in items.iter() {
                    self.mask_unknown(&item.span(), item);
                }
            }
            _ => self.masks.push(span),
        }
    }

    fn unknown_key(&self, name: &str, span: Range<usize>, known: &[Key]) -> Problem {
        let place =
            if self.path.is_empty() { "the top level".to_owned() } else { format!("[{}]", self.path()) };
        let names: Vec<&str> = known.iter().map(|key| key.name).collect();
        let problem =
            Problem::new(span, self.path(), format!("unknown key `{}` in {place}", name.escape_debug()))
                .expected(format!("one of: {}", names.join(", ")));
        match advice::for_unknown_key(name, &names, self.document) {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

/// The value of a key that is not in the file: its default, else the absent value of its type.
fn default<T: Value>(key: &Key) -> T {
    let Some(text) = key.default else {
        return T::absent().expect("invariant: a key without default may be absent");
    };
    let node = DeValue::parse(text).expect("invariant: defaults are TOML");
    T::read(&node, &mut Reader::default()).expect("invariant: defaults are valid")
}

/// The name of a kind without its examples.
pub(crate) fn short(kind: &str) -> &str {
    kind.split(',').next().unwrap_or(kind)
}

fn article(kind: &str) -> String {
    match kind {
        "integer" | "array" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}
