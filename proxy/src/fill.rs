//! Upstream bytes to the store and to followers.
