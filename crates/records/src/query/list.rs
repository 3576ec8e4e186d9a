//! Pages of pulls.
//!
//! The page is found in a single index that holds every column of a filter; only the pulls of the page are read from
//! their tables. Pulls of rarely pulled images are found by image. A filter that matches few pulls costs one scan of
//! the index.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};

use super::cursor::Cursor;
use super::error::QueryError;
use super::filter::{Filter, Order};
use super::images::listed;
use super::reader::Reader;
use super::row::{self, PullSummary};
use crate::codes;
use crate::record::outcome::PullOutcome;

/// A page of pulls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The pulls, in the requested order.
    pub pulls: Vec<PullSummary>,
    /// The start of the next page; `None` if this is the last. With [`Order::Written`] there is always a next page, for
    /// the pulls that will be written.
    pub next: Option<Cursor>,
}

/// The SQL conditions of a query, with the values of their parameters.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
    /// True if the images of the filter have so few pulls that these are read and sorted.
    images_are_few: bool,
}

impl Conditions {
    fn add(&mut self, sql: &str, value: i64) {
        self.sql.push(sql.to_owned());
        self.values.push(Value::Integer(value));
    }

    fn clause(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) }
    }
}

impl Reader {
    /// A page of pulls.
    ///
    /// # Errors
    ///
    /// [`QueryError::Cursor`] if the cursor belongs to another query; another error if the file cannot be read.
    pub fn pulls(&self, filter: &Filter) -> Result<Page, QueryError> {
        let fingerprint = filter.fingerprint();
        let place = filter.cursor.map(|cursor| cursor.place(&fingerprint)).transpose()?;
        let rows = self.find(filter, place).map_err(|error| self.explain(error))?;
        Ok(page(filter, rows, &fingerprint))
    }

    /// The cursor that finds only records written from now on, for [`Order::Written`] with these filters.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn end(&self, filter: &Filter) -> Result<Cursor, QueryError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM pulls";
        let last: i64 =
            self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.explain(error))?;
        Ok(Cursor::after(last, last, &filter.fingerprint()))
    }

    fn find(&self, filter: &Filter, place: Option<(i64, i64)>) -> rusqlite::Result<Vec<(i64, PullSummary)>> {
        let Some(mut conditions) = self.conditions(filter)? else { return Ok(Vec::new()) };
        let (key, direction) = match filter.order {
            Order::Newest => ("start", "DESC"),
            Order::Slowest => ("duration", "DESC"),
            Order::Written => ("seq", "ASC"),
        };
        if let Some((at, seq)) = place {
            let side = if direction == "ASC" { ">" } else { "<" };
            conditions.sql.push(format!("({key}, seq) {side} (?, ?)"));
            conditions.values.extend([Value::Integer(at), Value::Integer(seq)]);
        }
        let (columns, joins) = (row::COLUMNS, row::JOINS);
        let (index, clause) = (self.index(filter, &conditions)?, conditions.clause());
        let sql = format!(
            "SELECT {columns} FROM (SELECT seq AS found FROM pulls {index} {clause}
                 ORDER BY {key} {direction}, seq {direction} LIMIT ?) CROSS JOIN pulls p ON p.seq = found {joins}
             ORDER BY p.{key} {direction}, p.seq {direction}"
        );
        conditions.values.push(Value::Integer(filter.limit.get() + 1));
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(conditions.values), row::summary)?;
        rows.collect()
    }

    /// The conditions of a filter; `None` if no pull can match it.
    fn conditions(&self, filter: &Filter) -> rusqlite::Result<Option<Conditions>> {
        let mut conditions = Conditions::default();
        if let Some(since) = filter.since {
            conditions.add("start >= ?", since.unix_millis());
        }
        if let Some(until) = filter.until {
            conditions.add("start < ?", until.unix_millis());
        }
        for (table, column, name) in
            [("registries", "registry", &filter.registry), ("nodes", "node", &filter.node)]
        {
            let Some(name) = name else { continue };
            let Some(id) = self.id_of(table, name)? else { return Ok(None) };
            conditions.add(&format!("{column} = ?"), id);
        }
        if let Some(outcomes) = filter.outcomes() {
            let codes = outcomes.iter().map(|outcome| codes::of(PullOutcome::ALL, outcome));
            conditions.sql.push(format!("outcome IN ({})", listed(codes)));
        }
        if let Some(image) = &filter.image {
            let Some(images) = self.images_with(image)? else { return Ok(None) };
            conditions.images_are_few = images.are_few();
            conditions.sql.push(self.want_images(images)?);
        }
        Ok(Some(conditions))
    }

    pub(super) fn id_of(&self, table: &str, name: &str) -> rusqlite::Result<Option<i64>> {
        let sql = format!("SELECT id FROM {table} WHERE name = ?1");
        self.connection.query_row(&sql, [name], |row| row.get(0)).optional()
    }

    /// The index that has the order of the page, or that finds few enough pulls to sort them.
    fn index(&self, filter: &Filter, conditions: &Conditions) -> rusqlite::Result<&'static str> {
        Ok(match filter.order {
            Order::Newest | Order::Slowest if conditions.images_are_few => "INDEXED BY pulls_by_image",
            Order::Newest => "INDEXED BY pulls_by_start",
            Order::Slowest if self.is_short_time(filter)? => "INDEXED BY pulls_by_start",
            Order::Slowest => "INDEXED BY pulls_by_duration",
            Order::Written => "NOT INDEXED",
        })
    }

    /// True if the time span of the filter has so few pulls that sorting them is faster than scanning by duration.
    fn is_short_time(&self, filter: &Filter) -> rusqlite::Result<bool> {
        if filter.since.is_none() && filter.until.is_none() {
            return Ok(false);
        }
        let since = filter.since.map_or(i64::MIN, |since| since.unix_millis());
        let until = filter.until.map_or(i64::MAX, |until| until.unix_millis());
        let sql = "SELECT count(*) FROM (SELECT 1 FROM pulls INDEXED BY pulls_by_start
            WHERE start >= ?1 AND start < ?2 LIMIT ?3)";
        let within: i64 = self.connection.query_row(sql, [since, until, SORTED_MAX + 1], |row| row.get(0))?;
        Ok(within <= SORTED_MAX)
    }
}

/// Maximum number of pulls that are sorted by duration to find the slowest.
const SORTED_MAX: i64 = 100_000;

fn page(filter: &Filter, mut rows: Vec<(i64, PullSummary)>, fingerprint: &str) -> Page {
    let limit = usize::try_from(filter.limit.get()).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let place = |(seq, summary): &(i64, PullSummary)| {
        let key = match filter.order {
            Order::Newest => summary.pull.start.unix_millis(),
            Order::Slowest => codes::micros(summary.pull.duration),
            Order::Written => *seq,
        };
        Cursor::after(key, *seq, fingerprint)
    };
    let last = rows.last().map(place);
    let next = match filter.order {
        Order::Written => last.or(filter.cursor),
        Order::Newest | Order::Slowest => last.filter(|_| more),
    };
    Page { pulls: rows.into_iter().map(|(_, summary)| summary).collect(), next }
}
