//! The decision tables of a pod's diagnosis.

use oci::{Class, ImageName, Platform, Stage};

use super::*;
use crate::image::{Place, Verdict};

const NOW: i64 = 50_000;
const IMAGE: &str = "r.test/a/app:1";

fn image(name: &str) -> ImageName {
    name.parse().unwrap()
}

fn case(reason: &str, message: &str) -> Case {
    Case {
        now: NOW,
        pod: Pod {
            namespace: "team".to_owned(),
            name: "web-1".to_owned(),
            owner: Some(Owner { kind: "deployment".to_owned(), name: "web".to_owned() }),
            node: Some("n1".to_owned()),
            service_account: "robot".to_owned(),
            pull_secrets: Vec::new(),
        },
        part: Part {
            name: "main".to_owned(),
            role: "container",
            written: IMAGE.to_owned(),
            image: Some(image(IMAGE)),
            platform: Platform::new("linux", "amd64", ""),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
        },
        events: Vec::new(),
        replay: None,
        findings: Vec::new(),
        changes: Vec::new(),
        node: None,
        peers: Vec::new(),
        pulls: Vec::new(),
        probes: None,
    }
}

fn event(reason: &str, cause: &str, count: u32, first: i64, last: i64) -> Event {
    let message = match reason {
        "Failed" => format!("Failed to pull image \"{IMAGE}\": {cause}"),
        _ => format!("Back-off pulling image \"{IMAGE}\"{cause}"),
    };
    Event { reason: reason.to_owned(), message, count, first: Some(first), last: Some(last) }
}

fn replay(class: Option<Class>) -> Option<Replay> {
    let verdict = Verdict {
        class,
        stage: class.map(|_| Stage::ManifestHead),
        place: if class.is_some() { Place::Registry } else { Place::Nowhere },
        sentence: "the replay".to_owned(),
        fix: vec!["the fix of the replay".to_owned()],
        next: Vec::new(),
        notes: Vec::new(),
    };
    Some(Replay { verdict, host: None, as_the_pod: true })
}

const BAD_GATEWAY: &str = "failed to resolve image: unexpected status from HEAD request to https://r.test/v2/a/app/manifests/1: 502 Bad Gateway";
const REFUSED: &str = "failed to do request: Head \"https://r.test/v2/a/app/manifests/1\": dial tcp 1.2.3.4:443: connect: connection refused";
const THROUGH: &str = "unexpected status from HEAD request to http://127.0.0.1:5000/v2/: 503 pullgate: connect_refused at connect to r.test";
const UNKNOWN_TAG: &str =
    "rpc error: code = NotFound desc = failed to resolve image: r.test/a/app:1: not found";
const NO_TOKEN: &str = "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://r.test/token: 401 Unauthorized";
const FULL: &str = "failed to extract layer: write /var/lib/containerd/x: no space left on device";

#[test]
fn the_replay_and_the_text_decide_together() {
    use Class as C;
    for (text, now, class, state) in [
        (BAD_GATEWAY, Some(C::Registry5xx), C::Registry5xx, State::StillFails),
        (BAD_GATEWAY, None, C::Registry5xx, State::WorksNow),
        (THROUGH, None, C::ConnectRefused, State::WorksNow),
        // Only the node may be cut off.
        (REFUSED, None, C::ConnectRefused, State::WorksHere),
        (REFUSED, Some(C::ManifestUnknown), C::ManifestUnknown, State::FailsOtherwise),
        // The replay sees why the registry does not know the tag.
        (UNKNOWN_TAG, Some(C::RepoUnknownOrPrivate), C::RepoUnknownOrPrivate, State::StillFails),
        (NO_TOKEN, Some(C::AuthPoisoned), C::AuthPoisoned, State::StillFails),
        // The registry answered the node, and this machine does not reach it.
        (NO_TOKEN, Some(C::Dns), C::AuthRejected, State::NotReplayed),
        (FULL, None, C::DiskFull, State::OfTheNode),
        (FULL, Some(C::Registry5xx), C::DiskFull, State::OfTheNode),
        ("something new", Some(C::Dns), C::Dns, State::StillFails),
    ] {
        let case = Case { replay: replay(now), ..case("ImagePullBackOff", text) };
        let found = conclude(&case);
        assert_eq!((found.class, found.state), (class, state), "{text} {now:?}");
    }
    let none = conclude(&case("ImagePullBackOff", NO_TOKEN));
    assert_eq!((none.class, none.state), (Class::AuthRejected, State::NotReplayed));
}

#[test]
fn a_replay_without_the_secrets_of_the_pod_does_not_decide_about_its_credential() {
    let mut without = replay(Some(Class::RepoUnknownOrPrivate)).unwrap();
    without.as_the_pod = false;
    let found = conclude(&Case { replay: Some(without), ..case("ErrImagePull", BAD_GATEWAY) });
    assert_eq!((found.class, found.state), (Class::Registry5xx, State::NotReplayed));
}

#[test]
fn the_text_that_tells_most_counts_and_then_the_newest() {
    let mut case = case("ImagePullBackOff", &format!("Back-off pulling image \"{IMAGE}\""));
    case.events = vec![
        event("Failed", BAD_GATEWAY, 3, 1000, 1100),
        event("Failed", UNKNOWN_TAG, 2, 1200, 1300),
        event("BackOff", "", 9, 1010, 1400),
        Event {
            message: "Failed to pull image \"other\": no space left on device".to_owned(),
            ..event("Failed", "", 1, 1, 2000)
        },
    ];
    let told = told(&case.part, &case.events);
    assert_eq!((told.reading.class, told.tries), (Class::ManifestUnknown, 5));
    assert_eq!((told.first, told.last), (Some(1000), Some(1300)));
    assert_eq!(told.before, [(Class::Registry5xx, 1100)]);
    case.part.message = Some(NO_TOKEN.to_owned());
    assert_eq!(super::told(&case.part, &case.events).reading.class, Class::AuthRejected);
}

