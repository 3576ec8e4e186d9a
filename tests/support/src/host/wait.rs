//! Waiting for an event, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks `look` until it sees something. Panics, naming `what`, when nothing came within `limit`.
pub async fn wait_until<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        sleep(INTERVAL).await;
    }
}

/// Short beside what a daemon needs to start, long beside one look.
const INTERVAL: Duration = Duration::from_millis(20);
