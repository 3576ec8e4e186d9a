//! Opens connections: resolves the name, checks the addresses, connects, and makes the TLS handshake. No other module
//! opens outbound sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper_util::client::proxy::matcher::Intercept;
use oci::class::{Class, Stage};
use oci::name::RegistryHost;
use oci::zone::Zone;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use url::Host;

use crate::error::{Error, Evidence, Reason};
use crate::observe::AnswerHead;
use crate::timings::{Peer, Timings};
use crate::trust;
use crate::trust::Follow;
use crate::upstream::{Limits, Outbound, Upstream};
use crate::wire::authorities::Authorities;
use crate::wire::forward;
use crate::wire::stream::{Relay, Stream};
use crate::wire::target::Target;
use crate::wire::tls::Tls;

/// Opens connections for one upstream.
pub(crate) struct Dialer {
    registry: RegistryHost,
    zone: Zone,
    /// The endpoints that are configured as an address or as `localhost`. Their addresses are allowed because they are
    /// configured.
    literals: Vec<Target>,
    limits: Limits,
    outbound: Outbound,
    /// TLS to a forward proxy that is itself reached by TLS. It trusts only the system's authorities.
    proxy_tls: Tls,
}

/// An open connection.
pub(crate) struct Dialled {
    pub(crate) stream: Stream,
    /// The address of the target; `None` behind a forward proxy.
    pub(crate) peer: Option<Peer>,
    /// Set if the connection leads to a forward proxy that takes plain requests in absolute form.
    pub(crate) relay: Option<Relay>,
}

impl Dialer {
    pub(crate) fn new(upstream: &Upstream, outbound: &Outbound, proxy_tls: Tls) -> Self {
        Self {
            registry: upstream.registry.clone(),
            zone: upstream.zone.clone(),
            literals: literals(upstream),
            limits: upstream.limits,
            outbound: outbound.clone(),
            proxy_tls,
        }
    }

