//! A disk that fails, and processes that are killed.

use std::io;
use std::sync::mpsc;

use oci::Stage;
use registry::Reason;
use store::SLOW;
use store::faulty::Call;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_full_disk_prevents_the_copy_and_not_the_pull() {
    for size in [MIB, 20 * MIB] {
        let world = World::new(size, []).await;
        world.trap.set(0, Fault::Always(ENOSPC));
        assert!(world.read().await.unwrap() == world.content);
        world.landed().await;
        assert_eq!(world.told.ends.lock().unwrap()[0].outcome, FillOutcome::PassedThrough);
        assert!(!world.told.disk.lock().unwrap().is_empty());
    }
}

/// A client waits for the hash, but never for the disk (design decision 4a).
#[tokio::test]
async fn a_slow_sync_costs_a_client_nothing() {
    for size in [MIB, 5 * MIB, 70 * MIB] {
        let mut took = Vec::new();
        for delay in [Duration::ZERO, Duration::from_secs(1)] {
            let world = World::new(size, []).await;
            world.trap.slow_syncs(delay);
            let began = Instant::now();
            assert!(world.read().await.unwrap() == world.content);
            took.push(began.elapsed());
            world.landed().await;
            assert!(world.committed_is_right().await);
            assert_eq!(world.told.ends.lock().unwrap()[0].outcome, FillOutcome::Committed);
        }
        assert!(took[1] < took[0] + Duration::from_millis(900), "{size} bytes: {took:?}");
    }
}

/// If a client misses its deadline because of the disk, the error must not blame the registry.
#[tokio::test]
async fn a_slow_disk_is_not_called_a_stalled_registry() {
    let world = World::new(5 * MIB, []).await;
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    world.trap.rule(move |_, _| {
        // `recv` returns when the sender is dropped.
        let _released = held.lock().unwrap().recv();
        Ok(())
    });
    let error = world.flights.open(world.source(), Instant::now() + SLOW + Duration::from_millis(500)).await;
    let error = error.unwrap_err();
    assert_eq!((error.class, error.stage), (Class::DiskSlow, Stage::BlobFirstByte), "{error}");
    assert_eq!((error.evidence.reason, error.evidence.host.as_str()), (Some(Reason::SlowDisk), ""));
    let message = error.evidence.message.as_deref().unwrap();
    assert!(message.starts_with("the operation `"), "{message}");
    assert!(message.contains("` of the cache's disk has taken 1."), "{message}");
    drop(release);
    assert!(world.read().await.unwrap() == world.content, "the disk is well again");
}

/// Lets each file operation in turn fail. The body must be right or visibly short, committed content must be right, and
/// the next pull on a healed disk must be right. Ends with the first run in which no operation fails.
async fn sweep(fault: Fault) {
    for operation in 0.. {
        let world = World::new(4 * MIB + 1, []).await;
        world.trap.set(operation, fault);
        let reads = futures_util::future::join_all([world.read(), world.read()]).await;
        for bytes in reads.into_iter().flatten() {
            assert!(bytes == world.content, "operation {operation}");
        }
        world.landed().await;
        let went_off = world.trap.went_off();
        world.trap.set(i64::MAX, fault);
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(world.read().await.unwrap() == world.content, "operation {operation}, healed");
        world.landed().await;
        assert!(world.committed_is_right().await, "operation {operation}, committed");
        if !went_off {
            assert!(operation > 10, "a fill takes more operations than {operation}");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_whole_body_is_wrong_if_any_operation_lacks_space() {
    sweep(Fault::Once(ENOSPC)).await;
}

#[tokio::test(start_paused = true)]
async fn no_whole_body_is_wrong_if_any_operation_fails_once() {
    sweep(Fault::Once(EIO)).await;
}

#[tokio::test(start_paused = true)]
async fn no_whole_body_is_wrong_if_the_disk_dies_at_any_operation() {
    sweep(Fault::Always(EIO)).await;
}

#[tokio::test(start_paused = true)]
async fn no_whole_body_is_wrong_if_access_is_denied_from_any_operation_on() {
    sweep(Fault::Always(EACCES)).await;
}

#[tokio::test(start_paused = true)]
async fn no_whole_body_is_wrong_if_any_write_is_short() {
    sweep(Fault::ShortWrite).await;
}

#[test]
fn a_kill_loses_at_most_the_bytes_since_the_last_checkpoint() {
    let at = 90 * MIB as u64;
    let stuck = Answer::of([Part::Send(at), Part::Await(Arc::new(Semaphore::new(0)))]);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let killed = runtime();
    let mut world = killed.block_on(World::new(100 * MIB, [stuck]));
    killed.block_on(async {
        let mut body = world.open().await.unwrap().reader.body(0..at);
        while body.frame().await.is_some() {}
    });
    drop(killed);
    runtime().block_on(async {
        world.flights = flights(&TempDir::new().unwrap(), &Trap::unset(), &world.told).await;
        world.flights = flights(&world.dir, &world.trap, &world.told).await;
        assert!(world.read().await.unwrap() == world.content);
    });
    let resumed = world.upstream.requests()[1];
    assert!((at - (64 << 20)..=at).contains(&resumed), "resumed at {resumed}");
}

/// A fill without a file loses bytes that new clients would need. So the fill is closed to them, and they begin another
/// fill, which has a file once there is space again.
#[tokio::test(start_paused = true)]
async fn a_closed_fill_that_its_clients_left_does_not_end_the_next_fill() {
    let (never, gate, at) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)), 6 * MIB as u64);
    let mut spilled = vec![Part::Send(MIB as u64); 6];
    spilled.push(Part::Await(never));
    let stored = Answer::of([Part::Send(at), Part::Await(gate.clone()), Part::Rest]);
    let world = World::new(20 * MIB, [Answer::of(spilled), stored]).await;
    world.trap.set(0, Fault::Always(ENOSPC));
    let mut first = world.open().await.unwrap().reader.body(0..20 * MIB as u64);
    read_up_to(&mut first, 6 * MIB).await;
    world.trap.set(i64::MAX, Fault::Always(ENOSPC));

    let second = world.open().await.unwrap();
    assert_eq!(second.outcome, Origination::Miss, "the first lost bytes");
    let mut second = second.reader.body(0..20 * MIB as u64);
    read_up_to(&mut second, 6 * MIB).await;
    drop(first);
    while world.told.ends.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let third = world.open().await.unwrap();
    assert_eq!(third.outcome, Origination::Joined);
    gate.add_permits(1);
    assert!(whole(third).await.unwrap() == world.content);
    assert!(second.collect().await.unwrap().to_bytes() == world.content[6 * MIB..]);
    world.landed().await;
    assert_eq!(world.upstream.requests(), [0, 0]);
    assert!(world.committed_is_right().await);
    assert_eq!(world.open().await.unwrap().outcome, Origination::Hit);
}

