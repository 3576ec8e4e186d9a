//! Lists whose entries are sections: endpoints and targets.

use url::Url;

use super::key::{Field, Key, Shape};
use super::lists::{Item, read_list};
use super::raw::{Endpoint, Target};
use super::read::{Node, Reader, Value};

/// Each entry is an address, or a table.
impl Value for Vec<Endpoint> {
    const KIND: &'static str = "list of addresses or of tables";
    const KEYS: &'static [Key] = Endpoint::KEYS;
    const SHAPE: Shape = Shape::Inline;

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        read_list(node, reader, |node, reader| {
            if node.get_ref().is_table() {
                return Endpoint::read(node, reader);
            }
            let url = Url::read(node, reader)?;
            let span = Some(node.span());
            Endpoint::absent().map(|endpoint| Endpoint { url: Field { value: Some(url), span }, ..endpoint })
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl Item for Target {
    const LIST: &'static str = "list of sections";
    const LIST_SHAPE: Shape = Shape::List;
}