    /// Opens a connection to `target` by `deadline`. Adds the time of each stage to `timings`, also if the stage fails.
    pub(crate) async fn dial(
        &self,
        target: &Target,
        authorities: &Authorities,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Dialled, Error> {
        let dialled = match self.forward_proxy(target) {
            Some(intercept) => self.over_proxy(target, &intercept, deadline, timings).await?,
            None => {
                let (stream, peer) = self.reach(target, deadline, timings).await?;
                Dialled { stream: Box::new(stream), peer: Some(peer), relay: None }
            }
        };
        if !target.https {
            return Ok(dialled);
        }
        let begun = Instant::now();
        let tls = &authorities.tls().await;
        let wrapped = self.wrap(target, tls, dialled.stream, dialled.peer, deadline).await;
        timings.add(Stage::Tls, begun.elapsed());
        Ok(Dialled { stream: wrapped?, ..dialled })
    }

    /// Reports the head of an answer to the observer.
    pub(crate) fn answered(&self, head: &AnswerHead<'_>) {
        self.outbound.observer.answered(&self.registry, head);
    }

    fn forward_proxy(&self, target: &Target) -> Option<Intercept> {
        let uri = target.origin().parse().ok()?;
        self.outbound.forward_proxy.intercept(&uri)
    }

    /// Resolves the name, checks the addresses and connects.
    async fn reach(
        &self,
        target: &Target,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<(TcpStream, SocketAddr), Error> {
        let addresses = self.resolve(target, deadline, timings).await?;
        let addresses = self.judged(target, addresses)?;
        let begun = Instant::now();
        let connected = connect_any(target, addresses, self.limits.connect, deadline).await;
        timings.add(Stage::Connect, begun.elapsed());
        connected
    }

    async fn resolve(
        &self,
        target: &Target,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Vec<IpAddr>, Error> {
        let name = match &target.host {
            Host::Ipv4(ip) => return Ok(vec![IpAddr::V4(*ip)]),
            Host::Ipv6(ip) => return Ok(vec![IpAddr::V6(*ip)]),
            Host::Domain(name) => name,
        };
        let begun = Instant::now();
        let found = self.outbound.resolver.lookup(name, deadline).await;
        timings.add(Stage::Resolve, begun.elapsed());
        if let Ok(addresses) = &found {
            self.outbound.observer.resolved(&self.registry, name, addresses);
        }
        found.map_err(|error| {
            let evidence = Evidence::host(target.authority()).because(error.reason).saying(&error.message);
            Error::new(Class::Dns, Stage::Resolve, evidence)
        })
    }

    /// The addresses that may be dialled. Fails if all are refused, or if this process listens at one of them.
    fn judged(&self, target: &Target, addresses: Vec<IpAddr>) -> Result<Vec<SocketAddr>, Error> {
        let own = |address: &&IpAddr| self.outbound.listening.holds(SocketAddr::new(**address, target.port));
        if let Some(address) = addresses.iter().find(own) {
            return Err(self.own(target, SocketAddr::new(*address, target.port)));
        }
        let name = target.name();
        let written = self.literals.contains(target);
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in addresses {
            match self.zone.check_address(&name, address, written) {
                Ok(()) => allowed.push(SocketAddr::new(address, target.port)),
                Err(refusal) => refused = refused.or(Some((address, refusal))),
            }
        }
        match refused {
            Some((address, refusal)) if allowed.is_empty() => {
                let mut evidence =
                    Evidence::host(target.authority()).because(refusal.reason).saying(&refusal.message);
                evidence.address = Some(SocketAddr::new(address, target.port));
                Err(Error::new(Class::TrustRefused, Stage::Connect, evidence))
            }
            _ => Ok(alternate(allowed)),
        }
    }

    /// The failure if the target is this process itself.
    fn own(&self, target: &Target, address: SocketAddr) -> Error {
        let message = format!(
            "{} is this mirror itself, which listens at {address}: correct `endpoints` of the upstream {}",
            target.authority(),
            self.registry
        );
        let evidence = Evidence { address: Some(address), ..Evidence::host(target.authority()) };
        let evidence = evidence.because(Reason::OwnAddress).saying(&message);
        Error::new(Class::Loop, Stage::Connect, evidence)
    }

    async fn over_proxy(
        &self,
        target: &Target,
        intercept: &Intercept,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Dialled, Error> {
        // A host name is resolved by the proxy, so only a literal address can be checked here.
        match target.host {
            Host::Domain(_) => {}
            Host::Ipv4(ip) => drop(self.judged(target, vec![ip.into()])?),
            Host::Ipv6(ip) => drop(self.judged(target, vec![ip.into()])?),
        }
        let proxy = forward::proxy_target(intercept)?;
        let addresses =
            self.resolve(&proxy, deadline, timings).await.map_err(|error| forward::blame(&proxy, error))?;
        let addresses = alternate(addresses.into_iter().map(|ip| SocketAddr::new(ip, proxy.port)).collect());
        let begun = Instant::now();
        let connected = connect_any(&proxy, addresses, self.limits.connect, deadline).await;
        timings.add(Stage::Connect, begun.elapsed());
        let (stream, peer) = connected.map_err(|error| forward::blame(&proxy, error))?;
        let mut stream: Stream = Box::new(stream);
        if proxy.https {
            let begun = Instant::now();
            let wrapped = self.wrap(&proxy, &self.proxy_tls, stream, Some(peer), deadline).await;
            timings.add(Stage::Tls, begun.elapsed());
            stream = wrapped.map_err(|error| forward::blame(&proxy, error))?;
        }
        let authorization = intercept.basic_auth().cloned();
        if !target.https {
            return Ok(Dialled { stream, peer: None, relay: Some(Relay { authorization }) });
        }
        let begun = Instant::now();
        let tunnel = forward::tunnel(&proxy, target, stream, authorization, deadline).await;
        timings.add(Stage::Connect, begun.elapsed());
        Ok(Dialled { stream: tunnel?, peer: None, relay: None })
    }

    async fn wrap(
        &self,
        target: &Target,
        tls: &Tls,
        stream: Stream,
        peer: Option<Peer>,
        deadline: Instant,
    ) -> Result<Stream, Error> {
        let evidence = || Evidence { address: peer, ..Evidence::host(target.authority()) };
        let deadline = deadline.min(Instant::now() + HANDSHAKE_MAX);
        let Ok(handshake) = timeout_at(deadline, tls.connect(&target.name(), stream)).await else {
            let evidence =
                evidence().because(Reason::NoProgress).saying("the TLS handshake did not finish in time");
            return Err(Error::new(Class::Stalled, Stage::Tls, evidence));
        };
        if let Some(certificate) = &handshake.certificate {
            self.outbound.observer.certificate(&self.registry, certificate);
        }
        match handshake.outcome {
            Ok(stream) => Ok(Box::new(stream)),
            Err(failure) => {
                let mut evidence = evidence().saying(&failure.message);
                evidence.reason = failure.reason;
                Err(Error::new(failure.class, Stage::Tls, evidence))
            }
        }
    }
}

/// Connects to the first address that answers. Tries the next address when one fails or is silent for
/// [`NEXT_ADDRESS_AFTER`] (RFC 8305, 5, in its simplest form). If all fail, returns the first failure.
async fn connect_any(
    target: &Target,
    addresses: Vec<SocketAddr>,
    limit: Duration,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), Error> {
    let mut waiting = addresses.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut first_failure = None;
    tries.extend(waiting.next().map(|address| connect(address, limit, deadline)));
    loop {
        let next_at = tokio::time::sleep(NEXT_ADDRESS_AFTER);
        tokio::select! {
            ended = tries.next() => match ended {
                Some((address, Ok(stream))) => return Ok((stream, address)),
                Some((address, Err(error))) => {
                    first_failure.get_or_insert_with(|| connect_failure(target, address, &error));
                }
                None => break,
            },
            () = next_at, if waiting.len() > 0 => {}
        }
        tries.extend(waiting.next().map(|address| connect(address, limit, deadline)));
    }
    Err(first_failure.unwrap_or_else(|| {
        Error::new(Class::Dns, Stage::Resolve, Evidence::host(target.authority()).because(Reason::NameEmpty))
    }))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that opens outbound sockets")]
async fn connect(
    address: SocketAddr,
    limit: Duration,
    deadline: Instant,
) -> (SocketAddr, io::Result<TcpStream>) {
    let deadline = deadline.min(Instant::now() + limit);
    let stream = match timeout_at(deadline, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream.set_nodelay(true).map(|()| stream),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    (address, stream)
}

fn connect_failure(target: &Target, address: SocketAddr, error: &io::Error) -> Error {
    use io::ErrorKind as K;
    let class = match error.kind() {
        K::ConnectionRefused => Class::ConnectRefused,
        K::TimedOut => Class::ConnectTimeout,
        K::ConnectionReset | K::ConnectionAborted => Class::ConnectReset,
        K::HostUnreachable | K::NetworkUnreachable | K::AddrNotAvailable | K::PermissionDenied => {
            Class::ConnectUnreachable
        }
        _ if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => Class::Overloaded,
        _ => Class::ConnectUnreachable,
    };
    let evidence = Evidence { address: Some(address), ..Evidence::host(target.authority()) };
    Error::new(class, Stage::Connect, evidence.saying(&error.to_string()))
}

fn literals(upstream: &Upstream) -> Vec<Target> {
    let urls = upstream.endpoints.iter().map(|endpoint| &endpoint.url);
    urls.filter(|url| trust::is_literal(url)).filter_map(Target::of).collect()
}

/// The same addresses, with IPv4 and IPv6 alternating and the order within each family kept.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv4);
    let longest = v4.len().max(v6.len());
    (0..longest).flat_map(|at| [v4.get(at), v6.get(at)]).flatten().copied().collect()
}

/// Longest TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// The time after which the next address is tried in parallel (RFC 8305, 8 recommends 250 ms).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Linux `errno` values: the process (`EMFILE`) or the machine (`ENFILE`) has no file descriptor left.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn address_families_alternate() {
        let parse = |texts: &[&str]| texts.iter().map(|it| it.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = parse(&["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[::1]:1"]);
        assert_eq!(alternate(mixed), parse(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1", "3.3.3.3:1"]));
    }
}
