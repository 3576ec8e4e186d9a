//! Where a fill's bytes come from, reduced to the two questions a fill asks.

use std::future::Future;

use bytes::Bytes;
use registry::client::ByteRange;
use registry::{Client, Digest, Error, RegistryHost, Repository};
use tokio::time::Instant;

/// An upstream as fills see it. Clones share connections.
pub trait Origin: Clone + Send + Sync + 'static {
    /// The bytes of an answer; its errors carry the class the transfer failed with.
    type Body: http_body::Body<Data = Bytes, Error = Error> + Send + Unpin + 'static;

    /// The registry asked.
    fn registry(&self) -> &RegistryHost;

    /// Opens a blob, whole or from a range on; returns when the answer's headers are judged.
    fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<ByteRange>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Answered<Self::Body>, Error>> + Send;

    /// A blob's size, if the upstream says.
    fn blob_size(
        &self,
        repository: &Repository,
        digest: &Digest,
        deadline: Instant,
    ) -> impl Future<Output = Result<Option<u64>, Error>> + Send;
}

/// A blob answer whose headers were judged.
#[derive(Debug)]
pub struct Answered<B> {
    /// Offset of the body's first byte in the blob.
    pub start: u64,
    /// Size of the whole blob, if announced.
    pub total: Option<u64>,
    /// The bytes.
    pub body: B,
}

impl Origin for Client {
    type Body = registry::body::Body;

    fn registry(&self) -> &RegistryHost {
        Self::registry(self)
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<ByteRange>,
        deadline: Instant,
    ) -> Result<Answered<Self::Body>, Error> {
        let stream = Self::blob(self, repository, digest, range, deadline).await?.value;
        let total = stream.total.or(if stream.partial { None } else { stream.length });
        Ok(Answered { start: stream.start, total, body: stream.body })
    }

    async fn blob_size(
        &self,
        repository: &Repository,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<Option<u64>, Error> {
        Ok(self.blob_head(repository, digest, deadline).await?.value)
    }
}
