//! The last day of a registry: a cell for each quarter of an hour, and a sentence. Cells differ in height too.

use std::collections::BTreeMap;

use maud::{Markup, html};
use records::Timestamp;
use records::query::Quarter;
use records::record::PullOutcome;

use crate::admin::human::count;
use crate::pulls::words;

/// The result of a quarter of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// No pull and no probe.
    Empty,
    /// Every pull and every probe ended well, and no failure was met.
    Good,
    /// A failure was met, and no pull failed of it; or an image does not exist; or a part of the probes failed.
    Warn,
    /// A pull failed, or every probe.
    Bad,
}

/// The level of a quarter.
pub(super) fn level(quarter: &Quarter) -> Level {
    let of_pulls = quarter.outcomes.iter().filter(|count| count.pulls > 0).map(|count| match count.outcome {
        PullOutcome::Failed | PullOutcome::Refused => Level::Bad,
        PullOutcome::Absent | PullOutcome::Stale => Level::Warn,
        _ if count.class.is_some() => Level::Warn,
        _ => Level::Good,
    });
    of_pulls.chain([of_probes(quarter)]).max().unwrap_or(Level::Empty)
}

fn of_probes(quarter: &Quarter) -> Level {
    let probes: u64 = quarter.probes.iter().map(|count| count.probes).sum();
    let failed: u64 = failed_probes(quarter).map(|(_, probes)| probes).sum();
    match (probes, failed) {
        (0, _) if quarter.pulls == 0 => Level::Empty,
        (_, 0) => Level::Good,
        (probes, failed) if probes == failed => Level::Bad,
        _ => Level::Warn,
    }
}

/// The classes of the probes that failed, each with its number.
fn failed_probes(quarter: &Quarter) -> impl Iterator<Item = (&'static str, u64)> {
    quarter.probes.iter().filter_map(|count| Some((count.class?.as_str(), count.probes)))
}

/// The strip with its sentence. At most `titles` cells say their time and classes when the pointer rests on them.
pub(super) fn figure(id: &str, quarters: &[Quarter], now: Timestamp, titles: usize) -> Markup {
    let cells = cells(quarters, now);
    let troubled: Vec<_> = quarters.iter().filter(|quarter| level(quarter) >= Level::Warn).collect();
    let titled = troubled.iter().rev().take(titles).map(|quarter| (position(quarter.start, now), *quarter));
    html! {
        figure {
            svg class="strip" role="img" aria-labelledby={ "strip-" (id) } viewBox="0 0 96 10" preserveAspectRatio="none" {
                @for (wanted, class) in [(Level::Empty, "e"), (Level::Good, "g"), (Level::Warn, "w"), (Level::Bad, "b")] {
                    @if cells.contains(&wanted) { path class=(class) d=(path(&cells, wanted)) {} }
                }
                path class="gap" d="M.8 5h96" {}
                @for (at, quarter) in titled {
                    @if let Some(at) = at { rect class="t" x=(at) width="1" height="10" { title { (told(quarter)) } } }
                }
            }
            figcaption id={ "strip-" (id) } { (sentence(quarters, &troubled)) }
        }
    }
}

fn cells(quarters: &[Quarter], now: Timestamp) -> [Level; CELLS] {
    let mut cells = [Level::Empty; CELLS];
    for quarter in quarters {
        if let Some(at) = position(quarter.start, now) {
            cells[at] = level(quarter);
        }
    }
    cells
}

/// The cell of a quarter; the last cell is the present quarter.
fn position(start: Timestamp, now: Timestamp) -> Option<usize> {
    let quarter = |at: Timestamp| at.unix_millis().div_euclid(QUARTER_MILLIS);
    let back = usize::try_from(quarter(now).checked_sub(quarter(start))?).ok()?;
    (CELLS - 1).checked_sub(back)
}

/// The cells of one level. Neighbours are one shape, which the gaps divide: a long page would be slow to load.
fn path(cells: &[Level; CELLS], wanted: Level) -> String {
    let height = match wanted {
        Level::Empty => 2,
        Level::Good => 6,
        Level::Warn => 8,
        Level::Bad => 10,
    };
    let mut at = 0;
    let mut path = String::new();
    for run in cells.chunk_by(|one, next| one == next) {
        if run[0] == wanted {
            path += &format!("M{at} 10v-{height}h{}v{height}z", run.len());
        }
        at += run.len();
    }
    path
}

/// Time and classes of a quarter with trouble.
fn told(quarter: &Quarter) -> String {
    let mut classes = BTreeMap::new();
    for count in quarter.outcomes.iter() {
        let label = count.class.map(|class| class.as_str());
        let plain = matches!(
            count.outcome,
            PullOutcome::Failed | PullOutcome::Refused | PullOutcome::Absent | PullOutcome::Stale
        );
        if let Some(label) = label.or_else(|| plain.then_some(count.outcome.as_str())) {
            *classes.entry(label).or_insert(0) += count.pulls;
        }
    }
    let listed = |classes: &mut dyn Iterator<Item = (&'static str, u64)>| {
        classes.map(|(class, number)| format!("{class} ({number})")).collect::<Vec<_>>().join(", ")
    };
    let of_pulls = listed(&mut classes.into_iter());
    let of_probes = listed(&mut failed_probes(quarter));
    let probes: u64 = quarter.probes.iter().map(|count| count.probes).sum();
    let mut told = Vec::new();
    if !of_pulls.is_empty() {
        told.push(format!("{of_pulls} of {} pulls", quarter.pulls));
    }
    if !of_probes.is_empty() {
        told.push(format!("{of_probes} of {probes} probes"));
    }
    format!("{} UTC: {}", clock(quarter.start), told.join("; "))
}

