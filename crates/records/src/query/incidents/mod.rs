//! Incidents.

use oci::{Class, Stage};
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::cursor::Cursor;
use super::error::QueryError;
use super::filter::Limit;
use super::one::{bounds, shortened};
use super::reader::Reader;
use super::row;
use crate::incident::record::{Identity, Incident, IncidentId, Names};
use crate::time::Timestamp;

/// The conditions of a list of incidents, those that began last first. An incident must meet all conditions that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Only incidents that lasted at this time or later.
    pub since: Option<Timestamp>,
    /// Only incidents that began before this time.
    pub until: Option<Timestamp>,
    /// Only incidents of this registry.
    pub registry: Option<String>,
    /// Only incidents of this class.
    pub class: Option<Class>,
    /// True if only incidents that last are wanted, false if only those that ended.
    pub active: Option<bool>,
    /// Maximum number of incidents on the page.
    pub limit: Limit,
    /// The end of the last page; none for the first page.
    pub cursor: Option<Cursor>,
}

/// A page of incidents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentPage {
    /// The incidents.
    pub incidents: Vec<Incident>,
    /// The start of the next page; `None` if this is the last.
    pub next: Option<Cursor>,
}

impl Reader {
    /// A page of incidents.
    ///
    /// # Errors
    ///
    /// [`QueryError::Cursor`] if the cursor belongs to another query; another error if the file cannot be read.
    pub fn incidents(&self, filter: &IncidentFilter) -> Result<IncidentPage, QueryError> {
        let fingerprint = filter.fingerprint();
        let place = filter.cursor.map(|cursor| cursor.place(&fingerprint)).transpose()?;
        let mut rows = self.find_incidents(filter, place).map_err(|error| self.explain(error))?;
        let limit = usize::try_from(filter.limit.get()).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|(seq, last)| Cursor::after(last.began.unix_millis(), *seq, &fingerprint));
        Ok(IncidentPage { incidents: rows.into_iter().map(|(_, incident)| incident).collect(), next })
    }

    /// The incident whose id begins with this text. Dashes in the text are ignored.
    ///
    /// # Errors
    ///
    /// As [`Self::pull`].
    pub fn incident(&self, id: &str) -> Result<Incident, QueryError> {
        let (low, high) = bounds(id).ok_or_else(|| QueryError::Id(shortened(id)))?;
        let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE i.id BETWEEN ?1 AND ?2 LIMIT 2");
        let find = || -> rusqlite::Result<Vec<(i64, Incident)>> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_map([&low[..], &high[..]], incident)?.collect()
        };
        let mut found = find().map_err(|error| self.explain(error))?;
        if found.len() > 1 {
            return Err(QueryError::Ambiguous(shortened(id)));
        }
        found.pop().map(|(_, incident)| incident).ok_or_else(|| QueryError::NotFound(shortened(id)))
    }

    fn find_incidents(
        &self,
        filter: &IncidentFilter,
        place: Option<(i64, i64)>,
    ) -> rusqlite::Result<Vec<(i64, Incident)>> {
        let (mut sql, mut values) = (vec!["1".to_owned()], Vec::new());
        let mut add = |condition: &str, more: &[Value]| {
            sql.push(condition.to_owned());
            values.extend_from_slice(more);
        };
        if let Some(since) = filter.since {
            add("(i.ended IS NULL OR i.ended >= ?)", &[Value::Integer(since.unix_millis())]);
        }
        if let Some(until) = filter.until {
            add("i.began < ?", &[Value::Integer(until.unix_millis())]);
        }
        if let Some(registry) = &filter.registry {
            let Some(id) = self.id_of("registries", registry)? else { return Ok(Vec::new()) };
            add("i.registry = ?", &[Value::Integer(id)]);
        }
        if let Some(class) = filter.class {
            add("i.class = ?", &[Value::Text(class.as_str().to_owned())]);
        }
        if let Some(active) = filter.active {
            add(if active { "i.ended IS NULL" } else { "i.ended IS NOT NULL" }, &[]);
        }
        if let Some((began, seq)) = place {
            add("(i.began, i.seq) < (?, ?)", &[Value::Integer(began), Value::Integer(seq)]);
        }
        values.push(Value::Integer(filter.limit.get() + 1));
        let conditions = sql.join(" AND ");
        let sql = format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE {conditions} ORDER BY i.began DESC, i.seq DESC LIMIT ?"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), incident)?;
        rows.collect()
    }
}

impl IncidentFilter {
    /// The parts that must be the same for every page of a query, as text.
    fn fingerprint(&self) -> String {
        let Self { since, until, registry, class, active, limit: _, cursor: _ } = self;
        format!("incidents {since:?} {until:?} {registry:?} {class:?} {active:?}")
    }
}

const COLUMNS: &str = "i.seq, i.id, r.name, i.class, i.stage, i.identity, i.evidence, i.began, i.last_seen, i.ended, \
     i.resolved, i.resolved_by, i.probes, i.pulls, i.again, i.images, i.workloads, i.nodes";
const TABLES: &str = "incidents i CROSS JOIN registries r ON r.id = i.registry";

fn incident(row: &Row<'_>) -> rusqlite::Result<(i64, Incident)> {
    let time = |column| row.get::<_, i64>(column).map(Timestamp::from_unix_millis);
    let names = |column| row.get::<_, String>(column).map(|text| Names::decode(&text));
    let failure = row::failure(row, 3, 4)?;
    let stage: Option<Stage> = failure.and_then(|failure| failure.stage);
    let identity: Option<Identity> = row::text(row, 5)?;
    let resolved: Option<String> = row.get(10)?;
    let incident = Incident {
        id: IncidentId::from_bytes(row.get(1)?),
        registry: row::parsed(row, 2)?,
        class: failure.map_or(Class::Unknown, |failure| failure.class),
        stage,
        identity: identity.ok_or(rusqlite::Error::InvalidQuery)?,
        evidence: row::text(row, 6)?,
        began: time(7)?,
        last_seen: time(8)?,
        ended: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_unix_millis),
        resolved: resolved.and_then(|label| label.parse().ok()),
        resolved_by: row::text(row, 11)?,
        probes: row::number(row, 12)?,
        pulls: row::number(row, 13)?,
        again: u32::try_from(row::number(row, 14)?).unwrap_or(u32::MAX),
        images: names(15)?,
        workloads: names(16)?,
        nodes: names(17)?,
    };
    Ok((row.get(0)?, incident))
}
