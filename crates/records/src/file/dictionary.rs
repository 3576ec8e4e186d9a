//! Repeated texts: each is stored once, with the number of rows that refer to it.

use rusqlite::{Connection, OptionalExtension, params};

use crate::digest_bytes;
use crate::record::image::Image;

/// A table of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dictionary {
    Nodes,
    Clients,
    Agents,
    Targets,
    Images,
}

impl Dictionary {
    fn table(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Clients => "clients",
            Self::Agents => "agents",
            Self::Targets => "targets",
            Self::Images => "images",
        }
    }

    /// The id of a text; adds one to its uses.
    pub(super) fn take(self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        let table = self.table();
        let sql = format!(
            "INSERT INTO {table} (name, uses) VALUES (?1, 1)
             ON CONFLICT (name) DO UPDATE SET uses = uses + 1 RETURNING id"
        );
        connection.prepare_cached(&sql)?.query_row([text], |row| row.get(0))
    }

    /// Subtracts one from a text's uses, and removes the text with its last use.
    pub(super) fn release(self, connection: &Connection, id: i64) -> rusqlite::Result<()> {
        let table = self.table();
        let sql = format!("UPDATE {table} SET uses = uses - 1 WHERE id = ?1 RETURNING uses");
        let left: Option<i64> =
            connection.prepare_cached(&sql)?.query_row([id], |row| row.get(0)).optional()?;
        if left.is_some_and(|uses| uses <= 0) {
            connection.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id])?;
        }
        Ok(())
    }
}

/// The id of a registry. Registries are never removed, because there are only as many as the configuration names.
pub(super) fn registry(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let known = connection
        .prepare_cached("SELECT id FROM registries WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection.prepare_cached("INSERT INTO registries (name) VALUES (?1)")?.insert([name])
}

/// The id of an image; adds one to its uses.
pub(super) fn image(connection: &Connection, registry: i64, image: &Image) -> rusqlite::Result<i64> {
    let tag = image.tag.as_ref().map(|tag| tag.as_str()).unwrap_or_default();
    let digest = image.digest.as_ref().map(digest_bytes::of_digest).unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT INTO images (registry, repository, tag, digest, uses) VALUES (?1, ?2, ?3, ?4, 1)
             ON CONFLICT (registry, repository, tag, digest) DO UPDATE SET uses = uses + 1 RETURNING id",
        )?
        .query_row(params![registry, image.repository.as_str(), tag, digest], |row| row.get(0))
}
