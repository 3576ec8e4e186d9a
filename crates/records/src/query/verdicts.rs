//! Verdicts of probes.

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::error::QueryError;
use super::filter::Limit;
use super::reader::Reader;
use super::row;
use crate::record::verdict::Verdict;
use crate::time::Timestamp;

/// The conditions of a list of verdicts, newest first. A verdict must meet all conditions that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerdictFilter {
    /// Only verdicts of this time or later.
    pub since: Option<Timestamp>,
    /// Only verdicts before this time.
    pub until: Option<Timestamp>,
    /// Only verdicts of this registry.
    pub registry: Option<String>,
    /// True if only failures are wanted.
    pub failed: bool,
    /// Maximum number of verdicts in the answer.
    pub limit: Limit,
}

impl Reader {
    /// The newest verdicts.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn verdicts(&self, filter: &VerdictFilter) -> Result<Vec<Verdict>, QueryError> {
        self.read_verdicts(filter).map_err(|error| self.explain(error))
    }

    fn read_verdicts(&self, filter: &VerdictFilter) -> rusqlite::Result<Vec<Verdict>> {
        let mut values = vec![
            Value::Integer(filter.since.map_or(i64::MIN, |since| since.unix_millis())),
            Value::Integer(filter.until.map_or(i64::MAX, |until| until.unix_millis())),
        ];
        let mut narrower = String::new();
        if let Some(registry) = &filter.registry {
            let Some(id) = self.id_of("registries", registry)? else { return Ok(Vec::new()) };
            narrower.push_str(" AND v.registry = ?");
            values.push(Value::Integer(id));
        }
        if filter.failed {
            narrower.push_str(" AND v.class IS NOT NULL");
        }
        values.push(Value::Integer(filter.limit.get()));
        let sql = format!(
            "SELECT r.name, t.name, v.class, v.stage, v.at, v.duration FROM verdicts v
             CROSS JOIN registries r ON r.id = v.registry LEFT JOIN targets t ON t.id = v.target
             WHERE v.at >= ? AND v.at < ?{narrower} ORDER BY v.at DESC, v.seq DESC LIMIT ?"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), verdict)?;
        rows.collect()
    }
}

fn verdict(row: &Row<'_>) -> rusqlite::Result<Verdict> {
    let stage: Option<String> = row.get(3)?;
    Ok(Verdict {
        registry: row::parsed(row, 0)?,
        target: row::text(row, 1)?,
        class: row::failure(row, 2, 3)?.map(|failure| failure.class),
        stage: stage.and_then(|stage| stage.parse().ok()),
        at: Timestamp::from_unix_millis(row.get(4)?),
        duration: row::micros(row, 5)?,
    })
}
