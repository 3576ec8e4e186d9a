//! A proxy with its own folder, the registry behind it, and a client that shows every byte.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::Access;
use loadtest::registry::Registry;
use oci::zone::{Addresses, Zone};
use oci::{OnExhausted, Reserve};
use proxy::{Proxy, Served, ServerTls, Settings, Telemetry};
use registry::client::Connections;
use registry::observe::NoObserver;
use registry::upstream::Limits;
use registry::{Client, Endpoint, Outbound, Upstream};
use store::{Store, StoreConfig};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The registry of the tests, as image names spell it.
pub(crate) const REGISTRY: &str = "registry.test";
/// The mark of the proxy's own requests.
pub(crate) const INSTANCE: &str = "pullgate-under-test";

/// The settings that differ between tests.
pub(crate) struct Plan {
    pub(crate) access: Access,
    pub(crate) tag_max_age: Duration,
    pub(crate) stale_limit: Duration,
    pub(crate) keep_removed: bool,
    pub(crate) complete: bool,
    pub(crate) absent_max_age: Duration,
    pub(crate) drain: Duration,
    pub(crate) header_deadline: Duration,
    pub(crate) client_rate: NonZeroU32,
    pub(crate) max_connections: usize,
    pub(crate) limits: Limits,
    pub(crate) quota_reserve: Reserve,
    pub(crate) on_exhausted: OnExhausted,
    pub(crate) parallel: usize,
    pub(crate) max_size: u64,
    pub(crate) tls: Option<ServerTls>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            access: Access::Public,
            tag_max_age: Duration::ZERO,
            stale_limit: Duration::from_secs(3600),
            keep_removed: false,
            complete: false,
            absent_max_age: Duration::ZERO,
            drain: Duration::from_secs(10),
            header_deadline: Duration::from_secs(5),
            client_rate: NonZeroU32::MAX,
            max_connections: 100,
            limits: Limits { progress: Duration::from_secs(1), ..Limits::default() },
            quota_reserve: Reserve::default(),
            on_exhausted: OnExhausted::Release,
            parallel: 1,
            max_size: 1 << 30,
            tls: None,
        }
    }
}

/// A running proxy and its upstream.
pub(crate) struct Rig {
    pub(crate) upstream: Registry,
    pub(crate) proxy: Proxy,
    pub(crate) address: SocketAddr,
    pub(crate) cache: TempDir,
    plan: Plan,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        let upstream = Registry::start().await.unwrap();
        let cache = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::new();
        let store = StoreConfig {
            dir: cache.path().join("cache"),
            max_size: Some(plan.max_size),
            pinned: Vec::new(),
            lock_wait: Duration::ZERO,
        };
        let store = Store::open(store, Arc::<Telemetry>::clone(&telemetry)).await.unwrap();
        let settings = Settings {
            header_deadline: plan.header_deadline,
            drain: plan.drain,
            client_rate: plan.client_rate,
            max_connections: plan.max_connections,
            tls: plan.tls.clone(),
            instance: INSTANCE.into(),
            complete_after: Duration::ZERO,
        };
        let served = served(&plan, &upstream.url(), None);
        let proxy = Proxy::new(settings, vec![served], store, telemetry.clone(), telemetry);
        let bound = proxy.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = bound.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(bound.serve(async move {
            let _ = stopped.await;
        }));
        Self { upstream, proxy, address, cache, plan, stop: Some(stop), serving }
    }

    /// Changes the address of the upstream. The proxy makes new connections to it.
    pub(crate) fn move_upstream(&self, url: &str, ca_file: Option<&Path>) {
        self.proxy.replace_upstreams(vec![served(&self.plan, url, ca_file)]);
    }

    /// Sends a GET as containerd does, with `ns` in the query.
    pub(crate) async fn get(&self, path: &str) -> Heard {
        self.ask("GET", path, "User-Agent: containerd/v2.1.9\r\n").await
    }

    pub(crate) async fn head(&self, path: &str) -> Heard {
        self.ask("HEAD", path, "User-Agent: containerd/v2.1.9\r\n").await
    }

    /// Sends a request. `path` follows `/v2/`, and `headers` are whole lines.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str) -> Heard {
        let joint = if path.contains('?') { '&' } else { '?' };
        let request = format!(
            "{method} /v2/{path}{joint}ns={REGISTRY} HTTP/1.1\r\nHost: mirror\r\n{headers}Connection: close\r\n\r\n"
        );
        self.raw(&request).await
    }

    /// Sends `request` unchanged, and reads until the connection ends.
    pub(crate) async fn raw(&self, request: &str) -> Heard {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Heard::until_end(&mut stream).await
    }

    /// Tells the server to stop, without waiting for it.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
    }

    /// Waits until the server has ended.
    pub(crate) async fn ended(&mut self) {
        let ended = tokio::time::timeout(Duration::from_secs(30), &mut self.serving).await;
        ended.expect("the server never ended").unwrap();
    }
}

/// The response that a client read from a connection.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// True if the connection ended with FIN.
    pub(crate) clean: bool,
}

impl Heard {
    pub(crate) async fn until_end(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes)).await;
        let clean = read.expect("the connection never ended").is_ok();
        let split = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let split = split.unwrap_or_else(|| panic!("no response: {:?}", String::from_utf8_lossy(&bytes)));
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: bytes[split + 4..].to_vec(), clean }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn outcome(&self) -> &str {
        self.header("x-pullgate-outcome").unwrap_or("none")
    }

    pub(crate) fn class(&self) -> &str {
        self.header("x-pullgate-class").unwrap_or("none")
    }

    /// The code and message of an OCI error.
    pub(crate) fn oci_error(&self) -> (String, String) {
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let error = &document["errors"][0];
        (error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
    }

    /// True if the body has as many bytes as the headers announced.
    pub(crate) fn is_whole(&self) -> bool {
        self.header("content-length").is_some_and(|length| length.parse() == Ok(self.body.len()))
    }
}

fn served(plan: &Plan, url: &str, ca_file: Option<&Path>) -> Served {
    Served {
        id: "test".to_owned(),
        registry: REGISTRY.parse().unwrap(),
        access: plan.access,
        tag_max_age: plan.tag_max_age,
        stale_limit: plan.stale_limit,
        keep_removed: plan.keep_removed,
        complete: plan.complete,
        absent_max_age: plan.absent_max_age,
        parallel: plan.parallel,
        client: client(plan, url, ca_file),
    }
}

fn client(plan: &Plan, url: &str, ca_file: Option<&Path>) -> Client {
    let loopback = Addresses { public: false, ranges: vec!["127.0.0.0/8".parse().unwrap()] };
    let endpoint = Endpoint {
        url: url.parse().unwrap(),
        prefix: None,
        send_ns: false,
        credentials: None,
        ca_file: None,
    };
    let upstream = Upstream {
        id: "test".to_owned(),
        registry: REGISTRY.parse().unwrap(),
        endpoints: vec![endpoint],
        credentials: None,
        repositories: Vec::new(),
        zone: Zone { addresses: loopback, ..Zone::default() },
        ca_file: ca_file.map(Path::to_owned),
        limits: plan.limits,
        quota_reserve: plan.quota_reserve,
        on_exhausted: plan.on_exhausted,
    };
    Client::new(upstream, Outbound::from_env(Arc::new(NoObserver), INSTANCE), Connections::Pooled).unwrap()
}
