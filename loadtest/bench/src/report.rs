//! The report: medians, ratios, goals, and the method of each figure.

use std::{fmt::Write, fs, path::Path, process::Command};

use serde_json::{Value, json};

use tokio::time::Instant;

use crate::{
    error::{Doing, Error},
    lab::Lab,
    notes::Notes,
    options::Options,
    stats::median,
    usage::load_average,
};

/// The table of one run.
#[derive(Debug)]
pub(crate) struct Report {
    head: String,
    began: Instant,
    notes: Notes,
    sections: Vec<Section>,
}

/// A group of related figures.
#[derive(Debug)]
pub(crate) struct Section {
    title: String,
    how: String,
    load_before: String,
    load_after: String,
    subjects: Vec<String>,
    measures: Vec<Measure>,
    samples: Vec<Sample>,
    ratios: Vec<Ratio>,
    notes: Vec<String>,
    commands: Vec<String>,
}

/// A measured quantity and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Name and unit: the head of a column.
    pub(crate) name: &'static str,
    /// The number of digits after the decimal point.
    pub(crate) digits: usize,
}

/// One figure of one round.
#[derive(Debug)]
struct Sample {
    subject: String,
    measure: Measure,
    value: f64,
}

/// A figure with a goal.
#[derive(Debug)]
struct Ratio {
    what: String,
    value: f64,
    goal: Goal,
}

/// The goal of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// No goal; the figure is only for comparison.
    Told,
}

