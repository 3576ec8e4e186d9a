//! `registries.yaml` of k3s and RKE2, which generate containerd's files from it.

use std::fmt::Write;

use super::document::Document;
use super::text::quoted;
use crate::model::Setup;

/// The file, with one mirror for each registry. k3s knows no headers, so the node's name is not in it.
pub(super) fn registries(setup: &Setup, path: &str) -> Document {
    let mirror = &setup.mirror;
    let mut text = String::from(
        "# pullgate: pulls go through the mirror first, and to the registry itself when the mirror does not answer.\n\
         # Read at the start of k3s or RKE2 only; put it on every server too, because servers run pods.\nmirrors:\n",
    );
    for registry in &setup.registries {
        let (host, url) = (quoted(registry.host.as_str()), quoted(mirror.url.as_str()));
        let _infallible = write!(text, "  {host}:\n    endpoint:\n      - {url}\n");
    }
    if let Some(ca) = mirror.ca.as_deref().filter(|_| !mirror.url.is_plain()) {
        let (authority, ca) = (quoted(mirror.url.authority()), quoted(ca));
        let _infallible = write!(text, "configs:\n  {authority}:\n    tls:\n      ca_file: {ca}\n");
    }
    Document::own(path, text)
}
