//! The verdict in one sentence, for a person who was just woken.

use std::time::Duration;

use oci::{Class, Reference, Stage};

use super::evidence::{Evidence, Fault, Layer};
use super::vantage::Place;

/// The sentence for a fault.
pub(super) fn of_fault(evidence: &Evidence, fault: &Fault, place: Place) -> String {
    let host = host(evidence, fault);
    let image = &evidence.image;
    let repository = format!("{}/{}", image.registry, image.repository);
    match fault.class {
        Class::ManifestUnknown => format!("The repository {repository} has no tag {}.", image.reference),
        Class::DigestGone => gone(evidence, fault, &repository),
        Class::RepoUnknownOrPrivate => private(evidence, &repository),
        Class::PlatformMissing => {
            format!("The image has no variant for {}{}.", evidence.platform, offered(evidence))
        }
        Class::MediaType => format!("The image is in a format that current runtimes refuse{}.", said(fault)),
        Class::AuthMissing => format!("{} does not show {repository} without a credential.", image.registry),
        Class::AuthRejected => format!("{} refuses the credential{}.", at_token(fault, &host), said(fault)),
        Class::ForbiddenPolicy => format!("{} forbids access to {repository}{}.", host, said(fault)),
        Class::GeoOrWafBlock => format!(
            "A filter in front of {host} blocks this address, whatever the credential{}.",
            said(fault)
        ),
        Class::RatePullQuota => spent(evidence, &host),
        Class::RateBurst => format!("{host} limits the number of requests at the moment{}.", wait(fault)),
        Class::RateLogin => {
            format!("{host} refuses further logins, after too many failed ones{}.", wait(fault))
        }
        Class::Registry5xx => format!("{host} fails: it answers {}{}.", status(fault), said(fault)),
        Class::BlobHost => format!(
            "The registry answers, but the host of its layers, {host}, does not deliver{}.",
            said(fault)
        ),
        Class::Dns => format!("The name {host} does not resolve{}.", said(fault)),
        Class::ConnectTimeout => format!("{host} does not answer: the connection timed out."),
        Class::ConnectRefused => format!("{host} refuses the connection: nothing listens there."),
        Class::ConnectUnreachable => format!("There is no route to {host}{}.", said(fault)),
        Class::ConnectReset => format!("The connection to {host} is cut (reset){}.", at(fault)),
        Class::HttpProxy => format!(
            "The forward proxy of this machine (HTTPS_PROXY) does not let the request through{}.",
            said(fault)
        ),
        Class::Stalled => stalled(evidence, fault, &host),
        Class::Truncated => format!("{host} ends its answers too early{}.", said(fault)),
        Class::Corrupt => format!("{host} delivers wrong bytes: the content does not hash to its digest."),
        Class::ProtocolGarbage => format!("{host} does not answer like a registry{}.", said(fault)),
        Class::TlsUnknownCa
        | Class::TlsExpired
        | Class::TlsNotYetValid
        | Class::TlsName
        | Class::TlsOther => tls(evidence, fault, &host, place),
        Class::TrustRefused => format!("pullgate does not follow the registry to {host}{}.", said(fault)),
        Class::Loop => format!("The endpoint of the registry is the mirror itself{}.", said(fault)),
        Class::NameInvalid => "No node accepts this image name.".to_owned(),
        class => format!("{class} at {}{}.", fault.stage, said(fault)),
    }
}

/// The sentence for a fault that only the mirror shows.
pub(super) fn of_mirror(evidence: &Evidence, fault: &Fault, url: &str, answered: bool) -> String {
    let registry = &evidence.image.registry;
    if answered {
        format!("{registry} works from here, but the mirror {url} fails: {}{}.", fault.class, said(fault))
    } else {
        format!("{registry} works from here, but the mirror {url} does not answer ({}).", fault.class)
    }
}

/// The sentence if a pull succeeds.
pub(super) fn fine(evidence: &Evidence, public: bool, by: &[String], resolved_only: bool) -> String {
    let image = &evidence.image;
    let how = match (public, by.first()) {
        (true, _) | (_, None) => String::new(),
        (false, Some(name)) => format!(" with {name}, not without a credential"),
    };
    if resolved_only {
        return format!("{image} resolves{how}; its manifest and layers were not requested.");
    }
    format!("{image} can be pulled for {}{how}.", evidence.platform)
}

/// The sentence for a credential that breaks a public image.
pub(super) fn poisoned(evidence: &Evidence, by: &[String]) -> String {
    format!(
        "{} is public, but the credential of {} is refused, so that pulls with it fail.",
        evidence.image,
        by.join(", ")
    )
}

/// The sentence for a layer that comes too slowly.
pub(super) fn slow(layer: &Layer, bytes: u64) -> String {
    let rate = layer.rate().unwrap_or_default();
    let time = layer.time_of(bytes).unwrap_or_default();
    format!(
        "The layers come too slowly: at {}/s from {}, the {} of the image take {}.",
        size(rate),
        layer.host,
        size(bytes),
        span(time)
    )
}

