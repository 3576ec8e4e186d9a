//! A limit on each client's upstream requests, so that one busy client leaves room for the others.
//!
//! The limit counts requests for manifests and lists that would go upstream, and requests for which the upstream must
//! confirm the right of access. Hits do not count, and neither do requests that wait for another's upstream request.
//! Layers do not count, because manifests bound their number. A client that asks for blobs that the upstream lacks does
//! not follow manifests, so for a while each of its requests for an uncached blob counts, too.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use moka::sync::Cache;
use tokio::time::{Instant, sleep};

/// The clients of one server, and the number of upstream requests that each has caused lately.
pub(crate) struct Fairness {
    limiter: Limiter,
    /// Clients that lately asked for a blob that an upstream lacks.
    guessing: Cache<Network, ()>,
}

/// The error for a client that asks for more than its rate allows before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this client asks for more than client_rate allows; raise it if many nodes share this address")]
pub(super) struct OverRate;

type Limiter = RateLimiter<Network, HashMapStateStore<Network>, Uptime, NoOpMiddleware<Duration>>;

/// One client: an IPv4 address, or the IPv6 network of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Network(IpAddr);

/// The runtime's clock, which tests can pause.
#[derive(Clone, Copy, Debug)]
struct Uptime(Instant);

impl Fairness {
    /// Limits each client to this number of upstream requests a second on average. [`BURST_SECONDS`] times that number
    /// may come at once.
    pub(crate) fn new(rate: NonZeroU32) -> Self {
        let quota = Quota::per_second(rate).allow_burst(rate.saturating_mul(BURST_SECONDS));
        let limiter = RateLimiter::hashmap_with_clock(quota, Uptime(Instant::now()));
        let guessing = Cache::builder().max_capacity(GUESSING_MAX).time_to_live(GUESSING_FOR).build();
        Self { limiter, guessing }
    }

    /// Waits until `peer` may cause an upstream request, or until `is_asked` says that another request already asks.
    /// `has_turn` belongs to one request: the request waits only once, even if it needs several upstream requests.
    ///
    /// # Errors
    /// The turn would come after `deadline`.
    pub(super) async fn turn(
        &self,
        peer: IpAddr,
        has_turn: &AtomicBool,
        deadline: Instant,
        is_asked: impl Fn() -> bool,
    ) -> Result<(), OverRate> {
        let network = Network::of(peer);
        while !has_turn.load(Ordering::Relaxed) && !is_asked() {
            let Err(wait) = self.take(network) else {
                has_turn.store(true, Ordering::Relaxed);
                break;
            };
            if Instant::now() + wait > deadline {
                return Err(OverRate);
            }
            sleep(wait).await;
        }
        Ok(())
    }

    /// Notes that `peer` asked for a blob that an upstream lacks. A real pull never does this.
    pub(super) fn guessed(&self, peer: IpAddr) {
        self.guessing.insert(Network::of(peer), ());
    }

    /// True if `peer` asked for a missing blob within [`GUESSING_FOR`].
    pub(super) fn is_guessing(&self, peer: IpAddr) -> bool {
        self.guessing.contains_key(&Network::of(peer))
    }

    /// Forgets clients whose whole allowance has returned since their last request.
    pub(crate) fn tidy(&self) {
        self.limiter.retain_recent();
    }

    fn take(&self, network: Network) -> Result<(), Duration> {
        let now = self.limiter.clock().now();
        self.limiter.check_key(&network).map_err(|not_yet| not_yet.wait_time_from(now))
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() & HOST_PREFIX).into()),
            address => Self(address),
        }
    }
}

impl Clock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl fmt::Debug for Fairness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fairness({} clients)", self.limiter.len())
    }
}

/// A burst is the number of requests that the rate allows in this many seconds. A node that starts pulls all its images
/// at once.
const BURST_SECONDS: NonZeroU32 = NonZeroU32::new(10).expect("invariant: ten is not zero");
/// The time for which a client's requests for blobs count after it asked for a missing blob.
const GUESSING_FOR: Duration = Duration::from_secs(60);
/// The most clients remembered that asked for missing blobs. Each takes about 100 bytes.
const GUESSING_MAX: u64 = 10_000;
/// The network mask for an IPv6 client, because one host owns a whole /64.
const HOST_PREFIX: u128 = !0 << 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().expect("an address"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_send_a_burst_and_then_its_rate_and_other_clients_are_not_affected() {
        let fairness = Fairness::new(NonZeroU32::new(2).expect("two"));
        let (greedy, modest) = (network("192.0.2.1"), network("192.0.2.2"));
        let taken = (0..100).filter(|_| fairness.take(greedy).is_ok()).count();
        assert_eq!(taken, 20);
        assert_eq!(fairness.take(modest), Ok(()));
        let wait = fairness.take(greedy).expect_err("a wait");
        assert!(wait <= Duration::from_millis(500), "{wait:?}");
        tokio::time::advance(wait).await;
        assert_eq!(fairness.take(greedy), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_went_quiet_are_forgotten() {
        let fairness = Fairness::new(NonZeroU32::new(100).expect("a hundred"));
        for n in 0..1000_u32 {
            assert_eq!(fairness.take(Network(IpAddr::V4(n.into()))), Ok(()));
        }
        assert_eq!(fairness.limiter.len(), 1000);
        tokio::time::advance(Duration::from_secs(60)).await;
        fairness.tidy();
        assert_eq!(fairness.limiter.len(), 0);
    }

    #[test]
    fn a_client_is_a_64_network_or_an_ipv4_address() {
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
