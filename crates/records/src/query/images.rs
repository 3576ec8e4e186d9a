//! Finds the images whose names contain the text of a filter.

use rusqlite::functions::FunctionFlags;

use super::id_set::IdSet;
use super::reader::Reader;

/// If the matching images have at most this many pulls in total, their pulls are read and sorted.
const FEW_PULLS_MAX: i64 = 5000;
/// The pulls of the matching images are read and sorted only if there are at most this many images.
const FEW_IMAGES_MAX: usize = 500;

/// Finds images whose full name contains a text.
const IMAGES_WITH: &str = "SELECT i.id, i.uses FROM images i JOIN registries r ON r.id = i.registry
    WHERE instr(r.name || '/' || i.repository || iif(i.tag = '', '', ':' || i.tag)
        || iif(i.digest = x'', '', iif(length(i.digest) = 32, '@sha256:', '@sha512:') || lower(hex(i.digest))), ?) > 0";

/// The images that a filter matches.
#[derive(Debug, Default)]
pub(super) struct Images {
    all: IdSet,
    /// The first of the images: at most `FEW_IMAGES_MAX + 1`.
    first: Vec<i64>,
    /// The number of pulls of all images.
    pulls: i64,
}

impl Images {
    fn insert(&mut self, id: i64, pulls: i64) {
        self.all.insert(id);
        self.pulls = self.pulls.saturating_add(pulls);
        if self.first.len() <= FEW_IMAGES_MAX {
            self.first.push(id);
        }
    }

    /// True if the images have so few pulls that these are read and sorted.
    pub(super) fn are_few(&self) -> bool {
        self.first.len() <= FEW_IMAGES_MAX && self.pulls <= FEW_PULLS_MAX
    }
}

impl Reader {
    /// The images whose names contain this text; `None` if there are none.
    pub(super) fn images_with(&self, text: &str) -> rusqlite::Result<Option<Images>> {
        let mut statement = self.connection.prepare_cached(IMAGES_WITH)?;
        let mut rows = statement.query([text])?;
        let mut images = Images::default();
        while let Some(row) = rows.next()? {
            images.insert(row.get(0)?, row.get(1)?);
        }
        Ok((!images.first.is_empty()).then_some(images))
    }

    /// The SQL condition that a pull is of one of these images. For many images the condition calls a function that
    /// tests a bit of the set, which is faster than a list of ids in the SQL.
    pub(super) fn want_images(&self, images: Images) -> rusqlite::Result<String> {
        if images.are_few() {
            return Ok(format!("image IN ({})", listed(images.first.into_iter())));
        }
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        self.connection.create_scalar_function("is_wanted_image", 1, flags, move |context| {
            context.get(0).map(|id: i64| images.all.contains(id))
        })?;
        Ok("is_wanted_image(image)".to_owned())
    }
}

/// Numbers as a list for SQL.
pub(super) fn listed(numbers: impl Iterator<Item = i64>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}
