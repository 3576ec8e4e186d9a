//! Runs a piece of work once for all requests that need it at the same time. No request owns the run, so no request can
//! cancel it.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

/// Work under way, by key. Clones share it.
pub(crate) struct Coalesce<K, V> {
    running: Arc<Mutex<HashMap<K, Running<V>>>>,
}

type Running<V> = Shared<BoxFuture<'static, Option<V>>>;

/// A result, and whether this caller began the work for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shareable<V> {
    /// The result. `None` if the work panicked.
    pub(crate) value: Option<V>,
    /// True if this caller began the work.
    pub(crate) led: bool,
}

impl<K, V> Coalesce<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self { running: Arc::default() }
    }

    /// True if the work for `key` is running.
    pub(crate) fn is_running(&self, key: &K) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// Joins the work for `key`, or begins the work as a task of its own.
    pub(crate) async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Shareable<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (running, led) = self.join_or_begin(key, work);
        Shareable { value: running.await, led }
    }

    fn join_or_begin<F>(&self, key: K, work: impl FnOnce() -> F) -> (Running<V>, bool)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = running.get(&key) {
            return (found.clone(), false);
        }
        let (work, ended) = (work(), Ended { running: Arc::clone(&self.running), key: key.clone() });
        let task = tokio::spawn(async move {
            let _ended = ended;
            work.await
        });
        let shared = task.map(Result::ok).boxed().shared();
        running.insert(key, shared.clone());
        (shared, true)
    }
}

/// Belongs to the task of one piece of work. It is dropped when the task ends, panics or is cancelled, and then removes
/// the work from the running work.
struct Ended<K: Eq + Hash, V: Clone> {
    running: Arc<Mutex<HashMap<K, Running<V>>>>,
    key: K,
}

impl<K: Eq + Hash, V: Clone> Drop for Ended<K, V> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_result() {
        let work = Coalesce::<&str, usize>::new();
        let (runs, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let ask = || {
            let (runs, gate) = (Arc::clone(&runs), Arc::clone(&gate));
            work.run("key", move || async move {
                gate.notified().await;
                runs.fetch_add(1, Ordering::SeqCst) + 1
            })
        };
        let open = async { gate.notify_one() };
        let (first, second, third, ()) = tokio::join!(ask(), ask(), ask(), open);
        assert_eq!([first.led, second.led, third.led], [true, false, false]);
        assert_eq!([first.value, second.value, third.value], [Some(1); 3]);
    }

    #[tokio::test]
    async fn a_caller_that_leaves_does_not_cancel_the_work_and_ended_work_is_forgotten() {
        let work = Coalesce::<&str, &str>::new();
        let (gate, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let leader = work.run("key", || {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            async move {
                gate.notified().await;
                done.notify_one();
                "first"
            }
        });
        assert!(leader.now_or_never().is_none());
        gate.notify_one();
        done.notified().await;
        let follower = work.run("other", || async { "unrelated" }).await;
        assert!(follower.led);
        while work.running.lock().unwrap().contains_key("key") {
            tokio::task::yield_now().await;
        }
        assert_eq!(work.run("key", || async { "second" }).await.value, Some("second"));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_waiting_callers_and_no_later_caller() {
        let work = Coalesce::<&str, ()>::new();
        let broken = work.run("key", || async { panic!("on purpose") }).await;
        assert_eq!(broken.value, None);
        assert_eq!(work.run("key", || async {}).await.value, Some(()));
    }
}
