//! The frame of every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::style::STYLE;

/// A whole document. With `refresh`, the browser loads it again every few seconds, which only a reader may ask for: a
/// page that changes by itself is hard to read with a screen reader.
pub(super) fn document(title: &str, refresh: bool, header: &Markup, main: &Markup, names: bool) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if refresh { meta http-equiv="refresh" content=(REFRESH); }
                title { "pullgate: " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (header) }
                main { (main) }
                footer {
                    p class="dim" { @if names { "Image, client and node names are shown." } @else { "Image, client and node names are hidden (admin.names)." } }
                    p { a href="/status.json" { "status.json" } " · " a href="/api/v1/pulls" { "pulls" } " and " a href="/api/v1/incidents" { "incidents as JSON" } " · " a href="/metrics" { "metrics" } }
                }
            }
        }
    };
    page.into_string()
}

/// Seconds from one load to the next.
pub(super) const REFRESH: u32 = 15;