impl Section {
    /// An empty section. It notes the load average now, and again in [`finish`](Self::finish).
    pub(crate) fn new(title: impl Into<String>, how: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            how: how.into(),
            load_before: load_average(),
            load_after: String::new(),
            subjects: Vec::new(),
            measures: Vec::new(),
            samples: Vec::new(),
            ratios: Vec::new(),
            notes: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// Adds a figure of one round.
    pub(crate) fn add(&mut self, subject: &str, measure: Measure, value: f64) {
        if !self.subjects.iter().any(|known| known == subject) {
            self.subjects.push(subject.to_owned());
        }
        if !self.measures.contains(&measure) {
            self.measures.push(measure);
        }
        self.samples.push(Sample { subject: subject.to_owned(), measure, value });
    }

    /// The median of a figure over the rounds; NaN if the figure was not taken.
    pub(crate) fn median(&self, subject: &str, measure: Measure) -> f64 {
        let fits = |sample: &&Sample| sample.subject == subject && sample.measure == measure;
        median(&self.samples.iter().filter(fits).map(|sample| sample.value).collect::<Vec<_>>())
    }

    /// Adds a figure with a goal.
    pub(crate) fn ratio(&mut self, what: impl Into<String>, value: f64, goal: Goal) {
        self.ratios.push(Ratio { what: what.into(), value, goal });
    }

    /// Adds a remark.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Records the commands that ran, and the load of the machine.
    pub(crate) fn finish(mut self, lab: &Lab<'_>) -> Self {
        self.load_after = load_average();
        self.commands = lab.commands();
        self
    }

    /// The Markdown text for people.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("\n### {}\n\n{}.", self.title, self.how);
        let _ = writeln!(text, " Load average {} before, {} after.\n", self.load_before, self.load_after);
        let names: Vec<&str> = self.measures.iter().map(|measure| measure.name).collect();
        let _ = writeln!(text, "| | {} |\n|---|{}", names.join(" | "), "---:|".repeat(names.len()));
        for subject in &self.subjects {
            let cells = self.measures.iter().map(|measure| self.cell(subject, *measure));
            let _ = writeln!(text, "| {subject} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        if !self.ratios.is_empty() {
            text.push_str("\n| figure | measured | to reach | |\n|---|---:|---:|---|\n");
            self.ratios.iter().for_each(|ratio| text.push_str(&ratio.line()));
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        if !self.commands.is_empty() {
            let _ = writeln!(text, "\n```\n{}\n```", self.commands.join("\n"));
        }
        text
    }

    /// The JSON lines for programs: every figure of every round, and every ratio.
    fn lines(&self) -> impl Iterator<Item = Value> {
        let samples = self.samples.iter().map(|sample| {
            let measure = sample.measure.name;
            json!({ "row": self.title, "subject": sample.subject, "measure": measure, "value": sample.value })
        });
        let ratios = self.ratios.iter().map(|ratio| {
            json!({ "row": self.title, "figure": ratio.what, "value": ratio.value, "reached": ratio.reached() })
        });
        samples.chain(ratios)
    }

    fn cell(&self, subject: &str, measure: Measure) -> String {
        number(self.median(subject, measure), measure.digits)
    }
}

impl Ratio {
    fn reached(&self) -> Option<bool> {
        match self.goal {
            Goal::AtLeast(goal) => Some(self.value >= goal),
            Goal::AtMost(goal) => Some(self.value <= goal),
            Goal::Told => None,
        }
    }

    fn line(&self) -> String {
        let goal = self.goal.text();
        let verdict = match self.reached() {
            Some(true) => "reached",
            Some(false) => "**missed**",
            None => "",
        };
        format!("| {} | {} | {goal} | {verdict} |\n", self.what, number(self.value, 2))
    }
}

impl Goal {
    fn text(self) -> String {
        match self {
            Self::AtLeast(goal) => format!("≥ {}", number(goal, 2)),
            Self::AtMost(goal) => format!("≤ {}", number(goal, 2)),
            Self::Told => String::new(),
        }
    }
}

impl Report {
    /// Begins with the machine and the versions that are compared.
    pub(crate) fn new(lab: &Lab<'_>) -> Self {
        let pullgate = lab.options.pullgate.display().to_string();
        let (rounds, quick) = (lab.rounds(), if lab.options.quick { QUICK } else { "" });
        let head = format!(
            "# Benchmarks\n\n\
             <!-- Written by `make bench`; do not edit, but for the notes. -->\n\n\
             pullgate beside nginx (`proxy_cache`) and docker-registry (pull-through cache), in one run, in front of one upstream, all on\n\
             loopback. Medians over {rounds} rounds, the servers in turn. `make bench` repeats it.{quick}\n\n\
             - {}\n- {}\n- {}\n- {}, {} cores, Linux {}\n",
            version(&[&pullgate, "--version"]),
            version(&["nginx", "-v"]),
            version(&["docker-registry", "--version"]),
            cpu_model(),
            std::thread::available_parallelism().map_or(0, usize::from),
            fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        );
        let notes = Notes::of(lab.options.table.as_deref());
        Self { head, began: Instant::now(), notes, sections: Vec::new() }
    }

    /// Adds a section.
    pub(crate) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// The Markdown text for people.
    pub(crate) fn markdown(&self) -> String {
        let took = self.began.elapsed().as_secs();
        let took = format!("- taken in {} min {} s\n", took / 60, took % 60);
        let head = [self.head.clone(), took, self.missed(), self.notes.markdown()];
        let details = "\n## Every figure, and how it was taken\n".to_owned();
        let sections = self.sections.iter().map(Section::markdown);
        head.into_iter().chain([details]).chain(sections).collect()
    }

    /// The number of reached goals, and a list of the missed goals.
    fn missed(&self) -> String {
        let all =
            self.sections.iter().flat_map(|section| section.ratios.iter().map(move |ratio| (section, ratio)));
        let decided: Vec<_> = all.filter(|(_, ratio)| ratio.reached().is_some()).collect();
        let missed: Vec<_> = decided.iter().filter(|(_, ratio)| ratio.reached() == Some(false)).collect();
        let mut text =
            format!("\n{} of {} figures are reached.\n", decided.len() - missed.len(), decided.len());
        if !missed.is_empty() {
            text.push_str("\n| missed | figure | measured | to reach |\n|---|---|---:|---:|\n");
        }
        for (section, ratio) in missed {
            let Ratio { what, value, goal } = ratio;
            let _ =
                writeln!(text, "| {} | {what} | {} | {} |", section.title, number(*value, 2), goal.text());
        }
        text
    }

    /// Writes the report so far to the files that the options name.
    pub(crate) fn write(&self, options: &Options) -> Result<(), Error> {
        let lines = self.sections.iter().flat_map(Section::lines).map(|line| format!("{line}\n"));
        save(options.table.as_deref(), || self.markdown())?;
        save(options.json.as_deref(), || lines.collect())
    }
}

fn save(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    fs::write(path, text()).doing(format!("writing {}", path.display()))
}

fn number(value: f64, digits: usize) -> String {
    if value.is_nan() { "–".to_owned() } else { format!("{value:.digits$}") }
}

/// The first line that a program prints about its version; Debian keeps daemons in `/usr/sbin`.
fn version(command: &[&str]) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let said = Command::new("env").arg(format!("PATH={path}")).args(command).output();
    let said = said.map(|said| [said.stdout, said.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&said).lines().next().unwrap_or("unknown version").to_owned()
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown processor", |(_, model)| model).to_owned()
}

/// The warning for the reader of a short run.
const QUICK: &str =
    " This is a short run (`--quick`), with layers of a fifth of the size and other figures as rough.";

#[cfg(test)]
mod tests {
    use super::*;

    const SPEED: Measure = Measure { name: "GB/s", digits: 1 };

    #[test]
    fn a_section_shows_medians_and_which_figures_are_missed() {
        let mut section = Section::new("title", "how");
        for value in [1.0, 3.0, 2.0] {
            section.add("pullgate", SPEED, value);
        }
        section.add("nginx", SPEED, 4.0);
        section.ratio("pullgate / nginx", section.median("pullgate", SPEED) / 4.0, Goal::AtLeast(1.0));
        section.ratio("memory", 3.0, Goal::AtMost(3.0));
        let text = section.markdown();
        assert!(text.contains("| pullgate | 2.0 |"), "{text}");
        assert!(text.contains("| pullgate / nginx | 0.50 | ≥ 1.00 | **missed** |"), "{text}");
        assert!(text.contains("| memory | 3.00 | ≤ 3.00 | reached |"), "{text}");
    }

    #[test]
    fn a_figure_that_was_not_taken_is_a_dash_and_misses_its_goal() {
        let section = Section::new("title", "how");
        assert_eq!(number(section.median("nobody", SPEED), 1), "–");
        let ratio = Ratio { what: String::new(), value: f64::NAN, goal: Goal::AtMost(1.0) };
        assert_eq!(ratio.reached(), Some(false));
    }
}
