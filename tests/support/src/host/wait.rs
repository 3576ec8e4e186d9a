//! Waiting for an event, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Calls `look` until it returns a value. Panics with the name `what` if it returns none within `limit`.
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

/// The pause between two calls: short compared to a daemon's start, long compared to one call.
const INTERVAL: Duration = Duration::from_millis(20);
