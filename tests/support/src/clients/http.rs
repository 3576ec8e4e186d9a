//! A small HTTP/1.1 client. It returns headers and bytes unchanged, and the way in which the connection ended.
//!
//! It shares no code with the product, so it cannot have the same bugs.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use loadtest::canary::CANARY;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::subject::leaks;

/// Starts a GET request for `path` at `address` (`127.0.0.1:5000`).
pub fn get(address: &str, path: &str) -> Request {
    request(Method::GET, address, path)
}

/// Starts a HEAD request.
pub fn head(address: &str, path: &str) -> Request {
    request(Method::HEAD, address, path)
}

/// Starts a request.
pub fn request(method: Method, address: &str, path: &str) -> Request {
    Request {
        method,
        address: address.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        searched: false,
        from: None,
    }
}

/// Sends bytes unchanged, valid or not, and reads the whole answer. The server must end the connection; a `Connection:
/// close` is not added.
pub async fn raw(address: &str, bytes: &[u8]) -> Answer {
    let mut stream = connect(address).await;
    stream.write_all(bytes).await.expect("the bytes to be sent");
    Reading::begin(stream, false).await.rest().await
}

/// Like [`raw`], for bytes that may get any answer or none, also before all of them are sent: returns all bytes received
/// and how the connection ended.
pub async fn raw_bytes(address: &str, bytes: &[u8]) -> (Bytes, End) {
    let mut stream = connect(address).await;
    let _refused = stream.write_all(bytes).await;
    let mut received = BytesMut::new();
    loop {
        if let Some(end) = receive(&mut stream, &mut received).await {
            return (received.freeze(), end);
        }
    }
}

/// A request that is not sent yet. It asks the server to close the connection afterwards.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    address: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    searched: bool,
    from: Option<IpAddr>,
}

impl Request {
    /// Sends the request from this address of the machine, as another client would.
    #[must_use]
    pub fn from(mut self, address: IpAddr) -> Self {
        self.from = Some(address);
        self
    }

    /// Adds a header line; the same name may be added several times.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds secrets that pullgate must not pass on. The answer may contain neither these secrets nor others.
    #[must_use]
    pub(crate) fn carrying_secrets(mut self) -> Self {
        self.searched = true;
        let secret = format!("session={CANARY}-client");
        self.header("cookie", &secret).header("x-secret", &secret)
    }

    /// Requests a range, for example `bytes=0-1`.
    #[must_use]
    pub fn range(self, range: &str) -> Self {
        self.header("range", range)
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request and reads the whole answer, up to the end of the connection.
    pub async fn send(self) -> Answer {
        self.open().await.rest().await
    }

    /// Sends the request and reads the headers; the caller reads the body. Dropping the result closes the connection.
    pub async fn open(self) -> Reading {
        let mut stream = match self.from {
            Some(from) => connect_from(from, &self.address).await,
            None => connect(&self.address).await,
        };
        stream.write_all(&self.bytes()).await.expect("the request to be sent");
        let mut reading = Reading::begin(stream, self.method == Method::HEAD).await;
        reading.searched = self.searched;
        if self.searched {
            leaks::none_in("the answer's headers", format!("{:?}", reading.headers).as_bytes());
        }
        reading
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        let mut line = |name: &str, value: &str| text.push_str(&format!("{name}: {value}\r\n"));
        line("host", &self.address);
        line("connection", "close");
        if !self.body.is_empty() {
            line("content-length", &self.body.len().to_string());
        }
        self.headers.iter().for_each(|(name, value)| line(name, value));
        [text.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// An answer whose headers were read and whose body is still arriving.
#[derive(Debug)]
pub struct Reading {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    stream: TcpStream,
    received: BytesMut,
    without_body: bool,
    searched: bool,
}

impl Reading {
    /// The next `count` bytes of the body as received. Panics if the connection ends before they arrive.
    pub async fn read(&mut self, count: usize) -> Bytes {
        while self.received.len() < count {
            let end = receive(&mut self.stream, &mut self.received).await;
            assert!(end.is_none(), "{end:?} after {} of {count} bytes", self.received.len());
        }
        self.received.split_to(count).freeze()
    }

    /// The unread rest of the body, up to the end of the connection.
    pub async fn rest(mut self) -> Answer {
        let end = loop {
            if let Some(end) = receive(&mut self.stream, &mut self.received).await {
                break end;
            }
        };
        let (body, whole) = self.framed();
        if self.searched {
            leaks::none_in("the answer's body", &body);
        }
        Answer { status: self.status, headers: self.headers, body, end, whole }
    }

    async fn begin(mut stream: TcpStream, without_body: bool) -> Self {
        let mut received = BytesMut::new();
        let head = loop {
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break received.split_to(end + 4);
            }
            let end = receive(&mut stream, &mut received).await;
            assert!(end.is_none(), "{end:?} before the headers were complete: {received:?}");
        };
        let (status, headers) = parse_head(&String::from_utf8_lossy(&head));
        let without_body =
            without_body || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        Self { status, headers, stream, received, without_body, searched: false }
    }

    /// The body without its framing, and true if the body is complete according to its framing.
    fn framed(&self) -> (Bytes, bool) {
        let raw = Bytes::copy_from_slice(&self.received);
        if self.without_body {
            let whole = raw.is_empty();
            return (raw, whole);
        }
        if self.headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
            return unchunk(&raw);
        }
        let length = self.headers.get("content-length").map(|value| value.to_str().unwrap().parse::<usize>());
        let whole = length.is_none_or(|length| length.expect("a numeric length") == raw.len());
        (raw, whole)
    }
}

/// An answer after the end of its connection: no more bytes will come.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or the part of it that arrived.
    pub body: Bytes,
    /// The way in which the connection ended.
    pub end: End,
    whole: bool,
}

impl Answer {
    /// True if the body has the promised length and the connection was closed cleanly.
    pub fn is_whole(&self) -> bool {
        self.whole && self.end == End::Closed
    }

