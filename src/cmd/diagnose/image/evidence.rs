//! Translates what was seen into the evidence of the verdict, and both into the document.

use diagnose::image::{
    Access, Certificate, Clock, Depth, Evidence, Fault, Layer, Mirror, Quota, Row, RowKind, Served,
    Surroundings, Tags, Verdict, access, conclude,
};
use oci::{Class, Stage};
use prober::Examination;
use prober::journal::{Object, Step};
use registry::Error;

use super::around::Around;
use super::document::{
    CacheLine, CertificateLine, Document, IdentityLine, LayersLine, MirrorLine, QuotaLine, SCHEMA, TagsLine,
};
use super::heard::{Met, seconds_between};
use super::look::{Seen, Walked};
use super::mirror::Through;
use super::stages::{NOT_NEEDED, OK, Way};

/// The verdict, and the document that shows it.
pub(crate) fn concluded(seen: &Seen) -> (Verdict, Document) {
    let evidence = evidence(seen);
    let verdict = conclude(&evidence);
    let mut document = of_verdict(seen, verdict.clone());
    add_walks(&mut document, seen, &evidence);
    add_facts(&mut document, seen, evidence);
    add_surroundings(&mut document, &seen.around);
    (verdict, document)
}

/// The host at fault of the walk that the verdict is about.
pub(crate) fn host(seen: &Seen) -> Option<String> {
    let evidence = evidence(seen);
    let walk = shown_walk(seen, &evidence)?;
    let error = walk.examination.as_ref()?.result.as_ref().err()?;
    Some(error.evidence.host.clone()).filter(|host| !host.is_empty())
}

/// The steps of one walk, and the result of each.
fn add_walks(document: &mut Document, seen: &Seen, evidence: &Evidence) {
    if let Some(walk) = shown_walk(seen, evidence)
        && let Some(examination) = &walk.examination
    {
        document.identity.clone_from(&walk.name);
        document.stages = Way {
            examination,
            met: &walk.met,
            endpoint: seen.endpoint.as_ref(),
            forward_proxy: seen.forward_proxy.as_deref(),
            platform: &seen.platform,
        }
        .lines();
    }
    document.identities = evidence.rows.iter().map(identity).collect();
    document.identities.extend(evidence.mirror.as_ref().map(through_mirror));
    document.mirror = seen.mirror.as_ref().map(mirror_line);
    document.manifest_gets = met(seen).map(|met| met.manifest_gets).sum();
}

fn add_facts(document: &mut Document, seen: &Seen, evidence: Evidence) {
    document.quotas = seen.walks.iter().filter_map(quota_line).collect();
    document.platforms = evidence.platforms.iter().map(ToString::to_string).collect();
    document.layers = layers(&evidence, seen);
    document.certificate = evidence.certificate.as_ref().map(certificate_line);
    let line = |tags: Tags| TagsLine { nearest: tags.nearest, seen: tags.seen, more: tags.more };
    document.tags = evidence.tags.map(line);
    document.clocks = evidence.clock.ahead_of;
}

fn add_surroundings(document: &mut Document, around: &Around) {
    document.cache = around.cache.as_ref().map(|known| CacheLine {
        digest: known.digest.clone(),
        here: known.here,
        complete: known.here && known.complete.unwrap_or(false),
        missing: known.missing.len(),
    });
    document.pulls.clone_from(&around.pulls);
    document.probes.clone_from(&around.probes);
}

fn of_verdict(seen: &Seen, verdict: Verdict) -> Document {
    Document {
        schema: SCHEMA,
        image: seen.image.to_string(),
        platform: seen.platform.to_string(),
        fault: verdict.class.is_some(),
        class: verdict.class.map(Class::as_str),
        stage: verdict.stage.map(Stage::as_str),
        place: verdict.place.as_str(),
        sentence: verdict.sentence,
        fix: verdict.fix,
        next: verdict.next,
        notes: verdict.notes,
        ..Document::default()
    }
}

fn evidence(seen: &Seen) -> Evidence {
    let rows: Vec<_> = seen.walks.iter().map(row).collect();
    let facts = || examinations(seen).map(|made| &made.journal.facts);
    let quotas = seen.walks.iter().filter_map(|walk| walk.examination.as_ref()?.quota());
    Evidence {
        image: seen.image.clone(),
        platform: seen.platform.clone(),
        rows,
        mirror: seen.mirror.as_ref().map(mirror),
        clock: clock(seen),
        certificate: certificate(seen),
        quota: quotas.min_by_key(|quota| quota.remaining).map(quota),
        platforms: facts().map(|facts| facts.platforms.clone()).find(|it| !it.is_empty()).unwrap_or_default(),
        tags: seen.tags.clone(),
        layer: examinations(seen).find_map(layer),
        bytes: facts().map(|facts| facts.layers.iter().map(|layer| layer.size).sum()).max().unwrap_or(0),
        around: Surroundings {
            upstream: seen.upstream.clone(),
            cached: seen.around.cache.as_ref().map(|known| known.here && known.complete.unwrap_or(false)),
            forward_proxy: seen.forward_proxy.is_some(),
            unusable: seen.unusable.clone(),
            namespace: seen.namespace.clone(),
            account: seen.account.clone(),
        },
    }
}

