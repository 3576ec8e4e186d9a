//! `pullgate completion`: a script that completes the command line in a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{Cli, NAME};
use crate::process::exit::Exit;

/// Prints the script for `shell`.
pub(super) fn print(shell: Shell) -> Exit {
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut std::io::stdout());
    Exit::Fine
}
