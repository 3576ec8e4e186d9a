//! Plays the scenes of the demo, once or again and again.

use super::scene;
use super::stage::{DemoError, Stage};
use crate::process::exit::Exit;
use crate::process::signal;

/// Plays the scenes: once, or again and again until stopped.
pub(crate) async fn run(once: bool) -> Exit {
    let played = tokio::select! {
        played = play(once) => played,
        _ = signal::stop() => Ok(true),
    };
    match played {
        Ok(true) => Exit::Fine,
        Ok(false) => Exit::CheckFailed,
        Err(error) => {
            eprintln!("pullgate: demo: {error}");
            Exit::Unexpected
        }
    }
}

async fn play(once: bool) -> Result<bool, DemoError> {
    let mut stage = Stage::set().await?;
    println!("An embedded registry misbehaves on a schedule; every pull goes through the mirror.\n");
    println!("  mirror   http://{}", stage.mirror);
    println!("  status   http://{}/", stage.admin);
    println!("  metrics  http://{}/metrics", stage.admin);
    loop {
        let as_expected = scene::cycle(&mut stage).await?;
        if once {
            let verdict =
                if as_expected { "every pull went as it should" } else { "not every pull went as it should" };
            println!("\n{verdict}");
            return Ok(as_expected);
        }
        println!("\nthe cycle begins again; stop with Ctrl-C");
    }
}
