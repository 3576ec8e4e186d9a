//! An upstream in memory for tests, with a script of its answers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body::Frame;
use http_body_util::StreamBody;
use oci::{Class, Digest, RegistryHost, Repository, Stage};
use registry::client::{ByteRange, Rest};
use registry::{Caller, CallerId, Error, Evidence};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::origin::{Answered, Origin};

/// One piece of an answer's body.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// This number of bytes.
    Send(u64),
    /// All remaining bytes.
    Rest,
    /// All remaining bytes, of which the first is wrong.
    WrongRest,
    /// The transfer fails.
    Break(Class),
    /// Nothing until the semaphore has a permit.
    Await(Arc<Semaphore>),
}

/// One answer. A refusal is sent when its `Await` parts have their permits.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) refuse: Option<Class>,
    pub(crate) announce: bool,
    pub(crate) whole: bool,
    pub(crate) parts: Vec<Part>,
}

impl Answer {
    pub(crate) fn of(parts: impl Into<Vec<Part>>) -> Self {
        Self { refuse: None, announce: true, whole: false, parts: parts.into() }
    }

    pub(crate) fn refusal(class: Class) -> Self {
        Self { refuse: Some(class), ..Self::of([]) }
    }
}

/// The upstream. After the end of the script it sends all bytes that are asked for.
#[derive(Clone)]
pub(crate) struct Scripted(pub(crate) Arc<State>);

pub(crate) struct State {
    registry: RegistryHost,
    content: Bytes,
    pub(crate) script: Mutex<VecDeque<Answer>>,
    /// The answers to HEAD. After the last one, each answer is the size.
    pub(crate) sizes: Mutex<VecDeque<Result<Option<u64>, Class>>>,
    /// The offset of the first requested byte, for each request.
    pub(crate) requests: Mutex<Vec<u64>>,
    pub(crate) heads: AtomicUsize,
    /// The callers that [`Origin::as_caller`] was called with.
    pub(crate) callers: Mutex<Vec<CallerId>>,
    /// Body bytes sent.
    sent: AtomicUsize,
}

impl Scripted {
    pub(crate) fn new(content: Bytes, script: impl Into<VecDeque<Answer>>) -> Self {
        Self(Arc::new(State {
            registry: "docker.io".parse().unwrap(),
            content,
            script: Mutex::new(script.into()),
            sizes: Mutex::default(),
            requests: Mutex::default(),
            heads: AtomicUsize::new(0),
            callers: Mutex::default(),
            sent: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn sent(&self) -> usize {
        self.0.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<u64> {
        self.0.requests.lock().unwrap().clone()
    }

    fn body(
        &self,
        bytes: std::ops::Range<u64>,
        parts: Vec<Part>,
    ) -> BoxStream<'static, Result<Frame<Bytes>, Error>> {
        let state = (self.0.content.slice(bytes.start as usize..bytes.end as usize), VecDeque::from(parts));
        let upstream = self.0.clone();
        let frames = stream::unfold((state, upstream), |((mut left, mut parts), upstream)| async move {
            loop {
                match parts.pop_front()? {
                    Part::Send(bytes) => {
                        let piece = left.split_to((bytes as usize).min(left.len()));
                        upstream.sent.fetch_add(piece.len(), Ordering::SeqCst);
                        return Some((Ok(Frame::data(piece)), ((left, parts), upstream)));
                    }
                    Part::Rest => {
                        for _ in 0..left.len().div_ceil(PIECE) {
                            parts.push_front(Part::Send(PIECE as u64));
                        }
                    }
                    Part::WrongRest => {
                        let mut wrong = left.to_vec();
                        if let Some(first) = wrong.first_mut() {
                            *first ^= 1;
                        }
                        left = wrong.into();
                        parts.push_front(Part::Rest);
                    }
                    Part::Break(class) => return Some((Err(failure(class)), ((left, parts), upstream))),
                    Part::Await(permit) => permit.acquire().await.unwrap().forget(),
                }
            }
        });
        frames.boxed()
    }
}

impl Origin for Scripted {
    type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Error>>>;

    fn registry(&self) -> &RegistryHost {
        &self.0.registry
    }

    fn may_retry(&self) -> bool {
        true
    }

    fn as_caller(&self, caller: &Caller) -> Self {
        self.0.callers.lock().unwrap().push(caller.id());
        self.clone()
    }

    async fn blob(
        &self,
        _: &Repository,
        _: &Digest,
        range: Option<ByteRange>,
        _: &Rest,
        _: Instant,
    ) -> Result<Answered<Self::Body>, Error> {
        let asked = range.map_or(0, |range| range.start);
        self.0.requests.lock().unwrap().push(asked);
        let answer = self.0.script.lock().unwrap().pop_front().unwrap_or(Answer::of([Part::Rest]));
        if let Some(class) = answer.refuse {
            for part in &answer.parts {
                if let Part::Await(permit) = part {
                    permit.acquire().await.unwrap().forget();
                }
            }
            return Err(failure(class));
        }
        let partial = range.is_some() && !answer.whole;
        let start = if partial { asked } else { 0 };
        let length = self.0.content.len() as u64;
        let last = range.and_then(|range| range.end).filter(|_| partial);
        let bytes = start..last.map_or(length, |last| length.min(last + 1));
        let body = StreamBody::new(self.body(bytes, answer.parts));
        let total = answer.announce.then_some(length);
        Ok(Answered { start, total, partial, validator: None, endpoint: 0, body })
    }

    async fn blob_size(&self, _: &Repository, _: &Digest, _: Instant) -> Result<Option<u64>, Error> {
        self.0.heads.fetch_add(1, Ordering::SeqCst);
        let scripted = self.0.sizes.lock().unwrap().pop_front();
        scripted.unwrap_or(Ok(Some(self.0.content.len() as u64))).map_err(failure)
    }
}

fn failure(class: Class) -> Error {
    Error::new(class, Stage::BlobTransfer, Evidence::host("scripted"))
}

/// Bytes per frame.
const PIECE: usize = 100_000;
