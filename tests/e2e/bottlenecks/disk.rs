//! A cache whose disk is slow to open a layer.

use std::process::{Child, Command, Stdio};

use super::*;
use crate::setup::file_of;

/// The kernel lets nobody open a file on which another process holds a write lease; it asks that process to give the
/// lease up (fcntl(2), `F_SETLEASE`), and this one takes its time.
#[tokio::test]
async fn a_disk_that_is_slow_to_open_a_layer_is_the_disk() {
    let mut world = World::start(300_000).await;
    pull_by_hand(&world.pullgate, &world.image).await;
    world.records.when(1).await;
    world.pullgate.stop().await;
    let layer = file_of(&world.scratch, &world.image.largest_layer().digest);
    let mut lease = lease_on(&layer);
    world.pullgate.start_again().await;

    world.pull("n").await;
    assert!(lease.wait().unwrap().success(), "the lease was asked back");
    let told = world.bottleneck(2).await;
    assert_named(&told, ("disk", None, "the mirror's disk"));
    assert_eq!(told.2["outcome"], "hit");
}

/// A program that has taken the lease, and returns it late.
fn lease_on(file: &std::path::Path) -> Child {
    let give_back = format!("select(undef, undef, undef, {}); fcntl($f, 1024, 2); exit", SLOW.as_secs_f64());
    let script = format!(
        "open($f, '+<', $ARGV[0]) or die $!; $SIG{{IO}} = sub {{ {give_back} }}; \
         fcntl($f, 1024, 1) or die $!; print \"held\\n\"; close(STDOUT); sleep 60; exit 1"
    );
    let mut child =
        Command::new("perl").args(["-e", &script]).arg(file).stdout(Stdio::piped()).spawn().unwrap();
    let said = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    assert_eq!(said, "held\n");
    child
}
