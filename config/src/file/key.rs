//! The description of a key: the one source of the reader's messages, the reference page and the example.

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

/// One key: the source of the reader's messages, the reference page and the example.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// As it is written.
    pub(crate) name: &'static str,
    /// Its meaning, as the reference page prints it.
    pub(crate) doc: &'static str,
    /// The kind of its value.
    pub(crate) kind: &'static str,
    /// TOML text of its default.
    pub(crate) default: Option<&'static str>,
    /// Smallest and largest value.
    pub(crate) within: Option<(&'static str, &'static str)>,
    /// TOML text of an example.
    pub(crate) example: Option<&'static str>,
    /// Keys below.
    pub(crate) keys: &'static [Self],
    /// The form in which the keys below are written.
    pub(crate) shape: Shape,
}

/// A value and whether the file says it.
#[derive(Clone, Debug)]
pub(crate) struct Field<T> {
    /// The value, or its default.
    pub(crate) value: T,
    /// The place of the value in the file.
    pub(crate) span: Option<Range<usize>>,
}
