//! The view that goes on until a key ends it.

use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::frame::Frame;
use super::rates::Rates;
use super::source::{Source, SourceError};
use crate::process::exit::Exit;
use crate::process::log;

/// Draws a frame every `every`, and at each change of the terminal's size, until `q`, Escape or Control-C.
pub(super) async fn run(source: &Source, every: Duration) -> Exit {
    let mut terminal = match ratatui::try_init() {
        Ok(terminal) => terminal,
        Err(error) => {
            log::failure(&format!("the terminal cannot be used: {error}"));
            return Exit::Unexpected;
        }
    };
    let (mut rates, mut error) = (Rates::default(), None);
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut keys = keys();
    let ended = loop {
        tokio::select! {
            _ = tick.tick() => error = refresh(&mut rates, source).await.err(),
            pressed = keys.recv() => match pressed {
                Some(Pressed::Quit) | None => break Ok(()),
                Some(Pressed::Resize) => {}
            },
        }
        let frame = Frame { rates: &rates, error: error.as_ref(), live: true };
        if let Err(error) = terminal.draw(|area| frame.draw(area)) {
            break Err(error);
        }
    };
    ratatui::restore();
    match ended {
        Ok(()) => Exit::Fine,
        Err(error) => {
            log::failure(&format!("the terminal is gone: {error}"));
            Exit::Unexpected
        }
    }
}

async fn refresh(rates: &mut Rates, source: &Source) -> Result<(), SourceError> {
    rates.add(source.look().await?);
    Ok(())
}

/// The events of the terminal that matter here.
enum Pressed {
    Quit,
    Resize,
}

/// Reads the terminal on a thread of its own, which ends with the process: a read of the terminal cannot be cancelled.
fn keys() -> mpsc::Receiver<Pressed> {
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let pressed = match event {
                Event::Key(key) if ends(key) => Pressed::Quit,
                Event::Resize(..) => Pressed::Resize,
                _ => continue,
            };
            if sender.blocking_send(pressed).is_err() {
                return;
            }
        }
    });
    receiver
}

fn ends(key: KeyEvent) -> bool {
    let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}
