//! A small request on a schedule, at the same time as other load.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread::{self, sleep},
    time::Duration,
};

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::{connect::connect, head::Head, target::Target};
use crate::{
    error::{Doing, Error},
    pin::Cores,
    stats,
};

/// Requests the targets (of one server) in turn, every `period`, for `time`, on one connection. With a period of zero
/// each request follows the previous answer. The latencies (nanoseconds) are corrected for coordinated omission: an
/// answer that took many periods also counts for the requests that would have been sent in these periods.
pub(crate) fn probe(
    targets: &[Target],
    period: Duration,
    time: Duration,
    cores: Cores,
) -> Result<Histogram<u64>, Error> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| run(targets, period, time, cores));
        thread.join().expect("invariant: the probing thread does not panic")
    })
}

fn run(targets: &[Target], period: Duration, time: Duration, cores: Cores) -> Result<Histogram<u64>, Error> {
    cores.pin_client()?;
    let mut socket = connect(targets[0].addr, None)?;
    let mut requests = targets.iter().map(|target| target.request(true)).cycle();
    let mut latency = stats::histogram();
    let mut buffer = vec![0; BUFFER];
    let end = Instant::now() + time;
    let mut due = Instant::now();
    while due < end {
        let request = requests.next().expect("invariant: there is a target, over and over");
        sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        socket.write_all(request.as_bytes()).doing("asking")?;
        take(&mut socket, &mut buffer)?;
        stats::record_with_omitted(&mut latency, sent.elapsed(), period);
        due = Instant::now().max(due + period);
    }
    Ok(latency)
}

fn take(socket: &mut TcpStream, buffer: &mut [u8]) -> Result<(), Error> {
    let mut filled = 0;
    loop {
        let read = socket.read(&mut buffer[filled..]).doing("reading a small answer")?;
        if read == 0 {
            return Err(Error::Answer("a small answer ended short".to_owned()));
        }
        filled += read;
        let head = Head::parse(&buffer[..filled])?;
        if head.is_some_and(|head| filled as u64 >= head.size as u64 + head.length) {
            return Ok(());
        }
    }
}

const BUFFER: usize = 64 * 1024;
