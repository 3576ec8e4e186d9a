//! The state that outlives a lane. A reload builds new lanes. The requests that were spent must stay counted, and the
//! facts that were learned with them must not be lost.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::RegistryHost;
use registry::Quota;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::learned::Learned;
use crate::target::{Plan, Target};

/// The requests spent and the facts learned by all lanes since the process started.
#[derive(Debug, Default)]
pub struct Memory {
    budgets: Mutex<HashMap<RegistryHost, Budget>>,
    learned: Mutex<HashMap<Target, Learned>>,
}

impl Memory {
    /// Notes the quota that an answer of `registry` stated.
    pub(crate) fn learn(&self, registry: &RegistryHost, quota: Option<&Quota>) {
        locked(&self.budgets).entry(registry.clone()).or_default().learn(quota);
    }

    /// Spends one counted request if that stays within the share of `registry`. If it returns `false`, the request must
    /// not be sent.
    pub(crate) fn spend(&self, registry: &RegistryHost, now: Instant) -> bool {
        locked(&self.budgets).entry(registry.clone()).or_default().spend(now)
    }

    /// The facts that earlier probes learned about `target`.
    pub(crate) fn recall(&self, target: &Target) -> Learned {
        locked(&self.learned).get(target).cloned().unwrap_or_default()
    }

    pub(crate) fn keep(&self, target: &Target, learned: Learned) {
        locked(&self.learned).insert(target.clone(), learned);
    }

    /// Forgets what was learned about one target.
    pub(crate) fn forget(&self, target: &Target) {
        locked(&self.learned).remove(target);
    }

    /// Forgets the targets that are neither planned nor assigned. Spent requests stay counted.
    pub(crate) fn keep_only(&self, plans: &[Plan], assigned: &HashSet<Target>) {
        let planned: HashSet<_> = plans.iter().flat_map(|plan| &plan.targets).collect();
        locked(&self.learned).retain(|target, _| planned.contains(target) || assigned.contains(target));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
