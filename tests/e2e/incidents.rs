//! A registry that breaks and is mended: one incident, told alike by page, log, metrics, API and command.

use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Registry, Rule};
use serde_json::Value;
use support::pullgate::command;
use support::{Pullgate, Scratch, http, wait_until};

use crate::setup::{BIN, REGISTRY, Records, cache, config, upstream};

/// Longer than two rounds of probes, and than the time after which a failed pull ends.
const LONG: Duration = Duration::from_secs(60);
const ACTIVE: &str = "pullgate_incident_active";
const BEGAN: &str = "pullgate_incidents_total";

struct World {
    registry: Registry,
    pullgate: Pullgate,
    records: Records,
    _scratch: Scratch,
}

impl World {
    /// Pullgate in front of a registry that fails by this rule. The images are probed every ten seconds.
    async fn failing(rule: Rule, probed: usize, more: &str) -> Self {
        let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
        let image = Image::with_layers(97, &[3000]);
        for number in 0..10 {
            registry.add_image(&format!("library/app-{number}"), "1", &image);
        }
        registry.fault(rule);
        let often = format!("{more}prober.interval = \"10s\"\nprober.reach");
        let text = config(&scratch).replace("prober.reach", &often);
        let targets = (0..probed)
            .map(|number| format!("[[prober.targets]]\nimage = \"{REGISTRY}/library/app-{number}:1\"\n"));
        let text = text + &upstream("test", REGISTRY, &registry.url()) + &targets.collect::<String>();
        let pullgate = Pullgate::start(BIN, &scratch, &text).await;
        let records = Records::of(&scratch, cache(&scratch));
        Self { registry, pullgate, records, _scratch: scratch }
    }

    async fn page(&self, path: &str) -> String {
        http::get(self.pullgate.admin(), path).send().await.text()
    }

