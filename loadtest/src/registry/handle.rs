//! The handle of a registry: its addresses, content, access rules, faults and log.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;

use super::{
    answers::{access::Access, quota::Quota, signed_urls::Signer},
    hosts::{greeting::Greeting, host::Host},
    lock::lock,
    log::Log,
    rules::{book::FaultId, rule::Rule},
    state::Shared,
};
use crate::{
    digest::sha256,
    image::{Blob, Image, Index},
    sockets::Port,
    tls::Certificate,
};

/// A registry whose answers can all be scripted. Dropping it closes its listener and connections.
#[derive(Debug)]
pub struct Registry {
    shared: Arc<Shared>,
    main: Host,
    cdn: Mutex<Option<Arc<Host>>>,
}

/// Lifetime and addresses.
impl Registry {
    /// Starts a registry that speaks plain HTTP, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Greeting::Http).await
    }

    /// Starts a registry that speaks TLS, on a free port of 127.0.0.1. Its `url()` has the host `127.0.0.1`; for a host
    /// name combine `localhost` with [`port`](Self::port).
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start_tls(certificate: Certificate) -> io::Result<Self> {
        Self::start_with(Greeting::Tls(certificate)).await
    }

    /// Starts a registry that treats new connections as `greeting` says. `url()` is `https` except for [`Greeting::Http`].
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start_with(greeting: Greeting) -> io::Result<Self> {
        let registry = Self::reserve(greeting)?;
        registry.restart()?;
        Ok(registry)
    }

    /// Makes a registry that has its address but does not listen until [`restart`](Self::restart).
    ///
    /// # Errors
    /// If no port can be bound.
    pub fn reserve(greeting: Greeting) -> io::Result<Self> {
        let shared = Arc::new(Shared { referrers: Mutex::new(true), ..Shared::default() });
        let main = Host::reserve(Port::reserve()?, LOOPBACK, greeting, Arc::clone(&shared));
        Ok(Self { shared, main, cdn: Mutex::new(None) })
    }

    /// The address.
    pub fn addr(&self) -> SocketAddr {
        self.main.addr()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// `127.0.0.1:port`, as image names spell it.
    pub fn authority(&self) -> String {
        self.addr().to_string()
    }

    /// Scheme and authority, without a slash at the end.
    pub fn url(&self) -> String {
        self.main.url().to_owned()
    }

    /// Begins an outage: refuses new connections and drops open ones. The port stays reserved.
    pub async fn stop(&self) {
        self.main.stop().await;
    }

    /// Listens on the same port again.
    ///
    /// # Errors
    /// If the port cannot be listened on.
    pub fn restart(&self) -> io::Result<()> {
        self.main.restart()
    }

    /// Stops the registry and its blob host, and waits until their listeners and connections are closed.
    pub async fn shutdown(self) {
        self.main.stop().await;
        self.stop_cdn().await;
    }

    /// Changes the treatment of new connections: another certificate, an alert, silence. Open connections stay open;
    /// [`drop_connections`](Self::drop_connections) closes them.
    pub fn greet(&self, greeting: Greeting) {
        self.main.greet(greeting);
    }

    /// Drops the open connections, so that clients must connect again.
    pub async fn drop_connections(&self) {
        self.main.drop_connections().await;
    }

    /// Limits every later connection to `bytes_per_second`; `None` removes the limit.
    pub fn limit_rate(&self, bytes_per_second: Option<u64>) {
        self.shared.rate.store(bytes_per_second.unwrap_or(0), Ordering::Relaxed);
    }
}

/// Content.
impl Registry {
    /// Adds an image with its blobs, and sets the tag.
    pub fn add_image(&self, repository: &str, tag: &str, image: &Image) {
        let mut content = lock(&self.shared.content);
        let repository = content.repository_mut(repository);
        repository.add_image(image);
        repository.set_tag(tag, image.digest());
    }

    /// Adds an index with all its images, and sets the tag.
    pub fn add_index(&self, repository: &str, tag: &str, index: &Index) {
        let mut content = lock(&self.shared.content);
        let repository = content.repository_mut(repository);
        repository.add_index(index);
        repository.set_tag(tag, index.digest());
    }

    /// Adds an image or artifact without a tag, for example one with a subject.
    pub fn add_untagged(&self, repository: &str, image: &Image) {
        lock(&self.shared.content).repository_mut(repository).add_image(image);
    }

    /// Adds a manifest unchanged and unchecked. It is served under its `digest`, even if its bytes have another digest.
    pub fn add_manifest(&self, repository: &str, manifest: &Blob) {
        lock(&self.shared.content).repository_mut(repository).add_manifest(manifest);
    }

    /// Adds a blob under its sha256 digest, and returns the digest.
    pub fn add_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> String {
        let bytes = bytes.into();
        let digest = sha256(&bytes);
        lock(&self.shared.content).repository_mut(repository).add_blob(&digest, bytes);
        digest
    }

