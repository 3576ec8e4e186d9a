//! `pullgate cache`: asks the running instance; without a running instance, reads the cache folder directly.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::{Config, Loaded};
use oci::ImageName;
use proxy::Warmed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::events::NoEvents;
use store::inventory::{Explanation, Image, Purged};
use store::{CLOCK_STEP, OpenError, Store, StoreConfig};

use crate::admin::human::{count, size};
use crate::cli::{Cache, Output};
use crate::process::control::{self, Reply, Request};
use crate::process::exit::Exit;
use crate::process::log;

/// Sends the request, and prints the reply.
pub(crate) async fn run(loaded: &Loaded, asked: &Cache, output: Output) -> Exit {
    let reply = match ask(loaded, &request(asked)).await {
        Ok(reply) => reply,
        Err(message) => Reply::Failed(message),
    };
    match reply {
        Reply::Fine(document) => report(loaded, asked, document, output),
        Reply::Usage(message) => refuse(&message, Exit::Usage),
        Reply::Upstream(message) => refuse(&message, Exit::CheckFailed),
        Reply::Failed(message) => refuse(&message, Exit::Unexpected),
    }
}

fn request(asked: &Cache) -> Request {
    match asked {
        Cache::Ls => Request::Ls,
        Cache::Explain { subject } => Request::Explain(subject.clone()),
        Cache::Warm { image, platforms } => {
            Request::Warm { image: image.clone(), platforms: platforms.clone() }
        }
        Cache::Purge(purge) => match (&purge.what.subject, &purge.what.registry) {
            (Some(subject), _) => Request::Purge { subject: subject.clone(), dry_run: purge.dry_run },
            (None, Some(registry)) => {
                Request::PurgeRegistry { registry: registry.clone(), dry_run: purge.dry_run }
            }
            (None, None) => Request::PurgeAll { dry_run: purge.dry_run },
        },
    }
}

/// The reply of the running instance; without one, of the folder itself.
///
/// # Errors
/// In words for the caller: neither can be asked.
pub(super) async fn ask(loaded: &Loaded, request: &Request) -> Result<Reply, String> {
    let cache = &loaded.config.proxy.cache;
    match control::ask(&cache.dir, request).await {
        Ok(Some(reply)) => return Ok(reply),
        Ok(None) => {}
        Err(error) => return Err(format!("{}: {error}", control::socket(&cache.dir).display())),
    }
    if let Request::Warm { .. } = request {
        let dir = cache.dir.display();
        let message = format!(
            "warm needs a running instance, and none holds {dir}: start `pullgate serve` first{}",
            hint(loaded)
        );
        return Ok(Reply::Usage(message));
    }
    if !cache.dir.exists() {
        return Ok(Reply::Usage(format!(
            "there is no cache folder {} (key proxy.cache.dir){}",
            cache.dir.display(),
            hint(loaded)
        )));
    }
    let opening = StoreConfig {
        dir: cache.dir.clone(),
        max_size: Some(u64::MAX),
        pinned: cache.pinned.clone(),
        lock_wait: Duration::ZERO,
    };
    let store = Store::open(opening, Arc::new(NoEvents)).await.map_err(|error| match error {
        OpenError::Locked { dir, holder } => {
            let dir = dir.display();
            format!("{holder} holds {dir} but has no control socket there; its log says why")
        }
        error => error.to_string(),
    })?;
    store.scanned().await;
    Ok(control::look(&store, request).await)
}

fn refuse(message: &str, exit: Exit) -> Exit {
    log::failure(message);
    exit
}

fn report(loaded: &Loaded, asked: &Cache, document: Value, output: Output) -> Exit {
    let (text, exit) = match asked {
        Cache::Ls => (shown::<Vec<Image>>(&document, |images| list(images, loaded)), Exit::Fine),
        Cache::Explain { subject } => return explain(&loaded.config, subject, document, output),
        Cache::Warm { .. } => (shown(&document, warmed), Exit::Fine),
        Cache::Purge(purge) => (shown(&document, |done| purged(done, purge.dry_run)), Exit::Fine),
    };
    print(&document, text, output).unwrap_or(exit)
}

/// The facts of the store, combined with the configuration.
#[derive(Serialize)]
struct Explained {
    #[serde(flatten)]
    known: Explanation,
    /// The time until which the tag is answered without a request to the registry, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh_until: Option<u64>,
    /// The time until which the tag is answered while the registry fails, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_until: Option<u64>,
    /// The endpoints that a fetch would try, in order; empty if the registry is not configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched_from: Option<Vec<String>>,
    /// True if a tag that the registry no longer has is still served.
    kept_removed: bool,
}

