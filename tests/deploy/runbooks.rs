//! Each alert has a runbook, each runbook belongs to an alert, and all runbooks have the same sections.

use std::collections::BTreeSet;

use crate::{contract, files, rules};

const SECTIONS: &[&str] = &[
    "## Meaning",
    "## Impact",
    "## Diagnosis",
    "## What we see on the dashboard",
    "## Mitigation",
    "## False positives",
];

#[test]
fn alerts_and_runbooks_are_the_same_set() {
    let pages: BTreeSet<_> = files::names("runbooks")
        .iter()
        .map(|name| name.strip_suffix(".md").unwrap_or(name).to_owned())
        .collect();
    assert_eq!(pages, rules::alert_names());
}

#[test]
fn every_runbook_has_the_sections_in_order() {
    for name in rules::alert_names() {
        let page = files::text(&format!("runbooks/{name}.md"));
        assert!(page.starts_with(&format!("# {name}\n")), "{name}: the title must be the alert's name");
        let headings: Vec<_> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, SECTIONS, "{name}");
    }
}

#[test]
fn runbooks_ask_for_series_that_exist() {
    for name in rules::alert_names() {
        let page = files::text(&format!("runbooks/{name}.md"));
        contract::assert_known_series(&page, &name);
    }
}

#[test]
fn runbooks_name_panels_that_exist() {
    let titles = crate::dashboard::panel_titles();
    for name in rules::alert_names() {
        let page = files::text(&format!("runbooks/{name}.md"));
        let section = page.split("## What we see on the dashboard").nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let named: Vec<_> = section.split('*').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{name}: the runbook names no panel");
        for title in named {
            assert!(titles.contains(title), "{name}: no panel `{title}`");
        }
    }
}
