//! The images of a pod or of a pod template.

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec, Volume};
use oci::ImageName;

use super::workload::{BadReference, Role, Use};

/// The parts of a pod specification that the prober needs.
pub(super) struct Needed {
    pub(super) service_account: Box<str>,
    pub(super) pull_secrets: Box<[Box<str>]>,
    pub(super) uses: Box<[Use]>,
    pub(super) node: Option<Box<str>>,
    pub(super) architecture: Option<Box<str>>,
}

/// Reads a specification. A part without an image, such as a container whose image an admission controller sets later,
/// is left out.
pub(super) fn needed(spec: &PodSpec) -> Needed {
    let init = spec.init_containers.iter().flatten().filter_map(|it| container(it, Role::Init));
    let app = spec.containers.iter().filter_map(|it| container(it, Role::App));
    let ephemeral = spec.ephemeral_containers.iter().flatten().filter_map(ephemeral);
    let volumes = spec.volumes.iter().flatten().filter_map(volume);
    let secrets = spec.image_pull_secrets.iter().flatten();
    let selector = spec.node_selector.as_ref();
    Needed {
        // The older field is still set by the API server, and alone in old manifests.
        service_account: spec
            .service_account_name
            .as_deref()
            .or(spec.service_account.as_deref())
            .filter(|name| !name.is_empty())
            .unwrap_or(DEFAULT_ACCOUNT)
            .into(),
        pull_secrets: secrets
            .map(|secret| secret.name.as_str())
            .filter(|name| !name.is_empty())
            .map(Into::into)
            .collect(),
        uses: init.chain(app).chain(ephemeral).chain(volumes).collect(),
        node: spec.node_name.as_deref().filter(|name| !name.is_empty()).map(Into::into),
        architecture: selector
            .and_then(|selector| selector.get(ARCHITECTURE))
            .map(|text| text.as_str().into()),
    }
}

fn container(from: &Container, role: Role) -> Option<Use> {
    used(&from.name, role, from.image.as_deref(), from.image_pull_policy.as_deref())
}

fn ephemeral(from: &EphemeralContainer) -> Option<Use> {
    used(&from.name, Role::Ephemeral, from.image.as_deref(), from.image_pull_policy.as_deref())
}

fn volume(from: &Volume) -> Option<Use> {
    let image = from.image.as_ref()?;
    used(&from.name, Role::Volume, image.reference.as_deref(), image.pull_policy.as_deref())
}

fn used(part: &str, role: Role, image: Option<&str>, policy: Option<&str>) -> Option<Use> {
    let written = image.filter(|text| !text.is_empty())?;
    Some(Use { part: part.into(), role, image: read(written), never_pulled: policy == Some("Never") })
}

/// Reads an image reference. The kubelet does not trim it either, so that a space makes it invalid.
fn read(written: &str) -> Result<ImageName, BadReference> {
    let bad = |reason: String| BadReference { written: shortened(written), reason: reason.into() };
    if written.len() > REFERENCE_MAX {
        return Err(bad(format!("longer than {REFERENCE_MAX} characters")));
    }
    if written.contains("://") {
        return Err(bad("an image reference has no scheme".to_owned()));
    }
    written.parse().map_err(|error: oci::name::NameError| bad(error.to_string()))
}

fn shortened(text: &str) -> Box<str> {
    text.chars().take(SHOWN_MAX).collect::<String>().escape_debug().to_string().into()
}

/// The service account of a pod that names none.
const DEFAULT_ACCOUNT: &str = "default";
/// The label of a node's architecture (<https://kubernetes.io/docs/reference/labels-annotations-taints/>).
const ARCHITECTURE: &str = "kubernetes.io/arch";
/// The longest reference that is parsed, in characters: registry, repository, tag and digest at their longest.
const REFERENCE_MAX: usize = 1024;
/// The longest text of a bad reference that is kept, in characters.
const SHOWN_MAX: usize = 120;
