//! Makes the pull of a pod again, as the identity that the pod has.

use cluster::api::PodState;
use config::Loaded;
use diagnose::classify;
use diagnose::image::Verdict;
use oci::Platform;

use super::broken::Broken;
use super::look::{Secret, Seen};
use crate::cmd::diagnose::asked::Diagnose;
use crate::cmd::diagnose::image::{self, Asked};
use crate::cmd::diagnose::secret::{Held, held};

/// A pull that was made again.
pub(super) struct Replayed {
    pub(super) verdict: Verdict,
    pub(super) host: Option<String>,
    /// False if a pull secret of the pod could not be read.
    pub(super) as_the_pod: bool,
    pub(super) document: image::Document,
}

/// Replays. `None` if no request can be made: the name is wrong, or the credentials cannot be used.
pub(super) async fn replay(
    loaded: &Loaded,
    pod: &PodState,
    part: &Broken,
    seen: &Seen,
    asked: &Diagnose,
) -> Option<Replayed> {
    let image = part.image.clone()?;
    let secrets: Vec<_> = seen
        .secrets
        .iter()
        .filter_map(|(_, secret)| match secret {
            Secret::Found(secret) => Some((**secret).clone()),
            _ => None,
        })
        .collect();
    let as_the_pod = !seen.secrets.iter().any(|(_, secret)| matches!(secret, Secret::Unknown));
    let Held { all, unusable } = held(&secrets, &image);
    let told = classify(part.message.as_deref().unwrap_or_default());
    let pull = Asked {
        platform: platform(pod, seen),
        secrets: all,
        unusable,
        // The mirror's own credential helps a pod only if the pod pulls through the mirror.
        configured: told.by_proxy,
        mirror: told.by_proxy || told.host.as_deref().is_none_or(|host| is_mirror(loaded, host)),
        namespace: Some(pod.workload.id.namespace.to_string()),
        account: Some(pod.workload.service_account.to_string()),
        ..Asked::of(&asked.image)
    };
    let made = image::look(loaded, image, pull).await.ok()?;
    let (verdict, document) = image::concluded(&made);
    Some(Replayed { verdict, host: image::host(&made), as_the_pod, document })
}

/// True if the host that failed may be the mirror. Its address differs from machine to machine, its port does not.
fn is_mirror(loaded: &Loaded, host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port == loaded.config.proxy.listen.port().to_string())
}

/// The platform of the pod's node; `None` if that is unknown.
pub(super) fn platform(pod: &PodState, seen: &Seen) -> Option<Platform> {
    let node = pod.workload.node.as_deref()?;
    seen.nodes.iter().find(|known| &*known.name == node).map(|known| known.platform.clone())
}
