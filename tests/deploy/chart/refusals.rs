//! Values that Helm refuses: unknown keys, wrong values, and contradictions, each with the key's name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::helm::{self, CHART, HELMS};
use crate::files;

/// Arguments of `--set`, the key that the message begins with, and a part of the reason.
const CONTRADICTIONS: &[(&str, &str, &str)] = &[
    ("proxy.exposure.mode=nodePort", "proxy.exposure.nodePort", "needs a fixed port"),
    ("proxy.exposure.nodePort=30500", "proxy.exposure.nodePort", "mode is clusterIP"),
    ("proxy.exposure.clusterIP=", "proxy.exposure.clusterIP", "nodes cannot resolve"),
    (
        "proxy.exposure.loadBalancerSourceRanges={10.0.0.0/8}",
        "proxy.exposure.loadBalancerSourceRanges",
        "mode is clusterIP",
    ),
    (
        "proxy.exposure.mode=hostNetwork,proxy.exposure.adminPort=5000",
        "proxy.exposure.adminPort",
        "ports of the node",
    ),
    ("proxy.exposure.adminPort=5000", "proxy.exposure.adminPort", "listens for pulls"),
    ("proxy.cache.hostPath=/data", "proxy.cache.hostPath", "volume of its own"),
    ("proxy.cache.size=50Gi", "proxy.cache.size", "must be greater than config.proxy.cache.max_size"),
    ("config.proxy.cache.max_size=70GB", "proxy.cache.size", "transfers in progress"),
    (
        "proxy.podDisruptionBudget.minAvailable=1",
        "proxy.podDisruptionBudget.minAvailable",
        "together with maxUnavailable",
    ),
    (
        "proxy.podDisruptionBudget.maxUnavailable=",
        "proxy.podDisruptionBudget.maxUnavailable",
        "turn the budget off",
    ),
    (
        "proxy.podDisruptionBudget.maxUnavailable=,proxy.podDisruptionBudget.minAvailable=2",
        "proxy.podDisruptionBudget.minAvailable",
        "block every drain",
    ),
    ("proxy.terminationGracePeriodSeconds=29", "proxy.terminationGracePeriodSeconds", "transfers are killed"),
    ("prober.discovery.mode=namespaces", "prober.discovery.namespaces", "is empty"),
    ("prober.discovery.namespaces={shop}", "prober.discovery.namespaces", "mode is off"),
    (
        "prober.discovery.mode=cluster,prober.enabled=false",
        "prober.discovery.mode",
        "prober.enabled is false",
    ),
    ("credentials.dockerhub.existingSecret=a", "config.upstreams.dockerhub.access", "is required"),
    (
        "config.upstreams.dockerhub.access=shared,credentials.dockerhub.username=a",
        "credentials.dockerhub",
        "needs existingSecret",
    ),
    (
        "config.upstreams.dockerhub.access=shared,credentials.dockerhub.existingSecret=a,credentials.dockerhub.password=b",
        "credentials.dockerhub.existingSecret",
        "choose one",
    ),
    (
        "config.upstreams.dockerhub.access=shared,credentials.dockerhub.existingSecret=a,config.upstreams.dockerhub.credentials.helper=ecr-login",
        "config.upstreams.dockerhub.credentials",
        "choose one",
    ),
    (
        "authorities.quay.configMap=a,config.upstreams.quay.ca_file=/ca",
        "config.upstreams.quay.ca_file",
        "choose one",
    ),
    ("nodeAgent.enabled=true,proxy.exposure.mode=none", "nodeAgent.mirror", "is needed"),
    ("monitoring.serviceMonitor=on,monitoring.podMonitor=on", "monitoring.podMonitor", "scraped twice"),
];

#[test]
fn contradictions_are_refused_with_the_key_and_the_reason() {
    for helm in HELMS {
        for (set, key, reason) in CONTRADICTIONS {
            let said = helm::refusal(helm, &["--set", set]);
            assert!(said.contains(&format!("{key}: ")) && said.contains(reason), "{helm} {set}: {said}");
        }
    }
}

/// A new `fail` in the templates needs a case above.
#[test]
fn every_contradiction_of_the_templates_is_tested() {
    let template = files::text(&format!("{CHART}/templates/_refuse.tpl"));
    assert_eq!(template.matches("fail ").count(), CONTRADICTIONS.len() - 1, "one is tested in two units");
}

#[test]
fn unknown_keys_and_wrong_values_are_refused() {
    for helm in HELMS {
        for (set, key) in [
            ("proxy.replcas=3", "replcas"),
            ("proxy.exposure.prot=1", "prot"),
            ("config.proxy.client_rat=1", "client_rat"),
            ("config.upstreams.dockerhub.acess=shared", "acess"),
            ("config.proxy.listen=0.0.0.0:1", "listen"),
            ("proxy.exposure.mode=magic", "mode"),
            ("proxy.replicas=0", "replicas"),
            ("config.proxy.header_deadline=soon", "header_deadline"),
            ("networkPolicy.nodeCIDRs={10.0.0.0}", "nodeCIDRs"),
            ("image.digest=sha256:abc", "digest"),
        ] {
            let said = helm::refusal(helm, &["--set", set]);
            assert!(said.contains("schema") && said.contains(key), "{helm} {set}: {said}");
        }
    }
}

/// Each object of the schema that has keys refuses others.
#[test]
fn the_schema_is_closed() {
    fn assert_closed(schema: &Value, path: &str) {
        if schema["properties"].is_object() {
            assert_eq!(schema["additionalProperties"], false, "{path}");
        }
        let parts = schema.as_object().into_iter().flatten().chain([]);
        for (name, part) in parts {
            assert_closed(part, &format!("{path}/{name}"));
        }
    }
    assert_closed(&schema(), "");
}

/// Every key of docs/configuration.md can be set, except those of which the chart decides.
#[test]
fn the_schema_knows_every_key_of_the_configuration() {
    let config = schema()["properties"]["config"].to_string();
    let page = files::text("docs/configuration.md");
    let keys: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    assert!(keys.len() > 40, "the page has another form");
    let decided = ["listen", "drain", "dir", "tls", "cert", "key"];
    let kubernetes = ["discover", "namespaces", "secrets", "kubeconfig"];
    for key in keys {
        let expected = !decided.contains(&key) && !kubernetes.contains(&key);
        assert_eq!(config.contains(&format!("\"{key}\":{{")), expected, "{key}");
    }
}

#[test]
fn every_value_is_documented_and_in_the_schema() {
    let text = files::text(&format!("{CHART}/values.yaml"));
    let values = files::yaml(&format!("{CHART}/values.yaml"));
    compare(&values, &schema(), "");
    let mut before = "";
    for line in text.lines() {
        let key = line.trim_start().split_once(':').map(|(key, _)| key);
        let depth = line.len() - line.trim_start().len();
        let is_leaf =
            depth <= 2 && key.is_some_and(|key| !key.starts_with(['#', '-'])) && !line.ends_with(':');
        let documented = before.trim_start().starts_with('#');
        assert!(!is_leaf || documented, "{line}: no comment above it");
        before = line;
    }
}

fn compare(values: &Value, schema: &Value, path: &str) {
    let Some(values) = values.as_object() else { return };
    let Some(known) = schema["properties"].as_object() else { return };
    for (key, value) in values {
        let part = known.get(key).unwrap_or_else(|| panic!("{path}.{key} is not in the schema"));
        compare(value, part, &format!("{path}.{key}"));
    }
}

fn schema() -> Value {
    serde_json::from_str(&files::text(&format!("{CHART}/values.schema.json"))).unwrap()
}
