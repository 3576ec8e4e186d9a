//! One way to lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic elsewhere in a test must not hide behind a poisoned lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
