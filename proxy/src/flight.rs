//! One fetch per digest: who leads, who joins, and what each of them may be told.

use std::sync::Arc;

use registry::{Client, Digest, Error, Repository};
use tokio::time::Instant;

use crate::origin::Origin;
use crate::reader::Reader;
use crate::store::{Scope, Store};
use crate::watch::Watch;

/// The flights of one store. Clones share them.
#[derive(Clone)]
pub struct Flights {
    #[allow(dead_code)]
    store: Store,
    #[allow(dead_code)]
    watch: Arc<dyn Watch>,
}

/// A blob, where it may be fetched, and on whose permission.
#[derive(Clone, Debug)]
pub struct Source<O = Client> {
    /// The upstream to ask.
    pub origin: O,
    /// The scope a link is looked for and earned in.
    pub scope: Scope,
    /// The repository asked for.
    pub repository: Repository,
    /// The content asked for.
    pub digest: Digest,
    /// Its size as a manifest's descriptor has it, for upstreams that announce none.
    pub size_hint: Option<u64>,
}

/// A blob that may be answered: its status line can go out.
#[derive(Debug)]
pub struct Opened {
    /// Where the bytes come from.
    pub outcome: Origination,
    /// Size of the whole blob.
    pub length: u64,
    /// The bytes.
    pub reader: Reader,
}

registry::labels! {
    /// Where an answer's bytes come from.
    Origination {
        /// From the store.
        Hit = "hit";
        /// From a fill that ran already.
        Joined = "joined";
        /// From a fill this request began.
        Miss = "miss";
    }
}

impl Flights {
    /// Flights into `store`.
    pub fn new(store: Store, watch: Arc<dyn Watch>) -> Self {
        Self { store, watch }
    }

    /// Opens a blob from the store, a running fill, or a new one, if `source.scope` may see it.
    ///
    /// A link that is missing is earned by the upstream's answer (design decision 8). Returns when headers may be
    /// sent: the upstream's are judged and the length is known; blobs up to 4 MiB are verified by then, unless the
    /// deadline came first. Dropping the future or the reader never cancels a fill that others use.
    ///
    /// # Errors
    /// The upstream's failure for this scope; `Stalled` at `blob_first_byte` when the deadline passes.
    pub async fn open<O: Origin>(&self, _source: Source<O>, _deadline: Instant) -> Result<Opened, Error> {
        unimplemented!()
    }

    /// A blob's size, if `source.scope` may see it: from the store if linked, else from one upstream HEAD for all
    /// who ask, which also earns the link.
    ///
    /// # Errors
    /// The upstream's failure for this scope.
    pub async fn size<O: Origin>(
        &self,
        _source: &Source<O>,
        _deadline: Instant,
    ) -> Result<Option<u64>, Error> {
        unimplemented!()
    }
}
