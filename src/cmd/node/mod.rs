//! `pullgate node`: the configuration that sends a node's pulls to the mirror.
//!
//! The model comes from the configuration file and the arguments ([`super::mirror`]); `report` prints what was done.

mod apply;
mod guard;
mod render;
mod report;
mod restore;

use crate::cli::{Node, Output};
use crate::process::exit::Exit;

/// Runs one of the commands.
pub(super) async fn run(config: &config::Config, asked: Node, output: Output) -> Exit {
    match asked {
        Node::Render(wanted) => render::run(config, &wanted, output),
        Node::Apply(asked) => apply::run(config, &asked, output).await,
        Node::Restore(asked) => restore::run(&asked, output),
        Node::Guard(asked) => guard::run(config, &asked).await,
    }
}
