//! Thirty incidents: the prober names each before the kubelet reports that it backs off from pulling.

use std::time::Duration;

use loadtest::registry::{Registry, Rule, TooMany};
use support::cluster::{Namespace, pod, workload};
use support::{Cluster, Pullgate, Scratch, wait_until};
use tokio::time::{Instant, sleep};

use crate::BIN;

/// The number of incidents.
const INCIDENTS: usize = 30;

/// The faults of single images, in turn.
const FAULTS: [fn(&str) -> Rule; 6] = [
    |image| Rule::manifest().repository(image).status(500),
    |image| Rule::manifest().repository(image).manifest_unknown(),
    |image| Rule::manifest().repository(image).too_many_requests(TooMany::HubQuota),
    |image| Rule::manifest().repository(image).close(),
    |image| Rule::manifest().repository(image).denied(),
    |image| Rule::blob().repository(image).blob_unknown(),
];

#[tokio::test]
async fn the_prober_names_thirty_incidents_before_the_kubelet_backs_off() {
    let registry = Registry::start().await.unwrap();
    for number in 0..INCIDENTS {
        registry.add_image(&repository(number), "1", &workload::image(100 + number as u64));
    }
    let cluster = Cluster::start(BIN, &registry).await;
    let team = cluster.namespace("team").await;
    let scratch = Scratch::new();
    let prober = Pullgate::start(BIN, &scratch, &prober_config(&scratch, &registry)).await;
    wait_until("every image to be probed once", Duration::from_secs(60), || async {
        let fine = prober.metrics().await.sum("pullgate_probe_state", &[("class", "ok")]);
        (fine == INCIDENTS as f64).then_some(())
    })
    .await;

    let incidents = (0..INCIDENTS).map(|number| incident(number, &registry, &prober, &team));
    let mut leads: Vec<f64> = futures_util::future::join_all(incidents).await;
    leads.sort_by(f64::total_cmp);
    let ahead = leads.iter().filter(|lead| **lead > 0.0).count();
    println!(
        "lead time: {ahead} of {INCIDENTS} incidents were named before the kubelet backed off; median {:.1} s, \
         least {:.1} s",
        leads[INCIDENTS / 2],
        leads[0]
    );
    assert!(ahead * 100 >= INCIDENTS * 95, "{leads:?}");
}

/// Breaks an image, lets a pod ask for it after up to half a minute, and returns the seconds by which the prober was
/// ahead of the kubelet.
async fn incident(number: usize, registry: &Registry, prober: &Pullgate, team: &Namespace) -> f64 {
    // The incidents of a day, in half a minute: each begins at another point of the probes' schedule.
    sleep(Duration::from_millis(1000 * number as u64)).await;
    registry.fault(FAULTS[number % FAULTS.len()](&repository(number)));
    let named = async {
        wait_until(&format!("a class for image {number}"), Duration::from_secs(60), || async {
            let status = prober.status().await;
            let probes = status["registries"][0]["probes"].as_array().unwrap().clone();
            let image = format!("{}/{}:1", Cluster::REGISTRY, repository(number));
            let of_image = probes.iter().find(|probe| probe["image"] == *image).unwrap();
            (of_image["verdict"] != "ok").then_some(())
        })
        .await;
        Instant::now()
    };
    let backed_off = async {
        let name = format!("app-{number}");
        sleep(Duration::from_millis(fastrand::u64(..30_000))).await;
        team.run(pod(&name, &format!("{}/{}:1", Cluster::REGISTRY, repository(number)))).await;
        team.waiting(&name, "ImagePullBackOff").await;
        Instant::now()
    };
    let (named, backed_off) = tokio::join!(named, backed_off);
    if named <= backed_off { (backed_off - named).as_secs_f64() } else { -(named - backed_off).as_secs_f64() }
}

fn repository(number: usize) -> String {
    format!("shop/app-{number}")
}

/// A pullgate that probes the images every ten seconds.
fn prober_config(scratch: &Scratch, registry: &Registry) -> String {
    let mut text = format!(
        "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\nprober.interval = \"10s\"\n\
         [proxy]\nlisten = \"127.0.0.1:0\"\ncache.dir = {cache:?}\n\
         [upstreams.test]\nregistry = {name:?}\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n",
        cache = scratch.path().join("cache"),
        name = Cluster::REGISTRY,
        url = registry.url(),
    );
    for number in 0..INCIDENTS {
        text += &format!("[[prober.targets]]\nimage = \"{}/{}:1\"\n", Cluster::REGISTRY, repository(number));
    }
    text
}
