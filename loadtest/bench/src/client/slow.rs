//! Slow readers: each keeps an answer open and reads a few bytes of it once per second.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::Duration,
};

use super::{connect::connect, target::Target, tls};
use crate::{
    error::{Doing, Error},
    pin::Cores,
};

/// Many slow readers in one separate thread.
#[derive(Debug)]
pub(crate) struct SlowReaders {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<usize>>,
}

impl SlowReaders {
    /// Connects `count` readers, sends a request from each, and lets them read slowly until stopped.
    pub(crate) fn start(target: &Target, count: usize, cores: Cores) -> Result<Self, Error> {
        let sockets: Vec<TcpStream> = (0..count).map(|_| open(target)).collect::<Result<_, _>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            // The core of the slow readers affects the figures of the client measured beside them, not their own.
            let _ = cores.pin_client();
            read_slowly(sockets, &told)
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops the readers, and returns the number of readers whose answers had not ended.
    pub(crate) fn stop(mut self) -> usize {
        self.end()
    }

    fn end(&mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or(0)
    }
}

impl Drop for SlowReaders {
    fn drop(&mut self) {
        self.end();
    }
}

fn open(target: &Target) -> Result<TcpStream, Error> {
    let mut socket = connect(target.addr, Some(RECEIVE_BUFFER))?;
    match &target.tls {
        Some(config) => tls::ask(config, target, &mut socket)?,
        None => socket.write_all(target.request(true).as_bytes()).doing("asking")?,
    }
    socket.set_nonblocking(true).doing("making a socket non-blocking")?;
    Ok(socket)
}

/// Lets the readers read in turn, evenly spread over [`ROUND`]; reads all at once would be bursts.
fn read_slowly(mut sockets: Vec<TcpStream>, told: &AtomicBool) -> usize {
    let mut buffer = [0; SIP];
    let mut next = 0;
    while !told.load(Ordering::Relaxed) && !sockets.is_empty() {
        next %= sockets.len();
        let alive = match sockets[next].read(&mut buffer) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if alive {
            next += 1;
        } else {
            sockets.swap_remove(next);
        }
        sleep(ROUND / u32::try_from(sockets.len().max(1)).unwrap_or(u32::MAX));
    }
    sockets.len()
}

/// The receive buffer of a reader, bytes.
const RECEIVE_BUFFER: usize = 16 * 1024;
/// The most bytes that a reader takes in each [`ROUND`].
const SIP: usize = 8 * 1024;
const ROUND: Duration = Duration::from_secs(1);
