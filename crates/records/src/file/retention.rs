//! Removes records that are too old or too many, a bounded step at a time.
//!
//! A step removes at most [`ROWS_A_STEP`] pulls and as many verdicts, and returns at most [`PAGES_A_STEP`] pages to the
//! file system. So if the clock jumps forward, only the steps before its correction remove too much history. Records
//! with a start in the future, written while the clock was ahead, are removed only by the size limit.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::dictionary::Dictionary;
use super::schema::{OBJECT_IDS, QUARTER_MILLIS, pragma};
use crate::time::Timestamp;

/// Maximum number of pulls, and of verdicts, that one step removes: more than one batch of the writer adds.
pub(super) const ROWS_A_STEP: i64 = 256;
/// Maximum number of pages that one step returns to the file system.
const PAGES_A_STEP: i64 = 1024;

/// Removes a limited number of records that began before `oldest`, and of the oldest records while the file holds more
/// than `max_size` bytes. True if it removed any.
pub(super) fn step(connection: &mut Connection, oldest: Timestamp, max_size: u64) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut removed = remove_older(&transaction, oldest)?;
    if removed == 0 && live_bytes(&transaction)? > max_size {
        removed = remove_oldest(&transaction)?;
    }
    transaction.commit()?;
    if removed > 0 || pragma(connection, "freelist_count")? > PAGES_A_STEP {
        give_back(connection)?;
    }
    Ok(removed > 0)
}

/// The bytes of the pages in use.
pub(super) fn live_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")?.saturating_sub(pragma(connection, "freelist_count")?);
    Ok(u64::try_from(pages.saturating_mul(pragma(connection, "page_size")?)).unwrap_or(0))
}

fn remove_older(connection: &Connection, oldest: Timestamp) -> rusqlite::Result<usize> {
    let millis = oldest.unix_millis();
    let pulls = ids(connection, "SELECT seq FROM pulls WHERE start < ?1 ORDER BY start LIMIT ?2", millis)?;
    let verdicts = ids(connection, "SELECT seq FROM verdicts WHERE at < ?1 ORDER BY at LIMIT ?2", millis)?;
    remove_pulls(connection, &pulls)?;
    remove_verdicts(connection, &verdicts)?;
    let quarter = millis.div_euclid(QUARTER_MILLIS);
    let mut sums = 0;
    for table in ["quarters", "quarter_outcomes", "quarter_probes"] {
        let sql = format!("DELETE FROM {table} WHERE quarter < ?1");
        sums += connection.prepare_cached(&sql)?.execute([quarter])?;
    }
    let incidents = "DELETE FROM incidents WHERE ended < ?1";
    sums += connection.prepare_cached(incidents)?.execute([millis])?;
    Ok(pulls.len() + verdicts.len() + sums)
}

/// Removes the pulls or the verdicts that were written first, whichever are older.
fn remove_oldest(connection: &Connection) -> rusqlite::Result<usize> {
    let first = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional();
    let pull: Option<i64> = first("SELECT start FROM pulls ORDER BY seq LIMIT 1")?;
    let verdict: Option<i64> = first("SELECT at FROM verdicts ORDER BY seq LIMIT 1")?;
    let verdicts_first = verdict.is_some_and(|at| pull.is_none_or(|start| at < start));
    if verdicts_first {
        let oldest = ids(connection, "SELECT seq FROM verdicts WHERE seq > ?1 ORDER BY seq LIMIT ?2", 0)?;
        remove_verdicts(connection, &oldest)?;
        return Ok(oldest.len());
    }
    let oldest = ids(connection, "SELECT seq FROM pulls WHERE seq > ?1 ORDER BY seq LIMIT ?2", 0)?;
    remove_pulls(connection, &oldest)?;
    Ok(oldest.len())
}

fn ids(connection: &Connection, sql: &str, bound: i64) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([bound, ROWS_A_STEP], |row| row.get(0))?;
    rows.collect()
}

fn remove_pulls(connection: &Connection, pulls: &[i64]) -> rusqlite::Result<()> {
    for &seq in pulls {
        let (image, client, agent, node): (i64, i64, Option<i64>, Option<i64>) = connection
            .prepare_cached("DELETE FROM pulls WHERE seq = ?1 RETURNING image, client, agent, node")?
            .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let first = seq.saturating_mul(OBJECT_IDS);
        connection
            .prepare_cached("DELETE FROM objects WHERE id >= ?1 AND id < ?2")?
            .execute(params![first, first.saturating_add(OBJECT_IDS)])?;
        Dictionary::Images.release(connection, image)?;
        Dictionary::Clients.release(connection, client)?;
        agent.map_or(Ok(()), |id| Dictionary::Agents.release(connection, id))?;
        node.map_or(Ok(()), |id| Dictionary::Nodes.release(connection, id))?;
    }
    Ok(())
}

fn remove_verdicts(connection: &Connection, verdicts: &[i64]) -> rusqlite::Result<()> {
    for &seq in verdicts {
        let target: Option<i64> = connection
            .prepare_cached("DELETE FROM verdicts WHERE seq = ?1 RETURNING target")?
            .query_row([seq], |row| row.get(0))?;
        target.map_or(Ok(()), |id| Dictionary::Targets.release(connection, id))?;
    }
    Ok(())
}

/// Truncates free pages at the end of the file.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_A_STEP})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
