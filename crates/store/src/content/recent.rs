//! Recently used content: small content in memory, and committed files that stay open and mapped. A hit here opens no
//! path and makes no blocking call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use moka::{future, sync};
use oci::Digest;

use super::blob::Committed;

/// The recently used content. Clones share it.
#[derive(Clone)]
pub(crate) struct Recent {
    small: future::Cache<Digest, Bytes>,
    files: sync::Cache<Digest, Arc<Committed>>,
    departures: Arc<AtomicU64>,
}

/// Another program changed a committed file.
#[derive(Debug)]
pub(crate) struct Changed;

impl Recent {
    pub(crate) fn new() -> Self {
        let weigh = |_: &Digest, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self {
            small: future::Cache::builder().max_capacity(SMALL_REMEMBERED).weigher(weigh).build(),
            files: sync::Cache::builder().max_capacity(FILES_MAX).time_to_idle(IDLE_MAX).build(),
            departures: Arc::default(),
        }
    }

    /// Small content from memory, else from `load`.
    pub(crate) async fn small(
        &self,
        digest: &Digest,
        load: impl Future<Output = Option<Bytes>>,
    ) -> Option<Bytes> {
        self.small.optionally_get_with_by_ref(digest, load).await
    }

    /// Keeps small content.
    pub(crate) async fn keep_small(&self, digest: &Digest, bytes: Bytes) {
        self.small.insert(digest.clone(), bytes).await;
    }

    /// The file of `digest`, if it is open.
    ///
    /// # Errors
    /// [`Changed`] if another program unlinked or truncated the file.
    pub(crate) fn file(&self, digest: &Digest) -> Result<Option<Arc<Committed>>, Changed> {
        let Some(file) = self.files.get(digest) else { return Ok(None) };
        if file.is_intact() {
            return Ok(Some(file));
        }
        self.files.invalidate(digest);
        self.departures.fetch_add(1, Ordering::Release);
        Err(Changed)
    }

    /// Keeps `file` open if it is mapped and intact, so that reading it needs no blocking call.
    pub(crate) fn keep_file(&self, digest: &Digest, file: &Arc<Committed>) {
        if file.is_intact() {
            self.files.insert(digest.clone(), Arc::clone(file));
        }
    }

    /// Forgets content that leaves the store; open readers are not affected.
    pub(crate) async fn forget(&self, digest: &Digest) {
        self.departures.fetch_add(1, Ordering::Release);
        self.small.invalidate(digest).await;
        self.files.invalidate(digest);
    }

    /// Forgets all content; open readers are not affected.
    pub(crate) fn forget_all(&self) {
        self.departures.fetch_add(1, Ordering::Release);
        self.small.invalidate_all();
        self.files.invalidate_all();
    }

    /// Number of times that content was forgotten. While the number does not change, content that was found here is
    /// still here.
    pub(crate) fn departures(&self) -> u64 {
        self.departures.load(Ordering::Acquire)
    }

    /// Closes files that were not used recently. Their mapped pages would count as memory of this process.
    pub(crate) fn tidy(&self) {
        self.files.run_pending_tasks();
    }
}

/// Memory for small content, bytes.
const SMALL_REMEMBERED: u64 = 64 << 20;
/// Files kept open.
const FILES_MAX: u64 = 512;
/// Time after which an unused file is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);
