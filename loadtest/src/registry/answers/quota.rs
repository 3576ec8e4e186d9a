//! A pull quota, stated in headers as Docker Hub does.

use crate::registry::message::Answer;

/// A number of manifest GETs per window. The quota does not refill by itself: the test decides when the window ends.
#[derive(Debug, Clone)]
pub struct Quota {
    /// GETs per window.
    pub limit: u64,
    /// Remaining GETs.
    pub remaining: u64,
    /// The stated window, in seconds.
    pub window_secs: u64,
    /// The value of the header `docker-ratelimit-source`, if it is sent.
    pub source: Option<String>,
}

impl Quota {
    /// A full quota of `limit` GETs in six hours, with a source address.
    pub fn of(limit: u64) -> Self {
        Self { limit, remaining: limit, window_secs: 21_600, source: Some("192.0.2.7".to_owned()) }
    }

    /// The same quota with `remaining` GETs left.
    #[must_use]
    pub fn remaining(self, remaining: u64) -> Self {
        Self { remaining, ..self }
    }

    /// Takes one GET; false if none is left.
    pub(crate) fn take(&mut self) -> bool {
        let left = self.remaining.checked_sub(1);
        self.remaining = left.unwrap_or(0);
        left.is_some()
    }

    pub(crate) fn tell(&self, answer: Answer) -> Answer {
        let told = answer
            .header("ratelimit-limit", &format!("{};w={}", self.limit, self.window_secs))
            .header("ratelimit-remaining", &format!("{};w={}", self.remaining, self.window_secs));
        match &self.source {
            Some(source) => told.header("docker-ratelimit-source", source),
            None => told,
        }
    }
}
