//! Pods of the chart follow the restricted profile, except where the values ask for the node itself.

use serde_json::{Value, json};

use super::helm;

/// Shapes that use the node's network or folders, which the pod security standards forbid.
const ON_THE_NODE: [&str; 4] = ["hostport", "hostnetwork", "nodeagent", "everything"];

#[test]
fn pods_follow_the_restricted_profile() {
    for shape in helm::shapes() {
        for workload in workloads(&shape) {
            let name = workload["metadata"]["name"].as_str().unwrap();
            let pod = &workload["spec"]["template"]["spec"];
            assert_contained(pod, &format!("{shape} {name}"));
            if !ON_THE_NODE.contains(&shape.as_str()) {
                assert_off_the_node(pod, &format!("{shape} {name}"));
            }
            if !name.ends_with("node-agent") {
                assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{shape} {name}");
                assert_eq!(pod["securityContext"]["runAsUser"], 65532, "{shape} {name}");
            }
        }
    }
}

/// What holds for every pod, also for the node agent.
fn assert_contained(pod: &Value, place: &str) {
    assert_eq!(pod["securityContext"]["seccompProfile"], json!({"type": "RuntimeDefault"}), "{place}");
    for forbidden in ["hostPID", "hostIPC", "initContainers"] {
        assert!(pod[forbidden].is_null(), "{place} {forbidden}");
    }
    for container in pod["containers"].as_array().unwrap() {
        let contained = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], contained, "{place}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{place}");
    }
}

fn assert_off_the_node(pod: &Value, place: &str) {
    assert!(pod["hostNetwork"].is_null(), "{place}");
    for volume in pod["volumes"].as_array().unwrap() {
        assert!(volume["hostPath"].is_null(), "{place}: {volume}");
    }
    let ports = pod["containers"].as_array().unwrap().iter().flat_map(|one| one["ports"].as_array().unwrap());
    assert!(ports.into_iter().all(|port| port["hostPort"].is_null()), "{place}");
}

#[test]
fn what_a_shape_asks_for_is_in_its_pods() {
    let exposed = |shape: &str, kind: &str| {
        let objects = helm::render("helm-4", shape);
        helm::object(&objects, kind, "pullgate-proxy")["spec"]["template"]["spec"].clone()
    };
    assert_eq!(exposed("hostnetwork", "DaemonSet")["hostNetwork"], true);
    assert_eq!(exposed("hostport", "DaemonSet")["containers"][0]["ports"][0]["hostPort"], 5000);
    let air = exposed("airgapped", "StatefulSet");
    assert!(air["containers"][0]["image"].as_str().unwrap().contains("@sha256:"), "a digest wins over a tag");
    let nodeport = helm::render("helm-4", "nodeport");
    let service = helm::object(&nodeport, "Service", "pullgate");
    assert_eq!(service["spec"]["ports"][0]["nodePort"], 30500);
    let balancer = helm::render("helm-4", "loadbalancer");
    assert_eq!(helm::object(&balancer, "PodDisruptionBudget", "pullgate-proxy")["spec"]["minAvailable"], 2);
}

/// A password of the values is in a Secret only.
#[test]
fn passwords_are_only_in_secrets() {
    for object in helm::render("helm-4", "private-registries") {
        assert!(!object.to_string().contains("not-a-real-password"), "{object:#}");
    }
    let objects = helm::render("helm-4", "private-registries");
    let secret = helm::object(&objects, "Secret", "pullgate-credentials-harbor");
    assert_eq!(secret["type"], "kubernetes.io/dockerconfigjson");
}

fn workloads(shape: &str) -> Vec<Value> {
    let kinds = ["StatefulSet", "Deployment", "DaemonSet"];
    let objects = helm::render("helm-4", shape);
    objects.into_iter().filter(|object| kinds.iter().any(|kind| object["kind"] == *kind)).collect()
}
