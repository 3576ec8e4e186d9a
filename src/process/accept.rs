//! The accept loop of the two small servers: the admin endpoint and the control socket.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// Accepts connections for ever and serves each in a separate task. The permits of `seats` limit how many run at once.
///
/// Dropping the future loses no connection, because each accepted connection has its own task.
pub(crate) async fn accept<S, P, A, F, E>(
    name: &'static str,
    seats: &Arc<Semaphore>,
    next: impl Fn() -> A,
    serve: impl Fn(S) -> F,
) where
    A: Future<Output = io::Result<(S, P)>>,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display,
{
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        match next().await {
            Ok((stream, _)) => {
                let serving = serve(stream);
                tokio::spawn(async move {
                    let _seat = seat;
                    if let Err(error) = serving.await {
                        tracing::debug!(%error, "{name}: a connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "{name}: cannot accept");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The wait after a failed accept. The usual cause is the limit on open files.
const PAUSE: Duration = Duration::from_millis(100);
