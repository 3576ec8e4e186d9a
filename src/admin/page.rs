//! The status page: the content of `/status.json` as HTML without scripts, with a dark mode, for screen readers too.

use maud::{DOCTYPE, Markup, html};
use prober::status::Entry;

use super::human::age;
use super::page_proxy;
use super::status::{LastFailure, PausedSeen, QuotaSeen, Registry, Status, cache_warnings};

/// The page as HTML.
pub(crate) fn render(status: &Status) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="15";
                title { "pullgate: " (headline(status)) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "pullgate" }
                    p { span class={ "mark " (phase_mark(status.phase)) } { (status.phase) } " · version " (status.version) " · up " (age(status.uptime_seconds)) }
                }
                main {
                    p class="headline" { (headline(status)) }
                    @if let Some(proxy) = &status.proxy { (page_proxy::banner(&proxy.cache)) }
                    @for warning in others(status) { p class="mark bad" { (warning) } }
                    (registries(&status.registries))
                    @if let Some(proxy) = &status.proxy { (page_proxy::section(proxy)) }
                }
                footer {
                    p class="dim" { @if status.names { "Image, client and node names are shown." } @else { "Image, client and node names are hidden (admin.names)." } }
                    a href="/status.json" { "status.json" } " · " a href="/metrics" { "metrics" }
                }
            }
        }
    };
    page.into_string()
}

/// The warnings that are not in the banner of the cache.
fn others(status: &Status) -> impl Iterator<Item = &String> {
    let cache = status.proxy.as_ref().map(|proxy| cache_warnings(&proxy.cache)).unwrap_or_default();
    status.warnings.iter().filter(move |warning| !cache.contains(warning))
}

fn headline(status: &Status) -> String {
    let bad = status.registries.iter().filter(|registry| mark(registry) == "bad").count();
    let pending = status.registries.iter().filter(|registry| mark(registry) == "idle").count();
    match (bad, pending) {
        (0, 0) => "every registry answers".to_owned(),
        (0, n) => format!("{n} of {} registries not probed yet", status.registries.len()),
        (n, _) => format!("{n} of {} registries failing", status.registries.len()),
    }
}

fn registries(all: &[Registry]) -> Markup {
    html! {
        h2 { "Registries" }
        table {
            thead { tr { th { "Registry" } th { "Verdict" } th { "Stages" } th { "Quota" } th { "Certificate" } } }
            tbody { @for registry in all { (row(registry)) } }
        }
    }
}

fn row(registry: &Registry) -> Markup {
    html! {
        tr {
            th scope="row" { (registry.registry) div class="dim" { (registry.id) " · " (registry.access) } }
            td {
                @for probe in &registry.probes { (verdict(probe)) }
                @for paused in &registry.paused { (pause(paused)) }
                @if let Some(failure) = untold(registry) { (failed(failure)) }
                @if registry.probes.is_empty() { span class="mark idle" { "no prober" } }
            }
            td class="num" { @for probe in &registry.probes { (stages(probe)) } }
            td class="num" { (quota(registry)) }
            td { (certificate(registry)) }
        }
    }
}

