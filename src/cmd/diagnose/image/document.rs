//! The result of a diagnosis: the JSON document, from which the text is made too. `schema` grows when a field changes its
//! meaning.

use diagnose::image::BadName;
use serde::Serialize;

use super::around::{Probes, Pull};
use crate::cmd::diagnose::secret::FindingLine;

/// The result.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Document {
    pub(super) schema: u32,
    /// The image, with registry and tag; as written, if it is no valid name.
    pub(super) image: String,
    pub(super) platform: String,
    /// True if a pull fails.
    pub(super) fault: bool,
    /// The class of the failure.
    pub(super) class: Option<&'static str>,
    /// The stage that fails.
    pub(super) stage: Option<&'static str>,
    /// `nowhere`, `image`, `credential`, `registry`, `path`, `mirror` or `machine`.
    pub(super) place: &'static str,
    /// The conclusion in one sentence.
    pub(super) sentence: String,
    /// What to do; lines that begin with two spaces can be pasted.
    pub(super) fix: Vec<String>,
    /// Commands that show more.
    pub(super) next: Vec<String>,
    /// Remarks that are no fault of this pull.
    pub(super) notes: Vec<String>,
    /// The faults of the pull secrets that were given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) findings: Vec<FindingLine>,
    /// The place of the mistake in a name that no node accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mistake: Option<Mistake>,
    /// The identity whose walk `stages` shows.
    pub(super) identity: String,
    pub(super) stages: Vec<StageLine>,
    pub(super) identities: Vec<IdentityLine>,
    /// The way through the mirror.
    pub(super) mirror: Option<MirrorLine>,
    pub(super) quotas: Vec<QuotaLine>,
    /// The platforms of the index; empty if the image is no index.
    pub(super) platforms: Vec<String>,
    /// The tags of the repository, if the tag is unknown.
    pub(super) tags: Option<TagsLine>,
    pub(super) layers: Option<LayersLine>,
    pub(super) certificate: Option<CertificateLine>,
    /// The hosts that stated their time, with the seconds by which this machine's clock is ahead of it.
    pub(super) clocks: Vec<(String, i64)>,
    /// The state of the image in the cache of this machine; none if it cannot be read.
    pub(super) cache: Option<CacheLine>,
    /// The newest pulls of the image.
    pub(crate) pulls: Vec<Pull>,
    /// The registry, as a running instance sees it.
    pub(crate) probes: Option<Probes>,
    /// Requests of this diagnosis for manifests by GET, which registries with a quota count as pulls if they succeed.
    pub(super) manifest_gets: usize,
}

/// A mistake in a name.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mistake {
    /// The character, counted from 1.
    pub(super) position: usize,
    pub(super) what: String,
    /// The name that was probably meant.
    pub(super) repaired: Option<String>,
}

/// One step of the walk.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StageLine {
    pub(super) stage: &'static str,
    pub(super) seconds: Option<f64>,
    /// `ok`, `failed`, `not_needed` or `not_reached`.
    pub(super) state: &'static str,
    pub(super) result: String,
}

/// One row of the table of identities. A cell is `ok`, `not_needed`, `not_tried`, or a class.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IdentityLine {
    pub(super) name: String,
    /// `anonymous`, `configured`, `given` or `mirror`.
    pub(super) kind: &'static str,
    pub(super) token: &'static str,
    pub(super) manifest: &'static str,
    pub(super) layer: &'static str,
    /// The failure, with host, status and message.
    pub(super) evidence: Option<String>,
}

/// The mirror.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MirrorLine {
    pub(super) url: String,
    pub(super) answered: bool,
    /// The outcome that it stated: hit, miss, stale, failed.
    pub(super) outcome: Option<String>,
    pub(super) class: Option<&'static str>,
    pub(super) stage: Option<&'static str>,
    pub(super) seconds: f64,
}

/// The pulls that a registry still allows an identity.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct QuotaLine {
    pub(super) identity: String,
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    pub(super) window_seconds: Option<u64>,
    pub(super) source: Option<String>,
}

/// The tags of a repository.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TagsLine {
    pub(super) nearest: Vec<String>,
    pub(super) seen: usize,
    pub(super) more: bool,
}

/// The layers of the image.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LayersLine {
    pub(super) count: usize,
    pub(super) bytes: u64,
    pub(super) largest_bytes: u64,
    /// The host of the layers.
    pub(super) host: Option<String>,
    pub(super) sampled_bytes: u64,
    pub(super) bytes_per_second: Option<u64>,
    /// The time of the whole image at this rate.
    pub(super) estimated_seconds: Option<u64>,
}

/// The certificate of the registry's host.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CertificateLine {
    pub(super) host: String,
    pub(super) issuer: String,
    pub(super) seconds_left: i64,
    pub(super) verified: bool,
}

/// The state of the image in the cache of this machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CacheLine {
    pub(super) digest: Option<String>,
    /// True if the manifest is stored.
    pub(super) here: bool,
    /// True if a pull needs no registry.
    pub(super) complete: bool,
    /// The number of missing objects.
    pub(super) missing: usize,
}

impl Document {
    /// The result for a name that no node accepts. No request is made.
    pub(super) fn of_bad_name(text: &str, bad: &BadName) -> Self {
        let position = bad.at + 1;
        let fix = match &bad.repaired {
            Some(repaired) => vec!["Write it so:".to_owned(), format!("  image: {repaired}")],
            None => vec!["Correct the name: registry/repository:tag, repository in lower case.".to_owned()],
        };
        Self {
            schema: SCHEMA,
            image: shown(text),
            fault: true,
            class: Some(oci::Class::NameInvalid.as_str()),
            place: diagnose::image::Place::Image.as_str(),
            sentence: format!("No node accepts this image name. Character {position}: {}.", bad.what),
            fix,
            next: bad.repaired.iter().map(|name| format!("pullgate diagnose {name}")).collect(),
            mistake: Some(Mistake { position, what: bad.what.clone(), repaired: bad.repaired.clone() }),
            ..Self::default()
        }
    }
}

/// The name as a terminal can show it, shortened.
fn shown(text: &str) -> String {
    let escaped =
        |c: char| if matches!(c, '"' | '\'' | '\\') { c.to_string() } else { c.escape_debug().to_string() };
    text.chars().take(SHOWN).map(escaped).collect()
}

/// The version of the document.
pub(super) const SCHEMA: u32 = 1;
/// Characters of a wrong name that are shown.
const SHOWN: usize = 300;
