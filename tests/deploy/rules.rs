//! Alerts and recording rules: valid, tested, complete, and based on series that exist.

use std::collections::BTreeSet;

use oci::Class;
use oci::class::Family;
use serde_json::Value;

use crate::{contract, files};

const RULES: &str = "deploy/monitoring/rules.yaml";
const TESTS: &str = "deploy/monitoring/rules.test.yaml";

/// Alerts whose purpose is to detect missing data.
const WATCH_FOR_ABSENCE: &[&str] = &["PullgateDown", "PullgateProberStale"];

/// Every rule of every group.
pub(crate) fn rules() -> Vec<Value> {
    let document = files::yaml(RULES);
    let groups = document["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Every alerting rule; one alert may have several, of different severity.
pub(crate) fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

pub(crate) fn alert_names() -> BTreeSet<String> {
    alerts().iter().map(|alert| string(alert, "alert")).collect()
}

fn string(value: &Value, key: &str) -> String {
    let text = value[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {value:#}"));
    text.to_owned()
}

#[test]
fn promtool_accepts_the_rules() {
    let folder = files::path("deploy/monitoring");
    files::run(&folder, "promtool", &["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]);
}

#[test]
fn promtool_passes_the_unit_tests_of_the_rules() {
    let folder = files::path("deploy/monitoring");
    files::run(&folder, "promtool", &["test", "rules", "rules.test.yaml"]);
}

#[test]
fn promtool_accepts_the_scrape_example() {
    let folder = files::path("deploy/monitoring");
    files::run(&folder, "promtool", &["check", "config", "scrape.example.yaml"]);
}

#[test]
fn the_scraped_jobs_are_those_the_alerts_name() {
    let example = files::yaml("deploy/monitoring/scrape.example.yaml");
    let jobs: BTreeSet<_> =
        example["scrape_configs"].as_array().unwrap().iter().map(|job| string(job, "job_name")).collect();
    for rule in rules() {
        for matcher in string(&rule, "expr").split("job=\"").skip(1) {
            let job = matcher.split('"').next().unwrap();
            assert!(jobs.contains(job), "no scrape job `{job}`: {rule:#}");
        }
    }
}

#[test]
fn rules_use_only_series_of_the_contract() {
    for rule in rules() {
        contract::assert_known_series(&string(&rule, "expr"), RULES);
        if let Some(description) = rule["annotations"]["description"].as_str() {
            contract::assert_known_series(description, RULES);
        }
    }
}

#[test]
fn every_class_of_a_probe_is_covered_by_exactly_one_alert() {
    for class in contract::probe_classes() {
        let claimants = claimants(class);
        assert_eq!(claimants.len(), 1, "`{class}` is covered by {claimants:?}");
    }
}

#[test]
fn classes_of_one_family_alert_together() {
    for (family, name) in [
        (Family::Limit, "PullgateUpstreamRateLimited"),
        (Family::Access, "PullgateUpstreamAuthFailing"),
        (Family::Certificate, "PullgateUpstreamDown"),
    ] {
        let members = Class::ALL.iter().filter(|class| class.rules().family == family);
        for class in members.filter(|class| contract::is_of_a_probe(**class)) {
            assert_eq!(claimants(class.as_str()), BTreeSet::from([name.to_owned()]), "{class}");
        }
    }
}

#[test]
fn rules_select_only_classes_that_exist() {
    let known = |class: &str| {
        class == "ok" || class == "pending" || contract::probe_classes().any(|known| known == class)
    };
    for rule in rules() {
        let expression = string(&rule, "expr");
        for class in classes_in(&expression, "class") {
            assert!(known(&class), "`{class}` is not a class: {expression}");
        }
    }
}

/// The alerts that a probe's result of this class can set off.
fn claimants(class: &str) -> BTreeSet<String> {
    alerts()
        .iter()
        .filter(|alert| claimed_classes(&string(alert, "expr")).iter().any(|claimed| claimed == class))
        .map(|alert| string(alert, "alert"))
        .collect()
}

/// The classes that an expression selects from the prober's series, without those that it excludes.
fn claimed_classes(expression: &str) -> Vec<String> {
    let selectors = ["pullgate_probe_state{class=", "pullgate_probes_total{class="];
    selectors.iter().flat_map(|selector| classes_in(expression, selector)).collect()
}

/// The values of a matcher, for every matching operator.
fn classes_in(expression: &str, matcher: &str) -> Vec<String> {
    let values = expression.split(matcher).skip(1).map(|rest| rest.split('"').nth(1).unwrap());
    values.flat_map(|value| value.split('|')).map(str::to_owned).collect()
}

#[test]
fn every_alert_has_the_annotations_of_a_notification() {
    for alert in alerts() {
        let name = string(&alert, "alert");
        assert!(name.starts_with("Pullgate"), "{name}");
        let severity = string(&alert["labels"], "severity");
        assert!(["critical", "warning", "info"].contains(&severity.as_str()), "{name}: {severity}");
        assert!(
            ["upstream", "proxy", "prober"].contains(&string(&alert["labels"], "component").as_str()),
            "{name}"
        );
        let summary = string(&alert["annotations"], "summary");
        assert!(
            summary.ends_with('.') && !summary.contains("{{"),
            "{name}: the summary must be a sentence without variables: {summary}"
        );
        assert!(string(&alert["annotations"], "description").len() > summary.len(), "{name}");
        let runbook = string(&alert["annotations"], "runbook_url");
        assert!(runbook.ends_with(&format!("/runbooks/{name}.md")), "{name}: {runbook}");
    }
}

#[test]
fn every_alert_is_tested_firing_silent_healthy_and_without_data() {
    let document = files::yaml(TESTS);
    let cases: Vec<(String, String, bool)> =
        document["tests"].as_array().unwrap().iter().flat_map(cases_of).collect();
    let has = |group: Option<&str>, alert: &str, fires: bool| {
        cases.iter().any(|(g, a, f)| group.is_none_or(|group| group == g) && a == alert && *f == fires)
    };
    for alert in alert_names() {
        assert!(has(None, &alert, true), "{alert}: no test in which it fires");
        assert!(has(Some("healthy"), &alert, false), "{alert}: not tested on healthy series");
        let watches = WATCH_FOR_ABSENCE.contains(&alert.as_str());
        assert!(has(Some("absent"), &alert, watches), "{alert}: not tested without series");
    }
}

/// Group name, alert name, and true if the alert is expected to fire.
fn cases_of(group: &Value) -> Vec<(String, String, bool)> {
    let Some(cases) = group["alert_rule_test"].as_array() else {
        return Vec::new();
    };
    cases
        .iter()
        .map(|case| {
            let fires = !case["exp_alerts"].as_array().unwrap().is_empty();
            (string(group, "name"), string(case, "alertname"), fires)
        })
        .collect()
}
