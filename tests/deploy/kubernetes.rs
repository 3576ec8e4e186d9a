//! The manifests, which are generated from the chart: complete, restricted, and consistent with each other.

use std::path::Path;
use std::time::Duration;

use config::Config;
use serde_json::{Value, json};

use crate::files;

const FOLDER: &str = "deploy/kubernetes";

/// Every object that `kubectl apply -k` applies.
fn objects() -> Vec<Value> {
    resources().iter().flat_map(|name| files::yaml_documents(&format!("{FOLDER}/{name}"))).collect()
}

fn resources() -> Vec<String> {
    let kustomization = files::yaml(&format!("{FOLDER}/kustomization.yaml"));
    let resources = kustomization["resources"].as_array().unwrap();
    resources.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn object(kind: &str, name: &str) -> Value {
    let found =
        objects().into_iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// The proxy and the prober.
fn workloads() -> [Value; 2] {
    [object("StatefulSet", "pullgate-proxy"), object("Deployment", "pullgate-prober")]
}

#[test]
fn the_kustomization_lists_every_file() {
    let mut listed = resources();
    // The roles of `discovery` are a choice: docs/kubernetes.md says which to apply.
    listed.extend(["kustomization.yaml".to_owned(), "discovery".to_owned()]);
    listed.sort();
    assert_eq!(listed, files::names(FOLDER));
}

#[test]
fn every_object_is_in_the_namespace() {
    for object in objects() {
        let expected = if object["kind"] == "Namespace" { Value::Null } else { json!("pullgate") };
        assert_eq!(object["metadata"]["namespace"], expected, "{object:#}");
    }
    let labels = &object("Namespace", "pullgate")["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
}

/// Pods follow the restricted profile of the pod security standards, and also have a read-only root file system.
#[test]
fn pods_follow_the_restricted_profile() {
    for workload in workloads() {
        let pod = &workload["spec"]["template"]["spec"];
        let security = &pod["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["runAsUser"], 65532);
        assert_eq!(security["seccompProfile"], json!({"type": "RuntimeDefault"}));
        for forbidden in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
            assert!(pod[forbidden].is_null(), "{forbidden}");
        }
        for volume in pod["volumes"].as_array().unwrap() {
            assert!(volume["configMap"].is_object() || volume["emptyDir"].is_object(), "{volume:#}");
        }
        for container in pod["containers"].as_array().unwrap() {
            let restricted = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            });
            assert_eq!(container["securityContext"], restricted);
        }
    }
}

#[test]
fn pods_get_no_token_of_the_kubernetes_api() {
    for workload in workloads() {
        let pod = &workload["spec"]["template"]["spec"];
        let account = object("ServiceAccount", pod["serviceAccountName"].as_str().unwrap());
        assert_eq!(account["automountServiceAccountToken"], false);
        assert_eq!(pod["automountServiceAccountToken"], false);
    }
}

#[test]
fn pods_have_probes_on_the_admin_port_and_limits() {
    for workload in workloads() {
        let container = &workload["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["livenessProbe"]["httpGet"], json!({"path": "/livez", "port": "admin"}));
        assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": "/readyz", "port": "admin"}));
        assert!(port_of(container, "admin").is_some());
        assert!(container["resources"]["limits"]["memory"].is_string());
        assert!(container["resources"]["requests"]["cpu"].is_string());
    }
}

fn port_of(container: &Value, name: &str) -> Option<u64> {
    let ports = container["ports"].as_array()?;
    ports.iter().find(|port| port["name"] == name)?["containerPort"].as_u64()
}

#[test]
fn the_proxy_drains_and_keeps_one_instance_up() {
    let proxy = object("StatefulSet", "pullgate-proxy");
    let pod = &proxy["spec"]["template"]["spec"];
    let pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    assert!(pause >= 5, "the Service needs time to remove the pod");
    let drain = configuration().proxy.drain.as_secs();
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(
        grace == 300 && pause + drain < grace,
        "{pause} + {drain} < {grace}: the pod must end before it is killed"
    );
    assert!(proxy["spec"]["replicas"].as_u64().unwrap() >= 2);
    assert_eq!(pod["topologySpreadConstraints"].as_array().unwrap().len(), 2);
    assert_eq!(object("PodDisruptionBudget", "pullgate-proxy")["spec"]["maxUnavailable"], 1);
    assert_eq!(proxy["spec"]["serviceName"], object("Service", "pullgate-proxy-pods")["metadata"]["name"]);
}

#[test]
fn selectors_match_their_pods() {
    for workload in workloads() {
        let labels = &workload["spec"]["template"]["metadata"]["labels"];
        assert_eq!(&workload["spec"]["selector"]["matchLabels"], labels);
        let name = workload["metadata"]["name"].as_str().unwrap();
        assert_eq!(&object("Service", &format!("{name}-pods"))["spec"]["selector"], labels);
    }
    let proxy = &object("StatefulSet", "pullgate-proxy")["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&object("Service", "pullgate")["spec"]["selector"], proxy);
    assert_eq!(&object("PodDisruptionBudget", "pullgate-proxy")["spec"]["selector"]["matchLabels"], proxy);
    let policy = object("NetworkPolicy", "pullgate");
    assert_eq!(
        policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
        proxy["app.kubernetes.io/name"]
    );
}

/// The configuration that pullgate reads from the file in the ConfigMap.
fn configuration() -> Config {
    let map = object("ConfigMap", "pullgate");
    let text = map["data"]["pullgate.toml"].as_str().unwrap();
    let loaded = config::parse(text, Path::new("/etc/pullgate/pullgate.toml"));
    loaded.unwrap_or_else(|report| panic!("{report}")).config
}

#[test]
fn the_configuration_has_no_problem_and_probes_what_it_names() {
    let images =
        configuration().prober.targets.iter().map(|target| target.image.to_string()).collect::<Vec<_>>();
    assert_eq!(images, ["docker.io/library/alpine:3.20", "registry.k8s.io/pause:3.10"]);
}

/// The file in the ConfigMap and the pods agree on folder and ports.
#[test]
fn the_configuration_fits_the_pods() {
    let config = configuration();
    let proxy = &object("StatefulSet", "pullgate-proxy")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(Some(u64::from(config.proxy.listen.port())), port_of(proxy, "registry"));
    assert_eq!(Some(u64::from(config.admin.listen.port())), port_of(proxy, "admin"));
    assert_eq!(config.proxy.cache.lock_wait, Duration::from_secs(60));
    let dir = config.proxy.cache.dir.to_str().unwrap();
    let mounts = proxy["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().any(|mount| mount["name"] == "cache" && mount["mountPath"] == dir));
    for workload in workloads() {
        let arguments = &workload["spec"]["template"]["spec"]["containers"][0]["args"];
        assert_eq!(arguments[2], "/etc/pullgate/pullgate.toml");
    }
}
