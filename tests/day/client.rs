//! A client's pull and its result.

use std::fmt;
use std::time::Duration;

use loadtest::image::{Blob, Image};
use support::http::{self, Answer};
use tokio::time::Instant;

use crate::setup::REGISTRY;

/// How one pull ended.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) took: Duration,
    /// True if any answer of the pull was marked stale.
    pub(crate) stale: bool,
    /// The answer that refused the pull; `None` if the pull succeeded.
    pub(crate) refused: Option<Refusal>,
}

/// An answer other than 200.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: u16,
    pub(crate) class: String,
    path: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) for {}", self.status, self.class, self.path)
    }
}

/// Pulls the image behind the tag, as containerd does: HEAD by tag, then everything by digest. Panics on a wrong
/// byte, and if the tag points to an image other than those in `wanted`.
pub(crate) async fn pull(proxy: &str, repository: &str, wanted: &[&Image]) -> Pulled {
    let begun = Instant::now();
    let mut stale = false;
    let ended = parts(proxy, repository, wanted, &mut stale).await;
    Pulled { took: begun.elapsed(), stale, refused: ended.err() }
}

async fn parts(proxy: &str, repository: &str, wanted: &[&Image], stale: &mut bool) -> Result<(), Refusal> {
    let path = |rest: &str| format!("/v2/{repository}/{rest}?ns={REGISTRY}");
    let by_tag = path("manifests/1");
    let head = good(&by_tag, http::head(proxy, &by_tag).send().await)?;
    *stale |= head.header("x-pullgate-outcome") == Some("stale");
    let digest = head.header("docker-content-digest").unwrap();
    let image = wanted.iter().find(|image| image.digest() == digest).unwrap_or_else(|| {
        panic!("{repository}:1 is {digest}, which is none of its images");
    });
    fetch(proxy, &path(&format!("manifests/{digest}")), &image.manifest).await?;
    for blob in image.blobs() {
        fetch(proxy, &path(&format!("blobs/{}", blob.digest)), blob).await?;
    }
    Ok(())
}

async fn fetch(proxy: &str, path: &str, blob: &Blob) -> Result<(), Refusal> {
    let answer = good(path, http::get(proxy, path).send().await)?;
    assert!(answer.is_whole(), "{path} was cut");
    assert!(answer.body == blob.bytes, "{path} came complete, with wrong bytes");
    Ok(())
}

fn good(path: &str, answer: Answer) -> Result<Answer, Refusal> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let class = answer.header("x-pullgate-class").unwrap_or("none").to_owned();
    Err(Refusal { status: answer.status.as_u16(), class, path: path.to_owned() })
}
