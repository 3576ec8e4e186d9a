//! Lists, sections by id, and optional values.

use oci::ImageName;
use oci::RepositoryPattern;

use super::address::AddressRange;
use super::key::{Field, Key, Shape};
use super::read::{Node, Reader, Value};
use super::values::{Argument, Host, Namespace};

/// Sections by id, each with the place of its header.
#[derive(Clone, Debug)]
pub(crate) struct Table<T>(pub(crate) Vec<(Field<String>, T)>);

/// The type of an entry of a list. Entries are read one by one.
pub(super) trait Item: Value {
    const LIST: &'static str;
    const LIST_SHAPE: Shape = Shape::Inline;
}

impl Item for RepositoryPattern {
    const LIST: &'static str = "list of repositories, such as [\"org/*\"]";
}

impl Item for AddressRange {
    const LIST: &'static str = "list of address ranges, such as [\"public\", \"10.0.0.0/8\"]";
}

impl Item for Host {
    const LIST: &'static str = "list of host names, such as [\"auth.docker.io\", \"*.docker.com\"]";
}

impl Item for Namespace {
    const LIST: &'static str = "list of namespaces, such as [\"shop\", \"jobs\"]";
}

impl Item for Argument {
    const LIST: &'static str = "list of arguments, such as [\"get-credentials\"]";
}

impl Item for ImageName {
    const LIST: &'static str = "list of images, such as [\"docker.io/library/alpine:3.20\"]";
}

impl<T: Item> Value for Vec<T> {
    const KIND: &'static str = T::LIST;
    const KEYS: &'static [Key] = T::KEYS;
    const SHAPE: Shape = T::LIST_SHAPE;

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        read_list(node, reader, T::read)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;
    const KEYS: &'static [Key] = T::KEYS;
    const SHAPE: Shape = Shape::Inline;

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        T::read(node, reader).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn within(&self, low: &str, high: &str) -> bool {
        self.as_ref().is_none_or(|value| value.within(low, high))
    }
}

impl<T: Value> Value for Table<T> {
    const KIND: &'static str = "sections by id";
    const KEYS: &'static [Key] = T::KEYS;
    const SHAPE: Shape = Shape::Named;

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(table) = node.get_ref().as_table() else { return reader.wrong_type(node) };
        let mut sections = Vec::new();
        for (id, node) in table.iter() {
            let name = Field { value: id.get_ref().to_string(), span: Some(id.span()) };
            if !is_id(&name.value) {
                let message = format!("`{}` is not a short id", name.value.escape_debug());
                let problem = reader.problem(id.span(), message);
                problem.expected = "lower-case letters, digits and '-', at most 63".to_owned();
                problem.help =
                    Some("the registry's host goes into the section, as `registry = \"...\"`".to_owned());
            }
            let section =
                reader.below(&id.get_ref().escape_debug().to_string(), |reader| T::read(node, reader));
            sections.extend(section.map(|section| (name, section)));
        }
        Some(Self(sections))
    }

    fn absent() -> Option<Self> {
        Some(Self(Vec::new()))
    }
}

pub(super) fn read_list<T>(
    node: &Node<'_>,
    reader: &mut Reader,
    mut read: impl FnMut(&Node<'_>, &mut Reader) -> Option<T>,
) -> Option<Vec<T>>
where
    Vec<T>: Value,
{
    let Some(items) = node.get_ref().as_array() else { return reader.wrong_type(node) };
    let read = |(at, item): (usize, &Node<'_>)| reader.below(&at.to_string(), |reader| read(item, reader));
    // Reads every entry, so that all problems are found; a list with a bad entry is not used.
    items.iter().enumerate().map(read).collect::<Vec<_>>().into_iter().collect()
}

/// True if `text` is a valid id: ids are used as labels and as parts of key paths in messages.
fn is_id(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(good)
}
