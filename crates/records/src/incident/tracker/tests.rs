//! The rule, case by case.

use super::*;
use crate::fixture::noon;
use crate::incident::record::Evidence;

const MINUTE: Duration = Duration::from_secs(60);

/// A success or failure of `anonymous` at `registry.test`, minutes after noon. `image` is empty for a probe of reach.
fn seen(source: Source, image: &str, class: Option<Class>, minutes: u32) -> Sighting {
    let fault = class.map(|class| Fault {
        class,
        stage: Some(Stage::ManifestHead),
        evidence: Evidence::clean(format!("{class} of {image}").as_bytes()),
    });
    Sighting {
        registry: "registry.test".parse().unwrap(),
        identity: Identity::clean(b"anonymous").unwrap(),
        source,
        image: TargetName::clean(image.as_bytes()),
        node: TargetName::clean(b"worker-1").filter(|_| source == Source::Pull),
        workloads: Vec::new(),
        at: noon().later(MINUTE * minutes),
        fault,
    }
}

fn probe(image: &str, class: Option<Class>, minutes: u32) -> Sighting {
    seen(Source::Probe, image, class, minutes)
}

fn pull(image: &str, class: Option<Class>, minutes: u32) -> Sighting {
    seen(Source::Pull, image, class, minutes)
}

/// The changes as text: `began dns`, `ended dns probe`.
fn told(tracker: &mut Tracker, sightings: &[Sighting]) -> Vec<String> {
    sightings.iter().flat_map(|sighting| tracker.see(sighting)).map(|change| text(&change)).collect()
}

fn text(change: &Change) -> String {
    let it = change.incident();
    let resolved = it.resolved.map(|by| format!(" {by}")).unwrap_or_default();
    let kind = match change {
        Change::Began(_) => "began",
        Change::Continued(_) => "continued",
        Change::Again(_) => "again",
        Change::Ended(_) => "ended",
    };
    format!("{kind} {}{resolved}", it.class)
}

const DOWN: Option<Class> = Some(Class::Registry5xx);
const DNS: Option<Class> = Some(Class::Dns);
const UNKNOWN: Option<Class> = Some(Class::ManifestUnknown);
const REFUSED: Option<Class> = Some(Class::AuthRejected);

#[test]
fn what_begins_and_what_ends_an_incident() {
    let cases: &[(&str, &[Sighting], &[&str])] = &[
        ("one failure is none", &[probe("a", DOWN, 0)], &[]),
        ("a success between", &[probe("a", DOWN, 0), probe("a", None, 1), probe("a", DOWN, 2)], &[]),
        ("the second failure", &[probe("a", DOWN, 0), probe("a", DOWN, 1)], &["began registry_5xx"]),
        ("two images", &[probe("a", DOWN, 0), probe("b", DOWN, 0)], &["began registry_5xx"]),
        ("a probe and a pull", &[probe("a", DOWN, 0), pull("b", DOWN, 0)], &["began registry_5xx"]),
        (
            "two classes",
            &[probe("a", DOWN, 0), probe("b", DNS, 0), probe("a", DOWN, 1), probe("b", DNS, 1)],
            &["began registry_5xx", "began dns"],
        ),
        (
            "every probed image has to succeed",
            &[probe("a", DOWN, 0), probe("b", DOWN, 0), probe("a", None, 1), probe("b", None, 1)],
            &["began registry_5xx", "ended registry_5xx probe"],
        ),
        (
            "a success of another image speaks for a pull",
            &[pull("a", DOWN, 0), pull("a", DOWN, 0), pull("b", None, 1)],
            &["began registry_5xx", "ended registry_5xx pull"],
        ),
        (
            "but not where the permission of one image is refused",
            &[pull("a", REFUSED, 0), pull("a", REFUSED, 0), pull("b", None, 1), pull("a", None, 2)],
            &["began auth_rejected", "ended auth_rejected pull"],
        ),
        (
            "a reach that succeeds does not show that pulls do",
            &[pull("a", DOWN, 0), pull("a", DOWN, 0), probe("", None, 1)],
            &["began registry_5xx"],
        ),
        (
            "reach",
            &[probe("", DNS, 0), probe("", DNS, 1), probe("", None, 2)],
            &["began dns", "ended dns probe"],
        ),
        ("anyone can pull what does not exist", &[pull("a", UNKNOWN, 0), pull("b", UNKNOWN, 0)], &[]),
        (
            "a target that does not exist",
            &[probe("a", UNKNOWN, 0), probe("a", UNKNOWN, 1)],
            &["began manifest_unknown"],
        ),
        (
            "our own pause",
            &[pull("a", Some(Class::UpstreamPaused), 0), pull("a", Some(Class::UpstreamPaused), 0)],
            &[],
        ),
        (
            "another cause",
            &[probe("a", DOWN, 0), probe("a", DOWN, 1), probe("a", DNS, 2), probe("a", DNS, 3)],
            &["began registry_5xx", "began dns", "ended registry_5xx other_class"],
        ),
        ("two failures an hour apart", &[probe("a", DOWN, 0), probe("a", DOWN, 61)], &[]),
    ];
    for (what, sightings, expected) in cases {
        assert_eq!(told(&mut Tracker::default(), sightings), *expected, "{what}");
    }
}

