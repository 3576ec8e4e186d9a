//! The breakers of single objects, for objects that keep failing while their endpoint serves others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::health::breaker::{Breaker, Health, Paused, Permit};
use crate::health::state::Pauses;

/// The failing objects of one endpoint, by the hash of repository and path. At most [`OBJECTS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Objects(Mutex<HashMap<u64, Failing>>);

/// One failing object.
#[derive(Debug)]
struct Failing {
    breaker: Breaker,
    /// The time of the last failure.
    last: Instant,
}

impl Objects {
    /// Admits a request for the object, unless the object is paused.
    pub(crate) fn admit(&self, object: u64, now: Instant) -> Result<Permit, Paused> {
        match self.lock().get_mut(&object) {
            Some(failing) => failing.breaker.admit(now),
            None => Breaker::default().admit(now),
        }
    }

    /// The reason why a request for the object would be refused; `None` if it would be admitted.
    pub(crate) fn refusal(&self, object: u64, now: Instant) -> Option<Paused> {
        let objects = self.lock();
        let breaker = &objects.get(&object)?.breaker;
        breaker.pause().filter(|_| breaker.refuses(now))
    }

    /// Notes the end of a request for the object. A served object is removed from the table.
    pub(crate) fn settle(&self, object: u64, permit: Permit, health: Health, now: Instant, pauses: Pauses) {
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
        failing.breaker.settle(permit, health, now, pauses, fastrand::f64());
    }

    /// Removes the object, because it was served.
    pub(crate) fn forget(&self, object: u64) {
        self.lock().remove(&object);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the object with the oldest last failure if the table is full.
fn make_room(objects: &mut HashMap<u64, Failing>) {
    if objects.len() >= OBJECTS_MAX {
        let oldest = objects.iter().min_by_key(|(_, failing)| failing.last).map(|(object, _)| *object);
        oldest.and_then(|object| objects.remove(&object));
    }
}

/// Most failing objects stored for one endpoint.
const OBJECTS_MAX: usize = 1000;