async fn read_up_to(body: &mut crate::flight::reader::BlobBody, end: usize) {
    let mut read = 0;
    while read < end {
        read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    assert_eq!(read, end);
}

/// Holds the next call of this kind until the sender says how the call ends. The semaphore gets a permit when the call
/// waits.
fn hold(world: &World, held: Call) -> (Arc<Semaphore>, mpsc::Sender<io::Result<()>>) {
    let (waiting, (release, released)) = (Arc::new(Semaphore::new(0)), mpsc::channel());
    let (reached, once) = (waiting.clone(), Mutex::new(Some(released)));
    world.trap.rule(move |call, _| {
        let released = if call == held { once.lock().unwrap().take() } else { None };
        released.map_or(Ok(()), |released| {
            reached.add_permits(1);
            released.recv().unwrap()
        })
    });
    (waiting, release)
}

/// A fill of 70 MiB that all clients left after `mibs`, and a client that came while the fill put its bytes aside.
async fn left_and_joined(mibs: usize, held: Call, then: io::Result<()>) -> (World, Opened) {
    let mut parts = vec![Part::Send(MIB as u64); mibs];
    parts.push(Part::Await(Arc::new(Semaphore::new(0))));
    let world = World::new(70 * MIB, [Answer::of(parts)]).await;
    let mut body = world.open().await.unwrap().reader.body(0..70 * MIB as u64);
    read_up_to(&mut body, mibs * MIB).await;
    let (waiting, release) = hold(&world, held);
    drop(body);
    waiting.acquire().await.unwrap().forget();
    let joined = world.open().await.unwrap();
    assert_eq!(joined.outcome, Origination::Joined);
    release.send(then).unwrap();
    (world, joined)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_joins_while_a_fill_pauses_makes_it_go_on() {
    for (mibs, held) in [(0, Call::Remove), (3, Call::Change)] {
        let (world, joined) = left_and_joined(mibs, held, Ok(())).await;
        let mut body = joined.reader.body(0..joined.length);
        read_up_to(&mut body, mibs * MIB).await;
        body.frame().await.unwrap().unwrap();
        let reserved = world.flights.store.standing().reserved_bytes;
        assert_eq!(reserved, 70 * MIB as u64, "space is set aside for all of it");
        body.collect().await.unwrap();
        world.landed().await;
        assert_eq!(world.upstream.requests(), [0, (mibs * MIB) as u64]);
        assert!(whole(world.open().await.unwrap()).await.unwrap() == world.content);
        assert_eq!(world.told.ends.lock().unwrap()[0].outcome, FillOutcome::Committed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_joins_while_a_fill_pauses_gets_all_bytes_even_if_the_disk_is_full() {
    let (world, joined) = left_and_joined(0, Call::Remove, Ok(())).await;
    world.trap.set(0, Fault::Always(ENOSPC));
    assert!(whole(joined).await.unwrap() == world.content);
    world.landed().await;
    assert_eq!(world.told.ends.lock().unwrap()[0].outcome, FillOutcome::PassedThrough);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_may_have_read_bytes_lost_during_a_pause_gets_no_others_in_their_place() {
    let (world, joined) = left_and_joined(3, Call::Change, Err(io::ErrorKind::StorageFull.into())).await;
    assert!(matches!(whole(joined).await, Err(Cut::Disk(_))));
    assert!(world.read().await.unwrap() == world.content);
    world.landed().await;
    assert!(world.committed_is_right().await);
    assert_eq!(world.open().await.unwrap().outcome, Origination::Hit);
}

const ENOSPC: i32 = 28;
const EACCES: i32 = 13;