    /// The value of a header that occurs at most once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name} occurs {} times", values.len());
        values.first().map(|value| value.to_str().expect("a header of plain text"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("{} without valid JSON ({error}): {}", self.status, self.text()))
    }
}

/// The way in which a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ended by a FIN: all bytes that were sent have arrived.
    Closed,
    /// It ended by an RST: bytes may be lost, and containerd fails the pull.
    Reset,
}

async fn connect(address: &str) -> TcpStream {
    let connected = TcpStream::connect(address).await;
    connected.unwrap_or_else(|error| panic!("no connection to {address}: {error}"))
}

async fn connect_from(from: IpAddr, address: &str) -> TcpStream {
    let to: SocketAddr = address.parse().expect("an address and a port");
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.expect("a socket");
    socket.bind(SocketAddr::new(from, 0)).unwrap_or_else(|error| panic!("cannot bind to {from}: {error}"));
    socket.connect(to).await.unwrap_or_else(|error| panic!("no connection to {address}: {error}"))
}

/// Reads the available bytes; returns the end of the connection if it was reached. Panics after 60 s of silence.
async fn receive(stream: &mut TcpStream, received: &mut BytesMut) -> Option<End> {
    match timeout(SILENCE_LIMIT, stream.read_buf(received)).await.expect("bytes or an end within 60 s") {
        Ok(0) => Some(End::Closed),
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(End::Reset),
        Err(error) => panic!("reading an answer: {error}"),
    }
}

fn parse_head(head: &str) -> (StatusCode, HeaderMap) {
    let mut lines = head.trim_end().split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a header line: {line:?}"));
        let name = HeaderName::try_from(name).unwrap_or_else(|_| panic!("not a header name: {line:?}"));
        (name, HeaderValue::try_from(value.trim()).expect("a header value"))
    };
    let mut headers = HeaderMap::new();
    lines.map(header).for_each(|(name, value)| {
        headers.append(name, value);
    });
    (status, headers)
}

/// Removes chunked framing; the second value is true if the last chunk arrived.
fn unchunk(raw: &Bytes) -> (Bytes, bool) {
    let mut body = BytesMut::new();
    let mut rest = raw.clone();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let line = rest.split_to(end + 2);
        let size = String::from_utf8_lossy(&line[..end]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .expect("a chunk size");
        if size == 0 {
            return (body.freeze(), true);
        }
        body.extend_from_slice(&rest.split_to(size.min(rest.len())));
        let _ = rest.split_to(2.min(rest.len()));
    }
    (body.freeze(), false)
}

const SILENCE_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::set_socket_linger;
    use tokio::net::TcpListener;

    use super::*;

    /// Serves one connection with fixed bytes, then ends it in the given way.
    async fn serve(bytes: &'static str, end: End) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = BytesMut::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(bytes.as_bytes()).await.unwrap();
            if end == End::Reset {
                set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_body_of_the_promised_length_is_whole() {
        let address = serve("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", End::Closed).await;
        let answer = get(&address, "/").send().await;
        assert!(answer.is_whole());
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "abc".to_owned()));
    }

    #[tokio::test]
    async fn a_cut_body_differs_from_a_whole_one() {
        let address = serve("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", End::Closed).await;
        let answer = get(&address, "/").send().await;
        assert_eq!((answer.is_whole(), answer.end), (false, End::Closed));
    }

    #[tokio::test]
    async fn a_reset_differs_from_a_close() {
        let address = serve("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", End::Reset).await;
        assert_eq!(get(&address, "/").send().await.end, End::Reset);
    }

    #[tokio::test]
    async fn a_head_has_a_length_and_no_body() {
        let address = serve("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", End::Closed).await;
        let answer = head(&address, "/").send().await;
        assert!(answer.is_whole());
        assert_eq!(answer.header("content-length"), Some("5"));
    }

    #[tokio::test]
    async fn chunks_are_joined_and_a_missing_last_chunk_is_seen() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        let answer = get(&serve(chunked, End::Closed).await, "/").send().await;
        assert_eq!((answer.text(), answer.is_whole()), ("abc".to_owned(), true));
        let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";
        let answer = get(&serve(cut, End::Closed).await, "/").send().await;
        assert_eq!((answer.text(), answer.is_whole()), ("ab".to_owned(), false));
    }
}
