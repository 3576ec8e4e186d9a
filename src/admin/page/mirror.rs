//! The proxy's part of the status page: answers by their source, and the content of the cache.

use std::collections::BTreeMap;

use maud::{Markup, html};
use proxy::{CacheStatus, EvictedStatus, FillStatus, Status, UpstreamStatus};

use super::probes::ago;
use crate::admin::human::{count, size};
use crate::admin::status::cache_warnings;

/// The banner about the cache: its trouble, else one quiet line.
pub(super) fn banner(cache: &CacheStatus) -> Markup {
    let warnings = cache_warnings(cache);
    let title = match (&cache.stopped, &cache.slow) {
        (Some(_), _) => "The cache stores nothing; pulls pass through.",
        (None, Some(_)) => "The disk of the cache is slow.",
        (None, None) => "The cache needs attention.",
    };
    html! {
        @if warnings.is_empty() { p class="banner calm" { "The cache stores what is pulled." } }
        @else {
            div class="banner alarm" role="alert" {
                strong class="mark bad" { (title) }
                @for warning in &warnings { div class="evidence" { (warning) } }
            }
        }
    }
}

/// The section about the mirror.
pub(super) fn section(status: &Status, names: bool) -> Markup {
    let busy: Vec<_> = status
        .upstreams
        .iter()
        .filter(|upstream| upstream.answers.values().any(|count| *count > 0))
        .collect();
    html! {
        h2 { "Mirror" }
        dl class="plain" {
            dt { "Cache" } dd { (status.cache.objects) " objects, " (size(status.cache.bytes)) " of " (size(status.cache.limit_bytes)) @if !status.cache.scanned { " (still counting)" } }
            dt { "Left the cache" } dd { (evicted(&status.evicted)) }
            @for other in &status.cache.reclaimable { dt { "Reclaimable" } dd { "the store of another version, " code { (other) } ", in the cache folder" } }
            dt { "Connections" } dd { (status.connections) }
        }
        @if busy.is_empty() { p class="dim" { "No requests yet: point containerd's hosts.toml here, or try a pull." } }
        @else { (traffic(&busy)) }
        @if !status.fills.is_empty() { (transfers(&status.fills, names)) }
    }
}

/// The evictions since the start, by reason.
fn evicted(evicted: &BTreeMap<&'static str, EvictedStatus>) -> Markup {
    html! {
        @if evicted.is_empty() { span class="dim" { "nothing since the start" } }
        @for (index, (reason, it)) in evicted.iter().enumerate() {
            @if index > 0 { "; " }
            (count(usize::try_from(it.objects).unwrap_or(usize::MAX), "object")) ", " (size(it.bytes)) ": " (reason_of(reason))
            ", last " (ago(it.last))
        }
    }
}

fn reason_of(label: &str) -> &str {
    match label {
        "size" => "the cache was full",
        "free_bytes" => "the disk had too little space",
        "free_inodes" => "the disk had too few inodes",
        "purge" => "purged on request",
        other => other,
    }
}

/// The running upstream transfers.
fn transfers(fills: &[FillStatus], names: bool) -> Markup {
    html! {
        h2 { "Running transfers" }
        table class="stack" {
            thead { tr { th { "Layer" } th { "Registry" } th { "Progress" } th { "Rate" } th { "Readers" } } }
            tbody { @for fill in fills { (transfer(fill, names)) } }
        }
    }
}

fn transfer(fill: &FillStatus, names: bool) -> Markup {
    let digest = fill.digest.chars().take(DIGEST_SHOWN).collect();
    let name: String = if names { digest } else { "a layer".to_owned() };
    html! {
        tr {
            th scope="row" { code { (name) } }
            td { (fill.registry) @if let Some(repository) = &fill.repository { "/" (repository) } }
            td class="num" {
                @if let Some(length) = fill.length {
                    progress max=(length) value=(fill.received.min(length)) aria-label={ "progress of " (name) } {}
                    " "
                }
                (size(fill.received)) @if let Some(length) = fill.length { " of " (size(length)) }
            }
            td class="num" { @match fill.bytes_per_second { Some(rate) => { (size(rate)) "/s" } None => { span class="dim" { "waiting" } } } }
            td class="num" { (count(fill.readers, "reader")) }
        }
    }
}

fn traffic(busy: &[&UpstreamStatus]) -> Markup {
    let outcomes = OUTCOMES
        .iter()
        .filter(|outcome| busy.iter().any(|upstream| upstream.answers.contains_key(**outcome)));
    let outcomes: Vec<_> = outcomes.copied().collect();
    html! {
        table class="stack" {
            thead { tr { th { "Registry" } @for outcome in &outcomes { th { (outcome) } } th { "Sent" } th { "Fills now" } th { "Resumed" } } }
            tbody {
                @for upstream in busy {
                    tr {
                        th scope="row" { (upstream.registry) }
                        @for outcome in &outcomes { td class="num" { (upstream.answers.get(outcome).copied().unwrap_or_default()) span class="tiny" { " " (outcome) } } }
                        td class="num" { (size(upstream.sent_bytes)) span class="tiny" { " " "sent" } }
                        td class="num" { (upstream.fills_in_flight) span class="tiny" { " " "fills" } }
                        td class="num" { (upstream.fill_resumes) span class="tiny" { " " "resumed" } }
                    }
                }
            }
        }
    }
}

/// Characters of a digest on the page: the algorithm and twelve digits.
const DIGEST_SHOWN: usize = 19;
/// The outcomes of requests, from the best to the worst.
const OUTCOMES: &[&str] = &["hit", "joined", "miss", "stale", "refused", "failed"];

#[cfg(test)]
mod tests {
    use proxy::{SlowStatus, StoppedStatus};

    use super::*;

    #[test]
    fn the_banner_is_quiet_until_the_cache_is_in_trouble() {
        let mut cache = CacheStatus { limit_bytes: 1 << 30, ..CacheStatus::default() };
        let text = |cache: &CacheStatus| banner(cache).into_string();
        assert!(text(&cache).contains("banner calm") && !text(&cache).contains("bad"), "{}", text(&cache));

        cache.slow = Some(SlowStatus {
            operation: "sync",
            seconds: 4.0,
            ended: false,
            operations: 0,
            longest_seconds: 4.0,
            since: 0,
            detail: "the cache's disk is slow: 4 s".to_owned(),
        });
        assert!(text(&cache).contains("The disk of the cache is slow."), "{}", text(&cache));
        assert!(text(&cache).contains("slow: 4 s"), "{}", text(&cache));

        let detail = "no room for 8 bytes".to_owned();
        cache.stopped = Some(StoppedStatus { reason: "full", detail: detail.clone(), since: 0 });
        cache.warning = Some(detail);
        (cache.file_system_bytes, cache.oversized) = (Some(1 << 30), true);
        for told in ["The cache stores nothing", "no room for 8 bytes", "slow: 4 s", "max_size is 1.0 GiB"] {
            assert!(text(&cache).contains(told), "{told}: {}", text(&cache));
        }
    }
}
