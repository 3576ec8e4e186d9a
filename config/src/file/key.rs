//! The description of a key. The reader's messages, the reference page and the example all use it.

use std::ops::Range;

/// The form of a section in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `key = value`.
    Inline,
    /// `[section]`.
    Section,
    /// `[section.ID]`.
    Named,
    /// `[[section]]`.
    List,
}

/// The description of one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// The name, as written in the file.
    pub(crate) name: &'static str,
    /// The meaning, as printed on the reference page.
    pub(crate) doc: &'static str,
    /// The kind of the value.
    pub(crate) kind: &'static str,
    /// TOML text of the default; `None` if the key has none.
    pub(crate) default: Option<&'static str>,
    /// Smallest and largest value.
    pub(crate) within: Option<(&'static str, &'static str)>,
    /// TOML text of an example.
    pub(crate) example: Option<&'static str>,
    /// The keys below this one, if it is a section.
    pub(crate) keys: &'static [Self],
    /// The form in which the keys below are written.
    pub(crate) shape: Shape,
}

/// A value, and its place if the file sets it.
#[derive(Clone, Debug)]
pub(crate) struct Field<T> {
    /// The value, or its default.
    pub(crate) value: T,
    /// The place of the value in the file; `None` if the value is the default.
    pub(crate) span: Option<Range<usize>>,
}
