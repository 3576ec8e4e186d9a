//! Savings through the cache.

use std::time::Duration;

use super::error::QueryError;
use super::history::span;
use super::reader::Reader;
use crate::time::Timestamp;

/// The content of one registry that clients received without a request to its upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Savings {
    /// The registry, as in the image name.
    pub registry: String,
    /// Bytes sent to clients from the store, or from a transfer that another client began.
    pub bytes: u64,
    /// The number of objects of these bytes: requests that the upstream did not receive.
    pub requests: u64,
    /// Pulls whose manifests all came from the store: they did not count against a quota.
    pub counted_pulls: u64,
    /// Pulls that ended well while the registry was failing.
    pub rescued: u64,
    /// The time that the upstream would have needed for `bytes` at its median throughput in the same time span; `None`
    /// if the median is not known.
    pub upstream_time: Option<Duration>,
}

impl Reader {
    /// The savings in the quarters of an hour that overlap this time span, by registry in alphabetical order.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn savings(&self, since: Timestamp, until: Timestamp) -> Result<Vec<Savings>, QueryError> {
        self.read_savings(span(since, until)).map_err(|error| self.explain(error))
    }

    fn read_savings(&self, span: (i64, i64)) -> rusqlite::Result<Vec<Savings>> {
        let sql = "SELECT r.id, r.name, total(saved_bytes), total(saved_requests), total(saved_pulls), total(rescued)
            FROM quarters q JOIN registries r ON r.id = q.registry WHERE quarter BETWEEN ?1 AND ?2
            GROUP BY r.id ORDER BY r.name";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([span.0, span.1])?;
        let mut savings = Vec::new();
        while let Some(row) = rows.next()? {
            // `total` sums as a float, which cannot overflow and is exact up to 2^53.
            let sum = |column| row.get::<_, f64>(column).map(|sum| sum as u64);
            let rates = self.upstream_rates(row.get(0)?, span)?;
            let bytes = sum(2)?;
            savings.push(Savings {
                registry: row.get(1)?,
                bytes,
                requests: sum(3)?,
                counted_pulls: sum(4)?,
                rescued: sum(5)?,
                upstream_time: rates.time_for(bytes),
            });
        }
        Ok(savings)
    }
}
