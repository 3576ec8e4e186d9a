//! `pullgate proxy`: the mirror alone.

use super::serve::roles;
use crate::cli::Common;
use crate::process::exit::Exit;
use crate::run::Roles;

/// Runs the mirror without the prober.
pub(super) async fn run(common: &Common) -> Exit {
    roles(common, Roles::PROXY).await
}
