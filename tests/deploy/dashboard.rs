//! The dashboard: it is portable, its panels explain themselves, and its queries name only existing series.
//!
//! The checks are the rules of Grafana's dashboard linter for the content of the file.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::{contract, files};

const FILE: &str = "deploy/monitoring/dashboards/pullgate-upstreams.json";

/// The units in use, as Grafana's ids.
const UNITS: &[&str] = &["Bps", "d", "ops", "percentunit", "reqps", "s", "short"];

fn dashboard() -> Value {
    serde_json::from_str(&files::text(FILE)).unwrap()
}

/// Every panel with data.
fn panels() -> Vec<Value> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    panels.iter().filter(|panel| panel["type"] != "row").cloned().collect()
}

pub(crate) fn panel_titles() -> BTreeSet<String> {
    panels().iter().map(|panel| panel["title"].as_str().unwrap().to_owned()).collect()
}

/// Panel title and expression of every query.
fn queries() -> Vec<(String, String)> {
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().unwrap().clone();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    };
    panels().iter().flat_map(of).collect()
}

#[test]
fn the_file_is_portable() {
    let dashboard = dashboard();
    assert_eq!(dashboard["schemaVersion"], 39, "every maintained Grafana reads this version");
    assert_eq!(dashboard["uid"], "pullgate-upstreams", "the uid keeps links valid");
    assert_eq!(dashboard["editable"], false);
    assert_eq!(dashboard["timezone"], "utc");
    assert!(
        dashboard["id"].is_null() && dashboard["__inputs"].is_null(),
        "the file contains data of a Grafana instance"
    );
}

#[test]
fn variables_choose_datasource_job_instance_and_registry() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "job", "instance", "registry"]);
    assert_eq!(variables[0]["type"], "datasource");
    assert_eq!(variables[0]["query"], "prometheus");
    assert_eq!(variables[0]["label"], "Data source");
    for variable in &variables[1..] {
        let name = &variable["name"];
        assert_eq!(variable["datasource"]["uid"], "$datasource", "{name}");
        assert_eq!([&variable["multi"], &variable["includeAll"]], [true, true], "{name}");
        assert_eq!(variable["allValue"], ".+", "{name}");
        assert_eq!(variable["refresh"], 2, "{name} is queried again when the time range changes");
        contract::assert_known_series(variable["definition"].as_str().unwrap(), FILE);
    }
}

#[test]
fn every_panel_has_a_title_a_description_and_a_known_unit() {
    assert_eq!(panel_titles().len(), panels().len(), "titles are unique");
    for panel in panels() {
        let title = panel["title"].as_str().unwrap();
        assert!(!title.is_empty());
        assert!(panel["description"].as_str().unwrap().ends_with('.'), "{title}");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap();
        assert!(UNITS.contains(&unit), "{title}: {unit}");
    }
}

#[test]
fn every_panel_asks_the_chosen_datasource() {
    let chosen = json!({"type": "prometheus", "uid": "$datasource"});
    for panel in panels() {
        assert_eq!(panel["datasource"], chosen, "{}", panel["title"]);
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        assert!(targets.iter().all(|target| target["datasource"] == chosen), "{}", panel["title"]);
    }
}

#[test]
fn panels_do_not_overlap() {
    let dashboard = dashboard();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for cell in
            (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert(cell), "{} covers another panel", panel["title"]);
        }
    }
}

#[test]
fn queries_use_only_series_of_the_contract() {
    for (title, expression) in queries() {
        contract::assert_known_series(&expression, &title);
    }
}

#[test]
fn the_dashboard_shows_every_series_of_the_contract() {
    let shown: String = queries().into_iter().map(|(_, expression)| expression + "\n").collect();
    // Every dashboard of processes shows the `process_*` series.
    for series in contract::SERIES.iter().filter(|series| !series.name.starts_with("process_")) {
        assert!(shown.contains(series.name), "no panel shows `{}`", series.name);
    }
}

#[test]
fn no_series_has_a_label_for_an_image_or_a_client() {
    for series in contract::SERIES.iter() {
        for label in ["image", "repository", "tag", "digest", "client", "node", "pod", "path"] {
            assert!(!series.labels.contains(label), "{} has the label `{label}`", series.name);
        }
    }
}

#[test]
fn every_series_is_narrowed_to_the_chosen_jobs_and_instances() {
    for (title, expression) in queries() {
        for selector in selectors(&expression) {
            assert!(selector.contains(r#"job=~"$job", instance=~"$instance""#), "{title}: {selector}");
        }
    }
}

/// The series selectors of an expression: the parts in braces.
fn selectors(expression: &str) -> Vec<&str> {
    let selectors: Vec<_> =
        expression.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    let series = contract::series_in(expression).count() + expression.matches("up{").count();
    assert_eq!(selectors.len(), series, "a series without a selector: {expression}");
    selectors
}

/// A counter is useful only as a difference over time; `$__rate_interval` adapts a rate to the zoom.
#[test]
fn counters_are_used_only_in_rate_or_increase() {
    for (title, expression) in queries() {
        for name in contract::series_in(&expression).filter(|name| contract::is_counter(name)) {
            for (at, _) in expression.match_indices(name) {
                let before = &expression[..at];
                assert!(before.ends_with("rate(") || before.ends_with("increase("), "{title}: {expression}");
            }
        }
        let rates = expression.matches("rate(").count();
        assert_eq!(rates, expression.matches("[$__rate_interval]").count(), "{title}: {expression}");
    }
}

/// Prometheus' own parser must accept every query, with the variables filled in as Grafana does for "All".
#[test]
fn promtool_parses_every_query() {
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (index, (_, expression)) in queries().iter().enumerate() {
        let filled = fill_variables(expression);
        writeln!(rules, "  - {{record: 'dashboard:{index}', expr: {}}}", json!(filled)).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dashboard.yaml"), rules).unwrap();
    files::run(folder.path(), "promtool", &["check", "rules", "dashboard.yaml"]);
}

fn fill_variables(expression: &str) -> String {
    ["$job", "$instance", "$registry"]
        .iter()
        .fold(expression.replace("$__rate_interval", "5m"), |filled, variable| filled.replace(variable, ".+"))
}

/// The thresholds drawn on panels are the ones at which alerts fire.
#[test]
fn thresholds_are_those_of_the_alerts() {
    let threshold = |title: &str| -> BTreeSet<String> {
        let panel = panels().into_iter().find(|panel| panel["title"] == title).unwrap();
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().unwrap().clone();
        steps.iter().filter(|step| !step["value"].is_null()).map(|step| step["value"].to_string()).collect()
    };
    let rules = files::text("deploy/monitoring/rules.yaml");
    for (title, value, rule) in [
        ("Quota left", "0.2", ") < 0.2"),
        ("Certificate days left", "14", "< 14 * 86400"),
        ("Certificate days left", "3", "< 3 * 86400"),
        ("Time since the last probe", "600", "> 600"),
    ] {
        assert!(threshold(title).contains(value), "{title}");
        assert!(rules.contains(rule), "{rule}");
    }
}
