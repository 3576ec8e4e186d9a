//! A gate, at which requests wait until the test opens it.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds requests until it is opened, and then stays open. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<State>);

#[derive(Debug, Default)]
struct State {
    open: watch::Sender<bool>,
    arrived: watch::Sender<usize>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the gate for waiting and later requests.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Waits until `count` requests have arrived at the gate, including those that have passed it.
    pub async fn arrived(&self, count: usize) {
        let mut seen = self.0.arrived.subscribe();
        seen.wait_for(|arrived| *arrived >= count).await.expect(OWN_SENDER);
    }

    pub(crate) async fn pass(&self) {
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        self.0.open.subscribe().wait_for(|open| *open).await.expect(OWN_SENDER);
    }
}

const OWN_SENDER: &str = "invariant: the gate holds the sending half itself";