fn sentence(quarters: &[Quarter], troubled: &[&Quarter]) -> String {
    let pulls: u64 = quarters.iter().map(|quarter| quarter.pulls).sum();
    let probes: u64 = quarters.iter().flat_map(|quarter| &quarter.probes).map(|count| count.probes).sum();
    let counted = |number: u64, what| count(usize::try_from(number).unwrap_or(usize::MAX), what);
    let begin = match (pulls, probes) {
        (0, 0) => return "No pulls in the last 24 hours.".to_owned(),
        (pulls, 0) => format!("{} in the last 24 hours", counted(pulls, "pull")),
        (pulls, probes) => {
            format!("{}, {} in the last 24 hours", counted(pulls, "pull"), counted(probes, "probe"))
        }
    };
    let newest: Vec<_> = troubled.iter().rev().take(TOLD).map(|quarter| told(quarter)).collect();
    match troubled.len() {
        0 => format!("{begin}, none with a failure."),
        1 => format!("{begin}, failures in 1 quarter of an hour: {}.", newest.join("; ")),
        number => {
            format!("{begin}, failures in {number} quarters of an hour, the last: {}.", newest.join("; "))
        }
    }
}

fn clock(at: Timestamp) -> String {
    words::time(at).chars().skip(11).take(5).collect()
}

/// The quarters of an hour of a day.
const CELLS: usize = 96;
const QUARTER_MILLIS: i64 = 15 * 60 * 1000;
/// Quarters with trouble that the sentence tells.
const TOLD: usize = 2;

#[cfg(test)]
mod tests {
    use oci::Class;
    use records::query::{OutcomeCount, ProbeCount};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_795_608_000_000);

    fn quarter(ago: i64, outcome: PullOutcome, class: Option<Class>) -> Quarter {
        Quarter {
            start: Timestamp::from_unix_millis(NOW.unix_millis() - ago * QUARTER_MILLIS),
            pulls: 3,
            outcomes: vec![OutcomeCount { outcome, class, pulls: 3 }],
            probes: Vec::new(),
            first_byte_p50: None,
            first_byte_p99: None,
            client_throughput: None,
            upstream_throughput: None,
            sent: 0,
            fetched: 0,
        }
    }

    #[test]
    fn an_empty_day_is_grey_and_said_in_words() {
        let text = figure("x", &[], NOW, 9).into_string();
        assert!(text.contains("No pulls in the last 24 hours."), "{text}");
        assert!(text.contains("class=\"e\"") && !text.contains("class=\"b\""), "{text}");
        assert!(text.contains("class=\"e\" d=\"M0 10v-2h96v2z\""), "{text}");
    }

    #[test]
    fn trouble_is_a_cell_with_time_and_class_and_a_part_of_the_sentence() {
        let day = [
            quarter(96, PullOutcome::Failed, Some(Class::Dns)),
            quarter(95, PullOutcome::Failed, Some(Class::Dns)),
            quarter(1, PullOutcome::Stale, Some(Class::Stalled)),
            quarter(0, PullOutcome::Hit, None),
        ];
        assert_eq!(
            day.iter().map(level).collect::<Vec<_>>(),
            [Level::Bad, Level::Bad, Level::Warn, Level::Good]
        );
        let text = figure("x", &day, NOW, 9).into_string();
        assert!(text.contains("class=\"b\" d=\"M0 10v-10h1v10z\""), "the oldest is beyond the strip: {text}");
        assert!(text.contains("class=\"w\" d=\"M94 "), "{text}");
        assert_eq!(text.matches("<title>").count(), 2, "{text}");
        assert!(text.contains("UTC: stalled (3) of 3 pulls") && text.contains("12 pulls"), "{text}");
        assert!(text.contains("class=\"g\" d=\"M95 10v-6h1v6z\""), "{text}");
        assert_eq!(figure("x", &day, NOW, 1).into_string().matches("<title>").count(), 1);
    }

    #[test]
    fn probes_count_too_and_colour_a_quarter_without_pulls() {
        let probed = |ago, classes: &[Option<Class>]| {
            let probes = classes.iter().map(|class| ProbeCount { class: *class, probes: 4 }).collect();
            Quarter { pulls: 0, outcomes: Vec::new(), probes, ..quarter(ago, PullOutcome::Hit, None) }
        };
        let day = [
            probed(3, &[]),
            probed(2, &[Some(Class::Dns)]),
            probed(1, &[None, Some(Class::Dns)]),
            probed(0, &[None]),
        ];
        let levels: Vec<_> = day.iter().map(level).collect();
        assert_eq!(levels, [Level::Empty, Level::Bad, Level::Warn, Level::Good]);
        let text = figure("x", &day, NOW, 9).into_string();
        assert!(text.contains("0 pulls, 16 probes") && text.contains("dns (4) of 8 probes"), "{text}");
    }

    #[test]
    fn the_strips_of_twelve_registries_are_small_on_the_worst_day() {
        let bad = |ago: i64| {
            quarter(ago, [PullOutcome::Failed, PullOutcome::Hit][ago as usize % 2], Some(Class::Dns))
        };
        let day: Vec<_> = (0..96).rev().map(bad).collect();
        let size = figure("registry", &day, NOW, 8).into_string().len() * 12;
        assert!(size < 60_000 - 24_000, "{size} bytes, and the rest of the page needs some too");
    }
}
