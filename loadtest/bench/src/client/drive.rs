//! Many connections in one thread. Each sends its next request as soon as it has its answer.

use std::{
    io::{self, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use hdrhistogram::Histogram;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
    net::{RecvFlags, recv},
};
use tokio::time::Instant;

use super::{
    connect::connect,
    head::Head,
    target::{Reading, Target},
    tls,
};
use crate::{
    error::{Doing, Error},
    pin::Cores,
    process::Process,
    stats,
};

/// A load on one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    /// The process whose processor time is measured.
    pub(crate) server: &'a Process,
    /// The address and path of every request.
    pub(crate) target: &'a Target,
    /// Length of the body, bytes. On TLS, where answers are not decrypted, an answer with at least this many bytes is whole.
    pub(crate) body_bytes: u64,
    /// The number of connections.
    pub(crate) connections: usize,
    /// The treatment of the bytes.
    pub(crate) reading: Reading,
    /// The condition that ends the load.
    pub(crate) until: Until<'a>,
    /// The cores of the client.
    pub(crate) cores: Cores,
}

/// The condition that ends a load.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until<'a> {
    /// After this duration; for unfinished answers the bytes that arrived count.
    After(Duration),
    /// Every connection has had one answer.
    Once,
    /// The flag is set.
    Told(&'a AtomicBool),
}

/// The result of a load.
#[derive(Debug)]
pub(crate) struct Done {
    /// Body bytes received. On TLS these are bytes of records, about a thousandth more.
    pub(crate) bytes: u64,
    /// Whole answers.
    pub(crate) answers: u64,
    /// Connections that ended before the end of their answer.
    pub(crate) broken: u64,
    /// The duration, from the time when all connections had sent their first request.
    pub(crate) wall: Duration,
    /// Processor time of the server during the load, seconds.
    pub(crate) server_cpu: f64,
    /// The time from request to last byte, nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

/// Runs a load in a separate thread.
///
/// # Errors
/// If a server cannot be reached, or answers something other than 200.
pub(crate) fn drive(load: &Load<'_>) -> Result<Done, Error> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| Driver::new(load)?.run());
        thread.join().expect("invariant: the client thread does not panic")
    })
}

struct Driver<'a> {
    load: &'a Load<'a>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    open: usize,
    scratch: Vec<u8>,
    done: Done,
}

struct Connection {
    socket: TcpStream,
    state: State,
    asked: Instant,
    /// The number of its answers.
    answers: usize,
}

enum State {
    /// The head is not complete; these are its bytes so far.
    Head(Vec<u8>),
    /// This number of bytes of the body is missing.
    Body(u64),
    /// This number of bytes of a TLS answer has arrived; the answer ends with the connection.
    Ciphered(u64),
    /// The answer is complete.
    Finished,
}

/// The result of one read.
enum Step {
    More,
    Empty,
    Answered,
    Broken,
}

