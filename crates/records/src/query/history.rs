//! The history of a registry by quarter of an hour.

use std::time::Duration;

use oci::Class;
use rusqlite::Row;

use super::error::QueryError;
use super::reader::Reader;
use super::row::{listed, number};
use crate::file::schema::QUARTER_MILLIS;
use crate::histogram::Histogram;
use crate::record::outcome::PullOutcome;
use crate::time::Timestamp;

/// The sums of one registry in one quarter of an hour. Percentiles are within an eighth: see [`Histogram`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarter {
    /// The start of the quarter.
    pub start: Timestamp,
    /// The number of pulls that began in the quarter.
    pub pulls: u64,
    /// The number of these pulls with each outcome and class of the first failure.
    pub outcomes: Vec<OutcomeCount>,
    /// The number of probes that began in the quarter, with each class.
    pub probes: Vec<ProbeCount>,
    /// The time within which half of all objects sent their first byte to the client; none if none was sent.
    pub first_byte_p50: Option<Duration>,
    /// The time within which 99 of 100 objects sent their first byte to the client; none if none was sent.
    pub first_byte_p99: Option<Duration>,
    /// The median throughput to clients in bytes per second, of objects of a megabyte or more.
    pub client_throughput: Option<u64>,
    /// The median throughput from the upstream in bytes per second, of objects of a megabyte or more.
    pub upstream_throughput: Option<u64>,
    /// Bytes sent to clients.
    pub sent: u64,
    /// Bytes fetched from the upstream.
    pub fetched: u64,
}

/// First byte and throughput of one registry over a time span. Percentiles are within an eighth: see [`Histogram`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// The time within which half of all objects sent their first byte to the client; none if none was sent.
    pub first_byte_p50: Option<Duration>,
    /// The time within which 99 of 100 objects sent their first byte to the client; none if none was sent.
    pub first_byte_p99: Option<Duration>,
    /// The median throughput to clients in bytes per second, of objects of a megabyte or more.
    pub client_throughput: Option<u64>,
    /// The median throughput from the upstream in bytes per second, of objects of a megabyte or more.
    pub upstream_throughput: Option<u64>,
}

/// The number of pulls with one outcome and class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeCount {
    /// The outcome.
    pub outcome: PullOutcome,
    /// The class of the first failure; none if no failure was met.
    pub class: Option<Class>,
    /// The number of pulls.
    pub pulls: u64,
}

/// The number of probes with one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeCount {
    /// The class of the failure; none if the probes went well.
    pub class: Option<Class>,
    /// The number of probes.
    pub probes: u64,
}

impl Quarter {
    /// A quarter without pulls and probes.
    fn empty(start: Timestamp) -> Self {
        Self {
            start,
            pulls: 0,
            outcomes: Vec::new(),
            probes: Vec::new(),
            first_byte_p50: None,
            first_byte_p99: None,
            client_throughput: None,
            upstream_throughput: None,
            sent: 0,
            fetched: 0,
        }
    }
}

