//! One connection: hyper reads the requests and sends proper answers; `by_hand` writes the others.

use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use super::{by_hand::Sending, wire::Wire};
use crate::registry::answers::honest;
use crate::registry::log::{Connected, Record};
use crate::registry::message::{Answer, Ask};
use crate::registry::rules::script::Script;
use crate::registry::state::Shared;

/// The state that the requests of one connection share.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connected: Connected,
    pub(crate) base_url: Arc<str>,
}

impl Connection {
    /// Serves requests until either side ends the connection.
    pub(crate) async fn serve(self, mut wire: Wire) {
        let connection = Arc::new(self);
        while let Some((taken, sending)) = Self::with_hyper(&connection, wire).await {
            match sending.run(taken).await {
                Some(kept) => wire = kept,
                None => return,
            }
        }
    }

    /// Runs hyper until the connection ends (none) or an answer must be written by hand.
    async fn with_hyper(connection: &Arc<Self>, wire: Wire) -> Option<(Wire, Sending)> {
        let (hand_over, mut handed) = mpsc::channel(1);
        let service = service_fn(move |request| {
            let (connection, hand_over) = (Arc::clone(connection), hand_over.clone());
            Box::pin(async move { connection.answer(request, hand_over).await })
        });
        let mut http = http1::Builder::new().serve_connection(TokioIo::new(wire), service);
        let sending = tokio::select! {
            ended = &mut http => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                return None;
            }
            Some(sending) = handed.recv() => sending,
        };
        Some((http.into_parts().io.into_inner(), sending))
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        hand_over: mpsc::Sender<Sending>,
    ) -> Result<Response<Sent>, Infallible> {
        let mut ask = Ask::read(request, &self.base_url).await;
        let record = self.connected.open(&ask);
        let script = self.shared.rules.pick(&ask);
        script.wait().await;
        let answer = self.scripted(&mut ask, &script);
        if script.is_by_hand() {
            let sending = Sending { answer, delivery: script.delivery, method: ask.method, record };
            // Fails only when the connection is being torn down; then no client waits for an answer.
            let _ = hand_over.send(sending).await;
            return pending().await;
        }
        Ok(response(answer, record))
    }

    fn scripted(&self, ask: &mut Ask, script: &Script) -> Answer {
        if script.ignore_range {
            ask.headers.remove(header::RANGE);
        }
        let mut answer = match &script.replace {
            Some(replace) => replace(ask),
            None => honest::answer(&self.shared, ask),
        };
        script.edit(&mut answer);
        answer
    }
}

/// hyper tells the length of the body, and sends none of it for HEAD.
fn response(answer: Answer, record: Record) -> Response<Sent> {
    record.answered(answer.status.as_u16());
    let mut response = Response::new(Sent { rest: answer.body, record });
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(COOKIE));
    response
}

/// A body that records the bytes that hyper took of it.
struct Sent {
    rest: Bytes,
    record: Record,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(size);
        self.record.sent(size);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A session as load balancers begin one; no client should keep it or pass it on.
const COOKIE: &str = "session=canary-5ec7e7-cookie";
/// Large enough for speed, small enough that the log follows a long body.
const PIECE: usize = 256 * 1024;