impl<'a> Driver<'a> {
    fn new(load: &'a Load<'a>) -> Result<Self, Error> {
        load.cores.pin_client()?;
        let size = match load.reading {
            Reading::Copy => COPY_BUFFER,
            Reading::Discard => DISCARD_MOST,
        };
        Ok(Self {
            load,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).doing("making an epoll")?,
            connections: Vec::with_capacity(load.connections),
            open: load.connections,
            scratch: vec![0; size],
            done: Done {
                bytes: 0,
                answers: 0,
                broken: 0,
                wall: Duration::ZERO,
                server_cpu: 0.0,
                latency: stats::histogram(),
            },
        })
    }

    fn run(mut self) -> Result<Done, Error> {
        for index in 0..self.load.connections {
            let connection = self.connect(index)?;
            self.connections.push(connection);
        }
        let (cpu, began) = (self.load.server.cpu_seconds(), Instant::now());
        let mut events = Vec::with_capacity(EVENTS);
        while self.open > 0 && !self.over(began) {
            events.clear();
            wait(&self.epoll, &mut events)?;
            for index in events.iter().map(index_of) {
                self.turn(index)?;
            }
        }
        self.done.wall = began.elapsed();
        self.done.server_cpu = self.load.server.cpu_seconds() - cpu;
        Ok(self.done)
    }

    fn over(&self, began: Instant) -> bool {
        match self.load.until {
            Until::After(time) => began.elapsed() >= time,
            Until::Once => began.elapsed() >= ONCE_LIMIT,
            Until::Told(told) => told.load(Ordering::Relaxed),
        }
    }

    fn connect(&self, index: usize) -> Result<Connection, Error> {
        let asked = Instant::now();
        let mut socket = connect(self.load.target.addr, None)?;
        let state = match &self.load.target.tls {
            Some(config) => {
                tls::ask(config, self.load.target, &mut socket)?;
                State::Ciphered(0)
            }
            None => {
                let request = self.load.target.request_in_turn(index, 0);
                socket.write_all(request.as_bytes()).doing("asking")?;
                State::Head(Vec::new())
            }
        };
        socket.set_nonblocking(true).doing("making a socket non-blocking")?;
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)
            .doing("watching a socket")?;
        Ok(Connection { socket, state, asked, answers: 0 })
    }

    /// Reads from one connection at most [`READS_A_TURN`] times, so that the other connections are read too.
    fn turn(&mut self, index: usize) -> Result<(), Error> {
        for _ in 0..READS_A_TURN {
            match self.read(index)? {
                Step::More => {}
                Step::Empty => break,
                Step::Answered => return self.answered(index),
                Step::Broken => {
                    self.done.broken += 1;
                    self.finish(index);
                    break;
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, index: usize) -> Result<Step, Error> {
        let connection = &mut self.connections[index];
        let (most, flags) = match (&connection.state, self.load.reading) {
            (State::Finished, _) => return Ok(Step::Empty),
            (State::Body(left), Reading::Discard) => (*left, RecvFlags::TRUNC),
            (State::Body(left), Reading::Copy) => (*left, RecvFlags::empty()),
            (State::Ciphered(_), Reading::Discard) => (u64::MAX, RecvFlags::TRUNC),
            _ => (u64::MAX, RecvFlags::empty()),
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.scratch.len());
        let read = match recv(&connection.socket, &mut self.scratch[..most], flags) {
            Ok((_, read)) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Step::Empty),
            Err(_) => return Ok(Step::Broken),
        };
        let (step, bytes) = connection.state.received(&self.scratch[..read], self.load.body_bytes)?;
        self.done.bytes += bytes;
        Ok(step)
    }

    fn answered(&mut self, index: usize) -> Result<(), Error> {
        self.done.answers += 1;
        let asked = self.connections[index].asked;
        stats::record(&mut self.done.latency, asked.elapsed());
        if matches!(self.load.until, Until::Once) {
            self.finish(index);
            return Ok(());
        }
        if self.load.target.tls.is_some() {
            self.connections[index] = self.connect(index)?;
            return Ok(());
        }
        let connection = &mut self.connections[index];
        connection.state = State::Head(Vec::new());
        connection.answers += 1;
        let request = self.load.target.request_in_turn(index, connection.answers);
        connection.asked = Instant::now();
        connection.socket.write_all(request.as_bytes()).doing("asking again")
    }

    fn finish(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.state = State::Finished;
        self.open -= 1;
        // This fails only if the server has closed the connection already; then no more bytes can arrive.
        let _ = epoll::delete(&self.epoll, &connection.socket);
    }
}

impl State {
    /// Processes received bytes, and returns the number of them that belong to bodies.
    fn received(&mut self, received: &[u8], body_bytes: u64) -> Result<(Step, u64), Error> {
        let count = received.len() as u64;
        match self {
            Self::Ciphered(bytes) if count == 0 => {
                let whole = *bytes >= body_bytes;
                return Ok((if whole { Step::Answered } else { Step::Broken }, 0));
            }
            _ if count == 0 => return Ok((Step::Broken, 0)),
            Self::Ciphered(bytes) => *bytes += count,
            Self::Body(left) => *left -= count.min(*left),
            Self::Head(head) => {
                head.extend_from_slice(received);
                let Some(parsed) = Head::parse(head)? else { return Ok((Step::More, 0)) };
                let body = (head.len() - parsed.size) as u64;
                *self = Self::Body(parsed.length.saturating_sub(body));
                return Ok((self.step(), body));
            }
            Self::Finished => {}
        }
        Ok((self.step(), count))
    }

    fn step(&self) -> Step {
        if matches!(self, Self::Body(0)) { Step::Answered } else { Step::More }
    }
}

fn wait(epoll: &OwnedFd, events: &mut Vec<epoll::Event>) -> Result<(), Error> {
    match epoll::wait(epoll, spare_capacity(events), Some(&LOOK_UP)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error).doing("waiting for sockets"),
    }
}

fn index_of(event: &epoll::Event) -> usize {
    let data = event.data;
    usize::try_from(data.u64()).unwrap_or(usize::MAX)
}

/// The buffer of a client that copies, bytes: small enough for a processor's cache.
pub(crate) const COPY_BUFFER: usize = 256 * 1024;
/// Most bytes that a client that discards takes in one read.
const DISCARD_MOST: usize = 1 << 20;
const READS_A_TURN: usize = 4;
const EVENTS: usize = 256;
/// The time between two checks for the end of the load while no bytes arrive.
const LOOK_UP: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// Longest wait until every connection has had its answer, with [`Until::Once`].
const ONCE_LIMIT: Duration = Duration::from_secs(120);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_body_bytes_are_counted_up_to_the_length() {
        let mut state = State::Head(Vec::new());
        let (step, bytes) = state.received(b"HTTP/1.1 200 OK\r\nContent-Le", 0).unwrap();
        assert!(matches!(step, Step::More) && bytes == 0);
        let (step, bytes) = state.received(b"ngth: 5\r\n\r\nab", 0).unwrap();
        assert!(matches!(step, Step::More) && bytes == 2);
        let (step, bytes) = state.received(b"cde", 0).unwrap();
        assert!(matches!(step, Step::Answered) && bytes == 3);
    }

    #[test]
    fn an_answer_that_ends_early_is_broken() {
        let mut plain = State::Body(7);
        assert!(matches!(plain.received(b"", 0).unwrap().0, Step::Broken));
        let mut ciphered = State::Ciphered(99);
        assert!(matches!(ciphered.received(b"", 100).unwrap().0, Step::Broken));
        let mut whole = State::Ciphered(101);
        assert!(matches!(whole.received(b"", 100).unwrap().0, Step::Answered));
    }
}
