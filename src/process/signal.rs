//! The request to stop: SIGTERM (Kubernetes, systemd) or SIGINT (a person).

use tokio::signal::unix::{SignalKind, signal};

/// Ends when the process is asked to stop.
pub(crate) async fn stop() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
