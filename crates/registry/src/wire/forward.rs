//! Forward proxies of the environment (`HTTPS_PROXY` and similar): the tunnel by `CONNECT`, and the failures of the
//! proxy.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use oci::class::{Class, Stage};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::error::{Error, Evidence, Reason};
use crate::wire::stream::Stream;
use crate::wire::target::Target;

/// The target of the forward proxy. Fails for schemes other than http and https.
pub(crate) fn proxy_target(intercept: &Intercept) -> Result<Target, Error> {
    let uri = intercept.uri().to_string();
    Url::parse(&uri).ok().as_ref().and_then(Target::of).ok_or_else(|| {
        let host = intercept.uri().authority().map(|it| it.host().to_owned()).unwrap_or_default();
        let evidence = Evidence::host(host).saying("only http and https forward proxies are supported");
        Error::new(Class::HttpProxy, Stage::Connect, evidence)
    })
}

/// The same failure with the class `http_proxy` and the proxy as its host: the registry was not reached.
pub(crate) fn blame(proxy: &Target, error: Error) -> Error {
    let message = error.evidence.message.as_deref().unwrap_or_default();
    let evidence = Evidence { host: proxy.authority(), ..error.evidence.clone() }
        .saying(&format!("forward proxy: {}: {message}", error.class));
    Error::new(Class::HttpProxy, error.stage, evidence)
}

/// Opens a tunnel to `target` through the proxy by `CONNECT` (RFC 9110, 9.3.6).
pub(crate) async fn tunnel(
    proxy: &Target,
    target: &Target,
    stream: Stream,
    authorization: Option<HeaderValue>,
    deadline: Instant,
) -> Result<Stream, Error> {
    let failed = |evidence| Error::new(Class::HttpProxy, Stage::Connect, evidence);
    let evidence = || Evidence::host(proxy.authority());
    let answer = timeout_at(deadline, ask(target, stream, authorization)).await;
    let answer = answer
        .map_err(|_| failed(evidence().because(Reason::HeaderTimeout).saying("no answer to CONNECT")))?
        .map_err(|error| failed(evidence().saying(&format!("CONNECT: {error}"))))?;
    if !answer.status().is_success() {
        let message = format!("refused CONNECT {}", target.host_and_port());
        return Err(failed(
            Evidence { status: Some(answer.status().as_u16()), ..evidence() }.saying(&message),
        ));
    }
    let upgraded = hyper::upgrade::on(answer).await;
    let upgraded = upgraded.map_err(|error| failed(evidence().saying(&format!("CONNECT: {error}"))))?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

async fn ask(
    target: &Target,
    stream: Stream,
    authorization: Option<HeaderValue>,
) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let address = target.host_and_port();
    let mut request = Request::builder().method(Method::CONNECT).uri(&address).header(header::HOST, &address);
    if let Some(value) = authorization {
        request = request.header(header::PROXY_AUTHORIZATION, value);
    }
    Ok(sender.send_request(request.body(Empty::<Bytes>::new())?).await?)
}