fn examinations(seen: &Seen) -> impl Iterator<Item = &Examination> {
    seen.walks.iter().filter_map(|walk| walk.examination.as_ref())
}

fn met(seen: &Seen) -> impl Iterator<Item = &Met> {
    seen.walks.iter().map(|walk| &walk.met).chain(seen.mirror.as_ref().map(|through| &through.met))
}

fn row(walk: &Walked) -> Row {
    let result = walk.examination.as_ref().map(result);
    let token =
        walk.examination.as_ref().is_some_and(|made| made.journal.timings().of(Stage::Token).is_some());
    Row { name: walk.name.clone(), kind: walk.kind, result, token }
}

/// The result of a walk. An answered HEAD with an empty quota is a failure.
fn result(made: &Examination) -> Result<Depth, Fault> {
    if let Some(spent) = made.spent() {
        let host = made.journal.steps.first().map(|step| step.host.clone()).unwrap_or_default();
        return Err(Fault { host, message: spent.evidence, ..Fault::new(spent.class, spent.stage) });
    }
    match &made.result {
        Ok(prober::verdict::Depth::Pullable) => Ok(Depth::Pullable),
        Ok(_) => Ok(Depth::Resolved),
        Err(error) => Err(fault(error)),
    }
}

fn fault(error: &Error) -> Fault {
    let evidence = &error.evidence;
    Fault {
        class: error.class,
        stage: error.stage,
        host: evidence.host.clone(),
        status: evidence.status,
        reason: evidence.reason.map(|reason| reason.as_str()),
        message: evidence.message.clone().unwrap_or_default(),
        retry_after: evidence.retry_after,
    }
}

fn mirror(through: &Through) -> Mirror {
    let stated = through.met.answers.iter().rev().find_map(|head| head.failure);
    let result = result(&through.examination).map_err(|fault| match stated {
        // Without a status, the walk ended elsewhere, such as at the token service that the mirror named.
        Some((class, stage)) if fault.status.is_some() => {
            Fault { class, stage: stage.unwrap_or(fault.stage), ..fault }
        }
        _ => fault,
    });
    let served = match outcome(&through.met) {
        _ if through.examination.journal.stale => Served::Stale,
        Some("hit") => Served::Cache,
        _ => Served::Registry,
    };
    let url = through.url.as_str().trim_end_matches('/').to_owned();
    Mirror { url, result, answered: !through.met.answers.is_empty(), served }
}

/// The outcome of the mirror's first answer: the one for the tag.
fn outcome(met: &Met) -> Option<&str> {
    met.answers.iter().find_map(|head| head.outcome.as_deref())
}

fn clock(seen: &Seen) -> Clock {
    let mut ahead_of: Vec<(String, i64)> = Vec::new();
    for head in met(seen).flat_map(|met| &met.answers) {
        let is_new = !ahead_of.iter().any(|(host, _)| *host == head.host);
        ahead_of.extend(head.ahead.filter(|_| is_new).map(|ahead| (head.host.clone(), ahead)));
    }
    ahead_of.extend(seen.witness.clone());
    Clock { ahead_of }
}

fn certificate(seen: &Seen) -> Option<Certificate> {
    let certificate = seen.walks.iter().flat_map(|walk| &walk.met.certificates).next()?;
    Some(Certificate {
        host: certificate.host.clone(),
        issuer: certificate.issuer.clone(),
        left: seconds_between(seen.now, certificate.not_after),
        begins_in: certificate.not_before.map(|begin| seconds_between(seen.now, begin)),
        verified: certificate.verified,
    })
}

fn quota(stated: &registry::Quota) -> Quota {
    Quota {
        limit: stated.limit,
        remaining: stated.remaining,
        window: stated.window,
        source: stated.source.clone(),
    }
}

/// The layer of which most bytes were read.
fn layer(made: &Examination) -> Option<Layer> {
    let layers = made.journal.steps.iter().filter(|step| step.object == Object::Layer);
    let step: &Step = layers.max_by_key(|step| step.bytes)?;
    let largest = made.journal.facts.layers.iter().map(|layer| layer.size).max()?;
    let time = step.timings.of(Stage::BlobTransfer).unwrap_or_default();
    Some(Layer { size: largest, read: step.bytes, time, host: step.host.clone() })
}

