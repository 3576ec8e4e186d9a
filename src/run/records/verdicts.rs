//! The prober's sink of verdicts: the record file, so that the history of a registry outlives the process.

use prober::{Conclusion, Conclusions, Verdict};
use records::record::TargetName;

use super::keeper::Keeper;

/// Keeps the verdict of each probe in the record file.
pub(crate) struct KeptVerdicts(pub(crate) Keeper);

impl Conclusions for KeptVerdicts {
    fn concluded(&self, conclusion: &Conclusion<'_>) {
        if !self.0.is_on() {
            return;
        }
        let class = match conclusion.verdict {
            Verdict::Failed(failure) => Some(failure.class),
            Verdict::Ok(_) | Verdict::Pending => None,
        };
        self.0.keep_verdict(records::Verdict {
            registry: conclusion.registry.clone(),
            target: conclusion.image.and_then(|image| TargetName::clean(image.to_string().as_bytes())),
            class,
            stage: conclusion.stage,
            at: conclusion.at.into(),
            duration: conclusion.took,
        });
    }
}
