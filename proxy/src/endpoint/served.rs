//! An upstream as the proxy serves it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use config::Access;
use oci::{RegistryHost, Repository};
use registry::Client;
use store::Scope;

use crate::freshness::policy::Freshness;

/// An upstream as the proxy serves it.
pub struct Served {
    /// The short id from the configuration.
    pub id: String,
    /// The registry host, as in image names and requests.
    pub registry: RegistryHost,
    /// The access setting: the clients that may see pulled content.
    pub access: Access,
    /// The time for which a tag's record is valid without asking the upstream.
    pub tag_max_age: Duration,
    /// The time for which a tag's record may be answered when asking fails.
    pub stale_limit: Duration,
    /// True if a tag stays served, as stale, when the upstream no longer has it.
    pub keep_removed: bool,
    /// True if the missing objects of images that clients pull are fetched in the background.
    pub complete: bool,
    /// The time for which an upstream's "no such manifest" is valid without asking again.
    pub absent_max_age: Duration,
    /// The most connections over which one layer is fetched at a time.
    pub parallel: usize,
    /// The client for this upstream.
    pub client: Client,
}

impl Served {
    /// The scope in which links of `repository` are looked up and stored. It is the whole upstream if access is public,
    /// else one repository, so that content is visible only in repositories in which the upstream showed it.
    pub(crate) fn scope(&self, repository: &Repository) -> Scope {
        let repository = (self.access != Access::Public).then(|| repository.clone());
        Scope { registry: self.registry.clone(), repository }
    }

    /// The times for which this upstream's answers about tags are valid.
    pub(crate) fn freshness(&self) -> Freshness {
        let Self { tag_max_age, stale_limit, keep_removed, absent_max_age, .. } = *self;
        Freshness { tag_max_age, stale_limit, keep_removed, absent_max_age }
    }
}

/// Upstreams by registry.
pub(crate) type Table = HashMap<RegistryHost, Arc<Served>>;
