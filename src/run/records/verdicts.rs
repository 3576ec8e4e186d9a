//! The prober's sink of verdicts: the record file, so that the history of a registry outlives the process, and incidents.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prober::{Conclusion, Conclusions, Verdict};
use records::record::TargetName;

use super::keeper::Keeper;
use crate::run::incidents::{Incidents, sightings};

/// Keeps the verdict of each probe in the record file, and makes incidents of failures.
pub(crate) struct KeptVerdicts {
    /// The record file.
    pub(crate) keeper: Keeper,
    /// The incidents.
    pub(crate) incidents: Incidents,
    /// The upstreams as configured now.
    pub(crate) upstreams: Arc<ArcSwap<Vec<config::Upstream>>>,
}

impl Conclusions for KeptVerdicts {
    fn concluded(&self, conclusion: &Conclusion<'_>) {
        if let Some(sighting) = sightings::of_probe(conclusion, &self.upstreams.load()) {
            self.incidents.see(&sighting);
        }
        if !self.keeper.is_on() {
            return;
        }
        let class = match conclusion.verdict {
            Verdict::Failed(failure) => Some(failure.class),
            Verdict::Ok(_) | Verdict::Pending => None,
        };
        self.keeper.keep_verdict(records::Verdict {
            registry: conclusion.registry.clone(),
            target: conclusion.image.and_then(|image| TargetName::clean(image.to_string().as_bytes())),
            class,
            stage: conclusion.stage,
            at: conclusion.at.into(),
            duration: conclusion.took,
        });
    }
}
