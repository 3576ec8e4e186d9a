//! A small client of the API server: JSON by path, and watches.
//!
//! It shares no code with the product, so that a mistake of the product's client cannot hide in it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The API server as one user sees it.
#[derive(Clone)]
pub struct Api {
    address: String,
    token: String,
    tls: TlsConnector,
}

/// The answer to a request that the API server refused, or the reason why there is no answer.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The status; `None` if the server did not answer.
    pub status: Option<StatusCode>,
    /// The message of the server or of the connection.
    pub message: String,
}

impl Api {
    /// A client for `127.0.0.1:<port>` that trusts this authority (PEM).
    pub(super) fn new(address: &str, authority: &str, token: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate in PEM");
        roots.add(authority).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { address: address.to_owned(), token: token.to_owned(), tls: Arc::new(config).into() }
    }

    /// The same server with another user's token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Reads an object or a list: `get("/api/v1/nodes")`.
    pub async fn get(&self, path: &str) -> Value {
        self.expect(Method::GET, path, None).await
    }

    /// Creates an object in the collection at `path`.
    pub async fn create(&self, path: &str, object: Value) -> Value {
        self.expect(Method::POST, path, Some(object)).await
    }

    /// Changes an object by a JSON merge patch.
    pub async fn merge(&self, path: &str, patch: Value) -> Value {
        self.expect(Method::PATCH, path, Some(patch)).await
    }

    /// Deletes an object or a collection.
    pub async fn delete(&self, path: &str) -> Value {
        self.expect(Method::DELETE, path, None).await
    }

    /// Sends any request; a refusal is a result.
    pub async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Refused> {
        let answer = timeout(REQUEST_LIMIT, async {
            let (status, incoming) = self.open(method, path, body).await?;
            let body = incoming.collect().await.map_err(Refused::without_answer)?.to_bytes();
            Ok((status, body))
        });
        let (status, body) = answer.await.unwrap_or_else(|late| Err(Refused::without_answer(late)))?;
        if !status.is_success() {
            let message = String::from_utf8_lossy(&body).into_owned();
            return Err(Refused { status: Some(status), message });
        }
        Ok(serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
    }

    /// Starts a watch on a collection; `query` may select: `fieldSelector=metadata.name%3Da`.
    pub async fn watch(&self, path: &str, query: &str) -> Result<Watch, Refused> {
        let path = format!("{path}?watch=1&{query}");
        let (status, body) = self.open(Method::GET, &path, None).await?;
        if !status.is_success() {
            return Err(Refused { status: Some(status), message: format!("watch of {path}") });
        }
        Ok(Watch { body, received: BytesMut::new() })
    }

    /// Waits until `find` returns a value for an object of the collection, by a list and then by its watch. Panics with
    /// the objects last seen after `limit`.
    pub async fn when<T>(
        &self,
        what: &str,
        collection: (&str, &str),
        limit: Duration,
        find: impl Fn(&Value) -> Option<T>,
    ) -> T {
        let found = self.search(collection, limit, find).await;
        found.unwrap_or_else(|seen| {
            panic!("waited {limit:?} in vain for {what} at {}; last seen:\n{seen:#}", collection.0)
        })
    }

    /// Like [`when`](Self::when), but a search in vain returns the objects last seen.
    pub async fn search<T>(
        &self,
        collection: (&str, &str),
        limit: Duration,
        find: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, Value> {
        let mut seen = Value::Null;
        let search = async {
            loop {
                if let Some(found) = self.listed_or_watched(collection, &find, &mut seen).await {
                    return found;
                }
            }
        };
        timeout(limit, search).await.map_err(|_| seen)
    }

    /// One list and its watch; `None` if the watch ended, as it does when the server restarts.
    async fn listed_or_watched<T>(
        &self,
        (path, query): (&str, &str),
        find: impl Fn(&Value) -> Option<T>,
        seen: &mut Value,
    ) -> Option<T> {
        let Ok(list) = self.request(Method::GET, &format!("{path}?{query}"), None).await else {
            tokio::time::sleep(RETRY).await;
            return None;
        };
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(found) = items.iter().find_map(&find) {
            return Some(found);
        }
        *seen = list["items"].clone();
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let mut watch = self.watch(path, &format!("{query}&resourceVersion={version}")).await.ok()?;
        while let Some(event) = watch.next().await {
            if event["type"] == "ERROR" {
                return None;
            }
            if let Some(found) = find(&event["object"]).filter(|_| event["type"] != "DELETED") {
                return Some(found);
            }
            *seen = event["object"].clone();
        }
        None
    }

    /// Panics if the server refuses.
    async fn expect(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let answer = self.request(method.clone(), path, body).await;
        answer.unwrap_or_else(|refused| panic!("{method} {path}: {refused:?}"))
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Incoming), Refused> {
        let tcp = TcpStream::connect(&self.address).await.map_err(Refused::without_answer)?;
        let name = ServerName::try_from("localhost").expect("invariant: a name");
        let tls = self.tls.connect(name, tcp).await.map_err(Refused::without_answer)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await;
        let (mut sender, connection) = handshake.map_err(Refused::without_answer)?;
        // The connection ends with the body that it feeds.
        tokio::spawn(connection);
        let media = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", media)
            .body(Full::new(Bytes::from(body.map(|body| body.to_string()).unwrap_or_default())))
            .expect("a request");
        let response = sender.send_request(request).await.map_err(Refused::without_answer)?;
        Ok((response.status(), response.into_body()))
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Refused {
    fn without_answer(error: impl std::fmt::Display) -> Self {
        Self { status: None, message: error.to_string() }
    }
}

/// A running watch.
#[derive(Debug)]
pub struct Watch {
    body: Incoming,
    received: BytesMut,
}

impl Watch {
    /// The next event: `{"type": "ADDED", "object": {...}}`; `None` when the server ended the watch.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line = self.received.split_to(end + 1);
                return serde_json::from_slice(&line).ok();
            }
            let frame = self.body.frame().await?.ok()?;
            self.received.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
        }
    }
}

const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// The wait before another list while the server does not answer: there is no event to wait for.
const RETRY: Duration = Duration::from_millis(100);
