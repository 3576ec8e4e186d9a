//! Reads of the record file for the pages and the API: few at once, and none for long.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use records::Reader;
use records::query::QueryError;
use tokio::sync::Semaphore;

/// The reason that the record file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadingError {
    #[error("records are off: `enabled = false` in [records]")]
    Off,
    #[error("the record file is busy or its disk is slow: try again")]
    Slow,
    #[error("{0}")]
    Query(#[from] QueryError),
}

/// Opens the record file anew: a file that was moved aside is not read on. `None` if records are off.
pub(crate) fn open(file: Option<&Path>) -> Result<Reader, ReadingError> {
    Ok(Reader::open(file.ok_or(ReadingError::Off)?)?)
}

/// Runs a read off the runtime's workers. A slow disk holds few threads, and an answer for a short time.
pub(crate) async fn aside<T: Send + 'static, E: From<ReadingError> + Send + 'static>(
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let seat = tokio::time::timeout(PATIENCE, Arc::clone(&SEATS).acquire_owned()).await;
    let Ok(Ok(seat)) = seat else { return Err(ReadingError::Slow.into()) };
    let reading = tokio::task::spawn_blocking(move || {
        let _seat = seat;
        read()
    });
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(answer)) => answer,
        _ => Err(ReadingError::Slow.into()),
    }
}

/// Reads at once.
static SEATS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(4)));
/// The time that an answer waits for the file.
const PATIENCE: Duration = Duration::from_secs(3);
