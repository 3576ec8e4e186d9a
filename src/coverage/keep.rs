//! Judges all workloads again and again, for metrics and the status page.

use std::time::Duration;

use proxy::Proxy;

use super::look::look;
use crate::run::parts::Shared;

/// Keeps the latest result until the future is dropped. A drill does not change it: it shows the real registries.
pub(crate) async fn keep(shared: Shared, proxy: Option<Proxy>) {
    loop {
        shared.coverage.set(look(&shared, proxy.as_ref(), &[]).await.ok());
        tokio::time::sleep(AGAIN).await;
    }
}

/// The time between two looks.
const AGAIN: Duration = Duration::from_secs(10);
