//! The report of a drill, as the control socket and `-o json` carry it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::{Coverage, Image, Restartable, Workload};

/// A drill that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The registry that is treated as down.
    pub(crate) registry: String,
    /// The time of the begin, in milliseconds since 1970.
    pub(crate) begun: u64,
    /// The time until the end, in seconds.
    pub(crate) seconds: u64,
}

/// What a drill has shown. A change of a field's meaning increases `schema`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Version of the document's schema.
    pub(crate) schema: u32,
    /// The registry that is treated as down.
    pub(crate) registry: String,
    /// The begin of the drill, in milliseconds since 1970; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) begun: Option<u64>,
    /// Seconds until the drill ends; absent if none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left_seconds: Option<u64>,
    /// The number of images of this registry that workloads use; absent if no cluster is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) images: Option<usize>,
    /// Those that could not be pulled again without the registry.
    pub(crate) lost: Vec<Lost>,
    /// Pulls through the proxy that failed because of the drill, newest first.
    pub(crate) failed_pulls: Vec<FailedPull>,
    /// What the report does not cover, in sentences.
    pub(crate) notes: Vec<String>,
}

/// An image in use that could not be pulled again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// The image.
    pub(crate) image: String,
    /// The reason.
    pub(crate) cause: String,
    /// The next step.
    pub(crate) fix: String,
    /// The workloads that use it, as `kind/namespace/name`.
    pub(crate) workloads: Vec<String>,
}

/// A pull that failed because of the drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FailedPull {
    /// The beginning of the pull's id, for `pullgate pulls show`.
    pub(crate) id: String,
    /// The time of its begin.
    pub(crate) at: String,
    /// The image.
    pub(crate) image: String,
    /// The node, or the address of the client.
    pub(crate) client: String,
}

impl Report {
    /// True if the drill has found a fault.
    pub(crate) fn has_losses(&self) -> bool {
        !self.lost.is_empty() || !self.failed_pulls.is_empty()
    }
}

/// The number of images of `registry`, and those that could not be pulled. `coverage` was made with the registry treated
/// as down.
pub(crate) fn lost(coverage: &Coverage, registry: &str) -> (usize, Vec<Lost>) {
    let mut uses: BTreeMap<&str, Vec<(&Workload, &Image)>> = BTreeMap::new();
    for workload in &coverage.workloads {
        for image in workload.images.iter().filter(|image| image.registry.as_deref() == Some(registry)) {
            uses.entry(&image.image).or_default().push((workload, image));
        }
    }
    let lost = uses.iter().filter_map(|(image, uses)| lost_image(image, uses)).collect();
    (uses.len(), lost)
}

fn lost_image(image: &str, uses: &[(&Workload, &Image)]) -> Option<Lost> {
    let lost = uses.iter().filter(|(_, image)| image.restartable != Restartable::Yes);
    let mut workloads: Vec<String> = lost.clone().map(|(workload, _)| full_name(workload)).collect();
    workloads.dedup();
    let (_, first) = lost.clone().next()?;
    Some(Lost {
        image: image.to_owned(),
        cause: first.cause.clone().unwrap_or_default(),
        fix: first.fix.clone().unwrap_or_default(),
        workloads,
    })
}

fn full_name(workload: &Workload) -> String {
    format!("{}/{}/{}", workload.kind.to_ascii_lowercase(), workload.namespace, workload.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_image_names_the_workloads_that_use_it() {
        let image = |name: &str, registry: &str, restartable| Image {
            image: name.to_owned(),
            registry: Some(registry.to_owned()),
            platforms: Vec::new(),
            restartable,
            source: None,
            class: None,
            cause: Some("because".to_owned()),
            fix: None,
        };
        let (gone, kept) = (image("r/gone", "r", Restartable::No), image("r/kept", "r", Restartable::Yes));
        let other = image("s/gone", "s", Restartable::No);
        let workloads = vec![
            Workload::new("a", "Pod", "one", vec![gone.clone(), kept.clone(), other]),
            Workload::new("b", "Job", "two", vec![gone]),
            Workload::new("b", "Job", "three", vec![kept]),
        ];
        let (images, lost) = lost(&Coverage::new(0, workloads, str::to_owned), "r");
        assert_eq!((images, lost.len()), (2, 1));
        assert_eq!(lost[0].workloads, ["pod/a/one", "job/b/two"]);
        assert_eq!(lost[0].cause, "because");
    }
}
