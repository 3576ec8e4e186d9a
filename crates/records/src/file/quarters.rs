//! Sums by registry and quarter of an hour.

use oci::Class;
use rusqlite::{Connection, OptionalExtension, params};

use super::schema::QUARTER_MILLIS;
use crate::codes::{self, number};
use crate::histogram::Histogram;
use crate::record::object::ObjectRecord;
use crate::record::outcome::PullOutcome;
use crate::record::pull::PullRecord;
use crate::record::saved::Saved;
use crate::time::Timestamp;

/// The histograms of one registry in one quarter of an hour: the columns that are read, changed and written back.
#[derive(Default)]
struct Rates {
    first_byte: Histogram,
    client: Histogram,
    upstream: Histogram,
}

/// Adds a pull to the sums of its quarter.
pub(super) fn add(connection: &Connection, registry: i64, pull: &PullRecord) -> rusqlite::Result<()> {
    let quarter = pull.start.unix_millis().div_euclid(QUARTER_MILLIS);
    let mut rates = read(connection, quarter, registry)?;
    pull.objects.iter().for_each(|object| rates.add(object));
    write(connection, (quarter, registry), pull, &rates)?;
    count_outcome(connection, (quarter, registry), pull)
}

/// Adds a verdict to the sums of its quarter.
pub(super) fn add_probe(
    connection: &Connection,
    registry: i64,
    at: Timestamp,
    class: Option<Class>,
) -> rusqlite::Result<()> {
    let quarter = at.unix_millis().div_euclid(QUARTER_MILLIS);
    connection
        .prepare_cached(
            "INSERT INTO quarter_probes VALUES (?1, ?2, ?3, 1)
             ON CONFLICT (quarter, registry, class) DO UPDATE SET probes = probes + 1",
        )?
        .execute(params![quarter, registry, class.map_or("", Class::as_str)])?;
    Ok(())
}

impl Rates {
    fn add(&mut self, object: &ObjectRecord) {
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if object.sent > 0 {
            self.first_byte.add(micros(object.first_byte));
        }
        if let Some(rate) = object.client_rate() {
            self.client.add(rate);
        }
        if let Some(rate) = object.upstream_rate() {
            self.upstream.add(rate);
        }
    }
}

fn read(connection: &Connection, quarter: i64, registry: i64) -> rusqlite::Result<Rates> {
    let histogram = |bytes: Vec<u8>| Histogram::from_bytes(&bytes).unwrap_or_default();
    let rates = connection
        .prepare_cached(
            "SELECT first_byte, client_rate, upstream_rate FROM quarters WHERE quarter = ?1 AND registry = ?2",
        )?
        .query_row([quarter, registry], |row| {
            Ok(Rates {
                first_byte: histogram(row.get(0)?),
                client: histogram(row.get(1)?),
                upstream: histogram(row.get(2)?),
            })
        })
        .optional()?;
    Ok(rates.unwrap_or_default())
}

fn write(
    connection: &Connection,
    (quarter, registry): (i64, i64),
    pull: &PullRecord,
    rates: &Rates,
) -> rusqlite::Result<()> {
    let saved = Saved::of(pull);
    // Sums are capped, so that no later sum over quarters overflows.
    connection
        .prepare_cached(
            "INSERT INTO quarters VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (quarter, registry) DO UPDATE SET pulls = pulls + 1,
                 sent = min(sent + excluded.sent, 1 << 50), fetched = min(fetched + excluded.fetched, 1 << 50),
                 saved_bytes = min(saved_bytes + excluded.saved_bytes, 1 << 50),
                 saved_requests = saved_requests + excluded.saved_requests,
                 saved_pulls = saved_pulls + excluded.saved_pulls, rescued = rescued + excluded.rescued,
                 first_byte = excluded.first_byte, client_rate = excluded.client_rate,
                 upstream_rate = excluded.upstream_rate",
        )?
        .execute(params![
            quarter,
            registry,
            capped(pull.sent),
            capped(pull.fetched),
            capped(saved.bytes),
            number(saved.requests),
            saved.counted_pull,
            saved.rescued,
            rates.first_byte.to_bytes(),
            rates.client.to_bytes(),
            rates.upstream.to_bytes(),
        ])?;
    Ok(())
}

/// Largest byte sum of one quarter: a pebibyte, more than any link transfers in that time.
const SUM_MAX: i64 = 1 << 50;

fn capped(bytes: u64) -> i64 {
    number(bytes).min(SUM_MAX)
}

fn count_outcome(connection: &Connection, key: (i64, i64), pull: &PullRecord) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO quarter_outcomes VALUES (?1, ?2, ?3, ?4, 1)
             ON CONFLICT (quarter, registry, outcome, class) DO UPDATE SET pulls = pulls + 1",
        )?
        .execute(params![
            key.0,
            key.1,
            codes::of(PullOutcome::ALL, &pull.outcome),
            pull.failure.map(|failure| failure.class.as_str()).unwrap_or_default(),
        ])?;
    Ok(())
}
