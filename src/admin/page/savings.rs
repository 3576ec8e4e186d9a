//! What the cache saved in the last day.

use std::time::Duration;

use maud::{Markup, html};
use records::query::Savings;

use crate::admin::human::{age, size};

/// The section; nothing if nothing was pulled.
pub(super) fn section(all: &[Savings]) -> Markup {
    html! {
        @if !all.is_empty() {
            h2 { "Not asked of the registries in the last day" }
            table class="stack" {
                thead { tr { th { "Registry" } th { "Bytes" } th { "Requests" } th { "Counted pulls" } th { "Transfer time" } th { "Rescued pulls" } } }
                tbody { @for saved in all { (row(saved)) } }
            }
        }
    }
}

fn row(saved: &Savings) -> Markup {
    let time = |time: Duration| {
        if time < Duration::from_secs(1) { "under 1 s".to_owned() } else { age(time.as_secs()) }
    };
    html! {
        tr {
            th scope="row" { (saved.registry) }
            td class="num" { (size(saved.bytes)) }
            td class="num" { (saved.requests) " requests" }
            td class="num" { (saved.counted_pulls) " counted pulls" }
            td class="num" { (saved.upstream_time.map_or_else(|| "no rate known".to_owned(), time)) }
            td class="num" { (saved.rescued) " rescued" }
        }
    }
}
