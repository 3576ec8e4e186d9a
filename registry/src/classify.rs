//! From an HTTP answer to the class it means: pure rules, in one order, each with its evidence.

use std::net::SocketAddr;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use crate::class::Stage;
use crate::error::Error;

/// What was asked, of whom, as whom.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The stage to report.
    pub stage: Stage,
    /// What was asked for.
    pub asked: Asked,
    /// Host (and port, unless it is the scheme's) that answered.
    pub host: &'a str,
    /// Its address, unknown behind a forward proxy.
    pub address: Option<SocketAddr>,
    /// Was the request made as somebody: with a credential, or with a token got for one?
    pub identified: bool,
    /// Did the answer come from another host than the registry's, after a redirect?
    pub redirected: bool,
    /// The time now, for `Retry-After` as a date when the answer has no `Date`.
    pub now: SystemTime,
}

/// Kinds of question, as far as the rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `GET /v2/`.
    Ping,
    /// A token.
    Token,
    /// A manifest by tag.
    ManifestByTag,
    /// A manifest by digest.
    ManifestByDigest,
    /// A blob.
    Blob,
    /// Tag list or referrers.
    List,
}

/// The failure an answer means, none when it is a success (2xx, and no HTML where JSON belongs).
///
/// `body` is the beginning of the body, up to [`BODY_PREFIX`] bytes; empty for HEAD.
pub fn answer(
    _context: &Context<'_>,
    _status: StatusCode,
    _headers: &HeaderMap,
    _body: &[u8],
) -> Option<Error> {
    unimplemented!()
}

/// How much of a failed answer's body is worth reading, in bytes.
pub const BODY_PREFIX: usize = 16 * 1024;
