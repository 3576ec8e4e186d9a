//! One pullgate in front of registries that each misbehave in one way.

use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Access, Greeting, Quota, Registry, Rule, TooMany};
use loadtest::tls::Authority;
use support::{Pullgate, Scratch, http};

/// The setup of the tests. Fields are dropped in order: daemons before the folder to which they write.
pub(crate) struct Trouble {
    pub(crate) pullgate: Pullgate,
    /// A registry that works until a test stops it.
    pub(crate) down: Registry,
    _others: Vec<Registry>,
    image: Image,
    pub(crate) scratch: Scratch,
}

/// A registry that works until it is stopped.
pub(crate) const DOWN: &str = "down.test";
/// A registry that answers every manifest request with a 429.
pub(crate) const LIMITED: &str = "limited.test";
/// A registry that works, and reports that its quota is nearly spent.
pub(crate) const QUOTA: &str = "quota.test";
/// A registry that works, with a certificate that expires within a week.
pub(crate) const EXPIRES: &str = "expires.test";
/// A registry whose certificate has expired.
pub(crate) const EXPIRED: &str = "expired.test";
/// A registry that refuses our credentials.
pub(crate) const REFUSES: &str = "refuses.test";
/// All registries.
pub(crate) const REGISTRIES: [&str; 6] = [DOWN, EXPIRED, EXPIRES, LIMITED, QUOTA, REFUSES];

/// A repository in every registry; its name cannot be confused with any label value.
pub(crate) const REPOSITORY: &str = "team/billing-engine";
/// A tag of [`QUOTA`] alone, whose manifest no other registry has.
pub(crate) const COUNTED: &str = "v8-marker";
/// The tag that every registry has.
pub(crate) const TAG: &str = "v9-marker";

impl Trouble {
    pub(crate) async fn start() -> Self {
        let scratch = Scratch::new();
        let authority = Authority::new();
        let ca_file = scratch.path().join("ca.pem");
        authority.write_pem(&ca_file).unwrap();
        let password_file = scratch.file("password", "wrong");

        let down = Registry::start().await.unwrap();
        let limited = Registry::start().await.unwrap();
        limited.fault(Rule::manifest().too_many_requests(TooMany::HubQuotaMessage));
        let quota = Registry::start().await.unwrap();
        quota.set_quota(Some(Quota::of(1000).remaining(100)));
        let soon = authority.expiring(&["127.0.0.1"], Duration::from_secs(7 * 86_400));
        let expires = Registry::start_with(Greeting::Tls(soon)).await.unwrap();
        let past = authority.expired(&["127.0.0.1"]);
        let expired = Registry::start_with(Greeting::Tls(past)).await.unwrap();
        let refuses = Registry::start().await.unwrap();
        refuses.require(Access::Basic { user: "robot".to_owned(), password: "right".to_owned() });

        let image = Image::with_layers(1, &[1 << 20, 200_000]);
        let secret = format!(
            "access = \"shared\"\ncredentials = {{ username = \"robot\", password_file = {password_file:?} }}"
        );
        let trusted = format!("ca_file = {ca_file:?}");
        let mut config = format!(
            "builtin_upstreams = false\n[proxy]\nlisten = \"127.0.0.1:0\"\n[proxy.cache]\ndir = {:?}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n[prober]\ninterval = \"10s\"\n",
            scratch.folder("cache")
        );
        for (name, registry, more) in [
            (DOWN, &down, ""),
            (LIMITED, &limited, ""),
            (QUOTA, &quota, ""),
            (EXPIRES, &expires, &trusted),
            (EXPIRED, &expired, &trusted),
            (REFUSES, &refuses, &secret),
        ] {
            registry.add_image(REPOSITORY, TAG, &image);
            config += &upstream(name, registry, more);
        }
        quota.add_image(REPOSITORY, COUNTED, &Image::with_layers(2, &[1000]));
        // Nobody listens at the discard port; the series about traces are there nevertheless.
        let traces = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
        let pullgate = Pullgate::start_in(env!("CARGO_BIN_EXE_pullgate"), &scratch, &config, &traces).await;
        Self { pullgate, down, _others: vec![limited, quota, expires, expired, refuses], image, scratch }
    }

    /// Pulls the image as a node does, and returns the status of its first request; if that fails, a node sends no
    /// other.
    pub(crate) async fn pull(&self, registry: &str) -> u16 {
        let path = |what: &str| format!("/v2/{REPOSITORY}/{what}?ns={registry}");
        let head = self.pullgate.head(&path(&format!("manifests/{TAG}"))).send().await;
        if head.status.as_u16() != 200 {
            return head.status.as_u16();
        }
        let digest = self.image.digest();
        self.whole(self.pullgate.get(&path(&format!("manifests/{digest}")))).await;
        for blob in self.image.blobs() {
            self.whole(self.pullgate.get(&path(&format!("blobs/{}", blob.digest)))).await;
        }
        200
    }

    async fn whole(&self, request: http::Request) {
        let answer = request.send().await;
        assert!(answer.status.is_success() && answer.is_whole(), "{:?}", answer.status);
    }

    /// Waits until pullgate has noticed every fault. Then an image is cached, its registry is down and its tag is served
    /// stale; every registry was probed, the probes of faulty registries name the cause, and one is an incident.
    pub(crate) async fn unfold(&self) {
        assert_eq!(self.pull(DOWN).await, 200);
        self.down.stop().await;
        assert_eq!(self.pull(DOWN).await, 200, "the tag is served stale from the cache");
        self.misuse().await;
        self.pullgate
            .metrics_when("every registry to be probed", |metrics| {
                REGISTRIES.iter().all(|name| {
                    metrics.has("pullgate_probe_last_timestamp_seconds", &[("registry", name)])
                        && metrics.sum("pullgate_probes_total", &[("registry", name)]) >= 1.0
                })
            })
            .await;
        let began = |metrics: &support::Metrics| metrics.sum("pullgate_incident_active", &[]) >= 1.0;
        self.pullgate.metrics_when("an incident", began).await;
    }

    /// Makes one pull that works, one that is refused upstream, and one of an image that does not exist.
    pub(crate) async fn misuse(&self) {
        assert_eq!(self.pull(QUOTA).await, 200);
        self.whole(self.pullgate.get(&format!("/v2/{REPOSITORY}/manifests/{COUNTED}?ns={QUOTA}"))).await;
        assert_eq!(self.pull(LIMITED).await, 503);
        let absent = self.pullgate.head(&format!("/v2/{REPOSITORY}/manifests/absent?ns={QUOTA}"));
        assert_eq!(absent.send().await.status, 404);
    }
}

fn upstream(name: &str, registry: &Registry, more: &str) -> String {
    let id = name.trim_end_matches(".test");
    let url = registry.url();
    format!(
        "[upstreams.{id}]\nregistry = {name:?}\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n\
         tag_max_age = \"0s\"\n{more}\n[[prober.targets]]\nimage = \"{name}/{REPOSITORY}:{TAG}\"\n"
    )
}
