//! One scrape of `/metrics`, parsed and ready for queries.

use std::collections::BTreeMap;

/// One scrape in the Prometheus text format.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    series: Vec<Series>,
    text: String,
}

/// One line of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name, with the suffix `_bucket`, `_sum` or `_count` of a histogram.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Metrics {
    /// Parses a scrape. Panics on an invalid line.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parse = |line| parse_series(line).unwrap_or_else(|| panic!("not a series: {line:?}"));
        Self { series: lines.map(parse).collect(), text: text.to_owned() }
    }

    /// The sum of all series of that name with these labels; 0 if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|series| series.value).sum()
    }

    /// The value of the only series of that name with these labels. Panics if there is none, or more than one.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found: Vec<_> = self.matching(name, labels).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?} found: {found:#?}");
        found[0].value
    }

    /// True if there is such a series.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// All series, in the order of the scrape.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The text of the scrape, for `promtool check metrics`.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Series> {
        let carries = move |series: &Series| {
            labels.iter().all(|(label, value)| series.labels.get(*label).is_some_and(|found| found == value))
        };
        self.series.iter().filter(move |series| series.name == name && carries(series))
    }
}

/// `name{label="value",...} number [timestamp]`.
fn parse_series(line: &str) -> Option<Series> {
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(label.to_owned(), value);
            rest = after.trim_start_matches([',', ' ']);
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Series { name: name.to_owned(), labels, value })
}

/// Reads up to the closing quote and resolves escapes.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAPE: &str = "\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{outcome=\"hit\",registry=\"docker.io\"} 3
requests_total{outcome=\"miss\",registry=\"docker.io\"} 2 1700000000
up 1
odd{text=\"a \\\"b\\\", c}\"} +Inf
";

    #[test]
    fn series_are_summed_over_the_other_labels() {
        let metrics = Metrics::parse(SCRAPE);
        assert_eq!(metrics.sum("requests_total", &[("registry", "docker.io")]), 5.0);
        assert_eq!(metrics.value("requests_total", &[("outcome", "miss")]), 2.0);
        assert_eq!(metrics.value("up", &[]), 1.0);
        assert_eq!(metrics.sum("absent", &[]), 0.0);
    }

    #[test]
    fn escapes_commas_and_braces_inside_a_label_are_text() {
        let metrics = Metrics::parse(SCRAPE);
        assert_eq!(metrics.value("odd", &[("text", "a \"b\", c}")]), f64::INFINITY);
    }

    #[test]
    #[should_panic(expected = "requests_total [] found")]
    fn a_value_of_several_series_fails_the_test() {
        Metrics::parse(SCRAPE).value("requests_total", &[]);
    }
}
