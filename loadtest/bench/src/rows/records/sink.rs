//! A collector of traces that takes every export and keeps nothing.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::error::{Doing, Error};

/// A running collector; it ends with the process.
pub(super) struct Sink {
    addr: SocketAddr,
    exports: Arc<AtomicUsize>,
}

impl Sink {
    /// Starts it on a free port of loopback.
    pub(super) fn start() -> Result<Self, Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).doing("starting a collector")?;
        let addr = listener.local_addr().doing("asking for the collector's address")?;
        let exports = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&exports);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                thread::spawn(move || take(connection, &counted));
            }
        });
        Ok(Self { addr, exports })
    }

    /// The variables that make pullgate export one pull in a hundred to it.
    pub(super) fn environment(&self) -> Vec<String> {
        vec![
            format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{}", self.addr),
            "OTEL_TRACES_SAMPLER=traceidratio".to_owned(),
            "OTEL_TRACES_SAMPLER_ARG=0.01".to_owned(),
        ]
    }

    /// The number of exports that it took.
    pub(super) fn exports(&self) -> usize {
        self.exports.load(Ordering::Relaxed)
    }
}

/// Takes exports until the connection ends.
fn take(mut connection: TcpStream, exports: &AtomicUsize) {
    let mut received = Vec::new();
    loop {
        if let Some(length) = whole(&received) {
            received.drain(..length);
            exports.fetch_add(1, Ordering::Relaxed);
            if connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                return;
            }
        }
        let mut piece = [0; 64 * 1024];
        match connection.read(&mut piece) {
            Ok(read @ 1..) => received.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
}

/// The length of the request at the begin of `received`, if it is whole.
fn whole(received: &[u8]) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(received) {
        Ok(httparse::Status::Complete(head)) => head,
        _ => return None,
    };
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"))?;
    let body: usize = std::str::from_utf8(length.value).ok()?.trim().parse().ok()?;
    (received.len() >= head + body).then_some(head + body)
}
