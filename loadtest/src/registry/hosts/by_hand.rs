//! Writes answers that hyper refuses to send (invalid framing, breaks, pauses) directly to the connection.

use std::io;

use http::{Method, header};
use tokio::io::AsyncWriteExt;

use super::wire::Wire;
use crate::registry::log::Record;
use crate::registry::message::Answer;
use crate::registry::rules::script::{At, Break, Delivery, Framing, Start};

/// An answer to send, with the faults of its delivery.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) answer: Answer,
    pub(crate) delivery: Delivery,
    pub(crate) method: Method,
    pub(crate) record: Record,
}

/// The state of the connection after an answer.
enum End {
    Keep,
    Finish,
    Reset,
    Hang,
}

impl Sending {
    /// Writes the answer. Returns the connection if another request may follow on it.
    pub(crate) async fn run(self, mut wire: Wire) -> Option<Wire> {
        let end = self.travel(&mut wire).await;
        drop(self);
        match end {
            Ok(End::Keep) => return Some(wire),
            Ok(End::Finish) => wire.finish().await,
            Ok(End::Reset) => wire.reset(),
            Ok(End::Hang) => wire.closed().await,
            Err(error) => tracing::debug!(%error, "the client left during a scripted answer"),
        }
        None
    }

    async fn travel(&self, wire: &mut Wire) -> io::Result<End> {
        match &self.delivery.start {
            Start::Headers => self.answer(wire).await,
            Start::Never => {
                wire.closed().await;
                Ok(End::Hang)
            }
            Start::Close => Ok(End::Finish),
            Start::Reset => Ok(End::Reset),
            Start::Garbage(bytes) => {
                wire.write_all(bytes).await?;
                wire.flush().await?;
                Ok(End::Finish)
            }
        }
    }

    async fn answer(&self, wire: &mut Wire) -> io::Result<End> {
        wire.write_all(&self.head()).await?;
        wire.flush().await?;
        self.record.answered(self.answer.status.as_u16());
        if self.method == Method::HEAD {
            return Ok(End::Keep);
        }
        let body = &self.answer.body;
        let mut at = 0;
        for (place, kind) in self.breaks() {
            self.write(wire, &body[at..place]).await?;
            at = place;
            match kind {
                Break::Fin => return Ok(End::Finish),
                Break::Reset => return Ok(End::Reset),
                Break::Hold(gate) => tokio::select! {
                    () = gate.pass() => {}
                    () = wire.closed() => return Err(io::ErrorKind::ConnectionAborted.into()),
                },
            }
        }
        self.write(wire, &body[at..]).await?;
        self.end(wire).await
    }

    fn head(&self) -> Vec<u8> {
        let Answer { status, headers, body } = &self.answer;
        let reason = status.canonical_reason().unwrap_or("Unknown");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        for (name, value) in headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        let framing = match self.delivery.framing {
            Framing::Length => format!("content-length: {}\r\n", body.len()),
            Framing::Claim(length) => format!("content-length: {length}\r\n"),
            Framing::Chunked => "transfer-encoding: chunked\r\n".to_owned(),
            Framing::UntilClose => "connection: close\r\n".to_owned(),
        };
        head.extend_from_slice(framing.as_bytes());
        head.extend_from_slice(b"\r\n");
        head
    }

    /// The breaks, ordered by their offset in the body.
    fn breaks(&self) -> Vec<(usize, &Break)> {
        let length = self.answer.body.len() as u64;
        let place = |at: &At| usize::try_from(at.of(length)).unwrap_or(usize::MAX);
        let mut breaks: Vec<_> = self.delivery.breaks.iter().map(|(at, kind)| (place(at), kind)).collect();
        breaks.sort_by_key(|(place, _)| *place);
        breaks
    }

    async fn write(&self, wire: &mut Wire, bytes: &[u8]) -> io::Result<()> {
        let step = self.delivery.pace.map_or(PIECE, |pace| pace.bytes);
        for piece in bytes.chunks(step) {
            self.write_piece(wire, piece).await?;
            if let Some(pace) = self.delivery.pace {
                tokio::time::sleep(pace.every).await;
            }
        }
        Ok(())
    }

    async fn write_piece(&self, wire: &mut Wire, piece: &[u8]) -> io::Result<()> {
        let chunked = matches!(self.delivery.framing, Framing::Chunked);
        if chunked {
            wire.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        }
        wire.write_all(piece).await?;
        if chunked {
            wire.write_all(b"\r\n").await?;
        }
        wire.flush().await?;
        self.record.sent(piece.len());
        Ok(())
    }

    async fn end(&self, wire: &mut Wire) -> io::Result<End> {
        let length = self.answer.body.len() as u64;
        match self.delivery.framing {
            Framing::Length => Ok(End::Keep),
            Framing::Claim(claimed) if claimed == length => Ok(End::Keep),
            Framing::Claim(_) | Framing::UntilClose => Ok(End::Finish),
            Framing::Chunked => {
                wire.write_all(b"0\r\n\r\n").await?;
                wire.flush().await?;
                Ok(End::Keep)
            }
        }
    }
}

/// Bytes of one write: large enough for speed, small enough that the log shows the progress of a long body.
const PIECE: usize = 256 * 1024;
