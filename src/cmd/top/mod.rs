//! `pullgate top`: a live view of a running instance in a terminal.
//!
//! [`source`] reads `/status.json` of the admin endpoint, [`look`] is what the view needs of it, [`rates`] compares two
//! looks, [`frame`] draws them, and [`live`] repeats that until a key ends it.

mod frame;
mod live;
mod look;
mod rates;
mod source;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::time::sleep;

use self::frame::Frame;
use self::rates::Rates;
pub(super) use self::source::reachable;
use self::source::{Source, SourceError};
use crate::cli::{Output, Top};
use crate::process::exit::Exit;
use crate::process::log;

/// The document `/status.json` of the instance that listens at `listen` on this machine, for other commands; `None` if none
/// answers.
pub(super) async fn status(listen: SocketAddr) -> Option<serde_json::Value> {
    let text = Source::new(None, listen).ok()?.text().await.ok()?;
    serde_json::from_str(&text).ok()
}

/// Runs the command for the instance whose admin endpoint the configuration names.
pub(crate) async fn run(config: &config::Config, asked: &Top, output: Output) -> Exit {
    let source = match Source::new(asked.url.as_deref(), config.admin.listen) {
        Ok(source) => source,
        Err(error) => return refuse(&error),
    };
    match (asked.once, output) {
        (true, Output::Json) => print(source.text().await),
        (true, Output::Text) => print(once(&source, Duration::from_secs(asked.every)).await),
        (false, _) if !std::io::stdout().is_terminal() => {
            refuse(&"`top` needs a terminal; `top --once` prints one frame")
        }
        (false, _) => live::run(&source, Duration::from_secs(asked.every)).await,
    }
}

/// One frame as text, with the rates over one interval.
async fn once(source: &Source, every: Duration) -> Result<String, SourceError> {
    let mut rates = Rates::default();
    rates.add(source.look().await?);
    sleep(every).await;
    rates.add(source.look().await?);
    let frame = Frame { rates: &rates, error: None, live: false };
    Ok(text(&frame))
}

/// The frame in 80 columns, without trailing blanks.
fn text(frame: &Frame<'_>) -> String {
    let backend = TestBackend::new(COLUMNS, frame.height());
    let Ok(mut terminal) = Terminal::new(backend);
    let Ok(_) = terminal.draw(|area| frame.draw(area));
    let buffer = terminal.backend().buffer();
    let row = |y| (0..COLUMNS).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..frame.height()).map(|y| row(y).trim_end().to_owned() + "\n").collect()
}

fn print(text: Result<String, SourceError>) -> Exit {
    match text {
        Ok(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => Exit::Fine,
            Err(_) => Exit::Unexpected,
        },
        Err(error) => {
            log::failure(&error.to_string());
            Exit::Unexpected
        }
    }
}

fn refuse(problem: &dyn std::fmt::Display) -> Exit {
    log::failure(&problem.to_string());
    Exit::Usage
}

/// The width of a frame that is printed: of the narrowest terminal that is usual.
const COLUMNS: u16 = 80;
