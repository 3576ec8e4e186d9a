//! Reading an answer's body to a limit, and its length.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::classify::BODY_PREFIX;

/// Reads the rest of an unwanted answer, so that its connection can be used again.
pub(crate) async fn drain(incoming: Incoming, deadline: Instant) {
    prefix(incoming, deadline).await;
}

/// `Content-Length`, if it is a number.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// True for a `Content-Encoding` other than none and `identity`.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::CONTENT_ENCODING).iter();
    named.into_iter().any(|value| !value.is_empty() && !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The beginning of a body that explains a failure; whatever came when it broke or time ran out.
pub(crate) async fn prefix(incoming: Incoming, deadline: Instant) -> Bytes {
    limited(incoming, BODY_PREFIX, deadline.min(Instant::now() + EXPLANATION_MAX)).await.0
}

/// At most `limit` bytes of a body, and whether there was more; whatever came when it broke or time ran out.
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

/// How long the body of a failure may take: it only explains what the status already says.
const EXPLANATION_MAX: Duration = Duration::from_secs(2);
