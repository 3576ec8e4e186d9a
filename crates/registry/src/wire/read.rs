//! Reads short bodies, and the headers that describe a body.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::classify::BODY_PREFIX;

/// Reads and drops a body, so that its connection can be reused.
pub(crate) async fn drain(incoming: Incoming, deadline: Instant) {
    prefix(incoming, deadline).await;
}

/// The value of `Content-Length`, if it is a number.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// True for a `Content-Encoding` other than none and `identity`.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::CONTENT_ENCODING).iter();
    named.into_iter().any(|value| !value.is_empty() && !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The first [`BODY_PREFIX`] bytes of a body that explains a failure; fewer if the body breaks or time runs out.
pub(crate) async fn prefix(incoming: Incoming, deadline: Instant) -> Bytes {
    limited(incoming, BODY_PREFIX, deadline.min(Instant::now() + EXPLANATION_MAX)).await.0
}

/// At most `limit` bytes of a body, and true if the body had more. If the body breaks or time runs out, returns the
/// bytes that were read before.
pub(crate) async fn limited(mut incoming: Incoming, limit: usize, deadline: Instant) -> (Bytes, bool) {
    let mut read = BytesMut::new();
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, incoming.frame()).await {
        if let Some(bytes) = frame.data_ref() {
            read.extend_from_slice(bytes);
        }
        if read.len() > limit {
            read.truncate(limit);
            return (read.freeze(), true);
        }
    }
    (read.freeze(), false)
}

/// Longest time for reading the body of a failure, which only explains the status.
const EXPLANATION_MAX: Duration = Duration::from_secs(2);
