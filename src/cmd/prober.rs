//! `pullgate prober`: the prober alone.

use super::serve::roles;
use crate::cli::Common;
use crate::process::exit::Exit;
use crate::run::Roles;

/// Runs the prober without the mirror.
pub(super) async fn run(common: &Common) -> Exit {
    roles(common, Roles::PROBER).await
}
