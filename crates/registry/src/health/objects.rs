//! The objects that fail again and again while their endpoint serves others: each has a breaker of its own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::health::breaker::{Breaker, Health, Leave, Paused};
use crate::health::state::Pauses;

/// The failing objects of one endpoint, by the hash of repository and path. Bounded by [`OBJECTS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Objects(Mutex<HashMap<u64, Failing>>);

/// One failing object.
#[derive(Debug)]
struct Failing {
    breaker: Breaker,
    /// When it last failed.
    last: Instant,
}

impl Objects {
    /// Lets a request ask for the object, unless it is held back.
    pub(crate) fn admit(&self, object: u64, now: Instant) -> Result<Leave, Paused> {
        match self.lock().get_mut(&object) {
            Some(failing) => failing.breaker.admit(now),
            None => Breaker::default().admit(now),
        }
    }

    /// Why a request for the object would be refused.
    pub(crate) fn refusal(&self, object: u64, now: Instant) -> Option<Paused> {
        let objects = self.lock();
        let breaker = &objects.get(&object)?.breaker;
        breaker.pause().filter(|_| breaker.refuses(now))
    }

    /// Notes how a request for the object ended. One that is well is forgotten.
    pub(crate) fn settle(&self, object: u64, leave: Leave, health: Health, now: Instant, pauses: Pauses) {
        let mut objects = self.lock();
        if health == Health::Well {
            objects.remove(&object);
            return;
        }
        if !objects.contains_key(&object) {
            if health == Health::Unknown {
                return;
            }
            make_room(&mut objects);
            objects.insert(object, Failing { breaker: Breaker::default(), last: now });
        }
        let Some(failing) = objects.get_mut(&object) else { return };
        if health != Health::Unknown {
            failing.last = now;
        }
        failing.breaker.settle(leave, health, now, pauses, fastrand::f64());
    }

    /// Forgets the object: it was served.
    pub(crate) fn forget(&self, object: u64) {
        self.lock().remove(&object);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the object with the oldest last failure, if there are too many.
fn make_room(objects: &mut HashMap<u64, Failing>) {
    if objects.len() >= OBJECTS_MAX {
        let oldest = objects.iter().min_by_key(|(_, failing)| failing.last).map(|(object, _)| *object);
        oldest.and_then(|object| objects.remove(&object));
    }
}

/// Most objects remembered for one endpoint.
const OBJECTS_MAX: usize = 1000;
