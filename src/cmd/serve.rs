//! `pullgate serve`: the mirror and the prober in one process.

use super::load::load;
use crate::cli::Common;
use crate::process::exit::Exit;
use crate::process::log;
use crate::run::Roles;
use crate::run::serve::run as run_roles;

/// Runs both parts.
pub(super) async fn run(common: &Common) -> Exit {
    roles(common, Roles::BOTH).await
}

/// Runs the parts that `roles` names, until the process is asked to stop.
pub(super) async fn roles(common: &Common, roles: Roles) -> Exit {
    let loaded = match load(common) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    match run_roles(loaded, roles).await {
        Ok(()) => Exit::Fine,
        Err(error) => {
            log::failure(&error.to_string());
            error.exit()
        }
    }
}
