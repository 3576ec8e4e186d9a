//! Loads the configuration for a command; prints every problem of the file if it cannot.

use crate::cli::Common;
use crate::process::exit::Exit;
use crate::process::log;

/// Loads the file that the command line names; without one, the defaults.
pub(super) fn load(common: &Common) -> Result<config::Loaded, Exit> {
    match config::Config::load(common.config.as_deref()) {
        Ok(loaded) => {
            log::show_names(loaded.config.log.names);
            Ok(loaded)
        }
        Err(report) => {
            log::refused(&report);
            Err(Exit::Usage)
        }
    }
}
