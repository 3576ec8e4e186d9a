//! The node files: the tests parse each in its format, and compare it with containerd's requirements.

use std::collections::BTreeSet;
use std::time::Duration;

use config::Config;
use node::render::{Document, Place, default_hosts, render};
use node::{Mirror, Registry, Setup, Target};
use toml::Table;

use crate::files;

pub(crate) const CERTS_D: &str = "deploy/nodes/containerd/certs.d";
pub(crate) const DEFAULT: &str = "deploy/nodes/containerd/certs.d-default/_default/hosts.toml";

const CONF_D: &str = "/etc/containers/registries.conf.d";

/// The registries that are configured without a configuration file.
fn built_in() -> BTreeSet<String> {
    let upstreams = Config::default().upstreams;
    upstreams.iter().map(|upstream| upstream.registry.as_str().to_owned()).collect()
}

/// The mirror's URL, as defined by the Service.
pub(crate) fn mirror() -> String {
    let documents = files::yaml_documents("deploy/kubernetes/service.yaml");
    let service = documents.iter().find(|document| document["metadata"]["name"] == "pullgate").unwrap();
    let address = service["spec"]["clusterIP"].as_str().unwrap();
    format!("http://{address}:{}", service["spec"]["ports"][0]["port"])
}

/// Every file of `deploy/nodes` except its README, as `pullgate node render` makes it for the built-in registries.
fn rendered() -> Vec<(String, String)> {
    let registries = Config::default().upstreams.into_iter().map(|upstream| Registry {
        host: upstream.registry.clone(),
        server: upstream.endpoints[0].url.clone(),
    });
    let setup = Setup {
        mirror: Mirror { url: mirror().parse().unwrap(), ca: None, dial_timeout: Duration::from_secs(1) },
        registries: registries.collect(),
        node: None,
    };
    let named = |document: Document| match document.place {
        Place::Own(path) => {
            path.replace("/etc/containerd/certs.d", CERTS_D).replace(CONF_D, "deploy/nodes/crio")
        }
        Place::DockerMirrors { .. } => "deploy/nodes/docker/daemon.json".to_owned(),
        Place::Paste(place) if place.contains("1.6") => "deploy/nodes/containerd/config-1.x.toml".to_owned(),
        Place::Paste(_) => "deploy/nodes/containerd/config-2.x.toml".to_owned(),
    };
    let targets = [Target::Containerd, Target::Crio, Target::Docker];
    let documents = targets.iter().flat_map(|target| render(&setup, *target));
    let mut files: Vec<_> = documents.map(|document| (named(document.clone()), document.text)).collect();
    files.push((DEFAULT.to_owned(), default_hosts(&setup)));
    files
}

/// `UPDATE=1 cargo test -p pullgate --test deploy nodes` writes them.
#[test]
fn the_files_are_those_that_node_render_makes() {
    for (path, text) in rendered() {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(files::path(&path), &text).unwrap();
        }
        assert_eq!(files::text(&path), text, "{path} is out of date: set UPDATE=1 once");
    }
}

#[test]
fn every_built_in_registry_has_its_directory_and_nothing_else_is_there() {
    assert_eq!(BTreeSet::from_iter(files::names(CERTS_D)), built_in());
    for registry in built_in() {
        assert_eq!(files::names(&format!("{CERTS_D}/{registry}")), ["hosts.toml"]);
    }
}

/// Requirement 29: the files suit fleets of mixed versions.
#[test]
fn hosts_files_suit_every_containerd() {
    for upstream in Config::default().upstreams {
        let registry = upstream.registry.as_str();
        let file = files::toml(&format!("{CERTS_D}/{registry}/hosts.toml"));
        let own = upstream.endpoints[0].url.as_str().trim_end_matches('/');
        assert_eq!(file["server"].as_str().unwrap(), own, "{registry}: the registry stays reachable");
        assert_eq!(file.keys().collect::<Vec<_>>(), ["host", "server"], "{registry}");
        assert_one_mirror(&file, registry);
    }
}

#[test]
fn default_has_no_server_and_states_its_costs() {
    let file = files::toml(DEFAULT);
    assert_eq!(file.keys().collect::<Vec<_>>(), ["host"]);
    assert_one_mirror(&file, "_default");
    let text = files::text(DEFAULT);
    assert!(text.contains("No `server`") && text.contains("bypasses the mirror"));
}

fn assert_one_mirror(file: &Table, place: &str) {
    let hosts = file["host"].as_table().unwrap();
    assert_eq!(hosts.keys().collect::<Vec<_>>(), [&mirror()], "{place}");
    let host = hosts[&mirror()].as_table().unwrap();
    let keys: BTreeSet<_> = host.keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["capabilities", "dial_timeout"]), "{place}");
    let capabilities: Vec<_> =
        host["capabilities"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert_eq!(
        capabilities,
        ["pull", "resolve"],
        "{place}: a word that a node does not know drops the whole file"
    );
    assert!(host["dial_timeout"].as_str().unwrap().ends_with('s'), "{place}");
}

#[test]
fn config_path_is_one_directory() {
    let versions = [("1", 2, "io.containerd.grpc.v1.cri"), ("2", 3, "io.containerd.cri.v1.images")];
    for (major, version, plugin) in versions {
        let file = files::toml(&format!("deploy/nodes/containerd/config-{major}.x.toml"));
        assert_eq!(file["version"].as_integer().unwrap(), version);
        let path = &file["plugins"][plugin]["registry"]["config_path"];
        assert_eq!(path.as_str().unwrap(), "/etc/containerd/certs.d");
    }
}

#[test]
fn crio_names_the_registry_in_the_path() {
    let file = files::toml("deploy/nodes/crio/50-pullgate.conf");
    let registries = file["registry"].as_array().unwrap();
    let address = mirror().replace("http://", "");
    let prefixes: BTreeSet<_> =
        registries.iter().map(|entry| entry["prefix"].as_str().unwrap().to_owned()).collect();
    assert_eq!(prefixes, built_in());
    for entry in registries {
        let prefix = entry["prefix"].as_str().unwrap();
        assert_eq!(entry["location"].as_str().unwrap(), prefix, "the registry is tried last");
        assert_eq!(entry["mirror"][0]["location"].as_str().unwrap(), format!("{address}/{prefix}"));
        assert!(entry["mirror"][0]["insecure"].as_bool().unwrap());
    }
}

#[test]
fn docker_is_given_the_root_of_the_mirror() {
    let file: serde_json::Value =
        serde_json::from_str(&files::text("deploy/nodes/docker/daemon.json")).unwrap();
    assert_eq!(file["registry-mirrors"], serde_json::json!([mirror()]));
}
