//! Content that may be wrong, after a boot or when a client asks for it again.

use store::Verdict;

use super::*;

/// A committed blob whose store was opened again after a reboot of the machine. If `rotted` is set, one bit at that
/// offset changed meanwhile.
async fn after_a_boot(size: usize, rotted: Option<usize>) -> World {
    let mut world = committed(size).await;
    rot(&world, rotted);
    let record = world.dir.path().join("v1/checked");
    let text = std::fs::read_to_string(&record).unwrap();
    let (boot, digests) = text.split_once('\n').unwrap();
    assert!(boot.starts_with("boot ") && digests.contains(&world.source().digest.to_string()), "{text}");
    std::fs::write(&record, format!("boot another\n{digests}")).unwrap();
    world.restart().await;
    world
}

async fn committed(size: usize) -> World {
    let world = World::new(size, []).await;
    world.read().await.unwrap();
    world.landed().await;
    world
}

fn file(world: &World) -> std::path::PathBuf {
    let hex = world.source().digest.hex().to_owned();
    world.dir.path().join("v1/blobs/sha256").join(&hex[..2]).join(hex)
}

fn rot(world: &World, at: Option<usize>) {
    let Some(at) = at else { return };
    let path = file(world);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at] ^= 1;
    // The file is changed in place, so that readers that have it open read the same bytes.
    std::fs::write(&path, bytes).unwrap();
}

fn checks(world: &World) -> Vec<Quarantined> {
    world.told.checks.lock().unwrap().clone()
}

fn quarantined(world: &World) -> Vec<Quarantined> {
    world.told.quarantined.lock().unwrap().clone()
}

