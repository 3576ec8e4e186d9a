//! Resolves host names to addresses, or fails with a reason.

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

/// Resolves host names with the system's name servers and `/etc/hosts`. While the name servers fail, answers that are
/// less than ten minutes old are used. Their addresses are checked when they are dialled, as for any answer.
pub struct Resolver {
    names: Names,
    last_good: Mutex<LastGood>,
}

enum Names {
    System(Box<TokioResolver>),
    /// `/etc/resolv.conf` is missing or unusable. Every lookup fails with this message.
    Unconfigured(String),
    Fixed(FixedNames),
}

/// Names with scripted answers: each lookup takes the next one, and the last one is repeated.
type FixedNames = Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>;

/// A lookup gave no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LookupError {
    /// The cause.
    pub reason: Reason,
    /// The cause in words, for evidence.
    pub message: String,
}

impl Resolver {
    /// The system's resolver (`/etc/resolv.conf`, `/etc/hosts`). Without a usable configuration, each lookup fails with
    /// [`Reason::NameServerFailed`].
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

    /// A resolver that knows only these names and `localhost`. Each lookup of a name takes its next answer, and the
    /// last one is repeated.
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

    /// All addresses of `host`, A and AAAA together. Ends by `deadline`, and after [`LOOKUP_MAX`] at the latest.
    pub async fn lookup(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, LookupError> {
        if let Some(addresses) = self.last_good().during_failure(host, Instant::now()) {
            return Ok(addresses);
        }
        let found = self.ask(host, deadline).await;
        let (mut last_good, now) = (self.last_good(), Instant::now());
        match &found {
            Ok(addresses) => last_good.store(host, addresses, now),
            Err(error) if is_of_the_servers(error.reason) => {
                if let Some(addresses) = last_good.after_failure(host, now) {
                    tracing::warn!(host, %error, "name servers fail: the last good answer is used");
                    return Ok(addresses);
                }
            }
            Err(_) => last_good.remove(host),
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

/// True if the name servers failed, so that nothing is known about the name.
fn is_of_the_servers(reason: Reason) -> bool {
    matches!(reason, Reason::NameServerFailed | Reason::NameServerSilent)
}

/// Sets the limits that keep a lookup short, and the order in which search lists are used.
fn bound(options: &mut ResolverOpts) {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = ATTEMPT_MAX;
    // This is the number of tries after the first.
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Always;
    // Pods have `ndots:5`, with which every registry name would first be tried under each search domain.
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

/// The failure of a lookup. Our messages replace those of the resolver that print the whole query.
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

/// Longest lookup, over all name servers, tries and search domains.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// Longest wait for one name server.
const ATTEMPT_MAX: Duration = Duration::from_millis(1500);
/// Longest time an answer is cached, whatever its TTL, so that a moved registry is noticed soon.
const REMEMBER_MAX: Duration = Duration::from_secs(30);
/// Longest time the answer "no such name" is cached.
const REMEMBER_FAILURE_MAX: Duration = Duration::from_secs(5);
