//! The client of the control socket.

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::protocol::{Reply, Request, line, socket};

/// Sends a request to the instance that uses the cache folder `dir`; `None` if no instance runs there.
///
/// # Errors
/// If the socket cannot be read or written.
pub(crate) async fn ask(dir: &Path, request: &Request) -> io::Result<Option<Reply>> {
    let stream = match UnixStream::connect(socket(dir)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut stream = BufReader::new(stream);
    stream.write_all(&line(request)?).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    serde_json::from_str(&answer).map(Some).map_err(io::Error::from)
}
