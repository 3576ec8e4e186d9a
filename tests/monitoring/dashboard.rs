//! Runs the dashboard's queries as Grafana does, while registries misbehave and nodes pull.

use std::time::Duration;

use serde_json::Value;
use support::Prometheus;
use support::prometheus::scraping;
use tokio::time::Instant;

use crate::trouble::Trouble;

#[tokio::test]
async fn every_query_of_the_dashboard_returns_data() {
    let trouble = Trouble::start().await;
    let config = scraping(&[trouble.pullgate.admin()], &[], &[]);
    let prometheus = Prometheus::start(&trouble.scratch, &config).await;
    prometheus.value("pullgate_build_info", LIMIT).await;
    trouble.unfold().await;

    let mut empty = queries();
    assert!(empty.len() > 30, "{}", empty.len());
    let deadline = Instant::now() + LIMIT;
    while !empty.is_empty() {
        assert!(Instant::now() < deadline, "no data after {LIMIT:?}:\n{}", empty.join("\n"));
        // A rate needs an event between two scrapes.
        trouble.misuse().await;
        let mut still = Vec::new();
        for query in empty {
            if !has_data(&prometheus.query(&query).await) {
                still.push(query);
            }
        }
        empty = still;
    }
}

/// Every query of every panel and variable, for all jobs, instances and registries.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.map(|target| fill(target["expr"].as_str().unwrap())).collect()
}

fn fill(expression: &str) -> String {
    let variables = ["$job", "$instance", "$registry"];
    let filled = expression.replace("$__rate_interval", "1m");
    let filled = variables.iter().fold(filled, |filled, variable| filled.replace(variable, ".+"));
    assert!(!filled.contains('$'), "an unknown variable: {filled}");
    filled
}

/// False for NaN: a quantile without observations is NaN, and its panel would stay empty.
fn has_data(result: &[Value]) -> bool {
    let number = |series: &Value| series["value"][1].as_str().and_then(|value| value.parse::<f64>().ok());
    result.iter().filter_map(number).any(f64::is_finite)
}

const DASHBOARD: &str = include_str!("../../deploy/monitoring/dashboards/pullgate-upstreams.json");
const LIMIT: Duration = Duration::from_secs(75);