impl Reader {
    /// The names of all registries in the file, in alphabetical order.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn registries(&self) -> Result<Vec<String>, QueryError> {
        let names = || -> rusqlite::Result<Vec<String>> {
            let mut statement =
                self.connection.prepare_cached("SELECT name FROM registries ORDER BY name")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect()
        };
        names().map_err(|error| self.explain(error))
    }

    /// The quarters of an hour that overlap this time span and in which a pull or a probe of this registry began, in
    /// order.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn history(
        &self,
        registry: &str,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Quarter>, QueryError> {
        self.read_history(registry, span(since, until)).map_err(|error| self.explain(error))
    }

    /// First byte and throughput of a registry over the quarters of an hour that overlap this time span.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn rates(&self, registry: &str, since: Timestamp, until: Timestamp) -> Result<Rates, QueryError> {
        self.read_rates(registry, span(since, until)).map_err(|error| self.explain(error))
    }

    /// The median throughput of a registry since this time, in bytes per second, for the comparison in the sentence of
    /// a bottleneck. `None` if no object of a megabyte or more was fetched.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn median_throughput(&self, registry: &str, since: Timestamp) -> Result<Option<u64>, QueryError> {
        let read = || {
            let Some(id) = self.id_of("registries", registry)? else { return Ok(None) };
            let first = since.unix_millis().div_euclid(QUARTER_MILLIS);
            self.upstream_rates(id, (first, i64::MAX)).map(|rates| rates.median())
        };
        read().map_err(|error| self.explain(error))
    }

    /// The throughput of a registry's transfers in these quarters.
    pub(super) fn upstream_rates(&self, registry: i64, span: (i64, i64)) -> rusqlite::Result<Histogram> {
        let sql = "SELECT upstream_rate FROM quarters WHERE quarter BETWEEN ?1 AND ?2 AND registry = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([span.0, span.1, registry])?;
        let mut all = Histogram::default();
        while let Some(row) = rows.next()? {
            all.merge(&histogram(row, 0)?);
        }
        Ok(all)
    }

    fn read_rates(&self, registry: &str, span: (i64, i64)) -> rusqlite::Result<Rates> {
        let Some(registry) = self.id_of("registries", registry)? else { return Ok(Rates::default()) };
        let sql = "SELECT first_byte, client_rate, upstream_rate FROM quarters
            WHERE quarter BETWEEN ?1 AND ?2 AND registry = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([span.0, span.1, registry])?;
        let mut all = [Histogram::default(), Histogram::default(), Histogram::default()];
        while let Some(row) = rows.next()? {
            for (column, sum) in all.iter_mut().enumerate() {
                sum.merge(&histogram(row, column)?);
            }
        }
        let [first_byte, client, upstream] = all;
        Ok(Rates {
            first_byte_p50: first_byte.median().map(Duration::from_micros),
            first_byte_p99: first_byte.percentile(99).map(Duration::from_micros),
            client_throughput: client.median(),
            upstream_throughput: upstream.median(),
        })
    }

    fn read_history(&self, registry: &str, span: (i64, i64)) -> rusqlite::Result<Vec<Quarter>> {
        let Some(registry) = self.id_of("registries", registry)? else { return Ok(Vec::new()) };
        let sql = "SELECT quarter, pulls, sent, fetched, first_byte, client_rate, upstream_rate FROM quarters
            WHERE quarter BETWEEN ?1 AND ?2 AND registry = ?3 ORDER BY quarter";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([span.0, span.1, registry], quarter)?;
        let mut quarters = rows.collect::<rusqlite::Result<Vec<Quarter>>>()?;
        self.add_outcomes(&mut quarters, registry, span)?;
        self.add_probes(&mut quarters, registry, span)?;
        Ok(quarters)
    }

    fn add_probes(
        &self,
        quarters: &mut Vec<Quarter>,
        registry: i64,
        span: (i64, i64),
    ) -> rusqlite::Result<()> {
        let sql = "SELECT quarter, class, probes FROM quarter_probes
            WHERE quarter BETWEEN ?1 AND ?2 AND registry = ?3 ORDER BY quarter";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([span.0, span.1, registry])?;
        while let Some(row) = rows.next()? {
            let start = start(row.get(0)?);
            let count = ProbeCount { class: class(row.get(1)?), probes: number(row, 2)? };
            let at = quarters.binary_search_by_key(&start, |quarter| quarter.start).unwrap_or_else(|at| {
                quarters.insert(at, Quarter::empty(start));
                at
            });
            quarters[at].probes.push(count);
        }
        Ok(())
    }

    fn add_outcomes(
        &self,
        quarters: &mut [Quarter],
        registry: i64,
        span: (i64, i64),
    ) -> rusqlite::Result<()> {
        let sql = "SELECT quarter, outcome, class, pulls FROM quarter_outcomes
            WHERE quarter BETWEEN ?1 AND ?2 AND registry = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([span.0, span.1, registry])?;
        while let Some(row) = rows.next()? {
            let start = start(row.get(0)?);
            let class = class(row.get(2)?);
            let outcome = listed(row, 1, PullOutcome::ALL)?;
            let count = OutcomeCount { outcome, class, pulls: number(row, 3)? };
            if let Ok(at) = quarters.binary_search_by_key(&start, |quarter| quarter.start) {
                quarters[at].outcomes.push(count);
            }
        }
        Ok(())
    }
}

/// The first and the last quarter that overlap this time span.
pub(super) fn span(since: Timestamp, until: Timestamp) -> (i64, i64) {
    let quarter = |millis: i64| millis.div_euclid(QUARTER_MILLIS);
    (quarter(since.unix_millis()), quarter(until.unix_millis().saturating_sub(1)))
}

fn quarter(row: &Row<'_>) -> rusqlite::Result<Quarter> {
    let first_byte = histogram(row, 4)?;
    Ok(Quarter {
        start: start(row.get(0)?),
        pulls: number(row, 1)?,
        outcomes: Vec::new(),
        probes: Vec::new(),
        first_byte_p50: first_byte.median().map(Duration::from_micros),
        first_byte_p99: first_byte.percentile(99).map(Duration::from_micros),
        client_throughput: histogram(row, 5)?.median(),
        upstream_throughput: histogram(row, 6)?.median(),
        sent: number(row, 2)?,
        fetched: number(row, 3)?,
    })
}

/// The class of a sum: the file has an empty text for none.
fn class(label: String) -> Option<Class> {
    (!label.is_empty()).then(|| label.parse().unwrap_or(Class::Unknown))
}

fn start(quarter: i64) -> Timestamp {
    Timestamp::from_unix_millis(quarter.saturating_mul(QUARTER_MILLIS))
}

fn histogram(row: &Row<'_>, column: usize) -> rusqlite::Result<Histogram> {
    let bytes: Vec<u8> = row.get(column)?;
    Ok(Histogram::from_bytes(&bytes).unwrap_or_default())
}
