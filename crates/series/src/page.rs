//! The reference page, in Markdown.

use crate::table::Series;

/// One section of the page.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// The heading.
    pub title: &'a str,
    /// The text under the heading.
    pub intro: &'a str,
    /// The series.
    pub series: &'a [Series],
}

/// A label and its possible values, as a sentence.
pub type Label<'a> = (&'a str, &'a str);

/// The page: `head`, one table for each section, and the table of labels.
///
/// # Errors
///
/// If a series has a label without a meaning, or a label belongs to no series.
pub fn page(head: &str, sections: &[Section<'_>], labels: &[Label<'_>]) -> Result<String, String> {
    check(sections, labels)?;
    let sections: String = sections.iter().map(section).collect();
    let rows: String = labels.iter().map(|(label, values)| format!("| `{label}` | {values} |\n")).collect();
    Ok(format!("{head}{sections}\n## Labels\n\n| Label | Values |\n|---|---|\n{rows}"))
}

fn check(sections: &[Section<'_>], labels: &[Label<'_>]) -> Result<(), String> {
    let used: Vec<&str> = sections
        .iter()
        .flat_map(|section| section.series)
        .flat_map(|series| series.labels)
        .copied()
        .collect();
    if let Some(label) = used.iter().find(|label| labels.iter().all(|(known, _)| known != *label)) {
        return Err(format!("the label `{label}` has no meaning"));
    }
    match labels.iter().find(|(label, _)| !used.contains(label)) {
        Some((label, _)) => Err(format!("no series has the label `{label}`")),
        None => Ok(()),
    }
}

fn section(section: &Section<'_>) -> String {
    let mut series = section.series.to_vec();
    series.sort_by_key(|series| series.name);
    let rows: String = series.iter().map(row).collect();
    let head = "| Series | Type | Labels | Unit | Since | Meaning |\n|---|---|---|---|---|---|\n";
    format!("\n## {}\n\n{}\n\n{head}{rows}", section.title, section.intro)
}

fn row(series: &Series) -> String {
    let Series { name, kind, labels, unit, since, help } = series;
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let (kind, unit, labels) = (kind.as_str(), unit.as_str(), labels.join(" "));
    format!("| `{name}` | {kind} | {labels} | {unit} | {since} | {} |\n", help.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Unit;

    const TABLE: &[Series] = &[
        Series::histogram("b_seconds", "The time of a | b.").by(&["registry"]),
        Series::gauge("a_bytes", "The size.").in_unit(Unit::Bytes).since("0.3.0"),
    ];

    fn sections() -> [Section<'static>; 1] {
        [Section { title: "All", intro: "Everything.", series: TABLE }]
    }

    #[test]
    fn a_page_has_a_row_for_each_series_in_alphabetical_order() {
        let page = page("# Metrics\n", &sections(), &[("registry", "The host.")]).unwrap();
        let rows = "| `a_bytes` | gauge |  | bytes | 0.3.0 | The size. |\n\
                    | `b_seconds` | histogram | `registry` | seconds | 0.1.0 | The time of a \\| b. |\n";
        assert!(page.starts_with("# Metrics\n\n## All\n\nEverything.\n\n| Series |"), "{page}");
        assert!(page.contains(rows), "{page}");
        assert!(page.ends_with("| `registry` | The host. |\n"), "{page}");
    }

    #[test]
    fn a_label_without_a_meaning_and_a_meaning_without_a_series_are_errors() {
        assert_eq!(page("", &sections(), &[]), Err("the label `registry` has no meaning".to_owned()));
        let labels = [("registry", "The host."), ("image", "Never.")];
        assert_eq!(page("", &sections(), &labels), Err("no series has the label `image`".to_owned()));
    }
}