    /// What `pullgate incidents` prints as JSON.
    async fn listed(&self, filters: &[&str]) -> Vec<Value> {
        let asked = [&["incidents", "--config", self.records.config(), "-o", "json"], filters].concat();
        let lines = command(BIN, &asked).await.ok();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The incidents of the file, once they pass.
    async fn when(&self, what: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        wait_until(what, LONG, || async {
            let incidents = self.listed(&[]).await;
            enough(&incidents).then_some(incidents)
        })
        .await
    }

    async fn gauge_is(&self, class: &str, wanted: f64) {
        let labels = [("registry", REGISTRY), ("class", class)];
        let is = |metrics: &support::Metrics| {
            metrics.has(ACTIVE, &labels) && metrics.value(ACTIVE, &labels) == wanted
        };
        self.pullgate.metrics_when(&format!("{wanted} active incidents of {class}"), is).await;
    }

    /// A node asks for the image, and is told the outcome by its status code.
    async fn pull(&self, image: usize, expected: u16) {
        let path = format!("/v2/library/app-{image}/manifests/1?ns={REGISTRY}");
        let answer = self.pullgate.get(&path).header("x-pullgate-node", "worker-7").send().await;
        assert_eq!(answer.status.as_u16(), expected, "{}", answer.text());
    }
}

fn broken() -> Rule {
    Rule::manifest().unavailable(503)
}

#[tokio::test]
async fn ten_failing_images_are_one_incident_which_ends_when_they_are_mended() {
    let mut world = World::failing(Rule::manifest().manifest_unknown(), 10, "").await;
    world.gauge_is("manifest_unknown", 1.0).await;
    let incidents = world.when("all images", |it| it[0]["images"].as_array().unwrap().len() == 10).await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    let incident = &incidents[0];
    assert_eq!((&incident["registry"], &incident["active"]), (&REGISTRY.into(), &true.into()));
    assert_eq!((&incident["identity"], &incident["stage"]), (&"anonymous".into(), &"manifest_get".into()));
    assert!(incident["evidence"].as_str().unwrap().contains("404"), "{incident:#}");
    let page = world.page("/").await;
    let id = incident["id"].as_str().unwrap();
    for told in [&format!("/incidents/{id}"), "<h2>Incidents</h2>", "10 images: ", "check the tag"] {
        assert!(page.contains(told), "{told:?} is not on the page:\n{page}");
    }
    assert!(world.page(&format!("/incidents/{id}")).await.contains("lasts"));
    assert_eq!(world.pullgate.status().await["incidents"][0]["id"], *id);

    world.registry.clear_faults();
    world.gauge_is("manifest_unknown", 0.0).await;
    let ended = world.when("the end", |it| it[0]["active"] == false).await.remove(0);
    assert_eq!((&ended["id"], &ended["resolved"]), (&id.into(), &"probe".into()), "{ended:#}");
    let labels = [("registry", REGISTRY), ("class", "manifest_unknown")];
    assert_eq!(world.pullgate.metrics().await.value(BEGAN, &labels), 1.0);
    let page = world.page("/").await;
    assert!(page.contains("Ended incidents of the last day") && page.contains(" succeeded"), "{page}");
    assert!(!page.contains("<h2>Incidents</h2>"), "{page}");
    assert!(world.listed(&["--active"]).await.is_empty());
    assert_eq!(world.listed(&["--class", "manifest_unknown", "--registry", REGISTRY]).await.len(), 1);
    let shown =
        command(BIN, &["incidents", "show", &id[..18], "--config", world.records.config()]).await.ok();
    assert!(shown.contains("(ended)") && shown.contains("what to do"), "{shown}");

    assert!(world.pullgate.stop().await.success());
    let log = world.pullgate.log();
    assert_eq!(log.matches("incident began").count(), 1, "{log}");
    assert_eq!(log.matches("incident ended").count(), 1, "{log}");
}

#[tokio::test]
async fn a_restart_during_an_incident_continues_it_and_a_pull_ends_it() {
    let mut world = World::failing(broken(), 0, "").await;
    for image in 0..2 {
        world.pull(image, 503).await;
    }
    let first = world.when("an incident", |it| it.len() == 1).await.remove(0);
    assert_eq!((&first["class"], &first["nodes"][0]), (&"registry_5xx".into(), &"worker-7".into()));
    assert!(world.pullgate.stop().await.success());

    world.pullgate.start_again().await;
    world.gauge_is("registry_5xx", 1.0).await;
    assert_eq!(world.pullgate.status().await["incidents"][0]["id"], first["id"]);
    world.pull(3, 503).await;
    let more = world.when("another failure", |it| it[0]["pulls"] == 3).await;
    assert_eq!((more.len(), &more[0]["id"], &more[0]["began"]), (1, &first["id"], &first["began"]));

    world.registry.clear_faults();
    wait_until("a pull that succeeds", LONG, || async {
        let path = format!("/v2/library/app-4/manifests/1?ns={REGISTRY}");
        (world.pullgate.get(&path).send().await.status.as_u16() == 200).then_some(())
    })
    .await;
    let ended = world.when("the end", |it| it[0]["active"] == false).await.remove(0);
    assert_eq!((&ended["id"], &ended["resolved"]), (&first["id"], &"pull".into()), "{ended:#}");
    assert!(ended["resolved_by"].as_str().unwrap().ends_with("/library/app-4:1"), "{ended:#}");
}

#[tokio::test]
async fn two_classes_are_two_incidents_and_hidden_names_are_hidden() {
    let missing = Rule::manifest().repository("library/app-0").manifest_unknown();
    let world = World::failing(missing, 1, "admin.names = false\n").await;
    for image in [5, 6] {
        world.registry.fault(Rule::manifest().repository(&format!("library/app-{image}")).unavailable(503));
        world.pull(image, 503).await;
    }
    let incidents = world.when("two incidents", |it| it.len() == 2).await;
    let mut classes: Vec<_> = incidents.iter().map(|it| it["class"].as_str().unwrap()).collect();
    classes.sort_unstable();
    assert_eq!(classes, ["manifest_unknown", "registry_5xx"]);

    let page = http::get(world.pullgate.admin(), "/api/v1/incidents?limit=1").send().await.json();
    assert_eq!(page["incidents"].as_array().unwrap().len(), 1, "{page:#}");
    let next = http::get(world.pullgate.admin(), page["next"].as_str().unwrap()).send().await.json();
    assert_ne!(next["incidents"][0]["id"], page["incidents"][0]["id"]);
    let one = format!("/incidents/{}", page["incidents"][0]["id"].as_str().unwrap());
    for path in ["/", "/status.json", "/api/v1/incidents", &one, &format!("/api/v1{one}")] {
        let text = world.page(path).await;
        // The verdicts of configured targets name their image: the configuration does, too.
        let hidden = if ["/", "/status.json"].contains(&path) { "library/app-5" } else { "library/app" };
        assert!(!text.contains(hidden), "{path} shows {hidden}: {text}");
    }
}
