//! The waterfall of a pull as a picture: a line for each object. Wait, first byte and transfer differ in height and
//! pattern, not in colour alone.

use std::time::Duration;

use maud::{Markup, html};
use records::record::ObjectOutcome;
use records::{ObjectRecord, PullRecord};

use crate::admin::human::size;
use crate::pulls::phases::{self, waited};
use crate::pulls::words;

/// The picture. Horizontal lengths are shares of its width, so that texts keep their size on a small screen.
pub(super) fn figure(pull: &PullRecord, names: bool) -> Markup {
    let whole = phases::whole(pull);
    let shown = pull.objects.len().min(LINES);
    let bottom = shown * LINE;
    let label =
        format!("Waterfall of {shown} objects in {}; the table below has its numbers.", words::span(whole));
    html! {
        figure {
            svg class="fall" role="img" aria-label=(label) height=(bottom + 20) {
                defs { pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" { line class="hatch" x1="0" y1="0" x2="0" y2="6" {} } }
                @for share in [0, 25, 50, 75, 100] { line class="axis" x1={ (share) "%" } x2={ (share) "%" } y1="0" y2=(bottom) {} }
                @for (index, object) in pull.objects.iter().take(LINES).enumerate() { (line(object, index * LINE, whole, names)) }
                text x="0" y=(bottom + 14) { "0" }
                text x="100%" y=(bottom + 14) text-anchor="end" { (words::span(whole)) }
            }
            figcaption { "Thin: wait. Hatched: first byte. Solid: transfer to the client." }
        }
    }
}

fn line(object: &ObjectRecord, top: usize, whole: Duration, names: bool) -> Markup {
    let percent = |at: Duration| (at.as_secs_f64() / whole.as_secs_f64() * 100.0).min(100.0);
    let first_byte = object.began.saturating_add(object.first_byte);
    let points = [object.began, object.began.saturating_add(waited(object)), first_byte, phases::end(object)];
    let [began, asked, arrived, ended] = points.map(percent);
    html! {
        g class="object" {
            text x="0" y=(top + 12) { (caption(object, names)) }
            @if object.outcome != ObjectOutcome::NotAsked {
                (bar("wait", (began, asked), top + 21, 4))
                (bar("first", (asked, arrived), top + 19, 8))
                (bar("move", (arrived, ended.max(arrived + THINNEST)), top + 17, 12))
            }
        }
    }
}

fn bar(class: &str, (from, to): (f64, f64), top: usize, height: usize) -> Markup {
    let from = from.min(100.0 - THINNEST);
    html! {
        @if to > from { rect class=(class) x={ (format!("{from:.2}")) "%" } width={ (format!("{:.2}", (to - from).min(100.0 - from))) "%" } y=(top) height=(height) {} }
    }
}

fn caption(object: &ObjectRecord, names: bool) -> String {
    let bytes = object.size.map(|bytes| format!(" · {}", size(bytes))).unwrap_or_default();
    let time = object.first_byte.saturating_add(object.transfer);
    let time = if object.outcome == ObjectOutcome::NotAsked {
        String::new()
    } else {
        format!(" · {}", words::span(time))
    };
    format!("{}{bytes} · {}{time}", title(object, names), object.outcome.as_str().replace('_', " "))
}

/// The kind of the object, with its digest where names are shown.
pub(super) fn title(object: &ObjectRecord, names: bool) -> String {
    let digest = object.digest.as_ref().filter(|_| names);
    let digits = digest.map(|digest| format!(" {}", &digest.hex()[..digest.hex().len().min(DIGITS)]));
    format!("{}{}", object.kind.as_str(), digits.unwrap_or_default())
}

/// The most objects that a page shows; the JSON form has all.
pub(super) const LINES: usize = 200;
/// The height of a line, in pixels: text and bar.
const LINE: usize = 36;
/// Digits of a digest.
const DIGITS: usize = 12;
/// The smallest width of a bar, in percent.
const THINNEST: f64 = 0.4;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use oci::Digest;
    use records::bottleneck;
    use records::record::ObjectKind;

    use super::*;
    use crate::pulls::fixture::pull;

    fn layer() -> ObjectRecord {
        let mut object = ObjectRecord::new(ObjectKind::Layer, ObjectOutcome::Miss);
        object.digest = Some(Digest::sha256(b"layer"));
        [object.began, object.first_byte, object.transfer] = [1, 3, 4].map(Duration::from_secs);
        object.waits.quota = Duration::from_secs(1);
        object.stages.transfer = Duration::from_secs(6);
        object
    }

    #[test]
    fn wait_first_byte_and_transfer_are_bars_of_their_own() {
        let picture = figure(&pull(vec![layer()]), true).into_string();
        for bar in [
            r#"<rect class="wait" x="12.50%" width="12.50%""#,
            r#"<rect class="first" x="25.00%" width="25.00%""#,
            r#"<rect class="move" x="50.00%" width="50.00%""#,
        ] {
            assert!(picture.contains(bar), "{bar}: {picture}");
        }
    }

    #[test]
    fn a_layer_that_was_not_asked_for_has_a_line_without_a_bar() {
        let object = ObjectRecord { outcome: ObjectOutcome::NotAsked, ..layer() };
        let picture = figure(&pull(vec![object]), true).into_string();
        assert!(picture.contains("not asked") && !picture.contains("<rect"), "{picture}");
    }

    #[test]
    fn absurd_times_and_numbers_stay_within_the_picture() {
        let far = Duration::MAX;
        let object = ObjectRecord { began: far, first_byte: far, transfer: far, ..layer() };
        let picture = figure(&pull(vec![object; 300]), true).into_string();
        assert_eq!(picture.matches("<g ").count(), LINES);
        assert!(
            !picture.contains("NaN") && !picture.contains("inf") && !picture.contains("-0."),
            "{picture}"
        );
    }

    #[test]
    fn hidden_names_leave_no_digest() {
        let pull = pull(vec![layer()]);
        let finding = bottleneck::rule::find(&pull);
        let texts =
            |names| words::sentence(&finding, &pull, None, names) + &figure(&pull, names).into_string();
        let digits = &Digest::sha256(b"layer").hex()[..DIGITS].to_owned();
        assert_eq!(texts(true).matches(digits.as_str()).count(), 2);
        assert!(
            !texts(false).contains(digits.as_str()) && texts(false).contains("of layer"),
            "{}",
            texts(false)
        );
    }
}
