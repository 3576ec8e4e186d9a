//! One pull: its facts, its waterfall, and its bottleneck in a sentence.

use std::path::Path;
use std::time::Duration;

use records::record::ObjectOutcome;
use records::{ObjectRecord, PullRecord, Reader, bottleneck};

use crate::admin::human::{count, size};
use crate::cli::Output;
use crate::cmd::output::{Failure, print};
use crate::pulls::document::{self, WholePull};
use crate::pulls::one::OnePull;
use crate::pulls::phases::{self, waited};
use crate::pulls::words;

/// Prints the pull whose id begins with `id`.
pub(super) fn run(file: &Path, id: &str, output: Output) -> Result<(), Failure> {
    let OnePull { pull, median } = OnePull::read(&Reader::open(file)?, id)?;
    match output {
        Output::Json => print(&document::line(&WholePull::of(&pull, median, true))),
        Output::Text => {
            let sentence = bottleneck::rule::find(&pull).sentence(&pull, median);
            print(&format!("{}\n{}\n{sentence}\n", facts(&pull), waterfall(&pull)))
        }
    }
}

fn facts(pull: &PullRecord) -> String {
    let mut text = format!("{}\n", pull.image);
    let mut add_fact = |what: &str, value: String| text += &format!("  {what:<10}{value}\n");
    add_fact("id", pull.id.to_string());
    add_fact("start", format!("{}, took {}", words::time(pull.start), words::span(pull.duration)));
    let agent = pull.user_agent.as_ref().map(|agent| format!(" ({agent})")).unwrap_or_default();
    let node = pull.node.as_ref().map(|node| format!(", node {node}")).unwrap_or_default();
    add_fact("client", format!("{}{node}{agent}", pull.client));
    add_fact("outcome", outcome(pull));
    add_fact("bytes", format!("{} sent, {} fetched", size(pull.sent), size(pull.fetched)));
    let codes: Vec<_> = pull.status_codes.iter().map(|(code, times)| format!("{code} ({times})")).collect();
    if !codes.is_empty() {
        add_fact("upstream", format!("answered {}", codes.join(", ")));
    }
    text
}

fn outcome(pull: &PullRecord) -> String {
    let stage = pull.failure.and_then(|failure| failure.stage);
    let stage = stage.map(|stage| format!(" at {}", stage.as_str())).unwrap_or_default();
    let fix = pull.failure.filter(|_| pull.outcome.is_failure());
    let fix = fix.map(|failure| format!(": {}", failure.class.fix())).unwrap_or_default();
    let rescued = if pull.rescued { ", rescued: the registry was failing" } else { "" };
    format!("{}{stage}{rescued}{fix}", words::outcome(pull))
}

fn waterfall(pull: &PullRecord) -> String {
    if pull.objects.is_empty() {
        return "no objects were recorded\n".to_owned();
    }
    let scale = Scale::of(pull);
    let rows: Vec<[String; 3]> = pull.objects.iter().map(cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, outcome, bytes) = (width(0), width(1), width(2));
    let mut text = String::new();
    for (row, object) in rows.iter().zip(&pull.objects) {
        let bar = scale.bar(object);
        let line = format!("{:<name$}  {:<outcome$}  {:>bytes$}  {bar}", row[0], row[1], row[2]);
        text += &format!("{}  {}\n", line, times(object));
    }
    if pull.objects_left_out > 0 {
        text += &format!("and {} more objects\n", pull.objects_left_out);
    }
    let end = words::span(scale.whole);
    text + &format!("0 to {end}: {WAIT} wait  {FIRST_BYTE} first byte  {TRANSFER} transfer\n")
}

fn cells(object: &ObjectRecord) -> [String; 3] {
    let digest = object.digest.as_ref().map(words::short);
    let digest = digest.map(|digest| digest.replace("sha256:", "")).unwrap_or_default();
    [
        format!("{:<8} {digest}", object.kind.as_str()).trim_end().to_owned(),
        object.outcome.as_str().replace('_', " "),
        object.size.map(size).unwrap_or_default(),
    ]
}

