//! A response body that knows what it was promised: length, progress and minimum rate.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::error::Error;

/// Bytes from an upstream; its errors carry stage `blob_transfer` and a class.
#[derive(Debug)]
pub struct Body {}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        unimplemented!()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Body {
    /// The next piece; `None` at the announced end.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        unimplemented!()
    }
}
