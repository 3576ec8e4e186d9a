//! A client that compares every byte it receives with the expected content, and accepts that a transfer is cut.

use std::ops::Range;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Every announced byte arrived, and all are right.
    Whole,
    /// Fewer bytes than announced arrived, possibly none; those are right.
    Cut,
    /// 503: pullgate cannot get the content at the moment.
    Refused,
}

/// The part of the content to request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    All,
    From(usize),
    Between(usize, usize),
    Last(usize),
}

/// Requests a part of a blob that must equal `content`. Panics on a wrong byte, on an answer that announces another
/// range or length, and on any refusal other than 503.
pub(crate) async fn fetch(address: &str, path: &str, part: Part, content: &[u8]) -> Came {
    let Some((mut stream, head)) = ask(address, path, part).await else { return Came::Cut };
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "503" {
        return Came::Refused;
    }
    let announced = announced(&head, status, content.len());
    assert_eq!(announced, part.of(content.len()), "{path} {part:?}: {head}");
    let Range { mut start, end } = announced;
    let mut window = vec![0; WINDOW];
    loop {
        match stream.read(&mut window).await {
            Ok(0) | Err(_) => return if start == end { Came::Whole } else { Came::Cut },
            Ok(read) => {
                assert!(start + read <= end, "{path} {part:?}: more bytes than {announced:?}");
                assert!(
                    window[..read] == content[start..start + read],
                    "{path} {part:?}: wrong bytes at {start}"
                );
                start += read;
            }
        }
    }
}

impl Part {
    fn header(self) -> String {
        match self {
            Self::All => String::new(),
            Self::From(start) => format!("Range: bytes={start}-\r\n"),
            Self::Between(start, end) => format!("Range: bytes={start}-{}\r\n", end - 1),
            Self::Last(count) => format!("Range: bytes=-{count}\r\n"),
        }
    }

    fn of(self, length: usize) -> Range<usize> {
        match self {
            Self::All => 0..length,
            Self::From(start) => start..length,
            Self::Between(start, end) => start..end,
            Self::Last(count) => length - count..length,
        }
    }
}

/// Sends the request; returns the connection after the head of the answer, or `None` if it ended before.
async fn ask(address: &str, path: &str, part: Part) -> Option<(TcpStream, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let range = part.header();
    let request = format!("GET {path} HTTP/1.1\r\nHost: mirror\r\n{range}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some((stream, String::from_utf8(head).unwrap()))
}

/// The range of bytes that the answer announces. The length of a 200, and the total in a 206, must be `length`.
fn announced(head: &str, status: &str, length: usize) -> Range<usize> {
    let header = |name: &str| {
        let found = head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        found.unwrap_or_else(|| panic!("no {name} in {head}"))
    };
    if status == "200" {
        assert_eq!(header("content-length"), length.to_string(), "{head}");
        return 0..length;
    }
    assert_eq!(status, "206", "{head}");
    let range = header("content-range");
    let (span, total) = range.strip_prefix("bytes ").and_then(|range| range.split_once('/')).unwrap();
    let (start, last) = span.split_once('-').unwrap();
    assert_eq!(total, length.to_string(), "{head}");
    start.parse().unwrap()..last.parse::<usize>().unwrap() + 1
}

const WINDOW: usize = 256 << 10;
