//! The result for all workloads, as the control socket and `-o json` carry it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whether an image or a workload could be pulled again. The greatest is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Restartable {
    /// Every node could pull it.
    Yes,
    /// Nothing certain is known.
    Unknown,
    /// It could not be pulled.
    No,
}

/// The source of a pull that would succeed. The greatest is the less safe one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// The registry; perhaps the cache, too.
    Registry,
    /// The cache alone.
    Cache,
}

/// The result. A change of a field's meaning increases `schema`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Coverage {
    /// Version of the document's schema.
    pub(crate) schema: u32,
    /// The time of the result, in seconds since 1970.
    pub(crate) at: u64,
    /// The registries that this result treats as down.
    pub(crate) down: Vec<String>,
    /// What the result does not cover, in sentences.
    pub(crate) notes: Vec<String>,
    /// The workloads, in numbers.
    pub(crate) counts: Counts,
    /// The workloads by registry; `other` stands for the registries that are not configured.
    pub(crate) registries: BTreeMap<String, Counts>,
    /// The workloads, by namespace, kind and name.
    pub(crate) workloads: Vec<Workload>,
}

/// Workloads, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// All.
    pub(crate) workloads: usize,
    /// Those that could pull all of their images.
    pub(crate) restartable: usize,
    /// The part of those that could pull an image from the cache alone.
    pub(crate) from_cache_only: usize,
    /// Those that could not pull one of their images.
    pub(crate) not_restartable: usize,
    /// The others.
    pub(crate) unknown: usize,
}

/// One workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Workload {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its kind as the API names it.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
    /// The worst of its images.
    pub(crate) restartable: Restartable,
    /// Its images.
    pub(crate) images: Vec<Image>,
}

/// One image of a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Image {
    /// The image, in the normal form of its name; as written if it has none.
    pub(crate) image: String,
    /// Its registry; absent for a name that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registry: Option<String>,
    /// The platforms of the nodes that may pull it; empty if no node is known.
    pub(crate) platforms: Vec<String>,
    /// Whether it could be pulled.
    pub(crate) restartable: Restartable,
    /// The source of the pull that would succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
    /// The class of the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<String>,
    /// The fault, or the reason for which nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// The next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

impl Restartable {
    /// The word in tables.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Unknown => "unknown",
            Self::No => "no",
        }
    }
}

impl Source {
    /// The word in tables.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Cache => "cache",
        }
    }
}

impl Workload {
    /// The workload with these images.
    pub(crate) fn new(namespace: &str, kind: &str, name: &str, images: Vec<Image>) -> Self {
        let restartable = worst(&images);
        Self { namespace: namespace.into(), kind: kind.into(), name: name.into(), restartable, images }
    }

    /// `kind/name` as kubectl writes it.
    pub(crate) fn kind_and_name(&self) -> String {
        format!("{}/{}", self.kind.to_ascii_lowercase(), self.name)
    }
}

impl Coverage {
    /// The result for `workloads` at the time `at`, seconds since 1970. `label` names the registry in the counts.
    pub(crate) fn new(at: u64, workloads: Vec<Workload>, label: impl Fn(&str) -> String) -> Self {
        let mut counts = Counts::default();
        let mut registries: BTreeMap<String, Counts> = BTreeMap::new();
        for workload in &workloads {
            counts.add(&workload.images.iter().collect::<Vec<_>>());
            let mut by_registry: BTreeMap<String, Vec<&Image>> = BTreeMap::new();
            for image in &workload.images {
                by_registry
                    .entry(label(image.registry.as_deref().unwrap_or_default()))
                    .or_default()
                    .push(image);
            }
            for (registry, images) in by_registry {
                registries.entry(registry).or_default().add(&images);
            }
        }
        Self { schema: SCHEMA, at, down: Vec::new(), notes: Vec::new(), counts, registries, workloads }
    }

    /// The workloads that could not pull one of their images.
    pub(crate) fn failing(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.iter().filter(|workload| workload.restartable == Restartable::No)
    }
}

impl Counts {
    /// Counts one workload by these of its images.
    fn add(&mut self, images: &[&Image]) {
        let restartable = images.iter().map(|image| image.restartable).max().unwrap_or(Restartable::Yes);
        let cached = images.iter().any(|image| image.source == Some(Source::Cache));
        self.workloads += 1;
        match restartable {
            Restartable::Yes => {
                self.restartable += 1;
                self.from_cache_only += usize::from(cached);
            }
            Restartable::Unknown => self.unknown += 1,
            Restartable::No => self.not_restartable += 1,
        }
    }
}

fn worst(images: &[Image]) -> Restartable {
    images.iter().map(|image| image.restartable).max().unwrap_or(Restartable::Yes)
}

/// The version of the document's schema.
pub(crate) const SCHEMA: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn image(registry: &str, restartable: Restartable, source: Option<Source>) -> Image {
        Image {
            image: format!("{registry}/app:1"),
            registry: Some(registry.to_owned()),
            platforms: Vec::new(),
            restartable,
            source,
            class: None,
            cause: None,
            fix: None,
        }
    }

    #[test]
    fn the_worst_image_decides_and_each_registry_is_counted_by_its_own() {
        use Restartable::{No, Unknown, Yes};
        let workloads = vec![
            Workload::new(
                "a",
                "Pod",
                "one",
                vec![image("x", Yes, Some(Source::Registry)), image("y", No, None)],
            ),
            Workload::new(
                "a",
                "Pod",
                "two",
                vec![image("x", Yes, Some(Source::Cache)), image("x", Unknown, None)],
            ),
            Workload::new("b", "Pod", "three", vec![image("x", Yes, Some(Source::Cache))]),
        ];
        assert_eq!(workloads[0].restartable, No);
        let coverage = Coverage::new(0, workloads, str::to_owned);
        let counts = |workloads, restartable, from_cache_only, not_restartable, unknown| Counts {
            workloads,
            restartable,
            from_cache_only,
            not_restartable,
            unknown,
        };
        assert_eq!(coverage.counts, counts(3, 1, 1, 1, 1));
        assert_eq!(coverage.registries["x"], counts(3, 2, 1, 0, 1));
        assert_eq!(coverage.registries["y"], counts(1, 0, 0, 1, 0));
        assert_eq!(coverage.failing().count(), 1);
    }
}