/// The walk whose steps are shown: the failing one that the verdict is about, else the one that got furthest.
fn shown_walk<'a>(seen: &'a Seen, evidence: &Evidence) -> Option<&'a Walked> {
    let steps = |walk: &&Walked| walk.examination.as_ref().map_or(0, |made| made.journal.steps.len());
    match access(&evidence.rows) {
        Access::Fails { row } => seen.walks.get(row),
        Access::Poisoned { by } => seen.walks.iter().find(|walk| by.contains(&walk.name)),
        Access::Works { by, .. } => {
            seen.walks.iter().filter(|walk| by.contains(&walk.name)).max_by_key(steps)
        }
    }
}

fn identity(row: &Row) -> IdentityLine {
    let kind = match row.kind {
        RowKind::Anonymous => "anonymous",
        RowKind::Configured => "configured",
        RowKind::Given => "given",
    };
    let [token, manifest, layer] = cells(row.result.as_ref(), row.token);
    let evidence = row.fault().map(said);
    IdentityLine { name: row.name.clone(), kind, token, manifest, layer, evidence }
}

fn through_mirror(mirror: &Mirror) -> IdentityLine {
    let [token, manifest, layer] = cells(Some(&mirror.result), false);
    let evidence = mirror.result.as_ref().err().map(said);
    let name = format!("through {}", mirror.url);
    IdentityLine { name, kind: "mirror", token, manifest, layer, evidence }
}

/// The cells token, manifest and layer of a row.
fn cells(result: Option<&Result<Depth, Fault>>, token: bool) -> [&'static str; 3] {
    let first = if token { OK } else { NOT_NEEDED };
    match result {
        None => [NOT_TRIED; 3],
        Some(Ok(Depth::Pullable)) => [first, OK, OK],
        Some(Ok(Depth::Resolved)) => [first, OK, NOT_TRIED],
        Some(Err(fault)) => match fault.stage {
            Stage::Resolve | Stage::Connect | Stage::Tls => [NOT_TRIED; 3],
            Stage::Challenge | Stage::Token => [fault.class.as_str(), NOT_TRIED, NOT_TRIED],
            Stage::ManifestHead | Stage::ManifestGet => [first, fault.class.as_str(), NOT_TRIED],
            Stage::BlobFirstByte | Stage::BlobTransfer => [first, OK, fault.class.as_str()],
        },
    }
}

fn said(fault: &Fault) -> String {
    let status = fault.status.map_or_else(String::new, |status| format!(" answered {status}"));
    let message = if fault.message.is_empty() { String::new() } else { format!(": {}", fault.message) };
    format!("{} at {}, {}{status}{message}", fault.class, fault.stage, fault.host)
}

fn mirror_line(through: &Through) -> MirrorLine {
    let mirror = mirror(through);
    let fault = mirror.result.as_ref().err();
    MirrorLine {
        url: mirror.url.clone(),
        answered: mirror.answered,
        outcome: outcome(&through.met).map(str::to_owned),
        class: fault.map(|fault| fault.class.as_str()),
        stage: fault.map(|fault| fault.stage.as_str()),
        seconds: through.examination.journal.timings().iter().map(|(_, time)| time.as_secs_f64()).sum(),
    }
}

fn quota_line(walk: &Walked) -> Option<QuotaLine> {
    let quota = walk.examination.as_ref()?.quota()?;
    Some(QuotaLine {
        identity: walk.name.clone(),
        limit: quota.limit,
        remaining: quota.remaining,
        window_seconds: quota.window.map(|window| window.as_secs()),
        source: quota.source.clone(),
    })
}

fn layers(evidence: &Evidence, seen: &Seen) -> Option<LayersLine> {
    let facts = examinations(seen).map(|made| &made.journal.facts).find(|facts| !facts.layers.is_empty())?;
    let sample = evidence.layer.as_ref();
    Some(LayersLine {
        count: facts.layers.len(),
        bytes: evidence.bytes,
        largest_bytes: facts.layers.iter().map(|layer| layer.size).max().unwrap_or(0),
        host: sample.map(|layer| layer.host.clone()),
        sampled_bytes: sample.map_or(0, |layer| layer.read),
        bytes_per_second: sample.and_then(Layer::rate),
        estimated_seconds: sample.and_then(|layer| layer.time_of(evidence.bytes)).map(|time| time.as_secs()),
    })
}

fn certificate_line(certificate: &Certificate) -> CertificateLine {
    CertificateLine {
        host: certificate.host.clone(),
        issuer: certificate.issuer.clone(),
        seconds_left: certificate.left,
        verified: certificate.verified,
    }
}

/// A cell of a step that was not tried.
pub(super) const NOT_TRIED: &str = "not_tried";
