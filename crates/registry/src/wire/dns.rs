//! Host names to addresses, with the reason when there are none.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use tokio::time::Instant;

use crate::error::Reason;
use crate::wire::last_good::LastGood;

/// Resolves host names over the system's name servers and `/etc/hosts`. While the name servers fail, the answers that
/// they gave less than ten minutes ago still counts; where it leads is judged at dial like any answer.
pub struct Resolver {
    names: Names,
    last_good: Mutex<LastGood>,
}

enum Names {
    System(Box<TokioResolver>),
    /// `/etc/resolv.conf` is missing or useless; every lookup fails at once and says so.
    Unconfigured(String),
    Fixed(FixedNames),
}

/// Names with scripted answers: each lookup takes the next, the last one stays.
type FixedNames = Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>;

/// A name has no address for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LookupError {
    /// Why.
    pub reason: Reason,
    /// In words.
    pub message: String,
}

impl Resolver {
    /// The system's resolver (`/etc/resolv.conf`, `/etc/hosts`). Never fails: without a usable configuration each
    /// lookup fails with [`Reason::NameServerFailed`].
    pub fn from_system() -> Self {
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            bound(builder.options_mut());
            builder.build()
        });
        match built {
            Ok(resolver) => Self::over(Names::System(Box::new(resolver))),
            Err(error) => {
                Self::over(Names::Unconfigured(format!("/etc/resolv.conf cannot be used: {error}")))
            }
        }
    }

    /// A resolver that knows these names alone. A name with several answers gives them in turn, one a lookup, and
    /// stays with the last.
    pub fn fixed<N: Into<String>>(names: impl IntoIterator<Item = (N, Vec<Vec<IpAddr>>)>) -> Self {
        let names =
            names.into_iter().map(|(name, answers)| (name.into(), answers.into())).collect::<HashMap<_, _>>();
        Self::over(Names::Fixed(Mutex::new(names)))
    }

    /// A resolver that asks one name server at `address` (port included) and reads no `/etc/hosts`.
    pub fn at(address: std::net::SocketAddr) -> Self {
        let mut server = hickory_resolver::config::NameServerConfig::udp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, Default::default());
        bound(builder.options_mut());
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        match builder.build() {
            Ok(resolver) => Self::over(Names::System(Box::new(resolver))),
            Err(error) => Self::over(Names::Unconfigured(error.to_string())),
        }
    }

    /// All addresses of `host`, A and AAAA together; ends by `deadline`, and after [`LOOKUP_MAX`] at the latest.
    pub async fn lookup(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, LookupError> {
        if let Some(addresses) = self.last_good().instead(host, Instant::now()) {
            return Ok(addresses);
        }
        let found = self.ask(host, deadline).await;
        let (mut last_good, now) = (self.last_good(), Instant::now());
        match &found {
            Ok(addresses) => last_good.learn(host, addresses, now),
            Err(error) if is_of_the_servers(error.reason) => {
                if let Some(addresses) = last_good.after_failure(host, now) {
                    tracing::warn!(host, %error, "name servers fail: the last good answer stands in");
                    return Ok(addresses);
                }
            }
            Err(_) => last_good.forget(host),
        }
        found
    }

    fn over(names: Names) -> Self {
        Self { names, last_good: Mutex::default() }
    }

    fn last_good(&self) -> MutexGuard<'_, LastGood> {
        self.last_good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, LookupError> {
        let deadline = deadline.min(Instant::now() + LOOKUP_MAX);
        match &self.names {
            Names::System(resolver) => {
                match tokio::time::timeout_at(deadline, resolver.lookup_ip(host)).await {
                    Ok(Ok(found)) => some(host, found.iter().collect()),
                    Ok(Err(error)) => Err(refused(&error)),
                    Err(_) => Err(LookupError {
                        reason: Reason::NameServerSilent,
                        message: format!("no name server answered for {host} in time"),
                    }),
                }
            }
            Names::Unconfigured(message) => {
                Err(LookupError { reason: Reason::NameServerFailed, message: message.clone() })
            }
            Names::Fixed(names) => fixed_answer(names, host),
        }
    }
}

/// True if the name servers failed, so that nothing was learned of the name.
fn is_of_the_servers(reason: Reason) -> bool {
    matches!(reason, Reason::NameServerFailed | Reason::NameServerSilent)
}

/// Limits that keep a lookup short, and the order in which search lists are used.
fn bound(options: &mut ResolverOpts) {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = ATTEMPT_MAX;
    // Tries after the first.
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Always;
    // Pods have `ndots:5`; with it every registry name would first be tried under each search domain.
    options.ndots = 1;
    options.positive_max_ttl = Some(REMEMBER_MAX);
    options.negative_max_ttl = Some(REMEMBER_FAILURE_MAX);
}

fn some(host: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, LookupError> {
    if addresses.is_empty() {
        return Err(LookupError { reason: Reason::NameEmpty, message: format!("{host} has no address") });
    }
    Ok(addresses)
}

fn fixed_answer(names: &FixedNames, host: &str) -> Result<Vec<IpAddr>, LookupError> {
    if host == "localhost" {
        return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    }
    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(answers) = names.get_mut(host) else {
        return Err(LookupError { reason: Reason::NameUnknown, message: format!("no such name: {host}") });
    };
    let answer = match answers.len() {
        0 | 1 => answers.front().cloned(),
        _ => answers.pop_front(),
    };
    some(host, answer.unwrap_or_default())
}

/// The resolver's answer in words of our own where its own are a dump of the query.
fn refused(error: &NetError) -> LookupError {
    let reason = reason_of(error);
    let message = match reason {
        Reason::NameUnknown => "no such name (NXDOMAIN)".to_owned(),
        Reason::NameEmpty => "the name has no address".to_owned(),
        _ => error.to_string(),
    };
    LookupError { reason, message }
}

fn reason_of(error: &NetError) -> Reason {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Reason::NameUnknown,
            ResponseCode::NoError => Reason::NameEmpty,
            _ => Reason::NameServerFailed,
        },
        NetError::Timeout | NetError::NoConnections | NetError::Io(_) => Reason::NameServerSilent,
        _ => Reason::NameServerFailed,
    }
}

/// Longest lookup, all name servers, tries and search domains together.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// Longest wait for one name server.
const ATTEMPT_MAX: Duration = Duration::from_millis(1500);
/// Longest time an answer is remembered, however long its TTL: a moved registry is seen soon.
const REMEMBER_MAX: Duration = Duration::from_secs(30);
/// The same for "no such name".
const REMEMBER_FAILURE_MAX: Duration = Duration::from_secs(5);
