//! The fault of a rule: the time, the content and the delivery of its answer.

use std::{fmt, io::Write, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::gate::Gate;
use crate::registry::message::{Answer, Request};

/// A place in the body of the answer (in the range, if a range was requested).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// After this many bytes; 0 is directly after the headers.
    Byte(u64),
    /// After half of the body.
    Half,
    /// Before the last byte.
    LastByte,
}

impl At {
    /// The place as an offset in bytes, at most `length`.
    pub fn of(self, length: u64) -> u64 {
        match self {
            Self::Byte(at) => at.min(length),
            Self::Half => length / 2,
            Self::LastByte => length.saturating_sub(1),
        }
    }
}

/// Makes the answer that replaces the correct one.
pub(crate) type Reply = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// The whole fault of a rule.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) delay: Option<Duration>,
    pub(crate) hold: Option<Gate>,
    pub(crate) ignore_range: bool,
    pub(crate) replace: Option<Reply>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) delivery: Delivery,
}

/// A change of the answer.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Status(StatusCode),
    Header(HeaderName, HeaderValue),
    NoHeader(HeaderName),
    Flip(At),
    Shorten(usize),
    Lengthen(usize),
    Gzip,
}

/// The delivery of the answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delivery {
    pub(crate) start: Start,
    pub(crate) framing: Framing,
    pub(crate) pace: Option<Pace>,
    pub(crate) breaks: Vec<(At, Break)>,
}

/// The beginning of the answer.
#[derive(Debug, Clone, Default)]
pub(crate) enum Start {
    #[default]
    Headers,
    Never,
    Close,
    Reset,
    Garbage(Bytes),
}

/// The framing, by which a client finds the end of the body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Framing {
    #[default]
    Length,
    Claim(u64),
    Chunked,
    UntilClose,
}

/// The pace of the body: a number of bytes, then a pause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) bytes: usize,
    pub(crate) every: Duration,
}

/// An event at a place in the body.
#[derive(Debug, Clone)]
pub(crate) enum Break {
    Fin,
    Reset,
    Hold(Gate),
}

impl Script {
    /// True if hyper cannot send this answer, so that `by_hand` must write it.
    pub(crate) fn is_by_hand(&self) -> bool {
        let Delivery { start, framing, pace, breaks } = &self.delivery;
        let plain = matches!((start, framing), (Start::Headers, Framing::Length));
        !plain || pace.is_some() || !breaks.is_empty()
    }

    /// Waits for the gate and the delay, before the answer begins.
    pub(crate) async fn wait(&self) {
        if let Some(gate) = &self.hold {
            gate.pass().await;
        }
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay).await;
        }
    }

    pub(crate) fn edit(&self, answer: &mut Answer) {
        for edit in &self.edits {
            edit.apply(answer);
        }
    }
}

impl Edit {
    fn apply(&self, answer: &mut Answer) {
        match self {
            Self::Status(status) => answer.status = *status,
            Self::Header(name, value) => {
                answer.headers.insert(name, value.clone());
            }
            Self::NoHeader(name) => {
                answer.headers.remove(name);
            }
            Self::Flip(at) => answer.body = flipped(&answer.body, *at),
            Self::Shorten(bytes) => answer.body.truncate(answer.body.len().saturating_sub(*bytes)),
            Self::Lengthen(bytes) => answer.body = lengthened(&answer.body, *bytes),
            Self::Gzip => {
                answer.body = gzipped(&answer.body);
                answer.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("delay", &self.delay)
            .field("hold", &self.hold.is_some())
            .field("replace", &self.replace.is_some())
            .field("edits", &self.edits)
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}

fn flipped(body: &Bytes, at: At) -> Bytes {
    let mut copy = BytesMut::from(&body[..]);
    let at = usize::try_from(at.of(body.len() as u64)).unwrap_or(usize::MAX);
    if let Some(byte) = copy.get_mut(at) {
        *byte ^= 1;
    }
    copy.freeze()
}

fn lengthened(body: &Bytes, bytes: usize) -> Bytes {
    let mut copy = BytesMut::from(&body[..]);
    copy.put_bytes(b'+', bytes);
    copy.freeze()
}

fn gzipped(body: &Bytes) -> Bytes {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(body).expect(IN_MEMORY);
    packer.finish().expect(IN_MEMORY).into()
}

const IN_MEMORY: &str = "invariant: writing to memory does not fail";
