//! `pullgate diagnose IMAGE`: each fault that the misbehaving registry can make, and the verdict on it.
//!
//! - `image`: names, tags, digests, platforms, formats, layers. `access`: credentials. `limits`: rate limits and
//!   failures that the registry states. `network`: names, connections, TLS, forward proxies, clocks. `ways`: direct and
//!   through the mirror. `output`: the text and the document.

mod access;
mod image;
mod limits;
mod network;
mod output;
mod ways;

use std::process::Command;
use std::time::Duration;

use loadtest::canary::CANARY;
use loadtest::image::Image;
use loadtest::registry::{Kind, Registry};
use serde_json::Value;
use support::{Ran, Scratch, leaks, run};
use tokio::time::Instant;

use crate::setup::{self, BIN, REGISTRY, upstream};

/// A machine with a configuration, on which images are diagnosed.
pub(crate) struct Desk {
    pub(crate) scratch: Scratch,
    config: String,
    environment: Vec<(String, String)>,
}

/// The result of a diagnosis.
pub(crate) struct Diagnosis {
    pub(crate) document: Value,
    pub(crate) exit: Option<i32>,
    pub(crate) took: Duration,
}

impl Desk {
    /// A configuration with one upstream, [`REGISTRY`], at `url`. `keys` are more keys of its section.
    pub(crate) fn of(url: &str, keys: &str) -> Self {
        let scratch = Scratch::new();
        let text = setup::config(&scratch) + &upstream("test", REGISTRY, url) + keys;
        let config = scratch.file("desk.toml", &text).display().to_string();
        Self { scratch, config, environment: Vec::new() }
    }

    /// The same machine with a variable in its environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A docker configuration with one entry.
    pub(crate) fn docker_config(&self, host: &str, user: &str, password: &str) -> String {
        use base64::Engine;
        let auth = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
        let text = format!("{{\"auths\":{{{host:?}:{{\"auth\":{auth:?}}}}}}}");
        let name = format!("{user}.json");
        self.scratch.file(&name, &text).display().to_string()
    }

    /// Diagnoses and reads the document.
    pub(crate) async fn diagnose(&self, image: &str, arguments: &[&str]) -> Diagnosis {
        let begun = Instant::now();
        let ran = self.run(image, &[&["-o", "json"], arguments].concat()).await;
        let took = begun.elapsed();
        let document = serde_json::from_str(ran.stdout()).unwrap_or_else(|error| panic!("{error}: {ran}"));
        Diagnosis { document, exit: ran.code(), took }
    }

    /// Diagnoses, and returns what the command printed.
    pub(crate) async fn run(&self, image: &str, arguments: &[&str]) -> Ran {
        let mut command = Command::new(BIN);
        command.current_dir(self.scratch.path());
        command.args(["diagnose", image, "--config", &self.config]).args(arguments);
        if !arguments.contains(&"--platform") {
            command.args(["--platform", "linux/amd64"]);
        }
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let ran = run(command).await;
        leaks::none_in("what diagnose prints", format!("{}{}", ran.stdout(), ran.stderr()).as_bytes());
        ran
    }
}

impl Diagnosis {
    /// Checks the verdict of a fault: class, stage, place, and that there is something to do.
    #[track_caller]
    pub(crate) fn is(&self, class: &str, stage: &str, place: &str) -> &Self {
        let text = |key: &str| self.document[key].as_str().unwrap_or_default().to_owned();
        let found = (text("class"), text("stage"), text("place"));
        assert_eq!(found, (class.to_owned(), stage.to_owned(), place.to_owned()), "{:#}", self.document);
        assert_eq!((self.exit, &self.document["fault"]), (Some(3), &true.into()), "{:#}", self.document);
        assert!(!self.strings("fix").is_empty(), "nothing to do: {:#}", self.document);
        self
    }

    /// Checks that the image can be pulled.
    #[track_caller]
    pub(crate) fn is_fine(&self) -> &Self {
        assert_eq!((self.exit, &self.document["class"]), (Some(0), &Value::Null), "{:#}", self.document);
        self
    }

    /// Checks that it took less than three seconds.
    #[track_caller]
    pub(crate) fn at_once(&self) -> &Self {
        assert!(self.took < Duration::from_secs(3), "{:?}: {:#}", self.took, self.document);
        self
    }

    /// Checks that the field `key`, with all its lines, contains `text`.
    #[track_caller]
    pub(crate) fn says(&self, key: &str, text: &str) -> &Self {
        let told = match &self.document[key] {
            Value::String(told) => told.clone(),
            _ => self.strings(key).join("\n"),
        };
        assert!(told.contains(text), "{text:?} is not in {key}: {:#}", self.document);
        self
    }

    /// The lines of a field.
    pub(crate) fn strings(&self, key: &str) -> Vec<&str> {
        self.document[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The cells of an identity: token, manifest, layer.
    pub(crate) fn cells(&self, name: &str) -> [&str; 3] {
        let all = self.document["identities"].as_array().unwrap();
        let line = all.iter().find(|line| line["name"].as_str().unwrap().ends_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name}: {:#}", self.document));
        ["token", "manifest", "layer"].map(|cell| line[cell].as_str().unwrap())
    }

    /// The step of the walk: its state and its result.
    pub(crate) fn stage(&self, name: &str) -> (&str, &str) {
        let all = self.document["stages"].as_array().unwrap();
        let line = all.iter().find(|line| line["stage"] == name).unwrap_or_else(|| panic!("no {name}"));
        (line["state"].as_str().unwrap(), line["result"].as_str().unwrap())
    }
}

/// A registry with one image of two layers as `library/app:1.20`.
pub(crate) async fn registry() -> (Registry, Image) {
    let registry = Registry::start().await.unwrap();
    let image = Image::with_layers(91, &[3_000_000, 2000]);
    registry.add_image("library/app", "1.20", &image);
    (registry, image)
}

/// The manifests that the registry gave away by GET: what a quota counts.
pub(crate) fn pulls(registry: &Registry) -> usize {
    registry.log().count(|asked| {
        asked.kind == Kind::Manifest && asked.method == http::Method::GET && asked.status == Some(200)
    })
}

/// The name of that image.
pub(crate) fn app() -> String {
    format!("{REGISTRY}/library/app:1.20")
}

/// A password that must appear nowhere.
pub(crate) fn password() -> String {
    format!("{CANARY}-password")
}
