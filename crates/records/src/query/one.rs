//! One pull with its objects.

use super::bounds::PREFIX_MIN;
use super::error::QueryError;
use super::reader::Reader;
use super::row::{self, PullSummary};
use crate::file::schema::OBJECT_IDS;
use crate::record::pull::PullRecord;

impl Reader {
    /// The pull whose id begins with this text, with its objects. Dashes in the text are ignored.
    ///
    /// # Errors
    ///
    /// [`QueryError::Id`] if the text cannot be the beginning of an id, [`QueryError::NotFound`] if no pull has such an
    /// id, [`QueryError::Ambiguous`] if more than one has; another error if the file cannot be read.
    pub fn pull(&self, id: &str) -> Result<PullRecord, QueryError> {
        let (low, high) = bounds(id).ok_or_else(|| QueryError::Id(shortened(id)))?;
        let mut found = self.between(low, high).map_err(|error| self.explain(error))?;
        if found.len() > 1 {
            return Err(QueryError::Ambiguous(shortened(id)));
        }
        let (seq, summary) = found.pop().ok_or_else(|| QueryError::NotFound(shortened(id)))?;
        let mut pull = summary.pull;
        pull.objects = self.objects(seq).map_err(|error| self.explain(error))?;
        Ok(pull)
    }

    fn between(&self, low: [u8; 16], high: [u8; 16]) -> rusqlite::Result<Vec<(i64, PullSummary)>> {
        let (columns, joins) = (row::COLUMNS, row::JOINS);
        let sql = format!("SELECT {columns} FROM pulls p {joins} WHERE p.id BETWEEN ?1 AND ?2 LIMIT 2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([&low[..], &high[..]], row::summary)?;
        rows.collect()
    }

    fn objects(&self, seq: i64) -> rusqlite::Result<Vec<crate::record::object::ObjectRecord>> {
        let columns = row::OBJECT_COLUMNS;
        let sql = format!("SELECT {columns} FROM objects WHERE id >= ?1 AND id < ?2 ORDER BY id");
        let first = seq.saturating_mul(OBJECT_IDS);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([first, first.saturating_add(OBJECT_IDS)], row::object)?;
        rows.collect()
    }
}

/// The lowest and the highest id that begins with this text; none if no id does.
pub(super) fn bounds(prefix: &str) -> Option<([u8; 16], [u8; 16])> {
    let digits: Option<Vec<u8>> = prefix
        .chars()
        .filter(|character| *character != '-')
        .take(33)
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| (PREFIX_MIN..=32).contains(&digits.len()))?;
    let filled = |with: u8| {
        let digit = |at: usize| digits.get(at).copied().unwrap_or(with);
        std::array::from_fn(|byte| digit(2 * byte) << 4 | digit(2 * byte + 1))
    };
    Some((filled(0), filled(15)))
}

/// The text for an error message, shortened and without control characters.
pub(super) fn shortened(id: &str) -> String {
    id.chars().take(40).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
