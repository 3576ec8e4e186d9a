//! This machine's clock, compared with the clocks of the hosts that answered (`Date`), and with the validity of certificates.

/// The offsets of this machine's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Each host with the seconds by which this machine's clock is ahead of it; negative if it is behind.
    pub ahead_of: Vec<(String, i64)>,
}

/// A certificate, verified or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The host that sent it.
    pub host: String,
    /// The issuer, as text.
    pub issuer: String,
    /// Seconds from the present to the end of its validity; negative if it is over.
    pub left: i64,
    /// Seconds from the present to its beginning; negative or zero if it has begun.
    pub begins_in: Option<i64>,
    /// True if it was verified.
    pub verified: bool,
}

impl Clock {
    /// The offset of this machine's clock, if it is off by at least [`OFF_FROM`]: the one of the host that agrees most.
    /// One host with a right clock is enough to show that this machine's clock is right.
    pub fn off(&self) -> Option<(&str, i64)> {
        let least = self.ahead_of.iter().min_by_key(|(_, seconds)| seconds.abs())?;
        (least.1.abs() >= OFF_FROM).then_some((least.0.as_str(), least.1))
    }

    /// True if this machine's clock, or only it, may be the reason why the certificate is not valid now: another clock
    /// shows it, or no clock was seen and the certificate misses its time by at most a day.
    pub fn explains(&self, certificate: &Certificate) -> bool {
        let (over, early) = (-certificate.left, certificate.begins_in.unwrap_or(0));
        let missed = over.max(early);
        match self.off() {
            Some((_, ahead)) if over > 0 => ahead >= over,
            Some((_, ahead)) => -ahead >= early,
            None => self.ahead_of.is_empty() && (1..=A_DAY).contains(&missed),
        }
    }
}

/// The offset from which a clock counts as wrong, in seconds. Smaller ones come from slow answers.
pub const OFF_FROM: i64 = 60;
/// A clock that is set by hand is mostly off by hours: another time zone, daylight saving.
const A_DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(left: i64, begins_in: i64) -> Certificate {
        let (host, issuer) = (String::new(), String::new());
        Certificate { host, issuer, left, begins_in: Some(begins_in), verified: false }
    }

    fn clock(ahead: &[i64]) -> Clock {
        Clock { ahead_of: ahead.iter().map(|seconds| ("a".to_owned(), *seconds)).collect() }
    }

    #[test]
    fn a_clock_an_hour_ahead_explains_a_certificate_that_expired_minutes_ago() {
        assert!(clock(&[3600]).explains(&certificate(-600, -9000)));
        assert!(!clock(&[3600]).explains(&certificate(-7200, -9000)), "expired by the other clock too");
        assert!(!clock(&[2]).explains(&certificate(-600, -9000)), "the clock agrees");
        assert!(!clock(&[3600, 1]).explains(&certificate(-600, -9000)), "another host agrees");
    }

    #[test]
    fn a_clock_behind_explains_a_certificate_of_the_future() {
        assert!(clock(&[-3600]).explains(&certificate(9000, 600)));
        assert!(!clock(&[-3600]).explains(&certificate(9000, 7200)));
        assert!(!clock(&[3600]).explains(&certificate(9000, 600)), "ahead, not behind");
    }

    #[test]
    fn without_another_clock_only_a_near_miss_is_suspected() {
        assert!(clock(&[]).explains(&certificate(-3600, -9000)));
        assert!(clock(&[]).explains(&certificate(9000, 3600)));
        assert!(!clock(&[]).explains(&certificate(-30 * A_DAY, -9000)));
        assert!(!clock(&[]).explains(&certificate(9000, -9000)), "valid");
    }
}
