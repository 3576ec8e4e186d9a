//! One picture: registries, running transfers, failures. It needs 80 columns and no colour.

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table};

use super::look::{Fill, Look, Registry};
use super::rates::Rates;
use super::source::SourceError;
use crate::admin::human::{age, count, size};

/// The content of a picture.
pub(super) struct Frame<'a> {
    pub(super) rates: &'a Rates,
    /// The reason that the last reading failed.
    pub(super) error: Option<&'a SourceError>,
    /// True if keys are read.
    pub(super) live: bool,
}

impl Frame<'_> {
    /// Rows that show everything.
    pub(super) fn height(&self) -> u16 {
        let parts = self.parts();
        parts.iter().map(|part| part.height()).sum()
    }

    /// Draws the picture over the whole area.
    pub(super) fn draw(&self, area: &mut ratatui::Frame<'_>) {
        let parts = self.parts();
        let heights = parts.iter().map(|part| Constraint::Length(part.height()));
        let places = Layout::vertical(heights).split(area.area());
        for (part, place) in parts.into_iter().zip(places.iter()) {
            part.draw(area, *place);
        }
    }

    fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = vec![Part::Lines(self.head())];
        let Some(look) = self.rates.look() else { return parts };
        parts.push(self.registries(look));
        let proxy = look.proxy.as_ref();
        if let Some(proxy) = proxy.filter(|proxy| !proxy.fills.is_empty()) {
            parts.push(fills(&proxy.fills));
        }
        let failures = failures(look);
        if !failures.is_empty() {
            parts.push(Part::Lines(failures));
        }
        parts
    }

    fn head(&self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        match self.rates.look() {
            Some(look) => lines.push(Line::from(summary(look))),
            None => lines.push(Line::from("pullgate")),
        }
        if let Some(error) = self.error {
            lines.push(bold(error.to_string()));
        }
        let warnings = self.rates.look().map(|look| look.warnings.as_slice()).unwrap_or_default();
        lines.extend(warnings.iter().map(|warning| bold(format!("! {warning}"))));
        if self.live {
            lines.push(Line::from("q quits"));
        }
        lines.push(Line::default());
        lines
    }

    fn registries<'a>(&self, look: &'a Look) -> Part<'a> {
        let head = ["REGISTRY", "STATE", "REQ/S", "CACHED", "SENT/S", "PROBE", "QUOTA"];
        let rows = look.registries.iter().map(|registry| self.registry(registry)).collect();
        let widths = [20, 18, 6, 6, 8, 7, 0];
        Part::table(head, rows, &widths)
    }

    fn registry<'a>(&self, registry: &'a Registry) -> Row<'a> {
        let rate = self.rates.of(&registry.registry);
        let (state, bad) = registry.state();
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let cached = rate.cached.map_or_else(|| "-".to_owned(), |part| format!("{:.0} %", part * 100.0));
        let sent = rate.bytes.map_or_else(|| "-".to_owned(), |bytes| short_size(bytes as u64));
        let probe = registry.probe_millis().map_or_else(|| "-".to_owned(), |time| format!("{time:.0} ms"));
        let state = Span::styled(format!("{} {state}", if bad { '✗' } else { '·' }), emphasis(bad));
        Row::new([
            Line::from(registry.registry.as_str()),
            Line::from(state),
            Line::from(number(rate.requests)),
            Line::from(cached),
            Line::from(sent),
            Line::from(probe),
            Line::from(quota(registry)),
        ])
    }
}

