//! The drop-in of CRI-O and podman, and docker's list of mirrors.

use std::fmt::Write;

use super::document::{Document, Place};
use super::text::quoted;
use crate::model::Setup;

/// `registries.conf.d/50-pullgate.conf`; `reload` is the command after it, if the runtime needs one.
pub(super) fn drop_in(setup: &Setup, reload: &str) -> Document {
    let then = if reload.is_empty() { String::new() } else { format!(", then run `{reload}`") };
    let mut text = format!(
        "# CRI-O and podman: {DROP_IN}{then}.\n\
         # These clients send no `ns`: the registry is the first segment of the path. `insecure` allows plain HTTP to the mirror only;\n\
         # the registry's own `location` is tried last. There is no wildcard: each registry needs one entry.\n"
    );
    let authority = setup.mirror.url.authority();
    for registry in &setup.registries {
        let host = quoted(registry.host.as_str());
        let location = quoted(&format!("{authority}/{}", registry.segment()));
        let _infallible = write!(
            text,
            "\n[[registry]]\nprefix = {host}\nlocation = {host}\n[[registry.mirror]]\nlocation = {location}\n"
        );
        if setup.mirror.url.is_plain() {
            text.push_str("insecure = true\n");
        }
    }
    Document::own(DROP_IN, text)
}

/// docker asks mirrors for Docker Hub only, at their root.
pub(super) fn docker(setup: &Setup) -> Document {
    let mirror = setup.mirror.url.as_str().to_owned();
    let text = format!("{{\n  \"registry-mirrors\": [{}]\n}}\n", quoted(&mirror));
    Document { place: Place::DockerMirrors { path: "/etc/docker/daemon.json".into(), mirror }, text }
}

const DROP_IN: &str = "/etc/containers/registries.conf.d/50-pullgate.conf";
