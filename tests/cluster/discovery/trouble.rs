//! API servers that restart, answer slowly, or lose connections.

use std::time::Duration;

use cluster::Scope;
use cluster::watch::WatchState;
use support::{ControlPlane, Relay, Scratch};

use super::look::{Look, pod, through};

#[tokio::test]
async fn watches_survive_restarts_cut_connections_and_a_slow_server() {
    let scratch = Scratch::new();
    let mut plane = ControlPlane::start(&scratch).await;
    plane.namespace("shop").await;
    let address = plane.url().strip_prefix("https://").unwrap().to_owned();
    let relay = Relay::start(&address).await;
    let look = Look::at(Scope::Cluster, through(&plane, &scratch, &relay.address())).await;
    plane.apply(&pod("shop", "a", "r.test/a:1", "")).await;
    look.wants(&["r.test/a:1 pod/shop/a"]).await;

    relay.cut();
    plane.apply(&pod("shop", "b", "r.test/b:1", "")).await;
    look.wants(&["r.test/a:1 pod/shop/a", "r.test/b:1 pod/shop/b"]).await;

    // A killed server resets connections; while it is gone, everything that was found stays.
    plane.kill_api_server();
    let failing = |discovery: &cluster::Discovery| {
        discovery.watches().iter().any(|(_, state)| *state == WatchState::Failing).then_some(())
    };
    look.when("a failing watch", failing).await;
    look.finds("PG0617", "could not be looked at").await;
    assert_eq!(look.images().len(), 2);
    plane.start_api_server().await;
    // The new server no longer has the changes since the version that the watches know: they list anew.
    plane.api().delete("/api/v1/namespaces/shop/pods/a?gracePeriodSeconds=0").await;
    look.wants(&["r.test/b:1 pod/shop/b"]).await;

    relay.delay(Duration::from_millis(700));
    relay.cut();
    plane.apply(&pod("shop", "c", "r.test/c:1", "")).await;
    look.wants(&["r.test/b:1 pod/shop/b", "r.test/c:1 pod/shop/c"]).await;
}
