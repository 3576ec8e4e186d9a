//! Moves blocking work off the threads that serve connections.

use std::io;

/// Runs blocking file work on the blocking pool of the runtime.
pub(crate) async fn off_worker<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
