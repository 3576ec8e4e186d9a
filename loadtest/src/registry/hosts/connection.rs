//! One connection: hyper reads the requests and sends valid answers; `by_hand` writes the invalid ones.

use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use super::{by_hand::Sending, wire::Wire};
use crate::registry::answers::correct;
use crate::registry::log::{Connected, Record};
use crate::registry::message::{Answer, Request};
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

    /// Runs hyper until the connection ends (`None`) or an answer must be written by hand.
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
        incoming: http::Request<Incoming>,
        hand_over: mpsc::Sender<Sending>,
    ) -> Result<Response<Sent>, Infallible> {
        let mut request = Request::read(incoming, &self.base_url).await;
        let record = self.connected.open(&request);
        let script = self.shared.rules.pick(&request);
        script.wait().await;
        let answer = self.scripted(&mut request, &script);
        if script.is_by_hand() {
            let sending = Sending { answer, delivery: script.delivery, method: request.method, record };
            // The send fails only while the connection is closing; then no client waits for an answer.
            let _ = hand_over.send(sending).await;
            return pending().await;
        }
        Ok(response(answer, record))
    }

    fn scripted(&self, request: &mut Request, script: &Script) -> Answer {
        if script.ignore_range {
            request.headers.remove(header::RANGE);
        }
        let mut answer = match &script.replace {
            Some(replace) => replace(request),
            None => correct::answer(&self.shared, request),
        };
        script.edit(&mut answer);
        answer
    }
}

/// The answer for hyper, which adds `Content-Length` and sends no body for HEAD.
fn response(answer: Answer, record: Record) -> Response<Sent> {
    record.answered(answer.status.as_u16());
    let mut response = Response::new(Sent { rest: answer.body, record });
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(COOKIE));
    response
}

/// A body that records the number of bytes that hyper has taken from it.
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

/// A session cookie as load balancers set it. Clients must not store it or send it on.
const COOKIE: &str = "session=canary-5ec7e7-cookie";
/// Bytes of one frame: large enough for speed, small enough that the log shows the progress of a long body.
const PIECE: usize = 256 * 1024;
