//! How long a tag's answer is valid, and which answers are never valid again.

use std::time::Duration;

use config::Access;
use loadtest::image::Image;
use loadtest::registry::{Answer, Rule};
use store::TagRecord;

use crate::rig::{Plan, REGISTRY, Rig};

const TAG: &str = "org/app/manifests/1";

fn image(seed: u64) -> Image {
    Image::with_layers(seed, &[1000])
}

/// Marks an answer as a mirror does that could not ask the registry.
fn marked_stale(rule: Rule) -> Rule {
    rule.header("X-Pullgate-Outcome", "stale")
}

async fn record(rig: &Rig) -> Option<TagRecord> {
    let (registry, repository, tag) = (REGISTRY.parse(), "org/app".parse(), "1".parse());
    rig.proxy.store().tags().get(&registry.unwrap(), &repository.unwrap(), &tag.unwrap()).await
}

#[tokio::test]
async fn a_stale_copy_of_the_mirror_above_is_no_younger_than_ours() {
    for (stale_limit, status) in [(Duration::from_secs(3600), 200), (Duration::ZERO, 503)] {
        let rig = Rig::with(Plan { stale_limit, ..Plan::default() }).await;
        rig.upstream.add_image("org/app", "1", &image(1));
        assert_eq!(rig.get(TAG).await.outcome(), "miss");
        let before = record(&rig).await;
        for rule in [Rule::manifest(), Rule::manifest().no_digest()] {
            rig.upstream.clear_faults();
            rig.upstream.fault(marked_stale(rule));
            let heard = rig.get(TAG).await;
            assert_eq!(heard.status, status, "{heard:?}");
            if status == 200 {
                assert_eq!(heard.outcome(), "stale");
                assert!(heard.header("warning").unwrap().contains("answered with a stale copy"));
            }
            assert_eq!(record(&rig).await, before, "nothing stale renews");
        }
    }
}

#[tokio::test]
async fn a_stale_copy_of_the_mirror_above_is_relayed_where_we_have_none_and_not_recorded() {
    for rule in [Rule::manifest(), Rule::manifest().no_digest()] {
        for (stale_limit, status) in [(Duration::from_secs(3600), 200), (Duration::ZERO, 503)] {
            let rig = Rig::with(Plan { stale_limit, ..Plan::default() }).await;
            rig.upstream.add_image("org/app", "1", &image(1));
            rig.upstream.fault(marked_stale(rule.clone()));
            let heard = rig.get(TAG).await;
            assert_eq!(heard.status, status, "{heard:?}");
            assert!(status != 200 || heard.outcome() == "stale");
            assert_eq!(record(&rig).await, None);
        }
    }
}

#[tokio::test]
async fn a_manifest_that_comes_late_does_not_take_its_tag_back() {
    let rig = Rig::start().await;
    let (old, new) = (image(1), image(2));
    rig.upstream.add_image("org/app", "1", &old);
    assert_eq!(rig.head(TAG).await.header("docker-content-digest"), Some(old.digest()));
    rig.upstream.add_image("org/app", "1", &new);
    assert_eq!(rig.get(TAG).await.header("docker-content-digest"), Some(new.digest()));
    // The client that was told the old digest asks for it only now.
    assert_eq!(rig.get(&format!("org/app/manifests/{}", old.digest())).await.status, 200);
    rig.upstream.stop().await;
    let stale = rig.get(TAG).await;
    assert_eq!((stale.outcome(), stale.header("docker-content-digest")), ("stale", Some(new.digest())));
}

