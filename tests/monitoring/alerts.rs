//! The path from a broken upstream to a fired alert.

use std::time::Duration;

use support::alertmanager::paging;
use support::prometheus::scraping;
use support::{Alertmanager, Prometheus, Webhook};

use crate::trouble::{DOWN, EXPIRED, EXPIRES, LIMITED, QUOTA, REFUSES, Trouble};

#[tokio::test]
async fn what_breaks_upstream_reaches_the_webhook_and_what_is_mended_resolves() {
    let mut trouble = Trouble::start().await;
    let mut webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(&trouble.scratch, &paging(&webhook)).await;
    let rules = trouble.scratch.file("rules.yaml", &impatient(RULES));
    let config = scraping(&[trouble.pullgate.admin()], &[&rules], &[alertmanager.address()]);
    let prometheus = Prometheus::start(&trouble.scratch, &config).await;

    assert_eq!(trouble.pull(DOWN).await, 200);
    prometheus.value(&format!("pullgate_probe_state{{registry={DOWN:?},class=\"ok\"}} == 1"), LIMIT).await;
    trouble.down.stop().await;
    assert_eq!(trouble.pull(DOWN).await, 200, "the tag is served stale from the cache");
    for (name, registry, severity, says) in [
        ("PullgateUpstreamDown", DOWN, "warning", "connect_refused"),
        ("PullgateUpstreamDown", EXPIRED, "warning", "tls_expired"),
        ("PullgateServingStale", DOWN, "info", DOWN),
        ("PullgateUpstreamRateLimited", LIMITED, "warning", LIMITED),
        ("PullgateUpstreamQuotaLow", QUOTA, "warning", "of its pull quota"),
        ("PullgateUpstreamCertExpiresSoon", EXPIRES, "warning", "127.0.0.1"),
        ("PullgateUpstreamCertExpiresSoon", EXPIRED, "critical", "expires in -"),
        ("PullgateUpstreamAuthFailing", REFUSES, "warning", REFUSES),
    ] {
        let labels = [("alertname", name), ("registry", registry), ("severity", severity)];
        let alert = webhook.alert_with(&labels, "firing", LIMIT).await;
        let description = alert["annotations"]["description"].as_str().unwrap();
        assert!(description.contains(says), "{name}: {description}");
    }

    trouble.down.restart().unwrap();
    webhook.alert_with(&[("alertname", "PullgateUpstreamDown"), ("registry", DOWN)], "resolved", LIMIT).await;

    webhook.forget();
    assert!(trouble.pullgate.stop().await.success());
    webhook.alert_with(&[("alertname", "PullgateDown"), ("severity", "critical")], "firing", LIMIT).await;
}

/// The shipped rules with shorter times: an alert fires after two seconds. Only `for` and the evaluation intervals
/// change.
fn impatient(rules: &str) -> String {
    let shorten = |line: &str| {
        let indent = &line[..line.len() - line.trim_start().len()];
        match line.trim_start().split_once(": ") {
            Some(("for", _)) => format!("{indent}for: 2s"),
            Some(("interval", _)) => format!("{indent}interval: 1s"),
            _ => line.to_owned(),
        }
    };
    rules.lines().map(|line| shorten(line) + "\n").collect()
}

const RULES: &str = include_str!("../../deploy/monitoring/rules.yaml");
/// The prober's shortest interval is ten seconds; the rest is a margin for a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);
