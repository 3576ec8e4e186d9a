//! Fetches one answer and measures its times.

use std::{
    io::{Read, Write},
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::StreamOwned;
use tokio::time::Instant;

use super::{connect::connect, head::Head, target::Target, tls};
use crate::error::{Doing, Error};

/// The times of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetched {
    /// The time from before the connection to the first byte of the body.
    pub(crate) first_byte: Duration,
    /// The time from before the connection to the last byte.
    pub(crate) wall: Duration,
    /// Length of the body, bytes.
    pub(crate) bytes: u64,
}

/// Fetches one whole answer.
///
/// # Errors
/// If the answer is not 200, or short.
pub(crate) fn fetch(target: &Target) -> Result<Fetched, Error> {
    take(target, &mut |_| {})
}

/// Fetches one whole answer, and returns the `sha256:` digest of its body.
pub(crate) fn fetch_digest(target: &Target) -> Result<String, Error> {
    let mut context = Context::new(&SHA256);
    take(target, &mut |bytes| context.update(bytes))?;
    let hash = context.finish();
    Ok(hash.as_ref().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

fn take(target: &Target, sink: &mut dyn FnMut(&[u8])) -> Result<Fetched, Error> {
    let began = Instant::now();
    let mut stream = open(target)?;
    let mut buffer = vec![0; BUFFER];
    let mut filled = 0;
    let head = loop {
        filled += some(&mut *stream, &mut buffer[filled..])?;
        if let Some(head) = Head::parse(&buffer[..filled])? {
            break head;
        }
    };
    let mut first_byte = None;
    let mut bytes = 0;
    let mut start = head.size;
    loop {
        if filled > start {
            first_byte.get_or_insert_with(|| began.elapsed());
            sink(&buffer[start..filled]);
            bytes += (filled - start) as u64;
        }
        if bytes >= head.length {
            let wall = began.elapsed();
            return Ok(Fetched { first_byte: first_byte.unwrap_or(wall), wall, bytes });
        }
        start = 0;
        filled = some(&mut *stream, &mut buffer)?;
    }
}

fn open(target: &Target) -> Result<Box<dyn Read>, Error> {
    let socket = connect(target.addr, None)?;
    let request = target.request(true);
    let asking = format!("asking {}", target.addr);
    match &target.tls {
        None => {
            (&socket).write_all(request.as_bytes()).doing(asking)?;
            Ok(Box::new(socket))
        }
        Some(config) => {
            let mut stream = StreamOwned::new(tls::session(config, target)?, socket);
            stream.write_all(request.as_bytes()).doing(asking)?;
            Ok(Box::new(stream))
        }
    }
}

fn some(stream: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Error> {
    match stream.read(buffer).doing("reading an answer")? {
        0 => Err(Error::Answer("an answer ended short of its length".to_owned())),
        read => Ok(read),
    }
}

const BUFFER: usize = 256 * 1024;