fn explain(config: &Config, subject: &str, document: Value, output: Output) -> Exit {
    let Ok(known) = serde_json::from_value::<Explanation>(document) else {
        return refuse("the running instance is of another version", Exit::Unexpected);
    };
    let whole = known.here && known.complete.unwrap_or(true);
    let image = if subject.contains("sha256:") && !subject.contains('@') {
        None
    } else {
        subject.parse::<ImageName>().ok()
    };
    let upstream = image.as_ref().and_then(|image| config.upstream(&image.registry));
    let is_ahead = known.checked_at.is_some_and(|at| at > now() + CLOCK_STEP.as_secs());
    let until = |age: Duration| Some(known.checked_at? + age.as_secs());
    let explained = Explained {
        kept_removed: known.gone_at.is_some() && upstream.is_some_and(|upstream| upstream.keep_removed),
        fresh_until: upstream
            .filter(|_| known.gone_at.is_none() && !is_ahead)
            .and_then(|upstream| until(upstream.tag_max_age)),
        stale_until: upstream.and_then(|upstream| until(upstream.stale_limit)),
        fetched_from: image.as_ref().map(|_| {
            let endpoints =
                upstream.map(|upstream| upstream.endpoints.iter().map(|endpoint| endpoint.url.to_string()));
            endpoints.into_iter().flatten().collect()
        }),
        known,
    };
    let exit = if whole { Exit::Fine } else { Exit::CheckFailed };
    let document = serde_json::to_value(&explained).unwrap_or_default();
    print(&document, Ok(explanation(&explained)), output).unwrap_or(exit)
}

/// Prints the document as JSON or as text; returns an exit status if that fails.
fn print(document: &Value, text: Result<String, serde_json::Error>, output: Output) -> Option<Exit> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(document).map(|json| json + "\n"),
        Output::Text => text,
    };
    match text {
        Err(_) => Some(refuse("the running instance is of another version", Exit::Unexpected)),
        Ok(text) => std::io::stdout().write_all(text.as_bytes()).is_err().then_some(Exit::Unexpected),
    }
}

fn shown<T: DeserializeOwned>(
    document: &Value,
    show: impl Fn(&T) -> String,
) -> Result<String, serde_json::Error> {
    Ok(show(&T::deserialize(document)?))
}

fn list(images: &[Image], loaded: &Loaded) -> String {
    if images.is_empty() {
        return format!("no images in {}{}\n", loaded.config.proxy.cache.dir.display(), hint(loaded));
    }
    let mut rows = vec![["IMAGE", "DIGEST", "SIZE", "STATE", "LAST USED", ""].map(str::to_owned)];
    rows.extend(images.iter().map(row));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 6]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let total = size(images.iter().map(|image| image.bytes).sum());
    let shared = if images.len() > 1 { "; layers that images share count in each" } else { "" };
    format!(
        "{}{}, {total}{shared}\n",
        rows.iter().map(line).collect::<String>(),
        count(images.len(), "image")
    )
}

fn row(image: &Image) -> [String; 6] {
    [
        image.image.clone(),
        short(&image.digest).to_owned(),
        size(image.bytes),
        if image.complete { "complete" } else { "partial" }.to_owned(),
        image.used_at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", ago(at))),
        if image.pinned { "pinned" } else { "" }.to_owned(),
    ]
}

/// The hint for a command without a configuration file: the running instance may use another folder.
fn hint(loaded: &Loaded) -> &'static str {
    if loaded.path.is_some() {
        ""
    } else {
        "; name the instance's configuration with --config if its folder is another"
    }
}

