//! The pictures of the README: real pages of a real pullgate, as Chromium shows them.
//!
//! The day before each picture comes from `history`; the present is real: registries that answer or fail, probes, and a
//! containerd that pulls. With `PICTURES=FOLDER` the pictures are kept (`make pictures`).

#![allow(clippy::unwrap_used)]

mod history;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../e2e/setup.rs"]
mod setup;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use history::Trouble;
use loadtest::image::Image;
use loadtest::registry::{Quota, Registry, Rule};
use oci::{Class, Stage};
use support::{Chromium, Containerd, HostsDir, Pullgate, Release, Scratch, http, wait_until};

use crate::setup::{BIN, cache, config};

/// Three registries, and pullgate with a day of pulls behind it.
struct World {
    docker: Registry,
    quay: Registry,
    _ghcr: Registry,
    pullgate: Pullgate,
    scratch: Scratch,
}

impl World {
    async fn start(troubles: &[Trouble]) -> Self {
        let scratch = Scratch::new();
        fs::create_dir_all(cache(&scratch)).unwrap();
        history::write(&cache(&scratch).join("records.db"), troubles);
        let mut text = config(&scratch).replace("prober.reach = false\n", "prober.interval = \"10s\"\n");
        let mut registries = Vec::new();
        for (id, registry, image) in UPSTREAMS {
            let upstream = Registry::start().await.unwrap();
            let (repository, tag) = image.split_once(':').unwrap();
            upstream.add_image(repository, tag, &Image::with_layers(7, &LAYERS));
            text += &setup::upstream(id, registry, &upstream.url());
            registries.push(upstream);
        }
        for (_, registry, image) in UPSTREAMS {
            text += &format!("[[prober.targets]]\nimage = \"{registry}/{image}\"\n");
        }
        let [docker, ghcr, quay] = <[Registry; 3]>::try_from(registries).ok().unwrap();
        docker.set_quota(Some(Quota::of(200).remaining(164)));
        let pullgate = Pullgate::start(BIN, &scratch, &text).await;
        Self { docker, quay, _ghcr: ghcr, pullgate, scratch }
    }

    /// Pulls docker.io's image with a real containerd that knows no other way than pullgate.
    async fn pull(&self) {
        let containerd = Containerd::start(Release::V2, &self.scratch).await;
        let hosts = HostsDir::new(&self.scratch);
        hosts.only("docker.io", &self.pullgate.url());
        containerd.pull(&format!("docker.io/{DOCKER_IMAGE}"), &hosts).await.ok();
    }

    /// Waits until the home page shows all of these texts.
    async fn shows(&self, texts: &[&str]) {
        wait_until(&format!("the page to show {texts:?}"), Duration::from_secs(60), || async {
            let page = http::get(self.pullgate.admin(), "/").send().await.text();
            texts.iter().all(|text| page.contains(text)).then_some(())
        })
        .await;
    }

    /// Makes the picture of a page. Its name is that of the file.
    async fn picture(&self, name: &str, path: &str, size: (u32, u32)) {
        let kept = std::env::var_os("PICTURES").map(PathBuf::from);
        let folder = kept.unwrap_or_else(|| self.scratch.path().to_owned());
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{name}.png"));
        let url = format!("http://{}{path}", self.pullgate.admin());
        Chromium::new(&self.scratch).picture(&url, size, &file).await;
        let picture = fs::read(&file).unwrap();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 20_000, "{} bytes", picture.len());
    }
}

#[tokio::test]
async fn a_healthy_hour() {
    let world = World::start(&[]).await;
    world.pull().await;
    world.shows(&["every registry answers", " of 200 left"]).await;
    world.picture("healthy", "/", (1100, 1500)).await;
}

#[tokio::test]
async fn a_bad_day() {
    let quota = Trouble {
        registry: "docker.io",
        class: Class::RatePullQuota,
        stage: Stage::ManifestHead,
        from: 660,
        until: 540,
    };
    let certificate =
        Trouble { registry: "ghcr.io", class: Class::TlsExpired, stage: Stage::Tls, from: 320, until: 285 };
    let outage = Trouble {
        registry: "quay.io",
        class: Class::Registry5xx,
        stage: Stage::ManifestHead,
        from: 45,
        until: 0,
    };
    let world = World::start(&[quota, certificate, outage]).await;
    world.docker.set_quota(Some(Quota::of(200).remaining(31)));
    world.quay.fault(Rule::manifest().unavailable(502));
    world.shows(&["1 of 3 registries failing: quay.io", "rate_pull_quota", "registry_5xx"]).await;
    world.picture("bad-day", "/", (1100, 1500)).await;
}

#[tokio::test]
async fn a_waterfall() {
    let world = World::start(&[]).await;
    let image = Image::with_layers(7, &LAYERS);
    let slow = &image.blobs().nth(3).unwrap().digest;
    world.docker.fault(Rule::blob().delay(FIRST_BYTE));
    world.docker.fault(Rule::blob().reference(slow).delay(FIRST_BYTE).rate(4_000_000));
    world.pull().await;
    let path = wait_until("the record of the pull", Duration::from_secs(60), || async {
        let query = "/api/v1/pulls?registry=docker.io&limit=1";
        let page = http::get(world.pullgate.admin(), query).send().await.json();
        let pull = &page["pulls"][0];
        (pull["tag"] == "1.27" && pull["client"] == "127.0.0.1")
            .then(|| format!("/pulls/{}", pull["id"].as_str().unwrap()))
    })
    .await;
    world.picture("waterfall", &path, (1100, 1150)).await;
}

const DOCKER_IMAGE: &str = "library/nginx:1.27";
/// Short id, registry and image of each upstream.
const UPSTREAMS: [(&str, &str, &str); 3] = [
    ("dockerhub", "docker.io", DOCKER_IMAGE),
    ("ghcr", "ghcr.io", "fluxcd/source-controller:v1.4.1"),
    ("quay", "quay.io", "prometheus/node-exporter:v1.8.2"),
];
const FIRST_BYTE: Duration = Duration::from_millis(60);
/// The sizes of the image's layers, bytes.
const LAYERS: [usize; 6] = [9_000_000, 700_000, 6_000_000, 30_000, 2_500_000, 800_000];
