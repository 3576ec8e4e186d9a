//! Pulls as the kubelet does: through `runtime.v1.ImageService` of a containerd whose CRI plugin is on.
//!
//! The messages contain only the fields that tests use, with the numbers of
//! [`api.proto`](https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto).

use std::path::Path;
use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::host::wait::wait_until;

/// The image service of one containerd.
#[derive(Debug)]
pub struct Cri {
    channel: Channel,
}

impl Cri {
    /// Waits until the plugin answers, which is shortly after containerd has started.
    pub(crate) async fn ready(socket: &Path) -> Self {
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).expect("a path in UTF-8");
        let cri = Self { channel: endpoint.connect_lazy() };
        wait_until("the CRI to answer", START_LIMIT, || async {
            let request = ImageStatusRequest { image: Some("none.test/none:1".into()) };
            match cri.call::<ImageStatusResponse>("ImageStatus", request).await {
                Ok(_) => Some(()),
                // Other failures of the start are final: a plugin that was not loaded answers "unimplemented".
                Err(status) if status.code() == Code::Unavailable || status.message().contains(NOT_YET) => {
                    None
                }
                Err(status) => panic!("the CRI at {}: {status}", socket.display()),
            }
        })
        .await;
        cri
    }

    /// Pulls an image and unpacks it, with or without the secret of the pod; returns the image's id.
    pub async fn pull(&self, image: &str, auth: Option<Auth>) -> Result<String, Status> {
        let request = PullImageRequest { image: Some(image.into()), auth };
        let response: PullImageResponse = self.call("PullImage", request).await?;
        Ok(response.image_ref)
    }

    /// True if the node has the image: the kubelet asks this before it pulls, and after.
    pub async fn has(&self, image: &str) -> Result<bool, Status> {
        let request = ImageStatusRequest { image: Some(image.into()) };
        let response: ImageStatusResponse = self.call("ImageStatus", request).await?;
        Ok(response.image.is_some())
    }

    /// Panics if no answer comes, since a missing answer is not a refusal.
    async fn call<T: Message + Default + 'static>(
        &self,
        method: &str,
        message: impl Message + 'static,
    ) -> Result<T, Status> {
        let path = PathAndQuery::try_from(format!("/runtime.v1.ImageService/{method}"))
            .expect("invariant: a valid path");
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let answer = client.unary(tonic::Request::new(message), path, ProstCodec::default());
        let answer = timeout(CALL_LIMIT, answer)
            .await
            .unwrap_or_else(|_| panic!("{method}: no answer after {CALL_LIMIT:?}"));
        answer.map(tonic::Response::into_inner)
    }
}

/// `AuthConfig`, as the kubelet fills it from a pod's secret. The kubelet leaves `server_address` empty.
#[derive(Clone, PartialEq, Message)]
pub struct Auth {
    /// The user name.
    #[prost(string, tag = "1")]
    pub username: String,
    /// The password.
    #[prost(string, tag = "2")]
    pub password: String,
    /// User name and password as `name:password` in base64.
    #[prost(string, tag = "3")]
    pub auth: String,
    /// The registry that the secret is meant for.
    #[prost(string, tag = "4")]
    pub server_address: String,
    /// A refresh token.
    #[prost(string, tag = "5")]
    pub identity_token: String,
    /// A token that is sent to the registry unchanged.
    #[prost(string, tag = "6")]
    pub registry_token: String,
}

#[derive(Clone, PartialEq, Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

impl From<&str> for ImageSpec {
    fn from(image: &str) -> Self {
        Self { image: image.to_owned() }
    }
}

#[derive(Clone, PartialEq, Message)]
struct PullImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
    #[prost(message, optional, tag = "2")]
    auth: Option<Auth>,
}

#[derive(Clone, PartialEq, Message)]
struct PullImageResponse {
    #[prost(string, tag = "1")]
    image_ref: String,
}

#[derive(Clone, PartialEq, Message)]
struct ImageStatusRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct ImageStatusResponse {
    #[prost(message, optional, tag = "1")]
    image: Option<StoredImage>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredImage {
    #[prost(string, tag = "1")]
    id: String,
}

/// The plugin's message until it has read its state.
const NOT_YET: &str = "server is not initialized yet";
const START_LIMIT: Duration = Duration::from_secs(30);
const CALL_LIMIT: Duration = Duration::from_secs(120);