fn explanation(explained: &Explained) -> String {
    let known = &explained.known;
    let mut text = format!("{}\n", known.subject);
    let mut say = |what: &str, value: String| text += &format!("  {what:<14}{value}\n");
    match (&known.digest, known.here) {
        (None, _) => say("here", "no: no manifest was pulled for this tag".to_owned()),
        (Some(digest), false) => say("here", format!("no ({digest})")),
        (Some(digest), true) => {
            let kind = known.kind.as_deref().unwrap_or("content");
            say("here", format!("yes, {kind} {digest}, {}", size(known.bytes.unwrap_or_default())));
        }
    }
    match known.complete {
        Some(true) => say("complete", "yes: it can be pulled without the registry".to_owned()),
        Some(false) if known.missing.is_empty() => {
            say("complete", "no: nothing it names was pulled".to_owned())
        }
        Some(false) => say("complete", format!("no, missing {}", known.missing.join(", "))),
        None => {}
    }
    if !known.linked.is_empty() {
        say("linked for", known.linked.join(", "));
    }
    if let Some(until) = explained.fresh_until {
        let confirmed = known.checked_at.map(ago).unwrap_or_default();
        say(
            "fresh",
            match until.checked_sub(now()) {
                Some(left) => format!("for {} more (confirmed {confirmed} ago)", span(left)),
                None => format!("no: the registry is asked first (confirmed {confirmed} ago)"),
            },
        );
    }
    if let Some(at) = known.gone_at {
        let kept = if explained.kept_removed { ": kept by keep_removed, marked stale" } else { "" };
        say("gone", format!("the registry has no such tag since {} ago{kept}", ago(at)));
    }
    for moved in known.moves.iter().rev() {
        say("moved", format!("{} ago, from {} to {}", ago(moved.at), short(&moved.from), short(&moved.to)));
    }
    if let Some(at) = known.used_at {
        say("last used", format!("{} ago{}", ago(at), if known.in_use { ", being read now" } else { "" }));
    }
    say("pinned", if known.pinned { "yes" } else { "no" }.to_owned());
    match explained.fetched_from.as_deref() {
        Some([]) => say("fetched from", "nowhere: its registry is not configured".to_owned()),
        Some(endpoints) => say("fetched from", endpoints.join(", ")),
        None => {}
    }
    text
}

fn warmed(warmed: &Warmed) -> String {
    let Warmed { digest, hits, fetched, fetched_bytes } = warmed;
    format!(
        "{digest}: {} fetched ({}), {hits} already cached\n",
        count(*fetched as usize, "object"),
        size(*fetched_bytes)
    )
}

fn purged(purged: &Purged, dry_run: bool) -> String {
    let (tags, objects) = (count(purged.tags.len(), "tag"), count(purged.objects.len(), "object"));
    let bytes = size(purged.objects.values().sum());
    let did = if dry_run { "would purge" } else { "purged" };
    let mut text = format!("{did} {tags} and {objects}, {bytes}\n");
    if purged.in_use_bytes > 0 {
        text +=
            &format!("  {} of it is being read, and is freed when that ends\n", size(purged.in_use_bytes));
    }
    if purged.partial_bytes > 0 {
        text += &format!("  and {} that broken and paused fills had left\n", size(purged.partial_bytes));
    }
    for tag in &purged.tags {
        text += &format!("  {tag}\n");
    }
    for (digest, bytes) in &purged.objects {
        text += &format!("  {digest}  {}\n", size(*bytes));
    }
    text
}

fn short(digest: &str) -> &str {
    digest.get(..SHORT_DIGEST).unwrap_or(digest)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

fn ago(at: u64) -> String {
    span(now().saturating_sub(at))
}

/// A duration in seconds, formatted for people in the largest unit that fits.
fn span(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3600), ("min", 60)];
    let unit = units.into_iter().find(|(_, length)| seconds >= *length);
    unit.map_or_else(|| format!("{seconds} s"), |(unit, length)| format!("{} {unit}", seconds / length))
}

/// The number of characters of a digest that people need to distinguish images.
const SHORT_DIGEST: usize = "sha256:".len() + 12;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn image(name: &str, pinned: bool) -> Image {
        let digest = format!("sha256:{}", "1".repeat(64));
        Image {
            image: name.to_owned(),
            digest,
            bytes: 1 << 20,
            complete: true,
            pinned,
            checked_at: 0,
            used_at: None,
        }
    }

    #[test]
    fn a_list_has_a_header_and_a_total_and_an_empty_list_has_a_message() {
        let loaded = Config::load(None).unwrap();
        let text = list(&[image("a.test/app:1", true), image("a.test/longer:1", false)], &loaded);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("IMAGE            DIGEST"), "{text}");
        assert!(lines[1].ends_with("never      pinned") && lines[2].ends_with("never"), "{text}");
        assert_eq!(lines[3], "2 images, 2.0 MiB; layers that images share count in each");
        let empty = list(&[], &loaded);
        assert!(empty.starts_with("no images in ") && empty.contains("--config"), "{empty}");
    }
}
