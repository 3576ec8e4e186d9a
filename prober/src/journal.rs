//! The journal of one walk: each request with its result, and the facts about the image that its documents tell.

use std::time::Duration;

use oci::manifest::{Child, Kind};
use oci::{Digest, Platform};
use registry::client::Answer;
use registry::{Error, Quota, Timings};

oci::labels! {
    /// The objects that a walk requests, in its order.
    Object {
        /// The manifest by tag, headers only.
        Tag = "tag";
        /// An index, by digest.
        Index = "index";
        /// The manifest of the platform, by digest.
        Manifest = "manifest";
        /// The configuration of the image.
        Config = "config";
        /// The sampled layer.
        Layer = "layer";
    }
}

/// One request of a walk.
#[derive(Clone, Debug)]
pub struct Step {
    /// The requested object.
    pub object: Object,
    /// The host that answered last, after redirects; of a failure, the host at fault.
    pub host: String,
    /// The time of each stage.
    pub timings: Timings,
    /// Bytes of the body that were read.
    pub bytes: u64,
    /// The failure, if it failed.
    pub error: Option<Error>,
}

/// The facts about the image.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The digest that the tag names.
    pub digest: Option<Digest>,
    /// The platforms of the index, in its order; empty if the tag names an image.
    pub platforms: Vec<Platform>,
    /// The digest of the manifest for the platform.
    pub manifest: Option<Digest>,
    /// The layers that the registry serves; foreign ones are left out.
    pub layers: Vec<Child>,
    /// The platform in the configuration.
    pub built_for: Option<Platform>,
}

/// The record of a walk.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// The requests, in order.
    pub steps: Vec<Step>,
    /// The facts.
    pub facts: Facts,
    /// The quota headers of the last answer that had some.
    pub quota: Option<Quota>,
    /// True if a mirror marked its answer as stale.
    pub stale: bool,
}

impl Journal {
    pub(crate) fn answered<T>(&mut self, object: Object, answer: &Answer<T>) {
        self.steps.push(Step {
            object,
            host: answer.host.clone(),
            timings: answer.timings,
            bytes: 0,
            error: None,
        });
        self.quota = answer.quota.clone().or(self.quota.take());
    }

    pub(crate) fn failed(&mut self, object: Object, error: &Error) {
        let host = error.evidence.host.clone();
        let step = Step { object, host, timings: error.timings, bytes: 0, error: Some(error.clone()) };
        self.steps.push(step);
    }

    /// The answer of the last step turned out to be at fault.
    pub(crate) fn faulty(&mut self, error: &Error) {
        if let Some(step) = self.steps.last_mut() {
            step.error = Some(error.clone());
        }
    }

    /// The body of the last step: its bytes and the time of their transfer.
    pub(crate) fn received(&mut self, stage: oci::Stage, bytes: u64, time: Duration) {
        if let Some(step) = self.steps.last_mut() {
            step.bytes += bytes;
            step.timings.add(stage, time);
        }
    }

    /// The document of the last step, a manifest or an index.
    pub(crate) fn read(&mut self, digest: &Digest, kind: &Kind) {
        let (object, layers) = match kind {
            Kind::Index { manifests } => {
                let platforms = manifests.iter().filter_map(|child| child.platform.clone());
                self.facts.platforms = platforms.filter(|platform| platform.os != UNKNOWN).collect();
                (Object::Index, None)
            }
            Kind::Image { layers, .. } => (Object::Manifest, Some(layers)),
            Kind::Other { blobs } => (Object::Manifest, Some(blobs)),
        };
        if let Some(step) = self.steps.last_mut() {
            step.object = object;
        }
        if let Some(layers) = layers {
            self.facts.manifest = Some(digest.clone());
            self.facts.layers = layers.iter().filter(|layer| !layer.foreign).cloned().collect();
        }
    }

    /// The sum of all stages.
    pub fn timings(&self) -> Timings {
        let mut sum = Timings::default();
        for step in &self.steps {
            sum.merge(&step.timings);
        }
        sum
    }
}

/// The operating system of an index's entries that are no images, such as attestations.
const UNKNOWN: &str = "unknown";
