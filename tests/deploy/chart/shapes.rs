//! Each shape in `ci`: lint, both Helms, the schemas of Kubernetes, and the configuration that pullgate reads.

use std::fs;
use std::process::Command;

use loadtest::tls::Authority;
use serde_json::Value;
use support::{Scratch, parts};

use super::helm::{self, HELMS};
use crate::files;

#[test]
fn every_shape_passes_lint() {
    for helm in HELMS {
        for shape in helm::shapes() {
            helm::run(helm, &["lint", "--strict", "--quiet", ".", "--values", &helm::file(&shape)]);
        }
    }
}

#[test]
fn both_helms_render_the_same_objects() {
    for shape in helm::shapes() {
        let [three, four] = HELMS.map(|helm| {
            let mut objects: Vec<_> =
                helm::render(helm, &shape).iter().map(|object| object.to_string()).collect();
            objects.sort();
            objects
        });
        assert_eq!(three, four, "{shape}");
    }
}

/// The oldest Kubernetes of `kubeVersion` and the newest one know every field.
#[test]
fn every_object_fits_the_schemas_of_kubernetes() {
    let scratch = Scratch::new();
    let library = parts::checkout().join(".parts/kubernetes-validate");
    assert!(library.is_dir(), "kubernetes-validate is not installed; run `make setup`");
    let mut arguments: Vec<String> = Vec::new();
    for shape in helm::shapes() {
        let text = helm::text("helm-4", &["--values", &helm::file(&shape)]);
        arguments.push(scratch.file(&format!("{shape}.yaml"), &text).display().to_string());
    }
    for release in ["1.30", "1.37"] {
        let mut python = Command::new(parts::installed("python3"));
        python.env("PYTHONPATH", &library).args(["-m", "kubernetes_validate", "--strict", "--no-warn"]);
        let output = python.args(["-k", release]).args(&arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{release}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn pullgate_accepts_the_configuration_of_every_shape() {
    let scratch = Scratch::new();
    let place = Place::new(&scratch);
    for shape in helm::shapes() {
        let objects = helm::render("helm-4", &shape);
        let config = objects.iter().find_map(|object| object["data"]["pullgate.toml"].as_str()).unwrap();
        place.check(&shape, config, &scratch);
    }
}

/// A folder with the files that pods get from Secrets and ConfigMaps.
struct Place(String);

impl Place {
    fn new(scratch: &Scratch) -> Self {
        let folder = scratch.folder("etc");
        let login = r#"{"auths": {"docker.io": {"username": "a", "password": "b"}, "harbor.example.com": {"username": "a", "password": "b"}}}"#;
        for id in ["dockerhub", "harbor"] {
            let credentials = folder.join(format!("pullgate-credentials/{id}"));
            fs::create_dir_all(&credentials).unwrap();
            fs::write(credentials.join(".dockerconfigjson"), login).unwrap();
        }
        let authority = Authority::new();
        let authorities = folder.join("pullgate-authorities/harbor");
        fs::create_dir_all(&authorities).unwrap();
        authority.write_pem(&authorities.join("ca.crt")).unwrap();
        let tls = scratch.folder("tls");
        authority.for_loopback().write_pem(&tls).unwrap();
        fs::create_dir(folder.join("pullgate-tls")).unwrap();
        for file in fs::read_dir(&tls).unwrap() {
            let file = file.unwrap().path();
            let kind = if fs::read_to_string(&file).unwrap().contains("KEY") { "key" } else { "crt" };
            fs::copy(&file, folder.join(format!("pullgate-tls/tls.{kind}"))).unwrap();
        }
        Self(folder.display().to_string())
    }

    fn check(&self, shape: &str, config: &str, scratch: &Scratch) {
        let text = config
            .replace("/etc/pullgate-", &format!("{}/pullgate-", self.0))
            .replace("/var/lib/pullgate", &scratch.path().join("cache").display().to_string());
        let file = scratch.file(&format!("{shape}.toml"), &text).display().to_string();
        let binary = env!("CARGO_BIN_EXE_pullgate");
        let said = files::run(scratch.path(), binary, &["check", "config", "--config", &file]);
        assert!(said.contains("fine"), "{shape}: {said}");
    }
}

#[test]
fn numbers_and_texts_arrive_as_they_were_written() {
    for helm in HELMS {
        let odd = "a \\ \"quoted\" line\\twith = signs";
        let set = ["--set-string", &format!("config.records.file={}", odd.replace('\\', "\\\\"))];
        let objects =
            helm::render_with(helm, &[&set[..], &["--set", "config.proxy.client_rate=1000000"]].concat());
        let config = objects.iter().find_map(|object| object["data"]["pullgate.toml"].as_str()).unwrap();
        let read: toml::Table = toml::from_str(config).unwrap();
        assert_eq!(read["records"]["file"].as_str(), Some(odd));
        assert_eq!(read["proxy"]["client_rate"].as_integer(), Some(1_000_000));
    }
}

/// The prober may do what its mode needs, and no more.
#[test]
fn each_mode_of_discovery_has_the_roles_of_the_plain_manifests() {
    let expected = |names: &[&str]| {
        let rules = |name: &&str| {
            let role = files::yaml_documents(&format!("deploy/kubernetes/discovery/{name}.yaml"));
            role[0]["rules"].to_string()
        };
        sorted(names.iter().map(rules))
    };
    let pairs: [(&str, &[&str]); 4] = [
        ("default", &[]),
        ("prober-namespaces", &["namespace", "namespace", "namespace-secrets", "namespace-secrets", "nodes"]),
        ("prober-cluster", &["cluster", "cluster-secrets", "nodes"]),
        ("prober-cluster-no-secrets", &["cluster"]),
    ];
    for (shape, roles) in pairs {
        let objects = helm::render("helm-4", shape);
        let rules = objects.iter().filter(|object| !object["rules"].is_null());
        assert_eq!(sorted(rules.map(|role| role["rules"].to_string())), expected(roles), "{shape}");
        let bindings = objects.iter().filter(|object| !object["roleRef"].is_null());
        let subjects: Vec<&Value> = bindings.map(|binding| &binding["subjects"][0]).collect();
        assert_eq!(subjects.len(), roles.len(), "{shape}");
        assert!(subjects.iter().all(|subject| subject["name"] == "pullgate-prober"), "{shape}");
        let prober = helm::object(&objects, "Deployment", "pullgate-prober");
        let token = &prober["spec"]["template"]["spec"]["automountServiceAccountToken"];
        assert_eq!(token, !roles.is_empty(), "{shape}");
    }
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    texts
}

/// Helm 3 asks a cluster before it shows notes: tests/cluster reads them there.
#[test]
fn the_notes_name_the_next_step_and_the_risks() {
    let notes = |shape: &str| {
        let file = helm::file(shape);
        helm::run("helm-4", &["install", "pullgate", ".", "--dry-run=client", "--values", &file])
    };
    let default = notes("default");
    let next = "rollout status statefulset/pullgate-proxy";
    for text in [next, "[host.\"http://10.96.0.50:5000\"]", "WARNING: no alert"] {
        assert!(default.contains(text), "{text}\n{default}");
    }
    assert!(notes("nodeport").contains("https://NODE:30500"));
    assert!(notes("hostnetwork").contains("admin port 5081 is open on every node"));
    assert!(notes("private-registries").contains("password of credentials.harbor"));
}
