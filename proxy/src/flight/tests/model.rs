//! Leaders, followers, failures and departures in random order, over one or several connections, for whole blobs and
//! for parts.

use std::ops::Range;

use super::*;

/// The random choices of one seed.
struct Draw {
    size: usize,
    script: Vec<Answer>,
    clients: usize,
    /// True if the fill may ask for ranges: it uses several connections, or a client wants a part.
    in_pieces: bool,
}

/// Whole bodies are right, the upstream gets no more requests than its failures explain, and the pulls after its last
/// failure succeed.
#[tokio::test(start_paused = true)]
async fn in_any_order_of_events_no_whole_body_is_wrong() {
    for seed in 0..80 {
        pull_through(seed, |random| if random.bool() { MIB } else { 5 * MIB }, false).await;
    }
}

/// The same for fills that ask for ranges. The ranges come side by side and are stored at their offsets.
#[tokio::test(start_paused = true)]
async fn in_any_order_of_pieces_no_whole_body_is_wrong() {
    for seed in 0..16 {
        pull_through(seed, |random| *random.choice(&[5 * MIB, 18 * MIB, 33 * MIB]).unwrap(), true).await;
    }
}

async fn pull_through(seed: u64, size: impl Fn(&mut fastrand::Rng) -> usize, in_pieces: bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let size = size(&mut random);
    let script: Vec<_> = (0..random.usize(0..5)).map(|_| mishap(&mut random, size as u64)).collect();
    let draw = Draw { size, script, clients: random.usize(1..9), in_pieces };
    let world = World::new(size, draw.script.clone()).await;
    let clients = (0..draw.clients).map(|_| client(&world, &draw, random.fork()));
    futures_util::future::join_all(clients).await;
    world.landed().await;
    world.upstream.0.script.lock().unwrap().clear();
    // The bytes that an interrupted transfer left may be wrong, which shows only when the blob is whole. This costs one
    // try.
    let healed = if let Ok(read) = world.read().await { read } else { world.read().await.unwrap() };
    assert!(healed == world.content, "seed {seed}");
    world.landed().await;
    assert!(world.committed_is_right().await, "seed {seed}");
    let (asked, most) = (world.upstream.requests().len(), draw.requests_at_most());
    assert!(asked <= most, "seed {seed}: {asked} requests, {most} at most");
}

impl Draw {
    /// Each failure costs one try, and the bytes that it left may cost another. If the fill asks for ranges, a try has
    /// one request for each cell of the blob, and one more for each reader in the middle of a cell.
    fn requests_at_most(&self) -> usize {
        let tries = self.script.len() + 2;
        let pieces = if self.in_pieces { self.size.div_ceil(8 * MIB) + self.clients } else { 1 };
        tries * pieces
    }

    /// True if the upstream sends wrong bytes. Then a part that was read before the whole blob was hashed may be wrong.
    fn lies(&self) -> bool {
        self.script.iter().any(|answer| answer.parts.iter().any(|part| matches!(part, Part::WrongRest)))
    }
}

fn mishap(random: &mut fastrand::Rng, size: u64) -> Answer {
    let some = Part::Send(random.u64(0..size));
    let class = random.choice([Class::Stalled, Class::Truncated, Class::RateBurst]).unwrap();
    let mut answer = match random.u8(0..5) {
        0 => Answer::refusal(class),
        1 => Answer::of([some, Part::WrongRest]),
        2 => Answer::of([some]),
        _ => Answer::of([some, Part::Break(class)]),
    };
    answer.whole = random.bool();
    answer
}

async fn client(world: &World, draw: &Draw, mut random: fastrand::Rng) {
    tokio::time::sleep(Duration::from_millis(random.u64(0..4000))).await;
    let mut source = match random.u8(0..3) {
        0 => world.source(),
        1 => world.private("org/a"),
        _ => world.private("org/b"),
    };
    let mut wanted = 0..draw.size as u64;
    if draw.in_pieces {
        source.parallel = random.usize(1..5);
        source.in_part = random.bool();
        if source.in_part {
            wanted = part(&mut random, draw.size as u64);
        }
    }
    let Ok(opened) = world.open_from(source).await else { return };
    let is_whole = wanted == (0..opened.length);
    let body = match is_whole {
        true => opened.reader.body(wanted.clone()),
        false => opened.reader.excerpt(wanted.clone(), opened.length),
    };
    if random.bool() {
        let right = &world.content[wanted.start as usize..wanted.end as usize];
        if let Ok(bytes) = body.collect().await {
            assert!(bytes.to_bytes() == right || !is_whole && draw.lies());
        }
    } else {
        let mut body = body;
        for _ in 0..random.u8(0..3) {
            let _ = body.frame().await;
        }
    }
}

fn part(random: &mut fastrand::Rng, size: u64) -> Range<u64> {
    let start = random.u64(0..size);
    start..random.u64(start + 1..=size)
}
