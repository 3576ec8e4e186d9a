//! Turns a record into rows.

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, ToSql, params};

use super::dictionary::{self, Dictionary};
use super::quarters;
use super::schema::OBJECT_IDS;
use crate::bottleneck::cause::Bottleneck;
use crate::bottleneck::rule;
use crate::codes::{self, micros, number};
use crate::digest_bytes;
use crate::record::media_types;
use crate::record::object::ObjectRecord;
use crate::record::outcome::PullOutcome;
use crate::record::pull::{OBJECTS_MAX, PullRecord};
use crate::record::text::MediaType;
use crate::record::verdict::Verdict;
use oci::{ObjectKind, ObjectOutcome};

/// Writes a pull with its objects and sums. False if a pull with this id is in the file already.
pub(super) fn insert_pull(connection: &Connection, pull: &PullRecord) -> rusqlite::Result<bool> {
    if connection.prepare_cached("SELECT 1 FROM pulls WHERE id = ?1")?.exists([&pull.id.as_bytes()[..]])? {
        return Ok(false);
    }
    let registry = dictionary::registry(connection, pull.image.registry.as_str())?;
    let seq = insert_head(connection, registry, pull)?;
    for (position, object) in (0_i64..).zip(pull.objects.iter().take(OBJECTS_MAX)) {
        insert_object(connection, seq.saturating_mul(OBJECT_IDS) + position, object)?;
    }
    quarters::add(connection, registry, pull)?;
    Ok(true)
}

fn insert_head(connection: &Connection, registry: i64, pull: &PullRecord) -> rusqlite::Result<i64> {
    let image = dictionary::image(connection, registry, &pull.image)?;
    let client = Dictionary::Clients.take(connection, &pull.client.to_string())?;
    let take = |dictionary: Dictionary, text: Option<&str>| {
        text.map(|text| dictionary.take(connection, text)).transpose()
    };
    let agent = take(Dictionary::Agents, pull.user_agent.as_ref().map(|agent| agent.as_str()))?;
    let node = take(Dictionary::Nodes, pull.node.as_ref().map(|node| node.as_str()))?;
    let finding = rule::find(pull);
    let unlisted = pull.objects.len().saturating_sub(OBJECTS_MAX);
    connection
        .prepare_cached(
            "INSERT INTO pulls (id, start, duration, registry, image, client, agent, node, outcome, class, stage,
                 codes, stale, rescued, sent, fetched, bottleneck, held, left_out)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?
        .insert(params![
            &pull.id.as_bytes()[..],
            pull.start.unix_millis(),
            micros(pull.duration),
            registry,
            image,
            client,
            agent,
            node,
            codes::of(PullOutcome::ALL, &pull.outcome),
            pull.failure.map(|failure| failure.class.as_str()),
            pull.failure.and_then(|failure| failure.stage).map(|stage| stage.as_str()),
            pull.status_codes.encode(),
            pull.stale,
            pull.rescued,
            number(pull.sent),
            number(pull.fetched),
            codes::of(Bottleneck::ALL, &finding.bottleneck),
            micros(finding.held),
            number(u64::from(pull.objects_left_out).saturating_add(unlisted as u64)),
        ])
}

fn insert_object(connection: &Connection, id: i64, object: &ObjectRecord) -> rusqlite::Result<()> {
    let (waits, stages) = (&object.waits, &object.stages);
    connection
        .prepare_cached(
            "INSERT INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                 ?18, ?19, ?20, ?21, ?22, ?23, ?24)",
        )?
        .execute(params![
            id,
            codes::of(ObjectKind::ALL, &object.kind),
            object.digest.as_ref().map(digest_bytes::of_digest),
            object.media_type.as_ref().map(KeptMediaType),
            object.size.map(number),
            codes::of(ObjectOutcome::ALL, &object.outcome),
            micros(object.began),
            micros(object.first_byte),
            micros(object.transfer),
            micros(waits.fill),
            micros(waits.quota),
            micros(waits.slot),
            micros(waits.token),
            micros(stages.resolve),
            micros(stages.connect),
            micros(stages.tls),
            micros(stages.token),
            micros(stages.first_byte),
            micros(stages.transfer),
            micros(object.disk),
            micros(object.verify),
            bytes(object.sent, object.size),
            bytes(object.fetched, object.size),
            object.resumes,
        ])?;
    Ok(())
}

/// A number of bytes for the file; `None` if it equals the size of the object, which is the usual case.
fn bytes(value: u64, size: Option<u64>) -> Option<i64> {
    (size != Some(value)).then(|| number(value))
}

/// A media type for the file: its position in the list of known types, or its text.
struct KeptMediaType<'a>(&'a MediaType);

impl ToSql for KeptMediaType<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let known = media_types::KNOWN.iter().position(|known| *known == self.0.as_str());
        Ok(match known {
            Some(position) => ToSqlOutput::Owned(Value::Integer(position as i64)),
            None => ToSqlOutput::from(self.0.as_str()),
        })
    }
}

/// Writes a verdict.
pub(super) fn insert_verdict(connection: &Connection, verdict: &Verdict) -> rusqlite::Result<()> {
    let registry = dictionary::registry(connection, verdict.registry.as_str())?;
    let target = verdict.target.as_ref().map(|target| Dictionary::Targets.take(connection, target.as_str()));
    connection
        .prepare_cached(
            "INSERT INTO verdicts (registry, target, class, stage, at, duration) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            registry,
            target.transpose()?,
            verdict.class.map(|class| class.as_str()),
            verdict.stage.map(|stage| stage.as_str()),
            verdict.at.unix_millis(),
            micros(verdict.duration),
        ])?;
    quarters::add_probe(connection, registry, verdict.at, verdict.class)
}
