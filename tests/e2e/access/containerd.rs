//! Real containerds that log in with a tenant's secret. They get right images with few requests, and no content
//! without access.
//!
//! They log in by `ctr --user`, and by CRI, as the kubelet does with a pod's `imagePullSecrets`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use loadtest::registry::{Exchange, Kind, Log};
use support::cri::Auth;
use support::{Containerd, HostsDir, Release, files_of};

use super::*;
use crate::setup::Answers;

#[tokio::test]
async fn the_system_containerd_pulls_only_images_that_its_tenant_may_see() {
    pulls_what_its_tenant_may_see(Release::System, Client::Ctr).await;
}

#[tokio::test]
async fn containerd_1_7_pulls_only_images_that_its_tenant_may_see() {
    pulls_what_its_tenant_may_see(Release::V1_7, Client::Ctr).await;
}

#[tokio::test]
async fn containerd_2_pulls_only_images_that_its_tenant_may_see() {
    pulls_what_its_tenant_may_see(Release::V2, Client::Ctr).await;
}

#[tokio::test]
async fn the_system_containerd_pulls_by_cri_only_images_that_the_pods_secret_allows() {
    pulls_what_its_tenant_may_see(Release::System, Client::Cri).await;
}

#[tokio::test]
async fn containerd_1_7_pulls_by_cri_only_images_that_the_pods_secret_allows() {
    pulls_what_its_tenant_may_see(Release::V1_7, Client::Cri).await;
}

#[tokio::test]
async fn containerd_2_pulls_by_cri_only_images_that_the_pods_secret_allows() {
    pulls_what_its_tenant_may_see(Release::V2, Client::Cri).await;
}

/// The eight combinations: each tenant for each repository, cold and then cached.
async fn pulls_what_its_tenant_may_see(release: Release, client: Client) {
    for asks in Tenant::ALL {
        let mut node = Node::start(release, client).await;
        for cached in [false, true] {
            if cached {
                node.house.warm().await;
            }
            // The refused tenant pulls first, so that traces of its pull in the store or in a lease would be noticed.
            for of in if asks == Tenant::Ann { [Tenant::Bob, Tenant::Ann] } else { Tenant::ALL } {
                node.house.registry.clear_log();
                let before = Answers::of(&node.house.pullgate).await;
                let pulled = node.pull(&image_of(of), asks).await;
                let answers = Answers::of(&node.house.pullgate).await.since(&before);
                let told = format!(
                    "{release:?} {client:?}: {asks:?} of {of:?}, cached {cached}: {pulled:?} {answers:?}"
                );
                assert!(
                    answers.of_kind("manifest") <= 4,
                    "expected two requests for the tag and two for the digest: {told}"
                );
                assert_eq!(pulled.is_ok(), asks == of, "{told}");
                if asks == of {
                    node.has_pulled(of, cached, &answers, &told).await;
                } else {
                    node.has_got_nothing(&told).await;
                }
                node.containerd.reset().await;
            }
        }
    }
}

#[tokio::test]
async fn a_pod_without_a_secret_pulls_a_public_image_by_cri() {
    for release in RELEASES {
        let node = Node::start(release, Client::Cri).await;
        let name = format!("{REGISTRY}/{OPEN}:1");
        let pulled = node.containerd.cri().await.pull(&name, None).await;
        assert_eq!(pulled.expect("a pull"), node.house.image.config.digest, "{release:?}");
        assert_eq!(node.containerd.files(&name).await, files_of(&node.house.image), "{release:?}");
        assert_eq!(node.house.registry.log().count(is_direct), 0, "{release:?}");
    }
}

/// The kubelet passes name and password; the CRI has two more fields that containerd reads.
#[tokio::test]
async fn a_secret_in_another_field_gives_the_same_access_by_cri_as_at_the_registry() {
    for release in RELEASES {
        let mut node = Node::start(release, Client::Cri).await;
        let encoded = Auth { auth: STANDARD.encode(Tenant::Ann.user()), ..Auth::default() };
        let refresh = Auth { identity_token: Tenant::Ann.password().to_owned(), ..Auth::default() };
        for (auth, cached) in [(encoded, false), (refresh, true)] {
            if cached {
                node.house.warm().await;
            }
            for of in [Tenant::Bob, Tenant::Ann] {
                node.house.registry.clear_log();
                let before = Answers::of(&node.house.pullgate).await;
                let pulled = node.containerd.cri().await.pull(&image_of(of), Some(auth.clone())).await;
                let answers = Answers::of(&node.house.pullgate).await.since(&before);
                let told = format!("{release:?} {auth:?} of {of:?}: {pulled:?} {answers:?}");
                assert_eq!(pulled.is_ok(), of == Tenant::Ann, "{told}");
                if of == Tenant::Ann {
                    node.has_pulled(of, cached, &answers, &told).await;
                } else {
                    node.has_got_nothing(&told).await;
                }
                node.containerd.reset().await;
            }
        }
    }
}

