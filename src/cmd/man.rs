//! `pullgate man`: the manual page.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::process::exit::Exit;

/// Prints the page as roff.
pub(super) fn print() -> Exit {
    match clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout()) {
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unexpected,
    }
}
