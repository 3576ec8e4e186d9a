//! The id of a request: in the header `X-Request-Id` of its answer, and in its lines of the log.
//!
//! A client's own id is taken over if it can stand in a header and in a log line as it is. It is never sent upstream.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The id of a request: 1 to 128 letters, digits and `. _ : - / + = @`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// Gives each request its id. The ids of one process begin alike and are numbered.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: u64,
    given: AtomicU64,
}

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id as the value of [`REQUEST_ID`].
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// The id in `headers`, if there is exactly one and it is sane.
    fn of_client(headers: &HeaderMap) -> Option<Self> {
        // Most clients send none, and looking one up is cheaper than walking over all.
        headers.get(REQUEST_ID)?;
        let mut values = headers.get_all(REQUEST_ID).iter();
        let id = values.next().filter(|id| values.next().is_none() && is_sane(id.as_bytes()))?;
        Some(Self(id.clone()))
    }
}

impl RequestIds {
    /// Ids that begin with a random number.
    pub(crate) fn new() -> Self {
        Self { prefix: fastrand::u64(..), given: AtomicU64::new(0) }
    }

    /// The id of a request with these headers: the client's own, else a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> RequestId {
        RequestId::of_client(headers).unwrap_or_else(|| self.fresh())
    }

    /// A new id: `prefix-number`, both hexadecimal.
    fn fresh(&self) -> RequestId {
        let mut text = [b'-'; 2 * HALF + 1];
        hex(self.prefix, &mut text[..HALF]);
        hex(self.given.fetch_add(1, Ordering::Relaxed), &mut text[HALF + 1..]);
        let text = Bytes::copy_from_slice(&text);
        RequestId(
            HeaderValue::from_maybe_shared(text).expect("invariant: hexadecimal digits are header text"),
        )
    }
}

/// True if nothing in `id` can break a header, a log line, a terminal or a shell word.
fn is_sane(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:-/+=@".contains(byte);
    (1..=ID_MAX).contains(&id.len()) && id.iter().all(allowed)
}

/// Writes the low digits of `number`.
fn hex(mut number: u64, to: &mut [u8]) {
    for digit in to.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

/// The header that carries the id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken from a client, bytes: four times a UUID.
const ID_MAX: usize = 128;
/// Digits of each half of an id of ours: 48 bits.
const HALF: usize = 12;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn sent(ids: &[&[u8]]) -> HeaderMap {
        ids.iter().map(|id| (REQUEST_ID, HeaderValue::from_bytes(id).unwrap())).collect()
    }

    #[test]
    fn a_sane_id_of_the_client_is_taken_over() {
        let ids = RequestIds::new();
        for id in
            ["a", "0197a5c2-7a3e-7cc0-8000-2f0d4a1b9c11", "Root=1-67891233-abcdef012345", &"x".repeat(128)]
        {
            assert_eq!(ids.of(&sent(&[id.as_bytes()])).as_str(), id);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        let ids = RequestIds::new();
        let long = [b'x'; 129];
        for id in
            [&b""[..], b"a b", b"a\tb", b"\x1b[31m", b"<script>", b"a\"b", "\u{e9}".as_bytes(), b"a;b", &long]
        {
            let Ok(value) = HeaderValue::from_bytes(id) else { continue };
            let given = ids.of(&HeaderMap::from_iter([(REQUEST_ID, value)]));
            assert_eq!(given.as_str().len(), 25, "{id:?}");
        }
        let mut twice = sent(&[b"a"]);
        twice.append(REQUEST_ID, HeaderValue::from_static("b"));
        assert_eq!(ids.of(&twice).as_str().len(), 25, "two ids are none");
    }

    #[test]
    fn ids_of_ours_differ_and_are_sane() {
        let (ids, none) = (RequestIds::new(), HeaderMap::new());
        let made: HashSet<String> = (0..1000).map(|_| ids.of(&none).as_str().to_owned()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| is_sane(id.as_bytes())));
        assert_ne!(RequestIds::new().of(&none), RequestIds::new().of(&none));
    }
}
