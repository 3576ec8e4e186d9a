//! Renders a [`Setup`] for each runtime. Pure: a setup in, documents out.

mod cloud;
mod containerd;
mod containers;
mod document;
mod k3s;
mod text;

use crate::model::Setup;
use crate::target::Target;

pub use containerd::{CERTS_D, default_hosts, hosts};
pub use document::{Document, Place};

/// The documents of a setup for a target. Each part that the target cannot express, such as a header, is left out.
pub fn render(setup: &Setup, target: Target) -> Vec<Document> {
    match target {
        Target::Containerd => [containerd::main_files(), containerd::certs_d(setup)].concat(),
        Target::Aks => containerd::certs_d(setup),
        Target::Eks => [vec![cloud::eks()], containerd::certs_d(setup)].concat(),
        Target::Kind => [vec![cloud::kind()], containerd::certs_d(setup)].concat(),
        Target::Crio => vec![containers::drop_in(setup, "systemctl reload crio")],
        Target::Podman => vec![containers::drop_in(setup, "")],
        Target::Docker => vec![containers::docker(setup)],
        Target::K3s => vec![k3s::registries(setup, "/etc/rancher/k3s/registries.yaml")],
        Target::Rke2 => vec![k3s::registries(setup, "/etc/rancher/rke2/registries.yaml")],
        Target::Talos => vec![cloud::talos(setup)],
        Target::Bottlerocket => vec![cloud::bottlerocket(setup)],
        Target::Gke => vec![cloud::gke(setup)],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Mirror, Registry};

    fn setup(mirror: &str) -> Setup {
        let registry = |host: &str, server: &str| Registry {
            host: host.parse().unwrap(),
            server: server.parse().unwrap(),
        };
        Setup {
            mirror: Mirror { url: mirror.parse().unwrap(), ca: None, dial_timeout: Duration::from_secs(1) },
            registries: vec![
                registry("docker.io", "https://registry-1.docker.io"),
                registry("registry.test:5000", "http://registry.test:5000"),
            ],
            node: Some("worker-3".parse().unwrap()),
        }
    }

    fn texts(target: Target, setup: &Setup) -> Vec<(Place, String)> {
        render(setup, target).into_iter().map(|document| (document.place, document.text)).collect()
    }

    fn yaml(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn hosts_toml_has_the_fallback_the_node_and_nothing_that_an_old_node_refuses() {
        let documents = texts(Target::Aks, &setup("http://10.96.0.50:5000"));
        let paths: Vec<_> = documents.iter().map(|(place, _)| place.clone()).collect();
        assert_eq!(paths[0], Place::Own("/etc/containerd/certs.d/docker.io/hosts.toml".into()));
        assert_eq!(paths[1], Place::Own("/etc/containerd/certs.d/registry.test_5000_/hosts.toml".into()));
        let file: toml::Table = toml::from_str(&documents[0].1).unwrap();
        assert_eq!(file["server"].as_str(), Some("https://registry-1.docker.io"));
        let host = &file["host"]["http://10.96.0.50:5000"];
        assert_eq!(host["header"]["X-Pullgate-Node"].as_str(), Some("worker-3"));
        assert_eq!(host["dial_timeout"].as_str(), Some("1s"));
        assert_eq!(host["capabilities"], toml::Value::Array(vec!["pull".into(), "resolve".into()]));
    }

    #[test]
    fn an_authority_of_the_mirror_is_named_only_for_https() {
        let with = |mirror: &str| {
            let mut setup = setup(mirror);
            setup.mirror.ca = Some("/etc/pullgate/ca.pem".into());
            texts(Target::Aks, &setup)[0].1.clone()
        };
        assert!(with("https://mirror.test").contains("ca = \"/etc/pullgate/ca.pem\""));
        // containerd tries HTTPS first at an http:// address with any TLS field.
        assert!(!with("http://mirror.test:5000").contains("ca ="));
    }

    #[test]
    fn a_drop_in_names_the_registry_in_the_path_and_the_registry_last() {
        for target in [Target::Crio, Target::Podman] {
            let documents = texts(target, &setup("http://10.96.0.50:5000"));
            assert_eq!(
                documents[0].0,
                Place::Own("/etc/containers/registries.conf.d/50-pullgate.conf".into())
            );
            let file: toml::Table = toml::from_str(&documents[0].1).unwrap();
            let second = &file["registry"][1];
            assert_eq!(second["location"].as_str(), Some("registry.test:5000"));
            assert_eq!(second["mirror"][0]["location"].as_str(), Some("10.96.0.50:5000/registry.test_5000"));
            assert_eq!(second["mirror"][0]["insecure"].as_bool(), Some(true));
        }
        let secure = texts(Target::Podman, &setup("https://mirror.test"));
        assert!(!secure[0].1.contains("insecure = true"), "TLS is verified");
    }

    #[test]
    fn every_format_names_mirror_and_registry_where_its_reader_looks() {
        let setup = setup("http://10.96.0.50:5000");
        let k3s = yaml(&texts(Target::K3s, &setup)[0].1);
        assert_eq!(k3s["mirrors"]["docker.io"]["endpoint"], json!(["http://10.96.0.50:5000"]));
        let bottlerocket: toml::Table = toml::from_str(&texts(Target::Bottlerocket, &setup)[0].1).unwrap();
        let mirror = &bottlerocket["settings"]["container-registry"]["mirrors"][0];
        assert_eq!(
            (mirror["registry"].as_str(), mirror["endpoint"][0].as_str()),
            (Some("docker.io"), Some("http://10.96.0.50:5000"))
        );
        let gke = yaml(&texts(Target::Gke, &setup)[0].1);
        assert_eq!(gke["registryHosts"][0]["server"], "https://registry-1.docker.io");
        assert_eq!(gke["registryHosts"][0]["hosts"][0]["host"], "http://10.96.0.50:5000");
        let talos: Vec<Value> = serde_saphyr::from_multiple(&texts(Target::Talos, &setup)[0].1).unwrap();
        assert_eq!((talos.len(), &talos[1]["name"]), (2, &json!("registry.test:5000")));
        assert_eq!(talos[0]["endpoints"][0]["url"], "http://10.96.0.50:5000");
        for (target, patch) in
            [(Target::Eks, "/spec/containerd/config"), (Target::Kind, "/containerdConfigPatches/0")]
        {
            let document = yaml(&texts(target, &setup)[0].1);
            let patch: toml::Table =
                toml::from_str(document.pointer(patch).unwrap().as_str().unwrap()).unwrap();
            assert!(
                toml::to_string(&patch).unwrap().contains("config_path = \"/etc/containerd/certs.d\""),
                "{target}"
            );
        }
    }

    #[test]
    fn docker_gets_the_root_of_the_mirror_and_only_for_docker_hub() {
        let (place, text) = texts(Target::Docker, &setup("http://10.96.0.50:5000")).remove(0);
        let mirror = "http://10.96.0.50:5000".to_owned();
        assert_eq!(place, Place::DockerMirrors { path: "/etc/docker/daemon.json".into(), mirror });
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({"registry-mirrors": ["http://10.96.0.50:5000"]})
        );
    }

    #[test]
    fn every_target_renders_something() {
        for target in Target::ALL {
            assert!(!render(&setup("http://10.96.0.50:5000"), *target).is_empty(), "{target}");
        }
    }
}
