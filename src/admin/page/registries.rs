//! The registries: state, last day, rates, quota, certificate and last failure of each.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maud::{Markup, html};

use super::past::{Day, Past};
use super::state::State;
use super::strip;
use crate::admin::human::{age, size};
use crate::admin::status::{LastFailure, PausedSeen, QuotaSeen, Registry};
use crate::pulls::words;

/// The section.
pub(super) fn section(all: &[Registry], past: Option<&Past>) -> Markup {
    // Titles of cells are most of the page on a bad day: all strips share a number of them.
    let titles = (TITLES / all.len().max(1)).max(TITLES_MIN);
    html! {
        h2 { "Registries" }
        @for registry in all { (row(registry, past, titles)) }
    }
}

fn row(registry: &Registry, past: Option<&Past>, titles: usize) -> Markup {
    let State { mark, words } = State::of(registry, past);
    let day = past.and_then(|past| Some((past, past.registries.get(&registry.registry)?)));
    html! {
        section class="reg" aria-labelledby={ "registry-" (registry.id) } {
            div {
                h3 id={ "registry-" (registry.id) } { (registry.registry) }
                div class={ "mark " (mark) } { (words) }
                div class="dim" { (registry.id) " · " (registry.access) }
            }
            @match day {
                Some((past, day)) => (strip::figure(&registry.id, &day.quarters, past.now, titles)),
                None => p class="dim" { "No records of the last day." },
            }
            dl class="facts" { @if let Some((_, day)) = day { (rates(day)) } (quota(registry)) (certificate(registry)) }
            div class="facts" { @for paused in &registry.paused { (pause(paused)) } }
            @if let Some(failure) = &registry.last_failure { div class="facts" { (failed(failure)) } }
        }
    }
}

fn rates(day: &Day) -> Markup {
    let none = || "none".to_owned();
    let time = |time: Option<Duration>| time.map_or_else(none, words::span);
    let rate = |rate: Option<u64>| rate.map_or_else(none, |rate| size(rate) + "/s");
    let sum = |bytes: fn(&records::query::Quarter) -> u64| size(day.quarters.iter().map(bytes).sum());
    html! {
        div { dt { "First byte, 6 h" } dd { "p50 " (time(day.rates.first_byte_p50)) " · p99 " (time(day.rates.first_byte_p99)) } }
        div { dt { "Throughput, 6 h" } dd { (rate(day.rates.upstream_throughput)) " in · " (rate(day.rates.client_throughput)) " out" } }
        div { dt { "Bytes, 24 h" } dd { (sum(|quarter| quarter.sent)) " served · " (sum(|quarter| quarter.fetched)) " fetched" } }
    }
}

fn quota(registry: &Registry) -> Markup {
    let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    html! {
        div {
            dt { "Quota" }
            dd {
                @match &registry.quota {
                    Some(quota) => { (number(quota.remaining)) " of " (number(quota.limit)) " left" },
                    None => "none stated",
                }
                @for quota in &registry.quotas { (counted(quota)) }
            }
        }
    }
}

/// Our own count of the quota, next to the registry's headers.
fn counted(quota: &QuotaSeen) -> Markup {
    html! {
        @if let Some(left) = quota.empty_in_seconds { div class="dim" { "lasts " (age(left)) " (" (quota.identity) ")" } }
        @if let (Some(class), Some(left)) = (quota.paused, quota.paused_seconds) {
            div class="mark bad" { (class) ": paused for " (age(left)) }
        }
        @if quota.held > 0 { div { (quota.held) " held" } }
    }
}

fn certificate(registry: &Registry) -> Markup {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    html! {
        div {
            dt { "Certificate" }
            dd {
                @match &registry.certificate {
                    None => "none seen",
                    Some(seen) => {
                        @if seen.not_after < now { span class="mark bad" { "expired" } } @else { ((seen.not_after - now) / 86_400) " days" }
                        div class="dim" { (seen.host) @if !seen.verified { " · not trusted" } }
                    }
                }
            }
        }
    }
}

fn pause(paused: &PausedSeen) -> Markup {
    html! {
        div {
            span class="mark bad" { "paused" } " " code { (paused.endpoint) }
            div class="evidence" {
                "not asked for " (age(paused.seconds)) " because of " (paused.class) " at " (paused.stage)
                @if paused.next_probe_seconds > 0 { "; next probe in " (age(paused.next_probe_seconds)) }
            }
        }
    }
}

fn failed(failure: &LastFailure) -> Markup {
    html! {
        div {
            span class={ "mark " (if failure.current { "bad" } else { "idle" }) } { "last failure: " (failure.class) }
            div class="evidence" { "at a request (" (failure.kind) "), " (age(failure.seconds)) " ago" }
            div class="dim" { "→ " (failure.fix) }
        }
    }
}

/// The titles of cells on one page.
const TITLES: usize = 192;
const TITLES_MIN: usize = 4;
