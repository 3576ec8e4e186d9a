//! What real clients say about each fault: the classifier must name it, and the corpus keeps the text.
//!
//! `world` makes the faults, `clients` pulls with real clients, `record` writes the texts to
//! `crates/diagnose/corpus/real-*.toml` when `UPDATE` is set:
//!
//! ```text
//! UPDATE=1 cargo nextest run -p pullgate --test corpus
//! ```

#![allow(clippy::unwrap_used)]

mod clients;
mod record;
mod world;

use support::Release;

use crate::clients::Client;
use crate::world::World;

#[tokio::test]
async fn the_system_containerd_tells_every_fault() {
    tells_every_fault(Client::Containerd(Release::System)).await;
}

#[tokio::test]
async fn containerd_1_7_tells_every_fault() {
    tells_every_fault(Client::Containerd(Release::V1_7)).await;
}

#[tokio::test]
async fn containerd_2_tells_every_fault() {
    tells_every_fault(Client::Containerd(Release::V2)).await;
}

#[tokio::test]
async fn skopeo_tells_every_fault() {
    tells_every_fault(Client::Skopeo).await;
}

#[tokio::test]
async fn crane_tells_every_fault() {
    tells_every_fault(Client::Crane).await;
}

#[tokio::test]
async fn oras_tells_every_fault() {
    tells_every_fault(Client::Oras).await;
}

/// Pulls once for each fault, and checks that the classifier names it from what the client says.
async fn tells_every_fault(client: Client) {
    let world = World::start().await;
    let puller = client.start(&world).await;
    let (mut told, mut wrong) = (Vec::new(), Vec::new());
    for fault in world.faults().into_iter().filter(|fault| client.can_meet(fault)) {
        let text = world.without_traces(&puller.fail(&fault).await, puller.folder());
        let reading = diagnose::classify(&text);
        println!("{}: {}\n{text}\n", fault.name, reading.class);
        if !fault.classes.contains(&reading.class) {
            wrong
                .push(format!("{}: read as {}, not {:?}:\n{text}", fault.name, reading.class, fault.classes));
        }
        told.push((fault.name, text, reading));
    }
    assert!(told.len() > 15, "{client:?} met only {} faults", told.len());
    record::write(client, &puller.version().await, &told);
    assert!(wrong.is_empty(), "{client:?}:\n{}", wrong.join("\n\n"));
}
