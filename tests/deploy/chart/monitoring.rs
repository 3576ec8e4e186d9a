//! Objects of the Prometheus operator: present if the cluster knows them, and as its schemas want them.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::parts;

use super::helm::{self, HELMS};
use crate::files;

const KINDS: [&str; 3] = ["ServiceMonitor", "PodMonitor", "PrometheusRule"];

#[test]
fn monitoring_follows_what_the_cluster_knows() {
    let api = |kind: &str| format!("monitoring.coreos.com/v1/{kind}");
    let [services, rules] = ["ServiceMonitor", "PrometheusRule"].map(api);
    for helm in HELMS {
        let shown = |arguments: &[&str]| kinds(&helm::render_with(helm, arguments));
        assert_eq!(shown(&[]), [0, 0, 0]);
        assert_eq!(shown(&["--api-versions", &services]), [2, 0, 0]);
        assert_eq!(shown(&["--api-versions", &rules, "--api-versions", &services]), [2, 0, 1]);
        assert_eq!(shown(&["--api-versions", &rules, "--set", "monitoring.prometheusRule=off"]), [0, 0, 0]);
        assert_eq!(shown(&["--set", "monitoring.prometheusRule=on"]), [0, 0, 1]);
    }
    assert_eq!(kinds(&helm::render("helm-4", "everything")), [0, 2, 1], "one monitor for each pod");
}

fn kinds(objects: &[Value]) -> [usize; 3] {
    KINDS.map(|kind| objects.iter().filter(|object| object["kind"] == kind).count())
}

#[test]
fn rules_and_dashboards_are_those_of_deploy_monitoring() {
    let objects = helm::render("helm-4", "monitoring");
    let rules = helm::object(&objects, "PrometheusRule", "pullgate");
    assert_eq!(rules["spec"], files::yaml("deploy/monitoring/rules.yaml"));
    for name in files::names("deploy/monitoring/dashboards") {
        let short = name.trim_start_matches("pullgate-").trim_end_matches(".json");
        let map = helm::object(&objects, "ConfigMap", &format!("pullgate-dashboard-{short}"));
        let dashboard = files::text(&format!("deploy/monitoring/dashboards/{name}"));
        assert_eq!(map["data"][&name].as_str().unwrap().trim_end(), dashboard.trim_end());
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    }
}

/// The alerts select by `job`, and the monitors find the Services that exist.
#[test]
fn monitors_select_existing_pods_under_the_jobs_of_the_rules() {
    for (shape, kind, endpoints) in
        [("monitoring", "ServiceMonitor", "endpoints"), ("everything", "PodMonitor", "podMetricsEndpoints")]
    {
        let objects = helm::render("helm-4", shape);
        let monitors: Vec<_> = objects.iter().filter(|object| object["kind"] == kind).collect();
        for monitor in monitors {
            let component = monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"].clone();
            let label = &monitor["spec"][endpoints][0]["relabelings"][0];
            assert_eq!(label["replacement"], format!("pullgate-{}", component.as_str().unwrap()));
            let selected = objects.iter().filter(|object| object["kind"] == "Service");
            let with_component =
                selected.filter(|one| one["metadata"]["labels"]["app.kubernetes.io/component"] == component);
            assert_eq!(with_component.count(), 1, "{shape} {component}: one Service, so one scrape");
            let keys: Vec<_> = monitor["spec"].as_object().unwrap().keys().collect();
            assert_eq!(keys.len(), 2, "the schemas accept unknown keys: {keys:?}");
        }
    }
}

#[test]
fn objects_of_the_operator_fit_its_schemas() {
    let objects: Vec<Value> =
        ["monitoring", "everything"].iter().flat_map(|shape| helm::render("helm-4", shape)).collect();
    let ours: Vec<&Value> =
        objects.iter().filter(|object| KINDS.contains(&object["kind"].as_str().unwrap())).collect();
    assert_eq!(validate(&ours), "6 objects are valid\n");
    let broken = serde_json::json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "a"},
        "spec": {"endpoints": "none"},
    });
    assert!(validate(&[&broken]).contains("must be array"), "the schemas refuse");
}

/// Asks the operator's models, and returns what they say.
fn validate(objects: &[&Value]) -> String {
    let script = "import {readFileSync} from 'node:fs';
        const models = await import(process.argv[1] + '/index.js');
        const objects = JSON.parse(readFileSync(0));
        try {
            for (const object of objects) new models[object.kind](object).validate();
            console.log(`${objects.length} objects are valid`);
        } catch (error) { console.log(error.message); }";
    let models = parts::checkout().join(
        ".parts/operator-models/node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
    );
    assert!(models.is_dir(), "the operator's schemas are not installed; run `make setup`");
    let mut node = Command::new(parts::installed("node"));
    node.args(["--input-type=module", "--eval", script]).arg(std::fs::canonicalize(models).unwrap());
    let mut node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    node.stdin.take().unwrap().write_all(&serde_json::to_vec(objects).unwrap()).unwrap();
    let output = node.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