#[test]
fn identities_and_registries_stay_apart() {
    let mut tracker = Tracker::default();
    let (own, mut other) = (probe("a", DOWN, 0), probe("a", DOWN, 0));
    other.identity = Identity::clean(b"team").unwrap();
    assert_eq!(told(&mut tracker, &[own.clone(), other.clone()]), [""; 0]);
    assert_eq!(told(&mut tracker, &[own, other.clone()]), ["began registry_5xx"; 2]);
    other.fault = None;
    assert_eq!(told(&mut tracker, &[other]), ["ended registry_5xx probe"]);
    assert_eq!(tracker.active().len(), 1);
}

#[test]
fn ten_images_are_one_incident_that_names_them_and_keeps_its_first_evidence() {
    let mut tracker = Tracker::default();
    for round in 0..3 {
        for image in 0..10 {
            tracker.see(&probe(&format!("image-{image}"), DOWN, round));
        }
    }
    let active = tracker.active();
    let [incident] = &active[..] else { panic!("{active:?}") };
    assert_eq!((incident.probes, incident.images.as_slice().len()), (30, 10));
    assert_eq!(incident.evidence.as_ref().unwrap().as_str(), "registry_5xx of image-0");
    assert_eq!((incident.began, incident.last_seen), (noon(), noon().later(MINUTE * 2)));
}

#[test]
fn an_unsteady_registry_is_one_incident_and_ends_once_it_is_steady() {
    let mut tracker = Tracker::default();
    let first = told(&mut tracker, &[probe("a", DOWN, 0), probe("a", DOWN, 1), probe("a", None, 2)]);
    assert_eq!(first, ["began registry_5xx", "ended registry_5xx probe"]);
    assert_eq!(told(&mut tracker, &[probe("a", DOWN, 5)]), ["again registry_5xx"]);
    let id = tracker.active()[0].id;
    for minute in 6..60 {
        let class = DOWN.filter(|_| minute % 2 == 0);
        assert_eq!(told(&mut tracker, &[probe("a", class, minute)]), [""; 0], "minute {minute}");
        tracker.tick(noon().later(MINUTE * minute));
    }
    assert_eq!(tracker.tick(noon().later(MINUTE * 62)), []);
    let ended = tracker.tick(noon().later(MINUTE * 63));
    assert_eq!(ended.iter().map(text).collect::<Vec<_>>(), ["ended registry_5xx probe"]);
    assert_eq!((ended[0].incident().id, ended[0].incident().again), (id, 1));
}

#[test]
fn causes_that_alternate_are_two_incidents() {
    let mut tracker = Tracker::default();
    let sightings: Vec<_> =
        (0..40).map(|minute| probe("a", if minute % 2 == 0 { DOWN } else { DNS }, minute)).collect();
    let told = told(&mut tracker, &sightings);
    assert!(told.len() <= 8, "few changes: {told:?}");
    assert_eq!(told.iter().filter(|change| change.starts_with("began")).count(), 2, "{told:?}");
    assert_eq!(tracker.active().len(), 2);
}