fn verdict(probe: &Entry) -> Markup {
    html! {
        div {
            span class={ "mark " (probe_mark(probe)) } { (probe.verdict) }
            @if let Some(depth) = probe.depth { " " span class="dim" { (format!("{depth:?}").to_lowercase()) } }
            @if let Some(image) = &probe.image { " " code { (image) } }
            @if let Some(platform) = &probe.platform { " " span class="dim" { (platform) } }
            @if let Some(evidence) = &probe.evidence { div class="evidence" { (evidence) } }
            @if let Some(fix) = probe.fix { div class="dim" { "→ " (fix) } }
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

/// The registry's current failure, if neither a probe nor a pause on the page shows it already.
fn untold(registry: &Registry) -> Option<&LastFailure> {
    let failure = registry.last_failure.as_ref().filter(|failure| failure.current)?;
    let probed = registry.probes.iter().any(|probe| probe.verdict == failure.class);
    (!probed && registry.paused.is_empty()).then_some(failure)
}

fn failed(failure: &LastFailure) -> Markup {
    html! {
        div {
            span class="mark bad" { (failure.class) }
            div class="evidence" { "at the last request (" (failure.kind) "), " (age(failure.seconds)) " ago" }
            div class="dim" { "→ " (failure.fix) }
        }
    }
}

fn stages(probe: &Entry) -> Markup {
    let order =
        oci::Stage::ALL.iter().filter_map(|stage| Some((stage.as_str(), *probe.stages.get(stage.as_str())?)));
    html! { @for (stage, seconds) in order { div { (stage) " " (format!("{:.1} ms", seconds * 1000.0)) } } }
}

fn quota(registry: &Registry) -> Markup {
    html! {
        @match &registry.quota {
            Some(quota) => {
                (quota.remaining.map_or_else(|| "?".to_owned(), |left| left.to_string())) " of "
                (quota.limit.map_or_else(|| "?".to_owned(), |limit| limit.to_string())) " left"
            }
            None => span class="dim" { "none stated" },
        }
        @for quota in &registry.quotas { (counted(quota)) }
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
    let Some(seen) = &registry.certificate else { return html! { span class="dim" { "none seen" } } };
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let days = (i128::from(seen.not_after) - i128::from(now)) / 86_400;
    html! {
        @if days < 0 { span class="mark bad" { "expired" } } @else { (days) " days" }
        div class="dim" { (seen.host) @if !seen.verified { " · not trusted" } }
    }
}

/// `bad` if any probe or the last request failed, `idle` while any probe is pending or none exists, else `good`.
fn mark(registry: &Registry) -> &'static str {
    if registry.last_failure.as_ref().is_some_and(|failure| failure.current) {
        return "bad";
    }
    let marks: Vec<_> = registry.probes.iter().map(probe_mark).collect();
    let worst = ["bad", "idle"].into_iter().find(|worst| marks.contains(worst));
    worst.unwrap_or(if marks.is_empty() { "idle" } else { "good" })
}

fn probe_mark(probe: &Entry) -> &'static str {
    match probe.verdict {
        prober::verdict::OK => "good",
        prober::verdict::PENDING => "idle",
        _ => "bad",
    }
}

fn phase_mark(phase: &str) -> &'static str {
    if phase == "ready" { "good" } else { "idle" }
}

const STYLE: &str = "
:root{color-scheme:light dark;--good:#1a7f37;--bad:#cf222e;--idle:#6e7781}
@media(prefers-color-scheme:dark){:root{--good:#3fb950;--bad:#f85149;--idle:#8b949e}}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem 1.5rem}
header{display:flex;align-items:baseline;gap:1rem;flex-wrap:wrap}h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:1.5rem 0 .5rem}
.headline{font-size:1.15rem;margin:.5rem 0}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.45rem .9rem .45rem 0;border-top:1px solid color-mix(in srgb,currentColor 15%,transparent)}
thead th{border:0;font-weight:600;font-size:.85rem;color:var(--idle)}tbody th{font-weight:600}
.num{font-variant-numeric:tabular-nums;white-space:nowrap;font-size:.9rem}.dim{color:var(--idle);font-size:.88rem;font-weight:400}
.evidence{font-size:.88rem;overflow-wrap:anywhere}
.mark::before{margin-right:.35em;font-weight:700}.good{color:var(--good)}.bad{color:var(--bad)}.idle{color:var(--idle)}
.good::before{content:'✓'}.bad::before{content:'✗'}.idle::before{content:'…'}
.banner{margin:.5rem 0;padding:.5rem .8rem;border-left:.3rem solid var(--idle)}.calm{color:var(--idle);font-size:.88rem}.alarm{border-color:var(--bad);background:color-mix(in srgb,var(--bad) 10%,transparent)}
footer{margin-top:2rem;font-size:.88rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem}dd{margin:0;font-variant-numeric:tabular-nums}
";
