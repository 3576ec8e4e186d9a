//! The probes, with the time of each stage, and the images of the cluster in numbers.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use maud::{Markup, html};
use prober::status::Entry;

use super::state::probe_mark;
use crate::admin::human::age;
use crate::admin::status::Registry;
use crate::coverage::latest::Summary;
use crate::run::discovery::view::{ClusterStatus, OTHER};

/// The section; nothing without a prober.
pub(super) fn section(registries: &[Registry]) -> Markup {
    let probes: Vec<_> = registries.iter().flat_map(|registry| &registry.probes).collect();
    html! {
        @if !probes.is_empty() {
            h2 { "Probes" }
            table class="stack" {
                thead { tr { th { "Probe" } th { "Verdict" } th { "Stages" } } }
                tbody { @for probe in probes { (row(probe)) } }
            }
        }
    }
}

/// What was found in the cluster; nothing if no cluster is looked at.
pub(super) fn cluster(cluster: Option<&ClusterStatus>, registries: &[Registry]) -> Markup {
    html! {
        @if let Some(cluster) = cluster {
            h2 { "Cluster" }
            dl class="facts" {
                div { dt { "Workloads" } dd { (cluster.workloads) } }
                div { dt { "Watches" } dd { (counted(&cluster.watches)) } }
                div { dt { "Findings" } dd { (counted(&cluster.findings)) } }
                @for (registry, images) in &cluster.images {
                    div {
                        dt { "Images, " (registry) }
                        dd {
                            (images)
                            @for probed in registries.iter().filter(|it| it.registry == *registry) {
                                div class="dim" { (counted(&probed.discovered)) }
                            }
                            @if registry == OTHER { div class="dim" { "not probed: not configured" } }
                        }
                    }
                }
            }
        }
    }
}

/// The workloads that could restart, in numbers, with a few names of the others; nothing if no cluster is looked at.
pub(super) fn coverage(coverage: Option<&Summary>) -> Markup {
    html! {
        @if let Some(Summary { at, counts, failing, .. }) = coverage {
            h2 { "Could it restart?" }
            dl class="facts" {
                div { dt { "Restartable" } dd { (counts.restartable) " of " (counts.workloads)
                    div class="dim" { (counts.from_cache_only) " from the cache alone" } } }
                div { dt { "Not restartable" } dd { (counts.not_restartable) } }
                div { dt { "Unknown" } dd { (counts.unknown) div class="dim" { (ago(*at)) } } }
            }
            @for it in failing {
                p { span class="mark bad" { (it.class) } " " (it.workload) " " span class="dim" { (it.image) }
                    div class="evidence" { (it.cause) } }
            }
        }
    }
}

/// Numbers by name, such as `3 live · 1 refused`.
fn counted(counts: &BTreeMap<&'static str, usize>) -> String {
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(" · ") }
}

fn row(probe: &Entry) -> Markup {
    html! {
        tr {
            th scope="row" {
                (probe.registry)
                @if let Some(image) = &probe.image { div class="dim" { (image) @if let Some(platform) = &probe.platform { " " (platform) } } }
            }
            td {
                span class={ "mark " (probe_mark(probe)) } { (probe.verdict) }
                @if let Some(depth) = probe.depth { " " span class="dim" { (format!("{depth:?}").to_lowercase()) } }
                @if let Some(at) = probe.probed_at { " " span class="dim" { (ago(at)) } }
                @if let Some(evidence) = &probe.evidence { div class="evidence" { (evidence) } }
                @if let Some(fix) = probe.fix { div class="dim" { "→ " (fix) } }
            }
            td class="evidence" { (stages(probe)) }
        }
    }
}

fn stages(probe: &Entry) -> String {
    let order =
        oci::Stage::ALL.iter().filter_map(|stage| Some((stage.as_str(), *probe.stages.get(stage.as_str())?)));
    order
        .map(|(stage, seconds)| format!("{stage} {:.1} ms", seconds * 1000.0))
        .collect::<Vec<_>>()
        .join(" · ")
}

pub(super) fn ago(at: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    format!("{} ago", age(now.saturating_sub(at)))
}