    /// Adds a blob under this digest, even if its bytes have another digest.
    pub fn add_blob_as(&self, repository: &str, digest: &str, bytes: impl Into<Bytes>) {
        lock(&self.shared.content).repository_mut(repository).add_blob(digest, bytes.into());
    }

    /// Points a tag at a digest, which need not exist.
    pub fn set_tag(&self, repository: &str, tag: &str, digest: &str) {
        lock(&self.shared.content).repository_mut(repository).set_tag(tag, digest);
    }

    /// Removes a tag, a manifest or a blob from a repository.
    pub fn remove(&self, repository: &str, reference: &str) {
        lock(&self.shared.content).repository_mut(repository).remove(reference);
    }

    /// Removes a repository.
    pub fn remove_repository(&self, repository: &str) {
        lock(&self.shared.content).remove(repository);
    }
}

/// Behaviour.
impl Registry {
    /// Requires identification from clients. Tokens given out before become invalid.
    pub fn require(&self, access: Access) {
        lock(&self.shared.access).set(access);
    }

    /// Revokes all tokens given out so far, before they expire.
    pub fn revoke_tokens(&self) {
        lock(&self.shared.access).revoke();
    }

    /// The token that the token endpoint would give to this user for these repositories. It is good for the repositories
    /// that the user may pull. Empty without [`Access::Tokens`].
    pub fn token_of(&self, user: &str, repositories: &[&str]) -> String {
        lock(&self.shared.access).token_of(user, repositories)
    }

    /// Counts manifest GETs against `quota` and states it in headers; `None` removes the quota.
    pub fn set_quota(&self, quota: Option<Quota>) {
        *lock(&self.shared.quota) = quota;
    }

    /// Switches the referrers API on or off; off, it answers 404 like older registries. It is on at the start.
    pub fn serve_referrers(&self, on: bool) {
        *lock(&self.shared.referrers) = on;
    }

    /// Lists at most `by` referrers on a page, with a link to the next page.
    pub fn page_referrers(&self, by: usize) {
        *lock(&self.shared.referrers_page) = Some(by);
    }

    /// Starts another listener of this registry, on a free port, under the name `host`: `127.0.0.1`, `localhost`, or
    /// another address of the loopback network. It serves the same content, for example as a token host
    /// ([`realm`](crate::registry::Tokens::realm)) or as a second endpoint. Dropping its handle stops it.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start_host(&self, host: &str, greeting: Greeting) -> io::Result<Host> {
        let address = host.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = Port::at(SocketAddr::new(address, 0))?;
        let host = Host::reserve(port, host, greeting, Arc::clone(&self.shared));
        host.restart()?;
        Ok(host)
    }

    /// Starts a blob host like [`start_host`](Self::start_host), and redirects blob requests to it by signed URLs that
    /// expire after `life`. Returns its scheme and authority. The registry keeps the handle.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start_cdn(&self, host: &str, greeting: Greeting, life: Duration) -> io::Result<String> {
        let host = self.start_host(host, greeting).await?;
        let url = host.url().to_owned();
        *lock(&self.shared.signer) = Some(Signer::new(url.clone(), life));
        *lock(&self.cdn) = Some(Arc::new(host));
        Ok(url)
    }

    /// The blob host, so that tests can change its greeting, stop it and restart it. Blob requests are redirected to it
    /// even while it is stopped.
    pub fn cdn(&self) -> Option<Arc<Host>> {
        lock(&self.cdn).clone()
    }

    /// Stops the blob host. Blob requests are still redirected to its address, which then refuses connections.
    pub async fn stop_cdn(&self) {
        if let Some(cdn) = self.cdn() {
            cdn.stop().await;
        }
    }

    /// Expires all signed URLs given out so far.
    pub fn expire_signed_urls(&self) {
        if let Some(signer) = lock(&self.shared.signer).as_mut() {
            signer.expire();
        }
    }
}

/// Faults and the log.
impl Registry {
    /// Adds a rule. Newer rules come before older ones.
    pub fn fault(&self, rule: Rule) -> FaultId {
        self.shared.rules.add(rule)
    }

    /// Removes a rule.
    pub fn clear(&self, id: FaultId) {
        self.shared.rules.remove(id);
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.shared.rules.clear();
    }

    /// The number of requests that a rule was applied to.
    pub fn used(&self, id: FaultId) -> usize {
        self.shared.rules.used(id)
    }

    /// A copy of the log.
    pub fn log(&self) -> Log {
        self.shared.journal.snapshot()
    }

    /// Clears the log, so that a test can count from this point.
    pub fn clear_log(&self) {
        self.shared.journal.clear();
    }

    /// Waits until `test` is true for the log. The caller sets the time limit.
    pub async fn wait_for(&self, test: impl Fn(&Log) -> bool) {
        self.shared.journal.wait_for(test).await;
    }
}

const LOOPBACK: &str = "127.0.0.1";
