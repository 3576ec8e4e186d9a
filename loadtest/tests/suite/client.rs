//! A minimal client: it sends one request, and returns the answer unchanged with the way in which it ended.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use loadtest::{
    image::Image,
    registry::{Registry, Rule},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// The end of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All bytes of Content-Length arrived.
    Whole,
    /// The connection was closed before all bytes arrived, or there was no length.
    Fin,
    /// The connection was reset.
    Reset,
}

/// A received answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) ending: Ending,
}

impl Reply {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self
            .head
            .lines()
            .find(|line| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name)))?;
        line.split_once(": ").map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A registry with one image under `library/app:1`.
pub(crate) async fn with_image() -> (Registry, Image) {
    let registry = Registry::start().await.unwrap();
    let image = Image::with_layers(1, &[40_000, 5000]);
    registry.add_image("library/app", "1", &image);
    (registry, image)
}

/// Like [`with_image`], with a rule added; also returns the path of the first layer.
pub(crate) async fn with_bad_layer(rule: Rule) -> (Registry, Image, String) {
    let (registry, image) = with_image().await;
    registry.fault(rule);
    let path = layer_path(&image);
    (registry, image, path)
}

pub(crate) fn layer_path(image: &Image) -> String {
    format!("/v2/library/app/blobs/{}", image.layers[0].digest)
}

/// GET on a new connection.
pub(crate) async fn get(registry: &Registry, path: &str) -> Reply {
    request(registry.addr(), "GET", path, &[]).await
}

pub(crate) async fn head(registry: &Registry, path: &str) -> Reply {
    request(registry.addr(), "HEAD", path, &[]).await
}

/// One request on a new connection. Panics if no status line arrives.
pub(crate) async fn request(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    exchange(&mut stream, method, path, headers).await.unwrap().expect("a status line")
}

/// One request on this connection; `None` if the connection ended without a byte.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<Option<Reply>> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).await?;
    within(read_reply(stream, method)).await
}

async fn read_reply<S: AsyncRead + Unpin>(stream: &mut S, method: &str) -> io::Result<Option<Reply>> {
    let mut bytes = Vec::new();
    let end_of_head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(bytes[..end_of_head].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    let mut reply = Reply { status, head, body: bytes.split_off(end_of_head + 4), ending: Ending::Whole };
    let length = reply.header("content-length").map(|length| length.parse().unwrap());
    if method != "HEAD" {
        reply.ending = read_body(stream, &mut reply.body, length).await;
    }
    Ok(Some(reply))
}

async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    body: &mut Vec<u8>,
    length: Option<usize>,
) -> Ending {
    while length.is_none_or(|length| body.len() < length) {
        match stream.read_buf(body).await {
            Ok(0) => return Ending::Fin,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ending::Reset,
            Err(error) => panic!("unexpected: {error}"),
        }
        if length.is_none() && body.ends_with(b"0\r\n\r\n") {
            return Ending::Whole;
        }
    }
    Ending::Whole
}

/// Fails the test if `future` takes longer than 20 s.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("within 20 s")
}
