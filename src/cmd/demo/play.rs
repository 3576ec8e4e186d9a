//! Plays the scenes of the demo, once or repeatedly.

use super::report::{Event, Reporter, Totals};
use super::scene;
use super::stage::{DemoError, Stage};
use crate::cli::Output;
use crate::process::exit::Exit;
use crate::process::{log, signal};

/// Plays the scenes once, or repeatedly until stopped.
pub(crate) async fn run(once: bool, output: Output) -> Exit {
    let (reporter, mut totals) = (Reporter::new(output), Totals::default());
    let played = tokio::select! {
        played = play(once, &reporter, &mut totals) => played,
        _ = signal::stop() => Ok(true),
    };
    let told = reporter.tell(&Event::Totals(&totals));
    match (played, told) {
        (Ok(true), Ok(())) => Exit::Fine,
        (Ok(false), Ok(())) => Exit::CheckFailed,
        (Err(error), _) => {
            log::failure(&format!("demo: {error}"));
            Exit::Unexpected
        }
        (_, Err(_)) => Exit::Unexpected,
    }
}

async fn play(once: bool, reporter: &Reporter, totals: &mut Totals) -> Result<bool, DemoError> {
    let mut stage = Stage::set().await?;
    reporter.tell(&Event::Start { mirror: stage.mirror, admin: stage.admin })?;
    loop {
        let as_expected = scene::cycle(&mut stage, reporter, totals).await?;
        reporter.tell(&Event::End { once, as_expected })?;
        if once {
            return Ok(as_expected);
        }
        reporter.tell(&Event::Totals(totals))?;
    }
}