async fn until_quarantined(world: &World) {
    while quarantined(world).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_boot_content_is_hashed_once_for_all_its_readers() {
    for size in [MIB, 6 * MIB] {
        let mut world = after_a_boot(size, None).await;
        for read in futures_util::future::join_all((0..5).map(|_| world.read())).await {
            assert!(read.unwrap() == world.content);
        }
        assert!(world.read().await.unwrap() == world.content);
        assert_eq!(checks(&world), [Quarantined::Boot]);

        world.restart().await;
        assert!(world.read().await.unwrap() == world.content);
        assert_eq!(checks(&world), [Quarantined::Boot], "the process alone started again");
        assert_eq!(world.upstream.requests(), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_rotted_before_a_boot_is_cut_for_all_readers_and_fetched_again() {
    for at in [0, 3 * MIB, 6 * MIB - 1] {
        let world = after_a_boot(6 * MIB, Some(at)).await;
        let opened = [world.open().await.unwrap(), world.open().await.unwrap()];
        assert_eq!(opened[0].outcome, Origination::Hit);
        for opened in opened {
            assert!(matches!(whole(opened).await, Err(Cut::Wrong)), "{at}");
        }
        assert_eq!(quarantined(&world), [Quarantined::Boot]);
        assert!(world.read().await.unwrap() == world.content);
        assert_eq!(world.upstream.requests(), [0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_blob_that_rotted_before_a_boot_is_a_miss() {
    let world = after_a_boot(MIB, Some(77)).await;
    let opened = world.open().await.unwrap();
    assert_eq!(opened.outcome, Origination::Miss);
    assert!(whole(opened).await.unwrap() == world.content);
    assert_eq!(quarantined(&world), [Quarantined::Boot]);
}

/// A crash that left wrong content on a file system often makes the system mount it read-only.
#[tokio::test(start_paused = true)]
async fn a_rotted_blob_that_cannot_be_removed_passes_through_until_it_can_be_replaced() {
    for size in [MIB, 6 * MIB] {
        let world = after_a_boot(size, Some(0)).await;
        world.trap.read_only();
        let first = world.read().await;
        assert_eq!(first.is_ok(), size == MIB, "the beginning of a large blob has left when it is found out");
        for _ in 0..3 {
            let opened = world.open().await.unwrap();
            assert_eq!(opened.outcome, Origination::Miss);
            assert!(whole(opened).await.unwrap() == world.content);
            world.landed().await;
        }
        assert_eq!(quarantined(&world), [Quarantined::Boot]);

        world.trap.unruled();
        assert!(world.read().await.unwrap() == world.content);
        world.landed().await;
        assert!(world.committed_is_right().await);
        let hit = world.open().await.unwrap();
        assert_eq!(hit.outcome, Origination::Hit);
        assert!(whole(hit).await.unwrap() == world.content);
        assert_eq!(checks(&world), [Quarantined::Boot], "what was fetched anew is believed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotted_manifest_that_cannot_be_removed_is_replaced_by_the_next_put() {
    let world = after_a_boot(MIB, Some(0)).await;
    let (digest, store) = (world.source().digest, &world.flights.store);
    world.trap.read_only();
    assert_eq!(store.read_small(&digest).await, None);
    assert_eq!(store.read_small(&digest).await, None);
    assert_eq!(quarantined(&world), [Quarantined::Boot]);

    world.trap.unruled();
    let verified = digest.verify(&world.content).unwrap();
    store.put(Kind::Manifest, world.content.clone(), &verified).await;
    store.flush().await;
    assert!(world.committed_is_right().await);
}

/// The old file was never read. The new file is verified, so it replaces the old one.
#[tokio::test(start_paused = true)]
async fn a_file_that_could_not_be_opened_for_a_moment_is_replaced_by_the_fetched_one() {
    for size in [MIB, 6 * MIB] {
        let world = after_a_boot(size, Some(0)).await;
        world.trap.rule(|call, path| match call {
            Call::Open if path.iter().any(|part| part == "blobs") => {
                Err(std::io::Error::from_raw_os_error(EMFILE))
            }
            _ => Ok(()),
        });
        let opened = world.open().await.unwrap();
        assert_eq!(opened.outcome, Origination::Miss);
        assert!(whole(opened).await.unwrap() == world.content);
        world.landed().await;

        world.trap.unruled();
        let hit = world.open().await.unwrap();
        assert_eq!(hit.outcome, Origination::Hit);
        assert!(whole(hit).await.unwrap() == world.content);
        assert!(world.committed_is_right().await);
        assert_eq!((checks(&world), quarantined(&world)), (vec![], vec![]));
    }
}

/// Replaces the file of a blob when its check has begun and has read nothing yet.
async fn replaced_while_it_is_checked(before: Option<usize>, after: Option<usize>) -> World {
    let world = after_a_boot(6 * MIB, before).await;
    let (digest, store) = (world.source().digest, &world.flights.store);
    let blob = store.blob(&digest).await.unwrap().unwrap();
    let check = store.check(&digest, &blob, false).unwrap();
    let (path, beside) = (file(&world), world.dir.path().join("beside"));
    let mut bytes = world.content.to_vec();
    after.into_iter().for_each(|at| bytes[at] ^= 1);
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(beside, path).unwrap();
    let verdict = if before.is_none() { Verdict::Right } else { Verdict::Wrong };
    assert_eq!(check.verdict().await, verdict);
    world
}

#[tokio::test(start_paused = true)]
async fn a_file_that_replaced_another_during_its_check_is_judged_by_its_own_content() {
    let world = replaced_while_it_is_checked(Some(0), None).await;
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!((quarantined(&world), world.upstream.requests()), (vec![], vec![0]));

    let world = replaced_while_it_is_checked(None, Some(0)).await;
    assert!(matches!(world.read().await, Err(Cut::Wrong)));
    assert_eq!(quarantined(&world), [Quarantined::Boot]);
}

/// A part cannot be checked alone, so a request for a part starts a check of the whole blob.
#[tokio::test(start_paused = true)]
async fn a_part_is_served_at_once_and_its_whole_blob_is_checked() {
    let world = after_a_boot(6 * MIB, Some(5 * MIB)).await;
    let opened = world.open().await.unwrap();
    let length = opened.length;
    let part = opened.reader.excerpt(length - 9..length, length);
    assert!(part.collect().await.unwrap().to_bytes() == world.content[length as usize - 9..]);
    until_quarantined(&world).await;
    assert_eq!(world.open().await.unwrap().outcome, Origination::Miss);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_body_waits_for_the_verdict_like_the_whole() {
    let world = after_a_boot(6 * MIB, Some(0)).await;
    let opened = world.open().await.unwrap();
    let rest = opened.reader.body(3 * MIB as u64..opened.length);
    assert!(matches!(rest.collect().await, Err(Cut::Wrong)));
}

/// A client that got all but the held piece and did not wait for it may ask for that piece alone.
#[tokio::test(start_paused = true)]
async fn the_held_piece_alone_waits_for_the_verdict_too() {
    for (rotted, past_the_hold) in [(Some(0), 0), (Some(0), 9), (None, 0), (None, 9)] {
        let world = after_a_boot(6 * MIB, rotted).await;
        let mut opened = world.open().await.unwrap();
        let range = opened.length - 64 * 1024 + past_the_hold..opened.length;
        opened.reader.probe(range.clone()).await.unwrap();
        let mut body = opened.reader.body(range.clone());
        if rotted.is_some() {
            let first = body.frame().await.unwrap();
            assert!(matches!(first, Err(Cut::Wrong)), "not one unverified byte leaves");
            assert_eq!(quarantined(&world), [Quarantined::Boot]);
        } else {
            assert!(body.collect().await.unwrap().to_bytes() == world.content[range.start as usize..]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_fails_during_its_check_is_not_continued_from_the_upstream() {
    let world = after_a_boot(6 * MIB, Some(0)).await;
    let mut body = world.open().await.unwrap().reader.body(0..6 * MIB as u64);
    body.frame().await.unwrap().unwrap();
    world.trap.set(i64::MAX, Fault::Reads(EIO));
    assert!(body.collect().await.is_err());
    until_quarantined(&world).await;
    world.trap.set(i64::MAX, Fault::ShortWrite);
    assert!(world.read().await.unwrap() == world.content);
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_cannot_be_checked_for_lack_of_memory_is_cut_and_not_removed() {
    for size in [MIB, 6 * MIB] {
        let world = after_a_boot(size, None).await;
        world.trap.set(i64::MAX, Fault::Reads(ENOMEM));
        match world.open().await {
            Ok(opened) => {
                let check = opened.reader.check().unwrap();
                whole(opened).await.unwrap_err();
                // The body may end before the check does, and a client that comes meanwhile joins the check.
                assert_eq!(check.verdict().await, Verdict::Unknown);
            }
            Err(error) => assert_eq!(error.class, Class::Overloaded),
        }
        world.trap.set(i64::MAX, Fault::ShortWrite);
        assert!(world.read().await.unwrap() == world.content);
        assert!(quarantined(&world).is_empty());
        assert_eq!(world.upstream.requests(), [0], "{size}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fetches_a_blob_again_has_it_checked_at_most_once_an_hour() {
    let world = committed(6 * MIB).await;
    let again = || world.open_from(Source { repeated: true, ..world.source() });
    for expected in [1, 1, 2] {
        assert!(whole(again().await.unwrap()).await.unwrap() == world.content);
        assert_eq!(checks(&world), vec![Quarantined::Repeat; expected]);
        tokio::time::sleep(Duration::from_secs(1801)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_blob_that_a_client_fetches_again_is_replaced() {
    let world = committed(6 * MIB).await;
    rot(&world, Some(0));
    assert!(whole(world.open().await.unwrap()).await.is_ok(), "hits trust the commit");
    let again = || world.open_from(Source { repeated: true, ..world.source() });
    assert!(matches!(whole(again().await.unwrap()).await, Err(Cut::Wrong)));
    assert_eq!(quarantined(&world), [Quarantined::Repeat]);
    assert!(whole(again().await.unwrap()).await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0, 0]);
}

const ENOMEM: i32 = 12;
const EMFILE: i32 = 24;