#[tokio::test]
async fn what_the_registry_lacks_is_asked_for_once_and_found_soon_after_it_was_pushed() {
    let rig = Rig::with(Plan { absent_max_age: Duration::from_secs(1), ..Plan::default() }).await;
    rig.upstream.add_image("org/app", "other", &image(9));
    let pushed = image(1);
    for reference in ["1", pushed.digest()] {
        let path = format!("org/app/manifests/{reference}");
        rig.upstream.clear_log();
        for _ in 0..5 {
            let (head, get) = (rig.head(&path).await, rig.get(&path).await);
            assert_eq!((head.status, get.status), (404, 404));
            assert_eq!(get.oci_error().0, "MANIFEST_UNKNOWN");
        }
        // There is one request, or a few more if the test takes longer than a second.
        assert!(rig.upstream.log().iter().count() <= 3, "{:?}", rig.upstream.log());
    }
    rig.upstream.add_image("org/app", "1", &pushed);
    for reference in ["1", pushed.digest()] {
        while rig.get(&format!("org/app/manifests/{reference}")).await.status == 404 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(rig.get(TAG).await.body, pushed.manifest.bytes);
}

#[tokio::test]
async fn only_a_true_absence_is_remembered() {
    let day = Duration::from_secs(86_400);
    for (rule, status) in [
        (Rule::manifest().denied(), 403),
        (Rule::manifest().answer(Answer::status(401)), 403),
        (Rule::manifest().unavailable(500), 503),
    ] {
        let rig = Rig::with(Plan { absent_max_age: day, access: Access::Shared, ..Plan::default() }).await;
        rig.upstream.add_image("org/app", "1", &image(1));
        rig.upstream.fault(rule);
        assert_eq!(rig.get(TAG).await.status, status);
        rig.upstream.clear_faults();
        assert_eq!(rig.get(TAG).await.status, 200);
    }
}

#[tokio::test]
async fn an_outage_does_not_bring_back_what_was_removed_before_it() {
    let rig = Rig::start().await;
    rig.upstream.add_image("org/app", "1", &image(1));
    assert_eq!(rig.get(TAG).await.status, 200);
    rig.upstream.remove("org/app", "1");
    assert_eq!(rig.get(TAG).await.status, 404);
    rig.upstream.stop().await;
    let heard = rig.get(TAG).await;
    assert_eq!((heard.status, heard.class()), (503, "connect_refused"));

    rig.upstream.restart().unwrap();
    rig.upstream.add_image("org/app", "1", &image(1));
    assert_eq!(rig.get(TAG).await.outcome(), "hit", "there again");
    rig.upstream.stop().await;
    assert_eq!(rig.get(TAG).await.outcome(), "stale");
}

/// The replicas of the registry disagree: one has the tag's new digest, and the other does not have the manifest yet.
#[tokio::test]
async fn a_tag_whose_new_manifest_is_not_everywhere_yet_keeps_its_old_meaning_as_stale() {
    for (stale_limit, status) in [(Duration::from_secs(3600), 200), (Duration::ZERO, 404)] {
        let rig = Rig::with(Plan { stale_limit, ..Plan::default() }).await;
        let (old, new) = (image(1), image(2));
        rig.upstream.add_image("org/app", "1", &old);
        assert_eq!(rig.get(TAG).await.status, 200);
        rig.upstream.add_image("org/app", "1", &new);
        rig.upstream.fault(Rule::manifest().get().reference(new.digest()).status(404));
        for heard in [rig.head(TAG).await, rig.get(TAG).await] {
            assert_eq!((heard.status, heard.class()), (status, "digest_gone"), "{heard:?}");
            if status == 200 {
                assert_eq!(heard.outcome(), "stale");
                assert_eq!(heard.header("docker-content-digest"), Some(old.digest()));
            }
        }
        rig.upstream.clear_faults();
        assert_eq!(rig.get(TAG).await.header("docker-content-digest"), Some(new.digest()));
    }
}

#[tokio::test]
async fn what_is_kept_though_removed_says_so_also_while_the_registry_is_down() {
    let plan = Plan { keep_removed: true, stale_limit: Duration::ZERO, ..Plan::default() };
    let rig = Rig::with(plan).await;
    rig.upstream.add_image("org/app", "1", &image(1));
    assert_eq!(rig.get(TAG).await.status, 200);
    rig.upstream.remove("org/app", "1");
    for class in ["manifest_unknown", "connect_refused"] {
        let heard = rig.get(TAG).await;
        assert_eq!((heard.status, heard.outcome(), heard.class()), (200, "stale", class));
        let warning = heard.header("warning").unwrap();
        assert!(warning.contains("no longer has it") && warning.contains("keep_removed"), "{warning}");
        rig.upstream.stop().await;
    }
    assert!(record(&rig).await.unwrap().gone_at.is_some());
}
