//! Real containerds that log in with a tenant's secret: right images, few requests, and nothing for who may not.

use loadtest::registry::{Exchange, Kind};
use support::{Containerd, HostsDir, Release, files_of};

use super::*;
use crate::setup::Answers;

#[tokio::test]
async fn the_system_containerd_pulls_what_its_tenant_may_see() {
    pulls_what_its_tenant_may_see(Release::System).await;
}

#[tokio::test]
async fn containerd_1_7_pulls_what_its_tenant_may_see() {
    pulls_what_its_tenant_may_see(Release::V1_7).await;
}

#[tokio::test]
async fn containerd_2_pulls_what_its_tenant_may_see() {
    pulls_what_its_tenant_may_see(Release::V2).await;
}

/// The eight combinations: each tenant for each repository, cold and then cached.
async fn pulls_what_its_tenant_may_see(release: Release) {
    for asks in Tenant::ALL {
        let house = House::start().await;
        let hosts = HostsDir::new(&house.scratch);
        hosts.mirror(REGISTRY, &house.pullgate.url(), &house.registry.url());
        let mut containerd = Containerd::start(release, &house.scratch).await;
        for cached in [false, true] {
            if cached {
                house.warm().await;
            }
            // The refused first: what it left in the store or in a lease would show.
            for of in if asks == Tenant::Ann { [Tenant::Bob, Tenant::Ann] } else { Tenant::ALL } {
                house.registry.clear_log();
                let before = Answers::of(&house.pullgate).await;
                let name = format!("{REGISTRY}/{}:1", of.repository());
                let pulled = containerd.pull_with(&name, &hosts, &["--user", &asks.user()]).await;
                let answers = Answers::of(&house.pullgate).await.since(&before);
                let told = format!("{release:?} {asks:?} of {of:?}, cached {cached}: {answers:?}");
                assert!(
                    answers.of_kind("manifest") <= 4,
                    "two requests for the tag, two for the digest: {told}"
                );
                let log = house.registry.log();
                if asks == of {
                    pulled.ok();
                    assert_eq!(containerd.files(&name).await, files_of(&house.image), "{told}");
                    assert_eq!(answers.of_kind("blob"), house.image.blobs().count() as u64, "{told}");
                    assert_eq!(log.count(is_direct), 0, "{told}");
                    let gets =
                        log.count(|asked| asked.kind == Kind::Blob && asked.method == http::Method::GET);
                    assert_eq!(gets, if cached { 0 } else { house.image.blobs().count() }, "{told}");
                } else {
                    pulled.failed();
                    assert_eq!(
                        log.count(|asked| asked.status == Some(200) && asked.kind != Kind::Token),
                        0,
                        "{told}"
                    );
                    assert_eq!(containerd.content().await, Vec::<String>::new(), "{told}");
                }
                containerd.reset().await;
            }
        }
    }
}

/// Did containerd ask the registry itself for content?
fn is_direct(asked: &Exchange) -> bool {
    let agent = asked.header("user-agent").unwrap_or_default();
    asked.kind != Kind::Token && agent.starts_with("containerd")
}