#[tokio::test]
async fn a_useless_secret_gets_no_image_by_cri_cached_or_not() {
    for release in RELEASES {
        let mut node = Node::start(release, Client::Cri).await;
        let token = node.house.token(Tenant::Ann, Tenant::Ann.repository());
        let wrong = Auth { password: Tenant::Bob.password().to_owned(), ..Tenant::Ann.secret() };
        // The registry would accept this token, but containerd passes on no token from this field.
        let unused = Auth { registry_token: token.clone(), ..Auth::default() };
        for cached in [false, true] {
            if cached {
                node.house.warm().await;
            }
            for (auth, reason) in [
                (None, "403 pullgate: repo_unknown_or_private at manifest_head to "),
                (Some(&wrong), "401 Unauthorized"),
                (Some(&unused), "403 pullgate: repo_unknown_or_private at manifest_head to "),
            ] {
                node.house.registry.clear_log();
                let told = format!("{release:?} {auth:?}, cached {cached}");
                let pulled = node.containerd.cri().await.pull(&image_of(Tenant::Ann), auth.cloned()).await;
                let refusal = pulled.expect_err(&told);
                assert!(refusal.message().contains(reason), "{told}: {refusal}");
                node.has_got_nothing(&told).await;
                node.containerd.reset().await;
            }
        }
        let own = node.house.get(Tenant::Ann.repository(), "manifests/1", Some(&token)).await;
        assert_eq!(own.status.as_u16(), 200, "the token itself is good");
    }
}

const RELEASES: [Release; 3] = [Release::System, Release::V1_7, Release::V2];

/// The program that tells containerd to pull.
#[derive(Clone, Copy, Debug)]
enum Client {
    Ctr,
    Cri,
}

/// A containerd that pulls through the house's pullgate.
struct Node {
    containerd: Containerd,
    hosts: HostsDir,
    client: Client,
    house: House,
}

impl Node {
    async fn start(release: Release, client: Client) -> Self {
        let house = House::with_lasting_tags().await;
        let hosts = HostsDir::new(&house.scratch);
        hosts.mirror(REGISTRY, &house.pullgate.url(), &house.registry.url());
        let options = Containerd::options(release);
        let options = match client {
            Client::Ctr => options,
            Client::Cri => options.cri(&hosts),
        };
        Self { containerd: options.start(&house.scratch).await, hosts, client, house }
    }

    /// Pulls with the tenant's secret; returns the error if that fails.
    async fn pull(&self, image: &str, asks: Tenant) -> Result<(), String> {
        match self.client {
            Client::Ctr => {
                let pulled = self.containerd.pull_with(image, &self.hosts, &["--user", &asks.user()]).await;
                if pulled.succeeded() { Ok(()) } else { Err(pulled.failed()) }
            }
            Client::Cri => {
                let pulled = self.containerd.cri().await.pull(image, Some(asks.secret())).await;
                pulled.map(drop).map_err(|refusal| refusal.to_string())
            }
        }
    }

    /// Checks that the node has all of the tenant's image, each blob requested once, and none of it from the registry
    /// directly.
    async fn has_pulled(&self, of: Tenant, cached: bool, answers: &Answers, told: &str) {
        let image = &self.house.image;
        assert_eq!(self.containerd.files(&image_of(of)).await, files_of(image), "{told}");
        assert_eq!(answers.of_kind("blob"), image.blobs().count() as u64, "{told}");
        let log = self.house.registry.log();
        assert_eq!(log.count(is_direct), 0, "{told}");
        let gets = log.count(|asked| asked.kind == Kind::Blob && asked.method == http::Method::GET);
        assert_eq!(gets, if cached { 0 } else { image.blobs().count() }, "{told}");
    }

    /// Checks that the node got no content from pullgate and none from the registry.
    async fn has_got_nothing(&self, told: &str) {
        assert_eq!(granted(&self.house.registry.log()), 0, "{told}");
        assert_eq!(self.containerd.content().await, Vec::<String>::new(), "{told}");
    }
}

impl Tenant {
    /// The secret in the form that the kubelet passes on.
    fn secret(self) -> Auth {
        Auth { username: self.name().to_owned(), password: self.password().to_owned(), ..Auth::default() }
    }
}

fn image_of(tenant: Tenant) -> String {
    format!("{REGISTRY}/{}:1", tenant.repository())
}

/// The number of requests, other than those for tokens, that the registry granted.
fn granted(log: &Log) -> usize {
    log.count(|asked| asked.status == Some(200) && asked.kind != Kind::Token)
}

/// True if containerd asked the registry directly for content.
fn is_direct(asked: &Exchange) -> bool {
    let agent = asked.header("user-agent").unwrap_or_default();
    asked.kind != Kind::Token && agent.starts_with("containerd")
}
