//! From a text to its reading.

use std::ops::Range;

use oci::{Class, Stage};

use crate::mask::{Masked, mask};
use crate::place::Place;
use crate::plain::Plain;
use crate::reading::Reading;
use crate::reason::Reason;
use crate::rules::{AFTER_OWN, BEFORE_OWN, Rule, own};

/// The most bytes of a text that are read; the rest is ignored. Events have 1 KiB, and a whole log has its cause in its
/// beginning as well.
pub const TEXT_MAX: usize = 16 << 20;

/// Names the cause that `text` tells. A text without a known cause gets [`Class::Unknown`], never a guess.
///
/// The time is linear in the length of the text.
pub fn classify(text: &str) -> Reading {
    let text = &text[..text.floor_char_boundary(TEXT_MAX)];
    let plain = Plain::of(text);
    let masked = mask(&plain.text);
    let verdict = verdict(&plain.text, &masked);
    let place = Place { plain: &plain.text, masked: &masked, at: verdict.at.clone().unwrap_or_default() };
    let class = verdict.class;
    let mut reading = Reading {
        class,
        stage: None,
        reason: verdict.reason,
        host: None,
        registry: place.registry(),
        image: place.image(),
        digest: place.digest(),
        status: None,
        method: None,
        by_proxy: verdict.by_proxy,
        code: place.code(),
        span: verdict.at.as_ref().map(|at| plain.original(at)),
    };
    if class != Class::Unknown {
        reading.status = place.status(class);
        reading.method = place.method();
        reading.host = verdict.host.or_else(|| place.host(class));
        reading.stage = verdict.stage.or_else(|| place.stage(class));
        if let Some(reason) = place.blob_host(class, reading.host.as_deref()) {
            (reading.class, reading.reason) = (Class::BlobHost, Some(reason));
        }
    }
    reading
}

/// What the rules say.
struct Verdict {
    class: Class,
    reason: Option<Reason>,
    stage: Option<Stage>,
    host: Option<String>,
    by_proxy: bool,
    at: Option<Range<usize>>,
}

impl Verdict {
    fn of((rule, at): (Rule, Range<usize>)) -> Self {
        let Rule { class, reason, stage, .. } = rule;
        Self { class, reason, stage, host: None, by_proxy: false, at: Some(at) }
    }
}

fn verdict(plain: &str, masked: &Masked) -> Verdict {
    let text = &masked.text;
    if let Some(found) = BEFORE_OWN.first(text) {
        return Verdict::of(found);
    }
    if let Some(own) = own_word(plain, text) {
        return own;
    }
    AFTER_OWN.first(text).map_or(
        Verdict { class: Class::Unknown, reason: None, stage: None, host: None, by_proxy: false, at: None },
        Verdict::of,
    )
}

/// pullgate's own word. If it is cut, nothing is guessed from the status before it.
fn own_word(plain: &str, text: &[u8]) -> Option<Verdict> {
    let own = |class, at| Verdict { class, reason: None, stage: None, host: None, by_proxy: true, at };
    for found in own::WORDS.iter().filter_map(|word| word.captures(text)) {
        let at = found.get(0).map(|whole| whole.range());
        let word = |name| plain.get(found.name(name)?.range());
        if let Some(class) = word("class").and_then(|word| word.to_ascii_lowercase().parse().ok()) {
            let stage = word("stage").and_then(|word| word.parse().ok());
            return Some(Verdict { stage, host: word("host").map(clean), ..own(class, at) });
        }
    }
    let at = own::CUT.find(text)?.range();
    Some(Verdict { reason: Some(Reason::CutWord), ..own(Class::Unknown, Some(at)) })
}

/// The host without the punctuation of the sentence around it.
fn clean(host: &str) -> String {
    host.trim_end_matches(['.', ':', '"', '\\', '\'']).to_ascii_lowercase()
}
