//! A log of requests and answers that tests count and await.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, Method};
use tokio::{sync::watch, time::Instant};

use super::{
    lock::lock,
    message::{Kind, Request},
};

/// One request and its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The number of the request, from 0 over the life of the registry.
    pub id: u64,
    /// The number of the request's connection, from 1.
    pub connection: u64,
    /// The time at which the request was completely read.
    pub at: Instant,
    /// The kind of request.
    pub kind: Kind,
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// The headers, unchanged. `Authorization` is marked sensitive, so that `Debug` does not print it.
    pub headers: HeaderMap,
    /// The repository, where the path names one.
    pub repository: Option<String>,
    /// The tag or digest, where the path names one.
    pub reference: Option<String>,
    /// True if `Authorization` was sent.
    pub authorized: bool,
    /// The status of the answer; `None` until there is one.
    pub status: Option<u16>,
    /// Body bytes handed to the socket.
    pub sent_bytes: u64,
    /// True when the answer has ended: it was sent completely, it was cut, or the client has closed.
    pub ended: bool,
}

/// Every request so far (the last 100,000), oldest first.
#[derive(Debug, Clone, Default)]
pub struct Log {
    entries: VecDeque<Exchange>,
    forgotten: u64,
    connections: u64,
    open_connections: u64,
}

impl Log {
    /// All requests, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.entries.iter()
    }

    /// The number of requests for which `test` is true.
    pub fn count(&self, test: impl Fn(&Exchange) -> bool) -> usize {
        self.iter().filter(|exchange| test(exchange)).count()
    }

    /// Requests of this kind and method.
    pub fn of(&self, kind: Kind, method: &Method) -> usize {
        self.count(|exchange| exchange.kind == kind && exchange.method == *method)
    }

    /// The number of manifest HEADs, which Docker Hub does not count against the quota.
    pub fn manifest_heads(&self) -> usize {
        self.of(Kind::Manifest, &Method::HEAD)
    }

    /// The number of manifest GETs, which Docker Hub counts against the quota.
    pub fn manifest_gets(&self) -> usize {
        self.of(Kind::Manifest, &Method::GET)
    }

    /// The number of requests to the token endpoint.
    pub fn tokens(&self) -> usize {
        self.count(|exchange| exchange.kind == Kind::Token)
    }

    /// The number of GETs of this blob at the registry itself (not at the blob host).
    pub fn blob_gets(&self, digest: &str) -> usize {
        self.count(|exchange| {
            exchange.kind == Kind::Blob && exchange.method == Method::GET && exchange.names(digest)
        })
    }

    /// Body bytes sent for this digest or tag in all requests, ranges included. Tests use it to find repeated transfers.
    pub fn bytes_sent(&self, reference: &str) -> u64 {
        self.iter().filter(|exchange| exchange.names(reference)).map(|exchange| exchange.sent_bytes).sum()
    }

    /// The number of requests whose answers are still being sent.
    pub fn in_flight(&self) -> usize {
        self.count(|exchange| !exchange.ended)
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// The number of connections open now.
    pub fn open_connections(&self) -> u64 {
        self.open_connections
    }

    fn entry(&mut self, id: u64) -> Option<&mut Exchange> {
        let index = id.checked_sub(self.forgotten)?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }

    fn push(&mut self, connection: u64, request: &Request) -> u64 {
        if self.entries.len() == ENTRY_LIMIT {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        let id = self.forgotten + self.entries.len() as u64;
        self.entries.push_back(Exchange::new(id, connection, request));
        id
    }
}

impl Exchange {
    /// True if the path names this digest or tag.
    pub fn names(&self, reference: &str) -> bool {
        self.reference.as_deref() == Some(reference)
    }

    /// A header as text; none if absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn new(id: u64, connection: u64, request: &Request) -> Self {
        Self {
            id,
            connection,
            at: Instant::now(),
            kind: request.kind,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            repository: request.repository.clone(),
            reference: request.reference.clone(),
            authorized: request.is_authorized(),
            status: None,
            sent_bytes: 0,
            ended: false,
        }
    }
}

/// The writing side of the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Log>,
    changes: watch::Sender<()>,
}

impl Journal {
    pub(crate) fn snapshot(&self) -> Log {
        lock(&self.0.log).clone()
    }

    /// Removes all requests; the counts of connections stay. Answers that are still being sent are no longer recorded.
    pub(crate) fn clear(&self) {
        self.change(|log| {
            log.forgotten += log.entries.len() as u64;
            log.entries.clear();
        });
    }

    pub(crate) async fn wait_for(&self, test: impl Fn(&Log) -> bool) {
        let mut changes = self.0.changes.subscribe();
        while !test(&lock(&self.0.log)) {
            changes.changed().await.expect("invariant: the journal holds the sending half itself");
        }
    }

    pub(crate) fn connect(&self) -> Connected {
        let number = self.change(|log| {
            log.connections += 1;
            log.open_connections += 1;
            log.connections
        });
        Connected { journal: self.clone(), number }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let result = change(&mut lock(&self.0.log));
        self.0.changes.send_replace(());
        result
    }
}

/// An open connection; dropping it counts it as closed.
#[derive(Debug)]
pub(crate) struct Connected {
    journal: Journal,
    number: u64,
}

impl Connected {
    pub(crate) fn open(&self, request: &Request) -> Record {
        let id = self.journal.change(|log| log.push(self.number, request));
        Record { journal: self.journal.clone(), id }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.journal.change(|log| log.open_connections -= 1);
    }
}

/// The journal's record of one request; dropping it ends the exchange.
#[derive(Debug)]
pub(crate) struct Record {
    journal: Journal,
    id: u64,
}

impl Record {
    pub(crate) fn answered(&self, status: u16) {
        self.note(|exchange| exchange.status = Some(status));
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.note(|exchange| exchange.sent_bytes += bytes as u64);
    }

    fn note(&self, note: impl FnOnce(&mut Exchange)) {
        self.journal.change(|log| log.entry(self.id).map(note));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.note(|exchange| exchange.ended = true);
    }
}

/// The largest number of requests in the log, so that a registry that runs for days (the demo) does not grow.
const ENTRY_LIMIT: usize = 100_000;
