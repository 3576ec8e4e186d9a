//! The read-only endpoint for Prometheus, the kubelet and people: `/metrics`, `/livez`, `/readyz`, `/status.json`, `/`, `/pulls/`,
//! `/incidents/`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::api::ApiAnswer;
use super::page::incidents::one;
use super::page::past::Past;
use super::page::{home, pull};
use super::reading::{self, ReadingError};
use super::status::StatusView;
use crate::process::accept::accept;
use crate::pulls::one::OnePull;
use crate::run::process_metrics;
use crate::run::readiness::{Phase, Readiness};
use crate::run::telemetry;

/// The endpoint: its socket is bound, but it does not answer yet.
pub(crate) struct Admin {
    listener: TcpListener,
    sources: Arc<Sources>,
}

/// The sources of the answers.
pub(crate) struct Sources {
    /// Renders `/metrics`.
    pub(crate) metrics: PrometheusHandle,
    /// Decides `/readyz`.
    pub(crate) readiness: Readiness,
    /// Makes the content of `/status.json` and of the status page.
    pub(crate) status_view: StatusView,
}

impl Admin {
    /// Binds the listener.
    #[expect(clippy::disallowed_methods, reason = "one of the two places that accept")]
    pub(crate) async fn bind(address: SocketAddr, sources: Sources) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, sources: Arc::new(sources) })
    }

    /// The address of the listener.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until the future is dropped.
    pub(crate) async fn serve(self) {
        let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (listener, sources) = (self.listener, self.sources);
        accept("admin endpoint", &seats, || listener.accept(), |stream| converse(stream, sources.clone()))
            .await;
    }
}

async fn converse(stream: TcpStream, sources: Arc<Sources>) -> hyper::Result<()> {
    let answer = service_fn(move |request| {
        let sources = sources.clone();
        async move { Ok::<_, Infallible>(sources.answer(&request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

impl Sources {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "read-only: GET and HEAD\n");
        }
        match request.uri().path() {
            "/metrics" => self.metrics().await,
            path if path.starts_with(API) => self.api(path, request.uri().query().unwrap_or_default()).await,
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readyz(),
            "/status.json" => self.status(),
            "/" => self.home(request.uri().query()).await,
            path if path.starts_with(INCIDENTS) => self.incident(&path[INCIDENTS.len()..]).await,
            path if path.starts_with(PULLS) => self.pull(&path[PULLS.len()..]).await,
            _ => text(
                StatusCode::NOT_FOUND,
                "try /, /status.json, /api/v1/openapi.json, /metrics, /livez or /readyz\n",
            ),
        }
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        self.status_view.forecast();
        let handle = self.metrics.clone();
        let render = move || {
            process_metrics::update();
            telemetry::page(&handle)
        };
        match tokio::task::spawn_blocking(render).await {
            Ok(page) => document("text/plain; version=0.0.4; charset=utf-8", page),
            Err(error) => {
                text(StatusCode::INTERNAL_SERVER_ERROR, &format!("metrics cannot be rendered: {error}\n"))
            }
        }
    }

    async fn api(&self, path: &str, query: &str) -> Response<Full<Bytes>> {
        let api = self.status_view.api();
        let ApiAnswer { status, body } = api.answer(path[API.len()..].to_owned(), query.to_owned()).await;
        let mut response = document("application/json", body);
        *response.status_mut() = status;
        response
    }

    async fn home(&self, query: Option<&str>) -> Response<Full<Bytes>> {
        let status = self.status_view.look(self.readiness.phase());
        let registries: Vec<_> = status.registries.iter().map(|registry| registry.registry.clone()).collect();
        let file = self.status_view.records_file();
        let past = reading::aside(move || Past::read(file.as_deref(), &registries)).await;
        document(HTML, home::render(&status, &past, query == Some(REFRESH)))
    }

    async fn pull(&self, id: &str) -> Response<Full<Bytes>> {
        let (file, id) = (self.status_view.records_file(), id.to_owned());
        let found = reading::aside(move || -> Result<_, ReadingError> {
            Ok(OnePull::read(&reading::open(file.as_deref())?, &id)?)
        })
        .await;
        let (status, page) = pull::render(found, self.status_view.names);
        let mut response = document(HTML, page);
        *response.status_mut() = status;
        response
    }

    async fn incident(&self, id: &str) -> Response<Full<Bytes>> {
        let (file, id) = (self.status_view.records_file(), id.to_owned());
        let found = reading::aside(move || -> Result<_, ReadingError> {
            Ok(reading::open(file.as_deref())?.incident(&id)?)
        })
        .await;
        let (status, page) = one::render(found, self.status_view.names);
        let mut response = document(HTML, page);
        *response.status_mut() = status;
        response
    }

    fn readyz(&self) -> Response<Full<Bytes>> {
        let phase = self.readiness.phase();
        let status = if phase == Phase::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        text(status, &format!("{}\n{}", phase.as_str(), self.warnings()))
    }

    fn warnings(&self) -> String {
        self.status_view.warnings().iter().map(|warning| format!("warning: {warning}\n")).collect()
    }

    fn status(&self) -> Response<Full<Bytes>> {
        match serde_json::to_string_pretty(&self.status_view.look(self.readiness.phase())) {
            Ok(json) => document("application/json", json + "\n"),
            Err(error) => {
                text(StatusCode::INTERNAL_SERVER_ERROR, &format!("status cannot be written: {error}\n"))
            }
        }
    }
}

fn document(media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = document("text/plain; charset=utf-8", body.to_owned());
    *response.status_mut() = status;
    response
}

const HTML: &str = "text/html; charset=utf-8";
/// The parameter that makes the home page load itself again and again.
const REFRESH: &str = "refresh";
/// The pages of single pulls.
const PULLS: &str = "/pulls/";
/// The pages of single incidents.
const INCIDENTS: &str = "/incidents/";
/// The paths that [`super::api`] answers.
const API: &str = "/api/v1/";
/// Most connections at once: enough for people, probes and a few scrapers.
const CONNECTIONS_MAX: usize = 64;
/// The time limit for the headers of one request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