#[test]
fn the_wait_doubles_from_ten_seconds_to_five_minutes() {
    for (tries, wait) in [(1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (7, 300), (1000, 300)] {
        let mut case = case("ImagePullBackOff", UNKNOWN_TAG);
        case.events = vec![event("Failed", UNKNOWN_TAG, tries, NOW - 900, NOW - 5)];
        let found = conclude(&case).back_off.unwrap();
        assert_eq!((found.tries, found.wait, found.left(NOW)), (tries, wait, wait - 5));
        assert_eq!(found.left(NOW + 1000), 0);
    }
    let never = case("ErrImageNeverPull", "Container image is not present with pull policy of Never");
    assert_eq!(conclude(&never).back_off, None);
}

#[test]
fn the_scope_is_as_large_as_the_pods_that_fail_alike() {
    let peer = |name: &str, node: &str, of: &str, fails: Option<Class>| Peer {
        name: format!("team/{name}"),
        node: Some(node.to_owned()),
        image: image(of),
        fails,
    };
    let broken = Some(Class::Registry5xx);
    for (peers, extent, pods) in [
        (vec![], Extent::Pod, 1),
        (vec![peer("b", "n2", IMAGE, None)], Extent::Pod, 1),
        (vec![peer("b", "n2", IMAGE, Some(Class::ManifestUnknown))], Extent::Pod, 1),
        (vec![peer("b", "n2", IMAGE, broken)], Extent::Image, 2),
        (vec![peer("b", "n2", "r.test/a/other:1", broken)], Extent::Registry, 2),
        (vec![peer("b", "n1", "r.test/a/other:1", broken)], Extent::Registry, 2),
        (
            vec![peer("b", "n1", "r.test/a/other:1", broken), peer("c", "n2", "r.test/a/third:1", None)],
            Extent::Node,
            2,
        ),
        (vec![peer("b", "n2", "quay.io/a/b:1", broken)], Extent::All, 2),
    ] {
        let found = conclude(&Case { peers: peers.clone(), ..case("ImagePullBackOff", BAD_GATEWAY) }).scope;
        assert_eq!((found.extent, found.pods), (extent, pods), "{peers:?}");
    }
    // Two wrong tags are two mistakes.
    let peers = vec![peer("b", "n2", "r.test/a/app:2", Some(Class::ManifestUnknown))];
    let found = conclude(&Case { peers, ..case("ImagePullBackOff", UNKNOWN_TAG) });
    assert_eq!(found.scope.extent, Extent::Pod);
}

#[test]
fn a_registry_that_works_again_needs_no_repair() {
    let mut case = Case { replay: replay(None), ..case("ImagePullBackOff", BAD_GATEWAY) };
    case.events = vec![event("Failed", BAD_GATEWAY, 4, 50_530 - 600, 50_950 - 600)];
    let found = conclude(&case);
    assert_eq!(
        found.sentence,
        "The pull failed from 13:52:10 to 13:59:10 with registry_5xx (502); r.test is healthy since."
    );
    assert!(found.fix[0].starts_with("Nothing needs repair"), "{:?}", found.fix);
    assert_eq!(found.fix[1], "  kubectl delete pod web-1 --namespace=team");
}

#[test]
fn a_finding_explains_a_refusal_and_nothing_else() {
    let finding = Finding {
        code: "PG0602".to_owned(),
        seen: "the secret is missing".to_owned(),
        fix: "kubectl create secret x".to_owned(),
    };
    let with = |text: &str| conclude(&Case { findings: vec![finding.clone()], ..case("ErrImagePull", text) });
    let refused = with(NO_TOKEN);
    assert!(refused.sentence.starts_with("The secret is missing. "), "{}", refused.sentence);
    assert_eq!((refused.place, &*refused.fix[0]), (Place::Credential, "  kubectl create secret x"));
    let broken = with(BAD_GATEWAY);
    assert!(!broken.sentence.contains("secret") && broken.place == Place::Registry, "{broken:?}");
    assert!(broken.evidence.iter().any(|line| line.from == Witness::Finding), "{broken:?}");
}

#[test]
fn the_fix_names_the_object_that_people_change() {
    let mut wrong = case("InvalidImageName", "couldn't parse image reference");
    (wrong.part.written, wrong.part.image) = ("r.test/A/app:1".to_owned(), None);
    let set = |case: &Case| conclude(case).fix.pop().unwrap();
    assert_eq!(set(&wrong), "  kubectl set image deployment/web main=r.test/a/app:1 --namespace=team");
    wrong.pod.owner = Some(Owner { kind: "job".to_owned(), name: "once".to_owned() });
    assert_eq!(set(&wrong), "  kubectl set image pod/web-1 main=r.test/a/app:1 --namespace=team");
    let never = conclude(&case("ErrImageNeverPull", "not present with pull policy of Never"));
    assert!(
        never.fix[1].starts_with("  kubectl patch deployment/web --namespace=team --patch='{"),
        "{never:?}"
    );
    let full = conclude(&case("ErrImagePull", FULL));
    assert_eq!((full.place, &*full.fix[1]), (Place::Node, "  kubectl cordon n1"));
}
