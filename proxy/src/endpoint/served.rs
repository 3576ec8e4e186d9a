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
    /// Short id of the configuration.
    pub id: String,
    /// The registry as in image names; what requests name.
    pub registry: RegistryHost,
    /// The access setting: the clients that may see pulled content.
    pub access: Access,
    /// For how long a tag's meaning is believed without asking.
    pub tag_max_age: Duration,
    /// For how long it is believed when asking fails.
    pub stale_limit: Duration,
    /// True if a tag stays served, as stale, when the upstream no longer has it.
    pub keep_removed: bool,
    /// True if the missing objects of images that clients pull are fetched in the background.
    pub complete: bool,
    /// For how long an upstream's "no such manifest" is believed without asking.
    pub absent_max_age: Duration,
    /// Connections one layer may be fetched by at a time.
    pub parallel: usize,
    /// Asks it.
    pub client: Client,
}

impl Served {
    /// The scope in which links of `repository` are looked for and stored: all of a public upstream, one repository of
    /// any other, where content is seen only through repositories the upstream showed it in.
    pub(crate) fn scope(&self, repository: &Repository) -> Scope {
        let repository = (self.access != Access::Public).then(|| repository.clone());
        Scope { registry: self.registry.clone(), repository }
    }

    /// How long this upstream's word on tags holds.
    pub(crate) fn freshness(&self) -> Freshness {
        let Self { tag_max_age, stale_limit, keep_removed, absent_max_age, .. } = *self;
        Freshness { tag_max_age, stale_limit, keep_removed, absent_max_age }
    }
}

/// Upstreams by registry.
pub(crate) type Table = HashMap<RegistryHost, Arc<Served>>;
