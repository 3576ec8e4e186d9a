//! Bytes that came out of order, and files that can no longer be read.

use super::*;

async fn committed(size: usize) -> World {
    let world = World::new(size, []).await;
    world.read().await.unwrap();
    world.landed().await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_just_now_is_read_again() {
    let world = committed(6 * MIB).await;
    let opened = world.open().await.unwrap();
    world.trap.set(1, Fault::Reads(EIO));
    assert!(whole(opened).await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0]);
    assert!(world.told.quarantined.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_is_quarantined_and_its_readers_see_a_pause() {
    for windows_before in [0, 1, 5] {
        let world = committed(6 * MIB).await;
        let mut body = world.open().await.unwrap().reader.body(0..6 * MIB as u64);
        let mut bytes = Vec::new();
        for _ in 0..windows_before {
            bytes.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        world.trap.set(2, Fault::Reads(EIO));
        bytes.extend(body.collect().await.unwrap().to_bytes());
        assert!(bytes == world.content, "{windows_before}");
        assert_eq!(*world.told.quarantined.lock().unwrap(), [Quarantined::Unreadable]);
        assert_eq!(world.upstream.requests(), [0, 0]);
        world.landed().await;
        assert_eq!(world.open().await.unwrap().outcome, Origination::Hit);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_for_lack_of_memory_is_not_removed() {
    let world = committed(6 * MIB).await;
    let mut opened = world.open().await.unwrap();
    world.trap.set(i64::MAX, Fault::Reads(ENOMEM));
    let error = opened.reader.probe(0..6 * MIB as u64).await.unwrap_err();
    assert_eq!(error.class, Class::Overloaded);
    assert!(whole(world.open().await.unwrap()).await.is_err(), "a body that has begun is cut");
    world.trap.set(i64::MAX, Fault::ShortWrite);
    assert!(world.read().await.unwrap() == world.content);
    assert!(world.told.quarantined.lock().unwrap().is_empty());
    assert_eq!(world.upstream.requests(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_at_its_beginning_is_a_miss_before_the_headers_are_sent() {
    let world = committed(6 * MIB).await;
    let mut opened = world.open().await.unwrap();
    world.trap.set(2, Fault::Reads(EIO));
    world.upstream.0.script.lock().unwrap().push_back(Answer::refusal(Class::Registry5xx));
    let error = opened.reader.probe(0..6 * MIB as u64).await.unwrap_err();
    assert_eq!(error.class, Class::Registry5xx);
    assert!(world.read().await.unwrap() == world.content);
}

/// A fill with four connections, whose front gets no bytes after 1 MiB.
fn stuck_at_the_front(size: usize, mut others: Vec<Answer>) -> impl Future<Output = World> {
    others.insert(0, stuck_after(MIB as u64));
    World::new(size, others)
}

fn stuck_after(bytes: u64) -> Answer {
    Answer::of([Part::Send(bytes), Part::Await(Arc::new(Semaphore::new(0)))])
}

fn by_four(world: &World) -> Source<Scripted> {
    Source { parallel: 4, ..world.source() }
}

async fn until_sent(world: &World, bytes: usize) {
    while world.upstream.sent() < bytes {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_of_a_paused_fill_are_kept_at_any_offset() {
    let others = vec![Answer::of([Part::Rest]), stuck_after(5_000), stuck_after(70_000), stuck_after(0)];
    let mut world = stuck_at_the_front(100 * MIB, others).await;
    let opened = world.open_from(by_four(&world)).await.unwrap();
    until_sent(&world, 9 * MIB + 75_000).await;
    drop(opened);
    world.restart().await;
    assert_eq!(world.told.ends.lock().unwrap()[0].outcome, FillOutcome::Paused);
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!(world.upstream.sent(), world.content.len());
}

#[test]
fn a_kill_loses_at_most_64_mib_in_any_order_of_bytes() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let killed = runtime();
    let mut world = killed.block_on(stuck_at_the_front(100 * MIB, vec![]));
    let sent = 80 * MIB;
    killed.block_on(async {
        let opened = world.open_from(by_four(&world)).await.unwrap();
        until_sent(&world, sent).await;
        drop(opened);
    });
    drop(killed);
    runtime().block_on(async {
        world.flights = flights(&TempDir::new().unwrap(), &Trap::unset(), &world.told).await;
        world.flights = flights(&world.dir, &world.trap, &world.told).await;
        assert!(world.read().await.unwrap() == world.content);
    });
    let again = world.upstream.sent() - world.content.len();
    assert!(again <= 64 * MIB, "{again} bytes came twice");
}

const ENOMEM: i32 = 12;
