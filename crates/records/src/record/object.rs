//! One manifest, configuration or layer of a pull.

use std::time::Duration;

use oci::Digest;

use super::text::MediaType;
use oci::{ObjectKind, ObjectOutcome};

/// One object of a pull. The file keeps times in whole microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRecord {
    /// The kind of the object.
    pub kind: ObjectKind,
    /// The digest; `None` if the client asked for a tag and got no answer.
    pub digest: Option<Digest>,
    /// The media type; none if not known.
    pub media_type: Option<MediaType>,
    /// The size of the whole object in bytes; none if not known.
    pub size: Option<u64>,
    /// The outcome: the origin of the object, or a failure.
    pub outcome: ObjectOutcome,
    /// The time from the start of the pull to the first request for this object.
    pub began: Duration,
    /// The time from that request to the first byte of the body sent to the client.
    pub first_byte: Duration,
    /// The time from the first to the last byte of the body sent to the client.
    pub transfer: Duration,
    /// Bytes of the body sent to the client.
    pub sent: u64,
    /// Bytes of the body fetched from the upstream for this client; zero if it joined a transfer that another client
    /// began.
    pub fetched: u64,
    /// Times for which the request waited within the mirror.
    pub waits: Waits,
    /// Times of the upstream's stages.
    pub stages: StageTimes,
    /// The time in which the client waited for the disk.
    pub disk: Duration,
    /// The time for which the client waited for the hash to be verified, after the upstream's last byte arrived.
    pub verify: Duration,
    /// The number of times the upstream's transfer broke and was continued.
    pub resumes: u32,
}

/// Times for which a request waited within the mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// The time waited for a transfer that another client began.
    pub fill: Duration,
    /// The time for which a spent quota or budget held the request.
    pub quota: Duration,
    /// The time waited for one of the mirror's own slots for transfers.
    pub slot: Duration,
    /// The time waited for a token that another request was fetching.
    pub token: Duration,
}

/// Times of the upstream's stages, in their order; zero if a stage was not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// The time to resolve the host name.
    pub resolve: Duration,
    /// The time to connect.
    pub connect: Duration,
    /// The time of the TLS handshake.
    pub tls: Duration,
    /// The time to exchange a token.
    pub token: Duration,
    /// The time from the request to the first byte of the upstream's body, redirects included.
    pub first_byte: Duration,
    /// The time from the first to the last byte of the upstream's body.
    pub transfer: Duration,
}

impl ObjectRecord {
    /// An object of this kind and outcome; all other fields are empty.
    pub fn new(kind: ObjectKind, outcome: ObjectOutcome) -> Self {
        Self {
            kind,
            digest: None,
            media_type: None,
            size: None,
            outcome,
            began: Duration::ZERO,
            first_byte: Duration::ZERO,
            transfer: Duration::ZERO,
            sent: 0,
            fetched: 0,
            waits: Waits::default(),
            stages: StageTimes::default(),
            disk: Duration::ZERO,
            verify: Duration::ZERO,
            resumes: 0,
        }
    }

    /// Bytes per second from the mirror to the client; none if nothing was sent or no time was measured.
    pub fn client_throughput(&self) -> Option<u64> {
        throughput(self.sent, self.transfer)
    }

    /// Bytes per second from the upstream to the mirror; none if nothing was fetched or no time was measured.
    pub fn upstream_throughput(&self) -> Option<u64> {
        throughput(self.fetched, self.stages.transfer)
    }

    /// [`Self::client_throughput`], if enough bytes were sent to compare it with others.
    pub fn client_rate(&self) -> Option<u64> {
        self.client_throughput().filter(|_| self.sent >= RATE_BYTES_MIN)
    }

    /// [`Self::upstream_throughput`], if enough bytes were fetched to compare it with others.
    pub fn upstream_rate(&self) -> Option<u64> {
        self.upstream_throughput().filter(|_| self.fetched >= RATE_BYTES_MIN)
    }
}

/// Transfers of fewer bytes than this are too short to measure throughput.
const RATE_BYTES_MIN: u64 = 1_000_000;

fn throughput(bytes: u64, time: Duration) -> Option<u64> {
    let micros = time.as_micros();
    if bytes == 0 || micros == 0 {
        return None;
    }
    Some(u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_bytes_per_second() {
        let mut object = ObjectRecord::new(ObjectKind::Layer, ObjectOutcome::Miss);
        assert_eq!(object.client_throughput(), None);
        object.sent = 10_000_000;
        assert_eq!(object.client_throughput(), None);
        object.transfer = Duration::from_millis(500);
        assert_eq!(object.client_throughput(), Some(20_000_000));
        object.fetched = u64::MAX;
        object.stages.transfer = Duration::from_micros(1);
        assert_eq!(object.upstream_throughput(), Some(u64::MAX));
    }
}
