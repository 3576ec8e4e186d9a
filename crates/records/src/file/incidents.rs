//! Writes the state of an incident.

use rusqlite::{Connection, params};

use super::dictionary;
use crate::codes::number;
use crate::incident::Incident;

/// Writes the incident, or replaces its last state. Only what can change is replaced.
pub(super) fn write(connection: &Connection, incident: &Incident) -> rusqlite::Result<()> {
    let registry = dictionary::registry(connection, incident.registry.as_str())?;
    connection
        .prepare_cached(
            "INSERT INTO incidents (id, registry, class, identity, stage, evidence, began, last_seen, ended, resolved,
                 resolved_by, probes, pulls, again, images, workloads, nodes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
             ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen, ended = excluded.ended,
                 resolved = excluded.resolved, resolved_by = excluded.resolved_by, probes = excluded.probes,
                 pulls = excluded.pulls, again = excluded.again, images = excluded.images,
                 workloads = excluded.workloads, nodes = excluded.nodes",
        )?
        .execute(params![
            &incident.id.as_bytes()[..],
            registry,
            incident.class.as_str(),
            incident.identity.as_str(),
            incident.stage.map(|stage| stage.as_str()),
            incident.evidence.as_ref().map(|evidence| evidence.as_str()),
            incident.began.unix_millis(),
            incident.last_seen.unix_millis(),
            incident.ended.map(|ended| ended.unix_millis()),
            incident.resolved.map(|resolved| resolved.as_str()),
            incident.resolved_by.as_ref().map(|by| by.as_str()),
            number(incident.probes),
            number(incident.pulls),
            incident.again,
            incident.images.encode(),
            incident.workloads.encode(),
            incident.nodes.encode(),
        ])?;
    Ok(())
}