/// A block of rows.
enum Part<'a> {
    Lines(Vec<Line<'a>>),
    Table { table: Box<Table<'a>>, rows: usize },
}

impl<'a> Part<'a> {
    fn table<const N: usize>(head: [&'a str; N], rows: Vec<Row<'a>>, widths: &[u16; N]) -> Self {
        let count = rows.len();
        let widths = widths.iter().map(|width| match width {
            0 => Constraint::Fill(1),
            width => Constraint::Length(*width),
        });
        let head = Row::new(head).style(Style::new().add_modifier(Modifier::BOLD));
        Self::Table { table: Box::new(Table::new(rows, widths).header(head)), rows: count }
    }

    /// With a blank row below a table.
    fn height(&self) -> u16 {
        let rows = match self {
            Self::Lines(lines) => lines.len(),
            Self::Table { rows, .. } => rows + 2,
        };
        u16::try_from(rows).unwrap_or(u16::MAX)
    }

    fn draw(self, area: &mut ratatui::Frame<'_>, place: Rect) {
        match self {
            Self::Lines(lines) => area.render_widget(Paragraph::new(lines), place),
            Self::Table { table, .. } => area.render_widget(*table, place),
        }
    }
}

fn summary(look: &Look) -> String {
    let mut text = format!("pullgate {} · {} · up {}", look.version, look.phase, age(look.uptime_seconds));
    if let Some(proxy) = &look.proxy {
        let cache = proxy.cache;
        text +=
            &format!(" · {}", count(usize::try_from(proxy.connections).unwrap_or(usize::MAX), "connection"));
        text += &format!(" · cache {} of {}", size(cache.bytes), size(cache.limit_bytes));
    }
    text
}

fn quota(registry: &Registry) -> String {
    let stated = registry.quota.and_then(|quota| Some((quota.remaining?, quota.limit)));
    let left = match stated {
        Some((left, Some(limit))) => format!("{left}/{limit}"),
        Some((left, None)) => left.to_string(),
        None => "-".to_owned(),
    };
    match registry.empty_in_seconds() {
        Some(seconds) => format!("{left} {}", age(seconds)),
        None => left,
    }
}

fn fills(fills: &[Fill]) -> Part<'_> {
    let head = ["TRANSFER", "REGISTRY", "PROGRESS", "", "RATE", "READERS"];
    let rows = fills.iter().take(FILLS_SHOWN).map(fill).collect();
    Part::table(head, rows, &[19, 15, 14, 12, 8, 0])
}

fn fill(fill: &Fill) -> Row<'_> {
    let name: String = fill.digest.chars().take(19).collect();
    let part = fill.length.filter(|length| *length > 0).map(|length| fill.received as f64 / length as f64);
    let rate = fill.bytes_per_second.map_or_else(|| "waiting".to_owned(), short_size);
    let total = part.map_or_else(String::new, |part| {
        format!("{:.0} % of {}", part * 100.0, short_size(fill.length.unwrap_or(0)))
    });
    Row::new([name, fill.registry.clone(), bar(part), total, rate, fill.readers.to_string()])
}

/// A bar of [`BAR`] characters.
fn bar(part: Option<f64>) -> String {
    let full = part.map_or(0, |part| (part.clamp(0.0, 1.0) * BAR as f64).round() as usize);
    format!("[{}{}]", "#".repeat(full), "-".repeat(BAR - full))
}

fn failures(look: &Look) -> Vec<Line<'_>> {
    let mut failed: Vec<_> = look
        .registries
        .iter()
        .filter_map(|registry| Some((registry, registry.last_failure.as_ref()?)))
        .collect();
    failed.sort_by_key(|(_, failure)| failure.seconds);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (registry, failure) in failed.into_iter().take(FAILURES_SHOWN) {
        let when = if failure.current { "" } else { ", answers again" };
        let what = format!(
            "{} {} ({}) {} ago{when}",
            registry.registry,
            failure.class,
            failure.kind,
            age(failure.seconds)
        );
        lines.push(Line::from(Span::styled(what, emphasis(failure.current))));
        lines.push(Line::from(format!("  → {}", failure.fix)));
    }
    if !lines.is_empty() {
        lines.insert(0, bold("LAST FAILURES".to_owned()));
    }
    lines
}

/// As [`size`], without the space: columns are narrow.
fn short_size(bytes: u64) -> String {
    size(bytes).replace(' ', "").replace("iB", "")
}

fn bold<'a>(text: String) -> Line<'a> {
    Line::from(Span::styled(text, emphasis(true)))
}

fn emphasis(on: bool) -> Style {
    if on { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() }
}

/// Characters of a progress bar, without its brackets.
const BAR: usize = 12;
/// The most running transfers of a frame.
const FILLS_SHOWN: usize = 12;
/// The most failures of a frame.
const FAILURES_SHOWN: usize = 6;
