//! The result for a person: the verdict, what to do, then the evidence.

use super::document::{Document, IdentityLine, StageLine};
use super::stages::{FAILED, NOT_NEEDED, NOT_REACHED, OK};
use crate::admin::human::{age, count, size};
use crate::cmd::diagnose::layout::{Style, listed, table, wrapped};
use crate::cmd::diagnose::secret::findings;

/// The whole text.
pub(super) fn text(document: &Document, style: Style) -> String {
    verdict(document, style) + &walk(document, style) + &pulls(document, style)
}

/// The steps, identities and facts of the walk.
pub(crate) fn walk(document: &Document, style: Style) -> String {
    stages(document, style) + &identities(document, style) + &facts(document, style)
}

fn verdict(document: &Document, style: Style) -> String {
    let (mark, class) = match document.class {
        Some(class) => (style.bad("✗"), style.bad(class)),
        None => (style.good("✓"), style.good("ok")),
    };
    let mut text = format!("{mark} {class}  {}\n", document.image);
    text += &wrapped("  ", &document.sentence);
    let place = place(document.place, document.class, document.mistake.is_some());
    if !place.is_empty() {
        text += &wrapped("  ", place);
    }
    text += &name(document);
    text += &listed("Fix", &document.fix, style);
    let next: Vec<_> = document.next.iter().map(|line| format!("  {line}")).collect();
    text += &listed("Next", &next, style);
    text += &listed("Note", &document.notes, style);
    text += &findings(&document.findings, style);
    text
}

/// Where the fault is, in words.
pub(crate) fn place(place: &str, class: Option<&str>, mistake: bool) -> &'static str {
    match place {
        "image" if mistake => "",
        "image" if class == Some(oci::Class::RepoUnknownOrPrivate.as_str()) => {
            "The fault is in the image's name, or in the credential; registry and network work."
        }
        "image" => "The fault is in the image or its name, not in the registry or the network.",
        "credential" => "The fault is in the credential or its absence; registry and network work.",
        "registry" => "The fault is at the registry, not here.",
        "path" => "The fault is on the path to the registry: name service, network, proxy, interception.",
        "mirror" => "The fault is in the mirror (pullgate), its configuration or its machine.",
        "machine" => "The fault is on this machine.",
        "node" => "The fault is on the node, not at the registry.",
        "pod" => "The fault is in the pod's specification or in a policy, not at the registry.",
        _ => "",
    }
}

/// The place of a mistake in a name, marked below it.
fn name(document: &Document) -> String {
    let Some(mistake) = &document.mistake else { return String::new() };
    let (image, at) = (&document.image, mistake.position - 1);
    let begin = at.saturating_sub(SHOWN_BEFORE);
    let part: String = image.chars().skip(begin).take(SHOWN_BEFORE + SHOWN_AFTER).collect();
    format!("\n  {part}\n  {:at$}^ character {}\n", "", mistake.position, at = at - begin)
}

fn stages(document: &Document, style: Style) -> String {
    if document.stages.is_empty() {
        return String::new();
    }
    let heading = style.heading(&format!("Step by step, directly to the registry as {}", document.identity));
    let is_reached = |line: &&StageLine| line.state != NOT_REACHED;
    let mut rows: Vec<_> = document.stages.iter().filter(is_reached).map(stage).collect();
    let left: Vec<_> =
        document.stages.iter().filter(|line| !is_reached(line)).map(|line| line.stage).collect();
    if !left.is_empty() {
        rows.push(["-", "not reached", "", &left.join(", ")].map(str::to_owned));
    }
    format!("\n{heading}\n{}", table(&rows))
}

fn stage(line: &StageLine) -> [String; 4] {
    let mark = match line.state {
        OK => "✓",
        FAILED => "✗",
        _ => "-",
    };
    let time = line.seconds.map_or_else(String::new, |seconds| format!("{:>8.1} ms", seconds * 1000.0));
    let result = match line.state {
        NOT_NEEDED if line.result.is_empty() => "not needed".to_owned(),
        _ => line.result.clone(),
    };
    [mark.to_owned(), line.stage.to_owned(), time, result]
}

fn identities(document: &Document, style: Style) -> String {
    if document.identities.is_empty() {
        return String::new();
    }
    let mut rows = vec![["", "as", "token", "manifest", "layer"].map(str::to_owned)];
    rows.extend(document.identities.iter().map(identity));
    let heading = style.heading("Who can pull");
    let mut text = format!("\n{heading}\n{}", table(&rows));
    // The evidence of the walk that is shown stands in its steps.
    for line in document.identities.iter().filter(|line| line.name != document.identity) {
        if let Some(evidence) = &line.evidence {
            text += &style.faint(&wrapped("    ", &format!("{}: {evidence}", line.name)));
        }
    }
    text
}

fn identity(line: &IdentityLine) -> [String; 5] {
    let cells = [line.token, line.manifest, line.layer];
    let fails = line.evidence.is_some();
    let tried = cells.contains(&OK) || fails;
    let mark = match (tried, fails) {
        (false, _) => "-",
        (true, true) => "✗",
        (true, false) => "✓",
    };
    let cell = |cell: &str| cell.replace("not_needed", "not needed").replace("not_tried", "not tried");
    [mark.to_owned(), line.name.clone(), cell(line.token), cell(line.manifest), cell(line.layer)]
}

