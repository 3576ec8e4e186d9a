//! Callers of a per-client upstream, each with a token of their own: what one meets is not the other's.

use std::time::Duration;

use config::Access;
use futures_util::future::join_all;
use loadtest::image::Image;
use loadtest::registry::{Answer, Gate, Rule};
use tokio::time::timeout;

use crate::rig::{Heard, Plan, Rig};

#[tokio::test]
async fn a_tenant_whose_quota_is_spent_spends_nobody_elses() {
    let rig = per_client(Plan::default()).await;
    let image = Image::with_layers(1, &[1000]);
    rig.upstream.add_image("org/app", "1", &image);
    let path = format!("org/app/manifests/{}", image.digest());
    let gate = Gate::new();
    let spent = Answer::oci_error(429, "TOOMANYREQUESTS", "ann has reached her pull rate limit");
    rig.upstream.fault(Rule::manifest().get().once().hold(&gate).answer(spent));

    let ann = ask(&rig, "GET", &path, "ann");
    let others: Vec<_> = (0..OTHERS).map(|n| format!("bob{n}")).collect();
    let others = async {
        wait(&rig, |log| log.manifest_gets() == 1).await;
        // They join the request that ann began, once they were let in.
        let opened = async {
            wait(&rig, |log| log.iter().filter(|asked| asked.status == Some(200)).count() == 1 + OTHERS)
                .await;
            gate.open();
        };
        tokio::join!(join_all(others.iter().map(|token| ask(&rig, "GET", &path, token))), opened).0
    };
    let (ann, others) = tokio::join!(ann, others);
    assert_eq!((ann.status, ann.class()), (503, "rate_pull_quota"));
    assert!(ann.oci_error().1.contains("ann has reached"));
    for heard in others {
        assert_eq!((heard.status, heard.class()), (200, "none"));
        assert_eq!(heard.body, image.manifest.bytes);
    }
}

async fn per_client(plan: Plan) -> Rig {
    Rig::with(Plan { access: Access::PerClient, ..plan }).await
}

async fn ask(rig: &Rig, method: &str, path: &str, token: &str) -> Heard {
    rig.ask(method, path, &format!("User-Agent: containerd/v2.1.9\r\nAuthorization: Bearer {token}\r\n"))
        .await
}

async fn wait(rig: &Rig, is_so: impl Fn(&loadtest::registry::Log) -> bool) {
    timeout(Duration::from_secs(60), rig.upstream.wait_for(is_so)).await.expect("the registry to be asked");
}

/// So many that some have joined by the time the last was let in.
const OTHERS: usize = 20;