#[test]
fn silence_ends_an_incident_later_if_nobody_asks_on_purpose() {
    let mut tracker = Tracker::default();
    told(
        &mut tracker,
        &[probe("a", DOWN, 0), probe("a", DOWN, 0), probe("b", REFUSED, 0), probe("b", REFUSED, 0)],
    );
    let at =
        |tracker: &mut Tracker, time| tracker.tick(noon().later(time)).iter().map(text).collect::<Vec<_>>();
    assert_eq!(at(&mut tracker, SILENCE - MINUTE), [""; 0]);
    assert_eq!(at(&mut tracker, SILENCE), ["ended registry_5xx silence"]);
    assert_eq!(at(&mut tracker, LONG_SILENCE), ["ended auth_rejected silence"]);
}

#[test]
fn news_are_handed_out_once() {
    let mut tracker = Tracker::default();
    told(&mut tracker, &[probe("a", DOWN, 0), probe("a", DOWN, 0)]);
    assert_eq!(tracker.tick(noon()), []);
    assert_eq!(told(&mut tracker, &[probe("a", DOWN, 1)]), [""; 0]);
    let news = tracker.tick(noon().later(MINUTE));
    assert_eq!((news.len(), news[0].incident().probes), (1, 3));
    assert_eq!(tracker.tick(noon().later(MINUTE)), []);
}

#[test]
fn an_incident_of_the_file_goes_on_and_takes_what_began_meanwhile() {
    let mut before = Tracker::default();
    told(&mut before, &[pull("a", DOWN, 0), pull("a", DOWN, 0)]);
    let kept = before.active();

    let mut tracker = Tracker::default();
    tracker.restore(kept.clone(), noon().later(MINUTE));
    assert_eq!(told(&mut tracker, &[pull("b", DOWN, 2)]), [""; 0]);
    let active = tracker.active();
    assert_eq!((active[0].id, active[0].pulls, active[0].began), (kept[0].id, 3, noon()));

    let mut late = Tracker::default();
    assert_eq!(told(&mut late, &[pull("b", DOWN, 2), pull("b", DOWN, 2)]), ["began registry_5xx"]);
    late.restore(kept.clone(), noon().later(MINUTE * 3));
    let active = late.active();
    assert_eq!((active.len(), active[0].id, active[0].pulls), (1, kept[0].id, 4));
    assert_eq!(active[0].images.as_slice().len(), 2);
    assert_eq!(told(&mut late, &[pull("c", None, 4)]), ["ended registry_5xx pull"]);
}

#[test]
fn what_was_open_when_the_process_ended_long_ago_ends() {
    let mut before = Tracker::default();
    told(&mut before, &[probe("a", DOWN, 0), probe("a", DOWN, 0)]);
    let (mut tracker, later) = (Tracker::default(), noon().later(SILENCE * 48));
    tracker.restore(before.active(), later);
    assert_eq!(tracker.tick(later).iter().map(text).collect::<Vec<_>>(), ["ended registry_5xx silence"]);
}

#[test]
fn a_registry_that_is_removed_has_no_incident() {
    let mut tracker = Tracker::default();
    told(&mut tracker, &[probe("a", DOWN, 0), probe("a", DOWN, 0)]);
    let removed = tracker.keep_only(&[], noon());
    assert_eq!(removed.iter().map(text).collect::<Vec<_>>(), ["ended registry_5xx removed"]);
    assert_eq!(tracker.active(), []);
}

#[test]
fn memory_is_bounded() {
    let mut tracker = Tracker::default();
    for number in 0..3 * CASES_MAX {
        let mut sighting = probe(&format!("image-{number}"), DOWN, 0);
        tracker.see(&sighting);
        sighting.identity = Identity::clean(format!("pull-secret {number}/x").as_bytes()).unwrap();
        tracker.see(&sighting);
    }
    assert_eq!(tracker.0.len(), CASES_MAX);
    assert!(tracker.0.values().all(|case| case.failing.len() <= FAILING_MAX));
}