fn gone(evidence: &Evidence, fault: &Fault, repository: &str) -> String {
    match (&evidence.image.reference, fault.stage) {
        (Reference::Digest(_), Stage::ManifestHead | Stage::ManifestGet) => {
            format!("{repository} has no manifest with this digest (any more).")
        }
        (_, Stage::BlobFirstByte | Stage::BlobTransfer) => {
            format!("{repository} has the manifest, but not a blob that it names.")
        }
        _ => format!("The tag exists in {repository}, but the manifest that it names is gone or blocked."),
    }
}

fn private(evidence: &Evidence, repository: &str) -> String {
    let credentialled = evidence.rows.iter().any(|row| {
        row.fault().is_some_and(|fault| fault.class == Class::RepoUnknownOrPrivate)
            && row.kind != super::evidence::RowKind::Anonymous
    });
    if credentialled {
        format!(
            "{repository} does not exist, or the account of the credential may not read it; the credential itself is accepted."
        )
    } else {
        format!("{repository} does not exist, or is private; the registry does not say which.")
    }
}

fn offered(evidence: &Evidence) -> String {
    let names: Vec<_> = evidence.platforms.iter().map(ToString::to_string).collect();
    if names.is_empty() { String::new() } else { format!(", only for {}", names.join(", ")) }
}

fn spent(evidence: &Evidence, host: &str) -> String {
    let Some(quota) = &evidence.quota else { return format!("The pulls that {host} allows are spent.") };
    let limit = quota.limit.map_or_else(String::new, |limit| format!(" {limit}"));
    let window = quota.window.map_or_else(String::new, |window| format!(" in {}", span(window)));
    let source = quota.source.as_deref().map_or_else(String::new, |source| format!(" for {source}"));
    format!("The{limit} pulls{window} that {host} allows{source} are spent.")
}

fn stalled(evidence: &Evidence, fault: &Fault, host: &str) -> String {
    match (fault.stage, &evidence.layer) {
        (Stage::BlobTransfer, Some(layer)) => {
            format!(
                "{host} stops in the middle of a layer: {} of {} came{}.",
                size(layer.read),
                size(layer.size),
                said(fault)
            )
        }
        (Stage::Tls, _) => format!("{host} accepts connections and then says nothing (no TLS handshake)."),
        _ => format!("{host} accepts the request and does not answer in time{}.", at(fault)),
    }
}

fn tls(evidence: &Evidence, fault: &Fault, host: &str, place: Place) -> String {
    let certificate = evidence.certificate.as_ref();
    match fault.class {
        Class::TlsUnknownCa => {
            let issuer = certificate.map_or_else(String::new, |it| format!(" (issuer: {})", it.issuer));
            format!(
                "The certificate of {host} is from an authority that this machine does not trust{issuer}."
            )
        }
        Class::TlsExpired => {
            let ago = certificate.map_or_else(String::new, |it| format!(" {} ago", span(seconds(-it.left))));
            let doubt = if place == Place::Machine { ", or this machine's clock is wrong" } else { "" };
            format!("The certificate of {host} expired{ago}{doubt}.")
        }
        Class::TlsNotYetValid => {
            let begins = certificate
                .and_then(|it| it.begins_in)
                .map_or_else(String::new, |left| format!(" for another {}", span(seconds(left))));
            format!("The certificate of {host} is not valid{begins}: this machine's clock may be behind.")
        }
        Class::TlsName => format!("The certificate of {host} is for other names{}.", said(fault)),
        _ if fault.reason == Some(PLAIN_HTTP) => format!("{host} speaks plain HTTP, not TLS."),
        _ => format!("The TLS handshake with {host} fails{}.", said(fault)),
    }
}

/// The host at fault, else the registry.
fn host(evidence: &Evidence, fault: &Fault) -> String {
    if fault.host.is_empty() { evidence.image.registry.to_string() } else { fault.host.clone() }
}

fn at_token(fault: &Fault, host: &str) -> String {
    if fault.stage == Stage::Token { format!("The token service {host}") } else { host.to_owned() }
}

fn said(fault: &Fault) -> String {
    let message: String = fault.message.trim().trim_end_matches('.').chars().take(SAID).collect();
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn at(fault: &Fault) -> String {
    format!(" ({})", fault.stage)
}

fn status(fault: &Fault) -> String {
    fault.status.map_or_else(|| "an error".to_owned(), |status| status.to_string())
}

fn wait(fault: &Fault) -> String {
    fault.retry_after.map_or_else(String::new, |time| format!("; it asks to wait {}", span(time)))
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

/// A time in at most two units.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let of = |unit: u64, name: &str, below: u64, lower: &str| match seconds % unit / below {
        0 => format!("{} {name}", seconds / unit),
        rest => format!("{} {name} {rest} {lower}", seconds / unit),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => of(60, "min", 1, "s"),
        3600..86_400 => of(3600, "h", 60, "min"),
        _ => of(86_400, "d", 3600, "h"),
    }
}

/// A number of bytes.
pub(super) fn size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.into_iter().find(|(_, shift)| bytes >= 1_u64 << shift);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, shift)| format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64),
    )
}

/// The finer cause of plain HTTP on a TLS port.
pub(super) const PLAIN_HTTP: &str = "plain_http_on_tls";
/// Characters of a message that a sentence quotes.
const SAID: usize = 160;
