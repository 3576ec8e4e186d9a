//! Counts the bytes of a response as they leave.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::body::ResponseBody;
use crate::flight::reader::Cut;
use crate::telemetry::request::RequestMeter;

/// A body whose bytes and end are reported to the request's [`RequestMeter`].
#[derive(Debug)]
pub(crate) struct Metered {
    body: ResponseBody,
    meter: RequestMeter,
}

impl Metered {
    pub(crate) fn new(body: ResponseBody, meter: RequestMeter) -> Self {
        Self { body, meter }
    }
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        let frame = match &mut this.body {
            ResponseBody::Empty => Poll::Ready(None),
            ResponseBody::Memory(bytes) if bytes.is_empty() => Poll::Ready(None),
            ResponseBody::Memory(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            ResponseBody::Reader(body) => Pin::new(body).poll_frame(cx),
        };
        this.meter.polled(frame.is_pending());
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                this.meter.sent(frame.data_ref().map_or(0, |data| data.len() as u64));
            }
            Poll::Ready(Some(Err(cut))) => this.meter.cut(cut),
            Poll::Ready(None) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            ResponseBody::Empty => true,
            ResponseBody::Memory(bytes) => bytes.is_empty(),
            ResponseBody::Reader(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            ResponseBody::Empty => SizeHint::with_exact(0),
            ResponseBody::Memory(bytes) => SizeHint::with_exact(bytes.len() as u64),
            ResponseBody::Reader(body) => body.size_hint(),
        }
    }
}
