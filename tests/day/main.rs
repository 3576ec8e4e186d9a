//! A bad day of a registry, and its effect on a cluster that pulls through pullgate.
//!
//! Nineteen plain clients and a real containerd pull all day long. Meanwhile the upstream's quota runs out, its token
//! server goes down, its certificate expires and its blob host disappears; at the end all faults are gone. `DAY` is
//! the length of the day in seconds: 180 by default, 1,800 for `make day`, which prints the report.
//!
//! - `world`: the registry with its three hosts, pullgate, the images.
//! - `trouble`: the parts of the day, how each begins and ends, and the classes that it allows.
//! - `client`: pulls and their results.
//! - `report`: the counts, the promises, and the table.

#![allow(clippy::unwrap_used)]

mod client;
mod report;
#[allow(dead_code)]
#[path = "../e2e/setup.rs"]
mod setup;
mod trouble;
mod world;

use std::time::Duration;

use report::Report;
use trouble::Trouble;
use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_bad_day_no_cached_pull_fails_and_no_cached_digest_is_requested() {
    let day = Day::from_env();
    let world = World::start(day).await;
    let mut report = Report::default();
    for trouble in Trouble::ALL {
        report.add(world.live_through(trouble).await);
    }
    world.all_is_as_the_registry_says().await;
    println!("{report}");
    report.keeps_the_promises(day);
}

/// The day's length, and the times derived from it.
#[derive(Clone, Copy, Debug)]
struct Day(Duration);

impl Day {
    fn from_env() -> Self {
        let seconds = std::env::var("DAY").map_or(SECONDS, |text| text.parse().expect("DAY is in seconds"));
        Self(Duration::from_secs(seconds))
    }

    /// The length of one of the six parts.
    fn part(self) -> Duration {
        self.0 / Trouble::ALL.len() as u32
    }

    /// `tag_max_age`: a fifth of a part, which is one minute in half an hour.
    fn tag_max_age(self) -> Duration {
        self.part() / 5
    }

    /// The longest pause of a client between two pulls.
    fn rest(self) -> Duration {
        (self.tag_max_age() / 2).min(Duration::from_secs(5))
    }
}

/// The length in CI, in seconds.
const SECONDS: u64 = 180;
