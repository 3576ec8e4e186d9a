//! Converts rows into records.

use std::str::FromStr;
use std::time::Duration;

use oci::{Class, Stage};
use rusqlite::Row;
use rusqlite::types::{Type, Value};

use crate::bottleneck::cause::Bottleneck;
use crate::codes;
use crate::digest_bytes;
use crate::record::id::PullId;
use crate::record::image::Image;
use crate::record::media_types;
use crate::record::object::{ObjectRecord, StageTimes, Waits};
use crate::record::outcome::PullOutcome;
use crate::record::pull::{Failure, PullRecord};
use crate::record::status::StatusCodes;
use crate::record::text::Text;
use crate::time::Timestamp;
use oci::{ObjectKind, ObjectOutcome};

/// A pull without its objects, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullSummary {
    /// The record; its objects are not read.
    pub pull: PullRecord,
    /// The bottleneck, which was found when the record was written.
    pub bottleneck: Bottleneck,
    /// The wall time that the bottleneck took.
    pub held: Duration,
}

/// The columns that [`summary`] reads, of the tables that [`JOINS`] joins.
pub(super) const COLUMNS: &str = "p.seq, p.id, p.start, p.duration, r.name, i.repository, i.tag, i.digest, c.name, \
     a.name, n.name, p.outcome, p.class, p.stage, p.codes, p.stale, p.rescued, p.sent, p.fetched, p.bottleneck, \
     p.held, p.left_out";

/// The joins of `pulls p`.
pub(super) const JOINS: &str = "JOIN registries r ON r.id = p.registry JOIN images i ON i.id = p.image \
     JOIN clients c ON c.id = p.client LEFT JOIN agents a ON a.id = p.agent LEFT JOIN nodes n ON n.id = p.node";

/// The sequence number and the pull of a row of [`COLUMNS`].
pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<(i64, PullSummary)> {
    let pull = PullRecord {
        id: PullId::from_bytes(row.get(1)?),
        image: image(row)?,
        client: parsed(row, 8)?,
        user_agent: text(row, 9)?,
        node: text(row, 10)?,
        start: Timestamp::from_unix_millis(row.get(2)?),
        duration: micros(row, 3)?,
        outcome: listed(row, 11, PullOutcome::ALL)?,
        failure: failure(row, 12, 13)?,
        status_codes: StatusCodes::decode(&row.get::<_, String>(14)?),
        stale: row.get(15)?,
        rescued: row.get(16)?,
        sent: number(row, 17)?,
        fetched: number(row, 18)?,
        objects: Vec::new(),
        objects_left_out: u32::try_from(number(row, 21)?).unwrap_or(u32::MAX),
    };
    let bottleneck = listed(row, 19, Bottleneck::ALL)?;
    Ok((row.get(0)?, PullSummary { pull, bottleneck, held: micros(row, 20)? }))
}

fn image(row: &Row<'_>) -> rusqlite::Result<Image> {
    let tag: String = row.get(6)?;
    let digest: Vec<u8> = row.get(7)?;
    Ok(Image {
        registry: parsed(row, 4)?,
        repository: parsed(row, 5)?,
        tag: if tag.is_empty() { None } else { Some(parsed(row, 6)?) },
        digest: if digest.is_empty() { None } else { digest_bytes::to_digest(&digest) },
    })
}

/// The columns that [`object`] reads, of `objects`.
pub(super) const OBJECT_COLUMNS: &str = "kind, digest, media_type, size, outcome, began, first_byte, transfer, \
     wait_fill, wait_quota, wait_slot, wait_token, up_resolve, up_connect, up_tls, up_token, up_first_byte, \
     up_transfer, disk, verify, sent, fetched, resumes";

/// The object of a row of [`OBJECT_COLUMNS`].
pub(super) fn object(row: &Row<'_>) -> rusqlite::Result<ObjectRecord> {
    let digest: Option<Vec<u8>> = row.get(1)?;
    let size = row.get::<_, Option<i64>>(3)?.map(|size| u64::try_from(size).unwrap_or(0));
    let bytes = |column| -> rusqlite::Result<u64> {
        let bytes: Option<i64> = row.get(column)?;
        Ok(bytes.map_or(size.unwrap_or(0), |bytes| u64::try_from(bytes).unwrap_or(0)))
    };
    Ok(ObjectRecord {
        kind: listed(row, 0, ObjectKind::ALL)?,
        digest: digest.and_then(|bytes| digest_bytes::to_digest(&bytes)),
        media_type: media_type(row.get(2)?),
        size,
        outcome: listed(row, 4, ObjectOutcome::ALL)?,
        began: micros(row, 5)?,
        first_byte: micros(row, 6)?,
        transfer: micros(row, 7)?,
        waits: Waits {
            fill: micros(row, 8)?,
            quota: micros(row, 9)?,
            slot: micros(row, 10)?,
            token: micros(row, 11)?,
        },
        stages: StageTimes {
            resolve: micros(row, 12)?,
            connect: micros(row, 13)?,
            tls: micros(row, 14)?,
            token: micros(row, 15)?,
            first_byte: micros(row, 16)?,
            transfer: micros(row, 17)?,
        },
        disk: micros(row, 18)?,
        verify: micros(row, 19)?,
        sent: bytes(20)?,
        fetched: bytes(21)?,
        resumes: row.get(22)?,
    })
}

fn media_type<const MAX: usize>(kept: Value) -> Option<Text<MAX>> {
    match kept {
        Value::Integer(position) => Text::clean(codes::value(media_types::KNOWN, position)?.as_bytes()),
        Value::Text(text) => Text::clean(text.as_bytes()),
        _ => None,
    }
}

/// The failure in the columns `class` and `stage`; labels of a newer version are read as unknown.
pub(super) fn failure(row: &Row<'_>, class: usize, stage: usize) -> rusqlite::Result<Option<Failure>> {
    let class: Option<String> = row.get(class)?;
    let stage: Option<String> = row.get(stage)?;
    let stage = stage.and_then(|stage| stage.parse::<Stage>().ok());
    Ok(class.map(|class| Failure { class: class.parse().unwrap_or(Class::Unknown), stage }))
}

pub(super) fn micros(row: &Row<'_>, column: usize) -> rusqlite::Result<Duration> {
    number(row, column).map(Duration::from_micros)
}

pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0))
}

pub(super) fn text<const MAX: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Text<MAX>>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| Text::clean(text.as_bytes())))
}

pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

pub(super) fn listed<T: Copy>(row: &Row<'_>, column: usize, list: &[T]) -> rusqlite::Result<T> {
    let code: i64 = row.get(column)?;
    codes::value(list, code).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, code))
}
