//! `access = "per-client"`: clients share stored content, but each needs its own access.
//!
//! Two tenants keep one image with the same digest, each in its own repository. The eight combinations are the client
//! (ann, bob) × the repository (`team/a` is ann's, `team/b` is bob's) × cold or cached:
//!
//! | | `team/a`, cold | `team/b`, cold | `team/a`, cached | `team/b`, cached |
//! |---|---|---|---|---|
//! | ann | fetched | refused | from the store | refused |
//! | bob | refused | fetched | refused | from the store |
//!
//! Cached means that both tenants have pulled their image, so that content and both links are in the store.
//! [`raw`] sends requests by hand, [`containerd`] pulls with `ctr --user` and by CRI.

mod containerd;
mod hostile;
mod raw;

use loadtest::image::Image;
use loadtest::registry::{Access, Registry, Tokens};
use support::http::{Answer, Request};
use support::{Pullgate, Scratch};

use crate::setup::{BIN, REGISTRY, cache, config, files_below, upstream, upstream_of_lasting_tags};

/// The tenant that pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenant {
    Ann,
    Bob,
}

impl Tenant {
    const ALL: [Self; 2] = [Self::Ann, Self::Bob];

    fn name(self) -> &'static str {
        match self {
            Self::Ann => "ann",
            Self::Bob => "bob",
        }
    }

    fn password(self) -> &'static str {
        match self {
            Self::Ann => "canary-ann-5ec7e7",
            Self::Bob => "canary-bob-5ec7e7",
        }
    }

    /// `name:password`, in the form of `ctr --user`.
    fn user(self) -> String {
        format!("{}:{}", self.name(), self.password())
    }

    fn repository(self) -> &'static str {
        match self {
            Self::Ann => "team/a",
            Self::Bob => "team/b",
        }
    }
}

/// A public repository.
const OPEN: &str = "library/open";

/// Two tenants of one registry, and pullgate in front of it.
struct House {
    registry: Registry,
    pullgate: Pullgate,
    image: Image,
    scratch: Scratch,
}

impl House {
    async fn start() -> Self {
        Self::with("").await
    }

    /// Starts with more lines in the upstream's section.
    async fn with(keys: &str) -> Self {
        Self::of(|url| upstream("test", REGISTRY, url) + keys).await
    }

    /// Starts with tags that stay fresh, so that pullgate refuses a client without access to cached content by itself,
    /// without a request about the tag.
    async fn with_lasting_tags() -> Self {
        Self::of(|url| upstream_of_lasting_tags("test", REGISTRY, url)).await
    }

    /// Starts with the section that `section` makes for the registry's URL.
    async fn of(section: impl Fn(&str) -> String) -> Self {
        let scratch = Scratch::new();
        let registry = Registry::start().await.unwrap();
        let image = Image::with_layers(19, &[300_000, 5_000_000, 20]);
        for repository in [Tenant::Ann.repository(), Tenant::Bob.repository(), OPEN] {
            registry.add_image(repository, "1", &image);
        }
        registry.require(Access::Tokens(tenants()));
        let section = section(&registry.url()) + "access = \"per-client\"\n";
        let talkative = crate::setup::talkative(&scratch);
        let pullgate =
            Pullgate::start(talkative.to_str().unwrap(), &scratch, &(config(&scratch) + &section)).await;
        Self { registry, pullgate, image, scratch }
    }

    /// Starts a request for a resource of a repository, as containerd sends it.
    fn ask(&self, method: &str, repository: &str, what: &str) -> Request {
        let path = format!("/v2/{repository}/{what}?ns={REGISTRY}");
        let request = match method {
            "HEAD" => self.pullgate.head(&path),
            _ => self.pullgate.get(&path),
        };
        request.header("user-agent", "containerd/v2.1.9")
    }

    async fn get(&self, repository: &str, what: &str, token: Option<&str>) -> Answer {
        let request = self.ask("GET", repository, what);
        bearing(request, token).send().await
    }

    /// A new token of this tenant for this repository. It has the right to pull only if the tenant has it.
    fn token(&self, tenant: Tenant, repository: &str) -> String {
        self.registry.token_of(tenant.name(), &[repository])
    }

    /// Every resource of the image (tag, digest, config, layers) with its bytes.
    fn parts(&self) -> Vec<(String, &bytes::Bytes)> {
        let manifest = &self.image.manifest;
        let manifests =
            ["1".to_owned(), manifest.digest.clone()].map(|it| (format!("manifests/{it}"), &manifest.bytes));
        let blobs = self.image.blobs().map(|blob| (format!("blobs/{}", blob.digest), &blob.bytes));
        manifests.into_iter().chain(blobs).collect()
    }

    /// Pulls each tenant's image by hand.
    async fn warm(&self) {
        for tenant in Tenant::ALL {
            let token = self.token(tenant, tenant.repository());
            for (what, bytes) in self.parts() {
                let got = self.get(tenant.repository(), &what, Some(&token)).await;
                assert!(got.is_whole() && got.body == *bytes, "{what}: {} {}", got.status, got.text());
            }
        }
    }
}

/// Everything that pullgate has shown or stored: its log, its pages, its files.
async fn shown_of(house: &House) -> Vec<(String, String)> {
    let pullgate = &house.pullgate;
    let log = pullgate.log();
    assert!(log.contains(" DEBUG ") && log.contains(REGISTRY), "the log has debug output");
    let mut shown = vec![
        ("log".to_owned(), log),
        ("metrics".to_owned(), pullgate.metrics().await.text().to_owned()),
        ("status".to_owned(), pullgate.status().await.to_string()),
        ("page".to_owned(), support::http::get(pullgate.admin(), "/").send().await.text()),
    ];
    for file in files_below(&cache(&house.scratch)) {
        // A temporary file may be gone by now.
        let Ok(content) = std::fs::read(&file) else { continue };
        shown.push((file.display().to_string(), String::from_utf8_lossy(&content).into_owned()));
    }
    shown
}

fn tenants() -> Tokens {
    Tenant::ALL.into_iter().fold(Tokens::new(), |tokens, tenant| {
        tokens.user(tenant.name(), tenant.password()).private(tenant.repository(), tenant.name())
    })
}

fn bearing(request: Request, token: Option<&str>) -> Request {
    match token {
        Some(token) => request.header("authorization", &format!("Bearer {token}")),
        None => request,
    }
}
