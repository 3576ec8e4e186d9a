//! The pool of idle connections, by target and trusted authorities.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use crate::timings::Peer;
use crate::wire::stream::Relay;
use crate::wire::target::Target;

/// Idle connections of one client, or of one call.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<Key, Vec<Idle>>>);

/// The key of a connection: the index of the endpoint whose authorities it trusts, and its target.
pub(crate) type Key = (usize, Target);

/// An open connection that can carry requests.
pub(crate) struct Live {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    pub(crate) peer: Option<Peer>,
    pub(crate) relay: Option<Relay>,
}

struct Idle {
    live: Live,
    since: Instant,
}

impl Pool {
    /// Takes the connection of `key` that became idle last, if one is still usable.
    pub(crate) fn take(&self, key: &Key) -> Option<Live> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, connections| {
            connections.retain(|it| it.since.elapsed() < IDLE_MAX && it.live.sender.is_ready());
            !connections.is_empty()
        });
        Some(idle.get_mut(key)?.pop()?.live)
    }

    /// Keeps `live` after its answer has been read to the end. If the answer is dropped earlier, the connection closes.
    pub(crate) fn give_back(self: &Arc<Self>, key: Key, mut live: Live) {
        if live.sender.is_ready() {
            return self.keep(key, live);
        }
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            if live.sender.ready().await.is_ok()
                && let Some(pool) = pool.upgrade()
            {
                pool.keep(key, live);
            }
        });
    }

    fn keep(&self, key: Key, live: Live) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = idle.entry(key).or_default();
        if connections.len() < IDLE_PER_KEY_MAX {
            connections.push(Idle { live, since: Instant::now() });
        }
    }
}

/// Idle connections older than this are not used: the peer may be about to close them.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// Most idle connections kept for one key.
const IDLE_PER_KEY_MAX: usize = 32;
