//! The Alertmanager example: `amtool` accepts it, and it routes alerts as described in its comments.

use crate::files;

const CONFIG: &str = "alertmanager.example.yaml";

#[test]
fn amtool_accepts_the_example() {
    files::run(&files::path("deploy/monitoring"), "amtool", &["check-config", CONFIG]);
}

#[test]
fn alerts_reach_the_receiver_of_their_severity_or_registry() {
    let cases: &[(&[&str], &str)] = &[
        (&["alertname=PullgateDown", "severity=critical"], "platform-pager"),
        (&["alertname=PullgateUpstreamDown", "severity=warning", "registry=docker.io"], "platform-tickets"),
        (&["alertname=PullgateServingStale", "severity=info", "registry=docker.io"], "platform-log"),
        (&["alertname=PullgateUpstreamDown", "severity=warning", "registry=ghcr.io"], "ghcr-owners"),
        (&["alertname=PullgateDigestMismatch", "severity=critical", "registry=ghcr.io"], "platform-pager"),
    ];
    let file = format!("--config.file={CONFIG}");
    let folder = files::path("deploy/monitoring");
    for (labels, receiver) in cases {
        let arguments = [&["config", "routes", "test", file.as_str()], *labels].concat();
        assert_eq!(files::run(&folder, "amtool", &arguments).trim(), *receiver, "{labels:?}");
    }
}

#[test]
fn inhibitions_name_alerts_that_exist() {
    let names = crate::rules::alert_names();
    let document = files::yaml("deploy/monitoring/alertmanager.example.yaml");
    for rule in document["inhibit_rules"].as_array().unwrap() {
        for side in ["source_matchers", "target_matchers"] {
            for matcher in rule[side].as_array().unwrap() {
                let matcher = matcher.as_str().unwrap();
                let Some((_, value)) = matcher.split_once("alertname") else { continue };
                for name in value.trim_matches(['=', '~', '"']).split('|') {
                    assert!(name == "Pullgate.+" || names.contains(name), "{matcher}");
                }
            }
        }
    }
}
