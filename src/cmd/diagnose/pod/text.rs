//! The result for a person: the verdict, what to do, then the evidence.

use super::document::{Document, EvidenceLine};
use crate::cmd::diagnose::image;
use crate::cmd::diagnose::layout::{Style, listed, table, wrapped};
use crate::cmd::diagnose::secret::FindingLine;

/// The whole text.
pub(super) fn text(document: &Document, style: Style) -> String {
    let mut text = verdict(document, style) + &evidence(document, style) + &not_seen(document, style);
    if let Some(replay) = &document.replay {
        text += &image::walk(replay, style);
    }
    text
}

/// The verdict and what to do.
pub(super) fn verdict(document: &Document, style: Style) -> String {
    let (mark, class) = match document.class {
        Some(class) => (style.bad("✗"), style.bad(class)),
        None => (style.good("✓"), style.good("ok")),
    };
    let mut text = format!("{mark} {class}  pod/{}/{}\n", document.namespace, document.pod);
    text += &wrapped("  ", &document.sentence);
    text += &waits(document);
    let place = image::place(document.place.unwrap_or_default(), document.class, false);
    if !place.is_empty() && document.state != Some("works_now") {
        text += &wrapped("  ", place);
    }
    text += &listed("Fix", &document.fix, style);
    let next: Vec<_> = document.next.iter().map(|line| format!("  {line}")).collect();
    text + &listed("Next", &next, style)
}

/// What waits for what, and where.
fn waits(document: &Document) -> String {
    let Some(part) = &document.part else { return String::new() };
    let on = document.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"));
    let of = document.owner.as_ref().map_or_else(String::new, |owner| format!(" of {owner}"));
    let image = part.image.escape_debug();
    let mut text = wrapped(
        "  ",
        &format!("The {} {}{of}{on} waits for {image} ({}).", part.role, part.name, part.reason),
    );
    for other in &document.others {
        let image = other.image.escape_debug();
        text +=
            &wrapped("  ", &format!("Also the {} {}: {image} ({}).", other.role, other.name, other.class));
    }
    text
}

fn evidence(document: &Document, style: Style) -> String {
    if document.evidence.is_empty() {
        return String::new();
    }
    let row = |line: &EvidenceLine| [line.from.replace('_', "-"), line.text.clone()];
    let rows: Vec<_> = document.evidence.iter().map(row).collect();
    format!("\n{}\n{}", style.heading("Evidence"), table(&rows))
}

/// The parts that could not be looked at, with the rule that would allow it.
fn not_seen(document: &Document, style: Style) -> String {
    if document.not_seen.is_empty() {
        return String::new();
    }
    let shown = |line: &FindingLine| {
        let rule: String = line.fix.lines().map(|line| format!("    {line}\n")).collect();
        wrapped("  ", &format!("{}: {}", line.code, line.seen)) + &rule
    };
    let lines: String = document.not_seen.iter().map(shown).collect();
    format!("\n{}\n{lines}", style.heading("Not looked at, and what would allow it"))
}
