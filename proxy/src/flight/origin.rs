//! The upstream of a fill, reduced to the two requests that a fill makes.

use std::future::Future;

use bytes::Bytes;
use oci::{Digest, RegistryHost, Repository};
use registry::client::{ByteRange, Rest, Validator};
use registry::{Caller, Client, Error};
use tokio::time::Instant;

/// An upstream as fills see it. Clones share connections.
pub trait Origin: Clone + Send + Sync + 'static {
    /// The body of an answer. Its errors carry the class of the failure.
    type Body: http_body::Body<Data = Bytes, Error = Error> + Send + Unpin + 'static;

    /// The registry that is asked.
    fn registry(&self) -> &RegistryHost;

    /// True if a failed request may be sent again. This takes one retry from the upstream's budget.
    fn may_retry(&self) -> bool;

    /// A transfer broke and is continued.
    fn resumed(&self) {}

    /// The same upstream, asked with another caller's token.
    fn as_caller(&self, caller: &Caller) -> Self;

    /// Asks for a blob, or for a range of it, which may be the rest of a transfer that broke off. Returns when the
    /// answer's headers are judged.
    fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<ByteRange>,
        rest: &Rest,
        deadline: Instant,
    ) -> impl Future<Output = Result<Answered<Self::Body>, Error>> + Send;

    /// The size of a blob, if the upstream states it.
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
    /// True if the answer is the requested range (206).
    pub partial: bool,
    /// The host and entity tag of the answer.
    pub validator: Option<Validator>,
    /// The index of the endpoint that answered.
    pub endpoint: usize,
    /// The bytes.
    pub body: B,
}

impl Origin for Client {
    type Body = registry::body::UpstreamBody;

    fn registry(&self) -> &RegistryHost {
        Self::registry(self)
    }

    fn may_retry(&self) -> bool {
        Self::may_retry(self)
    }

    fn resumed(&self) {
        if let Some(trail) = self.trail() {
            trail.resumed();
        }
    }

    fn as_caller(&self, caller: &Caller) -> Self {
        Self::as_caller(self, caller)
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<ByteRange>,
        rest: &Rest,
        deadline: Instant,
    ) -> Result<Answered<Self::Body>, Error> {
        let answer = self.blob_rest(repository, digest, range, rest, deadline).await?;
        let (stream, host, endpoint) = (answer.value, answer.host, answer.endpoint);
        let total = stream.total.or(if stream.partial { None } else { stream.length });
        let validator = stream.etag.map(|etag| Validator { host, etag });
        let (start, partial, body) = (stream.start, stream.partial, stream.body);
        Ok(Answered { start, total, partial, validator, endpoint, body })
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