fn facts(document: &Document, style: Style) -> String {
    let mut rows = of_registry(document);
    rows.extend(of_our_side(document));
    if rows.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = rows.into_iter().map(|(what, value)| [what.to_owned(), value]).collect();
    format!("\n{}\n{}", style.heading("Facts"), table(&rows))
}

/// What the registry told.
fn of_registry(document: &Document) -> Vec<(&'static str, String)> {
    let mut rows: Vec<_> = document.quotas.iter().map(|quota| ("quota", quota_of(quota))).collect();
    if !document.platforms.is_empty() {
        rows.push(("platforms", document.platforms.join(", ")));
    }
    rows.extend(document.tags.as_ref().map(|tags| ("similar tags", tags_of(tags))));
    rows.extend(document.layers.as_ref().map(|layers| ("size", layers_of(layers))));
    // The step `tls` describes a certificate that was verified.
    let unverified = document.certificate.as_ref().filter(|it| !it.verified);
    rows.extend(unverified.map(|it| ("certificate", certificate_of(it))));
    rows
}

/// What our own side knows, and what this diagnosis spent.
fn of_our_side(document: &Document) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    rows.extend(document.mirror.as_ref().map(|mirror| ("mirror", mirror_of(mirror))));
    rows.extend(document.cache.as_ref().map(|cache| ("cache", cache_of(cache).to_owned())));
    rows.extend(document.probes.as_ref().map(|probes| ("probes", probes_of(probes))));
    if document.mistake.is_none() {
        let spent = count(document.manifest_gets, "manifest GET");
        rows.push(("spent", format!("{spent}; only these can count as pulls")));
    }
    rows
}

fn tags_of(tags: &super::document::TagsLine) -> String {
    let nearest =
        if tags.nearest.is_empty() { "none is similar".to_owned() } else { tags.nearest.join(", ") };
    let more = if tags.more { " first" } else { "" };
    format!("{nearest} (of the{more} {})", count(tags.seen, "tag"))
}

fn mirror_of(mirror: &super::document::MirrorLine) -> String {
    let outcome = mirror.outcome.as_deref().map_or_else(String::new, |outcome| format!(", {outcome}"));
    format!("{} {}{outcome}", mirror.url, mirror.class.unwrap_or("ok"))
}

fn quota_of(quota: &super::document::QuotaLine) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let window = quota.window_seconds.map_or_else(String::new, |seconds| format!(" in {}", age(seconds)));
    let source = quota.source.as_deref().map_or_else(String::new, |source| format!(", counted for {source}"));
    format!(
        "{} of {} pulls left{window} for {}{source}",
        number(quota.remaining),
        number(quota.limit),
        quota.identity
    )
}

fn layers_of(layers: &super::document::LayersLine) -> String {
    let sum = format!(
        "{} in {}, the largest {}",
        size(layers.bytes),
        count(layers.count, "layer"),
        size(layers.largest_bytes)
    );
    let rate = layers.bytes_per_second.map_or_else(String::new, |rate| {
        format!("; {} came at {}/s", size(layers.sampled_bytes), size(rate))
    });
    let all = layers.estimated_seconds.filter(|seconds| *seconds >= WORTH_SAYING);
    let all = all.map_or_else(String::new, |seconds| format!(": about {} for all", age(seconds)));
    format!("{sum}{rate}{all}")
}

fn certificate_of(certificate: &super::document::CertificateLine) -> String {
    let time = age(certificate.seconds_left.unsigned_abs());
    let validity =
        if certificate.seconds_left < 0 { format!("expired {time} ago") } else { format!("ends in {time}") };
    format!("of {}: {validity}, NOT verified, issuer {}", certificate.host, certificate.issuer)
}

fn cache_of(cache: &super::document::CacheLine) -> &'static str {
    match (cache.here, cache.complete) {
        (_, true) => "complete: our cache can serve this image without the registry",
        (true, false) => "incomplete: the manifest is there, some of its content is not",
        (false, false) => "nothing of this image",
    }
}

fn probes_of(probes: &super::around::Probes) -> String {
    let named = |(image, verdict): &(Option<String>, String)| match image {
        Some(image) => format!("{image}: {verdict}"),
        None => format!("reach: {verdict}"),
    };
    let mut parts: Vec<String> = probes.targets.iter().map(named).collect();
    parts.extend(probes.paused.as_ref().map(|class| format!("paused after {class}")));
    parts.extend(
        probes
            .last_failure
            .as_ref()
            .map(|(class, seconds)| format!("last failure {class}, {} ago", age(*seconds))),
    );
    if parts.is_empty() { "none yet".to_owned() } else { parts.join("; ") }
}

fn pulls(document: &Document, style: Style) -> String {
    if document.pulls.is_empty() {
        return String::new();
    }
    let row = |pull: &super::around::Pull| {
        [pull.start.clone(), pull.client.clone(), pull.took.clone(), pull.outcome.clone()]
    };
    let rows: Vec<_> = document.pulls.iter().map(row).collect();
    format!("\n{}\n{}", style.heading("Latest pulls through this mirror"), table(&rows))
}

/// Estimates below this time are not shown, in seconds.
const WORTH_SAYING: u64 = 5;
/// Characters of a wrong name that are shown before and after the mistake.
const SHOWN_BEFORE: usize = 50;
const SHOWN_AFTER: usize = 24;
