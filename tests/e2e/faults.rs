//! What an upstream's failure costs a containerd that has somewhere else to go: one request for each object; and what a
//! layer that breaks on its way costs it: nothing.

use loadtest::image::Image;
use loadtest::registry::{At, Registry, Rule, TooMany};
use loadtest::sockets::Port;
use support::{Containerd, HostsDir, Pullgate, Release, Scratch, files_of};

use crate::setup::{Answers, BIN, config, upstream};

/// What goes wrong with every request for a repository, under the name of that repository.
type Fault = (&'static str, fn(Rule) -> Rule);

const FAULTS: &[Fault] = &[
    ("too-many", |rule| rule.too_many_requests(TooMany::RetryAfter(60))),
    ("quota-spent", |rule| rule.too_many_requests(TooMany::HubQuota)),
    ("broken", |rule| rule.unavailable(500)),
    ("unavailable", |rule| rule.unavailable(503).header("retry-after", "60")),
    ("unauthorized", |rule| rule.unauthorized(None)),
    ("denied", Rule::denied),
    ("blocked", Rule::blocked_by_waf),
    ("unknown", Rule::name_unknown),
    ("portal", Rule::html),
    ("cut", Rule::close),
    ("silent", Rule::never_answer),
];

#[tokio::test]
async fn each_fault_costs_the_system_containerd_one_request_an_object() {
    each_fault_costs_one_request_an_object(Release::System).await;
}

#[tokio::test]
async fn each_fault_costs_containerd_1_7_one_request_an_object() {
    each_fault_costs_one_request_an_object(Release::V1_7).await;
}

#[tokio::test]
async fn each_fault_costs_containerd_2_one_request_an_object() {
    each_fault_costs_one_request_an_object(Release::V2).await;
}

/// What goes wrong with a layer once, after some of it has reached the node; and with one that is held until verified.
const BREAKS: &[Fault] = &[
    ("ends", |rule| rule.end_at(At::Half)),
    ("reset", |rule| rule.reset_at(At::Half)),
    ("ends-late", |rule| rule.end_at(At::LastByte)),
    ("refused-whole", |rule| rule.reset()),
];

#[tokio::test]
async fn a_layer_that_breaks_on_its_way_still_makes_a_right_image() {
    for release in [Release::System, Release::V1_7, Release::V2] {
        let fork = Fork::start(release).await;
        for (seed, (name, fault)) in (200..).zip(BREAKS) {
            // Beyond what is held back until it is verified.
            let image = Image::builder(seed).plain_layer_of(6 << 20).finish();
            let layer = &image.largest_layer().digest;
            fork.failing.add_image(&format!("library/{name}"), "1", &image);
            fork.failing.fault(fault(Rule::blob().reference(layer).once()));

            let reference = format!("failing.test/library/{name}:1");
            fork.containerd.pull(&reference, &fork.hosts).await.ok();
            assert_eq!(fork.containerd.files(&reference).await, files_of(&image), "{release:?} {name}");
            assert_eq!(
                fork.failing.log().blob_gets(layer),
                2,
                "{release:?} {name}: pullgate goes on by itself"
            );
        }
        assert_eq!(fork.healthy.log().connections(), 0, "{release:?}: nobody went past pullgate");
    }
}

async fn each_fault_costs_one_request_an_object(release: Release) {
    let fork = Fork::start(release).await;
    for (seed, (name, fault)) in (100..).zip(FAULTS) {
        let image = Image::with_layers(seed, &[1000]);
        let repository = format!("library/{name}");
        fork.failing.add_image(&repository, "1", &image);
        fork.failing.fault(fault(Rule::any().repository(&repository)));
        fork.pull(&format!("{name}.test"), name, &image).await;
    }
    fork.pull("gone.test", "app", &Image::with_layers(99, &[1000])).await;
}

/// A containerd with two ways: pullgate, whose upstreams fail, and a registry that works.
struct Fork {
    containerd: Containerd,
    hosts: HostsDir,
    pullgate: Pullgate,
    failing: Registry,
    healthy: Registry,
    _refusing: Port,
    _scratch: Scratch,
}

impl Fork {
    async fn start(release: Release) -> Self {
        let scratch = Scratch::new();
        let (failing, healthy) = (Registry::start().await.unwrap(), Registry::start().await.unwrap());
        let refusing = Port::reserve().unwrap();
        // Each fault under a registry name of its own: a refusal is remembered, and would hide the faults after it.
        let faulty = FAULTS.iter().map(|(name, _)| upstream(name, &format!("{name}.test"), &failing.url()));
        let faulty: String = faulty.collect();
        let config = config(&scratch)
            + "header_deadline = \"1s\"\n"
            + &upstream("failing", "failing.test", &failing.url())
            + &faulty
            + &upstream("gone", "gone.test", &format!("http://{}", refusing.addr()));
        let pullgate = Pullgate::start(BIN, &scratch, &config).await;
        let hosts = HostsDir::new(&scratch);
        let faulty = FAULTS.iter().map(|(name, _)| format!("{name}.test"));
        for registry in faulty.chain(["failing.test".to_owned(), "gone.test".to_owned()]) {
            hosts.mirror(&registry, &pullgate.url(), &healthy.url());
        }
        let containerd = Containerd::start(release, &scratch).await;
        Self { containerd, hosts, pullgate, failing, healthy, _refusing: refusing, _scratch: scratch }
    }

    /// Pulls an image that only the healthy registry gives, and counts what pullgate was asked on the way.
    async fn pull(&self, registry: &str, name: &str, image: &Image) {
        self.healthy.add_image(&format!("library/{name}"), "1", image);
        let before = Answers::of(&self.pullgate).await;
        let reference = format!("{registry}/library/{name}:1");
        self.containerd.pull(&reference, &self.hosts).await.ok();
        assert_eq!(self.containerd.files(&reference).await, files_of(image), "{name}");
        let asked = Answers::of(&self.pullgate).await.since(&before);
        // The tag and its manifest; the config and the layer.
        assert_eq!((asked.of_kind("manifest"), asked.of_kind("blob")), (2, 2), "{name}: {asked:?}");
        assert!(!asked.outcomes().iter().any(|outcome| matches!(*outcome, "hit" | "stale" | "joined")));
    }
}
