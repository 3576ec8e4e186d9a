//! `pullgate node restore`: takes back what `apply` wrote.

use node::files::{self, Root};

use super::report::{no_journal, report};
use crate::cli::{NodeRestore, Output};
use crate::process::exit::Exit;

pub(super) fn run(asked: &NodeRestore, output: Output) -> Exit {
    let root = Root::new(asked.place.root.clone(), asked.place.state.clone());
    let lines = match asked.dry_run {
        true => files::preview_restore(&root, asked.target),
        false => files::restore(&root, asked.target),
    };
    match lines {
        Ok(lines) => {
            let exit = report(&lines, asked.dry_run, output);
            if let Some(reload) = asked.target.and_then(node::Target::reload).filter(|_| !asked.dry_run) {
                eprintln!("pullgate: now run: {reload}");
            }
            exit
        }
        Err(error) => no_journal(&error),
    }
}