fn times(object: &ObjectRecord) -> String {
    if object.outcome == ObjectOutcome::NotAsked {
        return String::new();
    }
    let wait = waited(object);
    let first_byte = object.first_byte.saturating_sub(wait);
    let rate = phases::rate(object).map(|rate| format!(", {}/s", size(rate))).unwrap_or_default();
    let resumes = match object.resumes {
        0 => String::new(),
        resumes => format!(", resumed {}", count(resumes as usize, "time")),
    };
    format!(
        "{} + {} + {}{rate}{resumes}",
        words::span(wait),
        words::span(first_byte),
        words::span(object.transfer)
    )
}

/// The time of a pull, mapped to the columns of a bar.
struct Scale {
    whole: Duration,
}

impl Scale {
    fn of(pull: &PullRecord) -> Self {
        Self { whole: phases::whole(pull) }
    }

    fn bar(&self, object: &ObjectRecord) -> String {
        let first_byte = object.began.saturating_add(object.first_byte);
        let marks = [
            (object.began, ' '),
            (object.began.saturating_add(waited(object)), WAIT),
            (first_byte, FIRST_BYTE),
            (first_byte.saturating_add(object.transfer), TRANSFER),
        ];
        let mut bar = String::new();
        let mut at = 0;
        for (end, mark) in marks {
            let column = self.column(end);
            bar.extend(std::iter::repeat_n(mark, column.saturating_sub(at)));
            at = at.max(column);
        }
        // An object that took less than a column still gets one mark.
        if at == self.column(object.began) && object.outcome != ObjectOutcome::NotAsked {
            bar.truncate(bar.len().min(BAR - 1));
            bar.push(if object.transfer.is_zero() { FIRST_BYTE } else { TRANSFER });
        }
        format!("|{bar:<BAR$}|")
    }

    fn column(&self, at: Duration) -> usize {
        let share = at.as_secs_f64() / self.whole.as_secs_f64();
        ((share * BAR as f64).round() as usize).min(BAR)
    }
}

/// The columns of a bar.
const BAR: usize = 32;
const WAIT: char = '.';
const FIRST_BYTE: char = '-';
const TRANSFER: char = '#';

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use records::record::ObjectKind;

    use super::*;
    use crate::pulls::fixture::pull;

    fn layer(change: impl FnOnce(&mut ObjectRecord)) -> ObjectRecord {
        let mut object = ObjectRecord::new(ObjectKind::Layer, ObjectOutcome::Miss);
        change(&mut object);
        object
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn wait_first_byte_and_transfer_are_told_apart() {
        let object = layer(|o| {
            (o.began, o.first_byte, o.transfer) = (seconds(1), seconds(3), seconds(4));
            o.waits.quota = seconds(1);
        });
        let bar = Scale::of(&pull(vec![object.clone()])).bar(&object);
        assert_eq!(bar, "|    ....--------################|");
    }

    #[test]
    fn a_short_object_is_seen_and_one_not_asked_for_is_not() {
        let short = layer(|o| (o.began, o.transfer) = (seconds(8), Duration::from_micros(1)));
        let scale = Scale::of(&pull(vec![short.clone()]));
        assert_eq!(scale.bar(&short), format!("|{:>BAR$}|", '#'));
        let not_asked = layer(|o| o.outcome = ObjectOutcome::NotAsked);
        assert_eq!(scale.bar(&not_asked), format!("|{:BAR$}|", ""));
    }

    #[test]
    fn absurd_times_stay_within_the_bar() {
        let object = layer(|o| {
            (o.began, o.first_byte, o.transfer) = (Duration::MAX, Duration::MAX, Duration::MAX);
            o.waits.fill = Duration::MAX;
        });
        assert_eq!(Scale::of(&pull(vec![object.clone()])).bar(&object).chars().count(), BAR + 2);
    }
}
