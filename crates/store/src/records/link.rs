//! Links: a scope may see a digest (design decision 8), with the media type and size it has there.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::PathBuf;

use oci::{Digest, RegistryHost, Repository};
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::layout::linked;
use super::record::Records;
use super::scope::{Kind, Link, Scope};

/// The links of a store. A digest that is known both as a manifest and as a blob has two independent links.
#[derive(Clone)]
pub struct Links(Records<LinkRecord>);

/// The JSON of a link on the disk. The path alone decides what the link is for; the names in it serve listings and
/// purges by registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LinkRecord {
    registry: String,
    repository: Option<String>,
    media_type: Option<String>,
    size: u64,
}

impl Links {
    pub(crate) fn new(folder: Folder) -> Self {
        Self(Records::new(folder, LINKS_REMEMBERED))
    }

    /// Forgets the records in memory: the next reads go to the disk.
    pub(crate) fn forget_remembered(&self) {
        self.0.forget_remembered();
    }

    /// The link by which `scope` may see `digest` as a `kind`. A record that cannot be read counts as no link.
    pub async fn get(&self, scope: &Scope, kind: Kind, digest: &Digest) -> Option<Link> {
        let record = self.0.get(self.0.layout().link(scope, kind, digest)).await?;
        Some(Link { media_type: record.media_type, size: record.size })
    }

    /// Records that `scope` may see `digest`. A disk failure is reported to the sink; the link is then valid only while
    /// it stays in memory.
    pub async fn put(&self, scope: &Scope, kind: Kind, digest: &Digest, link: Link) {
        let record = LinkRecord {
            registry: scope.registry.to_string(),
            repository: scope.repository.as_ref().map(Repository::to_string),
            media_type: link.media_type,
            size: link.size,
        };
        let unlike = move |present: Option<LinkRecord>| match present {
            Some(present) if present.media_type == record.media_type && present.size == record.size => None,
            _ => Some((record, ())),
        };
        self.0.change(self.0.layout().link(scope, kind, digest), unlike).await;
    }

    /// Removes every link of `digest`.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(crate) async fn revoke(&self, digest: &Digest) -> io::Result<()> {
        for path in self.paths_of(digest).await? {
            self.0.remove(path).await?;
        }
        Ok(())
    }

    /// Removes every link of `registry`.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(crate) async fn revoke_all(&self, registry: &RegistryHost) -> io::Result<()> {
        for (scope, digests) in self.scopes_of(registry).await? {
            for (digest, kind) in digests {
                self.0.remove(self.0.layout().link_of(&scope, kind, &digest)).await?;
            }
        }
        Ok(())
    }

    /// The names of the scopes that may see `digest`: registries, or repositories of them.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(crate) async fn of(&self, digest: &Digest) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for path in self.paths_of(digest).await? {
            if let Some(record) = self.0.get(path).await {
                names.push(record.place());
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The digests linked in `registry`, and those linked elsewhere.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(crate) async fn by_registry(
        &self,
        registry: &RegistryHost,
    ) -> io::Result<(HashSet<Digest>, HashSet<Digest>)> {
        let theirs: HashMap<_, _> = self.scopes_of(registry).await?.into_iter().collect();
        let mut others = HashSet::new();
        for scope in self.0.names(self.0.layout().links()).await? {
            if !theirs.contains_key(&scope) {
                others.extend(self.linked_in(&scope).await?.into_iter().map(|(digest, _)| digest));
            }
        }
        let theirs = theirs.into_values().flatten().map(|(digest, _)| digest).collect();
        Ok((theirs, others))
    }

    /// The scopes of a registry, each with the digests linked there. The names of folders are hashes, so the registry
    /// is read from one record in each folder.
    async fn scopes_of(&self, registry: &RegistryHost) -> io::Result<Vec<(String, Vec<(Digest, Kind)>)>> {
        let mut scopes = Vec::new();
        for scope in self.0.names(self.0.layout().links()).await? {
            let linked = self.linked_in(&scope).await?;
            for (digest, kind) in &linked {
                let path = self.0.layout().link_of(&scope, *kind, digest);
                let Some(record) = self.0.get(path).await else { continue };
                if record.registry == registry.as_str() {
                    scopes.push((scope, linked));
                }
                break;
            }
        }
        Ok(scopes)
    }

    /// The paths of the links of `digest`.
    async fn paths_of(&self, digest: &Digest) -> io::Result<Vec<PathBuf>> {
        let scopes = self.0.names(self.0.layout().links()).await?;
        let of = |scope: &String| {
            Kind::ALL.iter().map(|kind| self.0.layout().link_of(scope, *kind, digest)).collect()
        };
        self.0.present(scopes.iter().flat_map(|scope| -> Vec<_> { of(scope) }).collect()).await
    }

    async fn linked_in(&self, scope: &str) -> io::Result<Vec<(Digest, Kind)>> {
        let (mut all, top) = (Vec::new(), self.0.layout().links().join(scope));
        for shard in self.0.names(top.clone()).await? {
            all.extend(self.0.names(top.join(shard)).await?.iter().filter_map(|name| linked(name)));
        }
        Ok(all)
    }
}

impl LinkRecord {
    /// The name of the scope: a registry, or a repository of it.
    fn place(&self) -> String {
        match &self.repository {
            Some(repository) => format!("{}/{repository}", self.registry),
            None => self.registry.clone(),
        }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links")
    }
}

/// Links kept in memory: some 300 bytes each.
const LINKS_REMEMBERED: u64 = 20_000;
