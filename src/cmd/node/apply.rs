//! `pullgate node apply`: writes the documents once the mirror answered for every registry in them.

use node::Target;
use node::files::{self, Root};
use node::render::{Document, Place, render};

use super::report::{no_journal, report};
use crate::cli::{NodeApply, Output};
use crate::cmd::findings::printed;
use crate::cmd::mirror::setup::{ask, setup};
use crate::process::exit::Exit;
use crate::process::log;

pub(super) async fn run(config: &config::Config, asked: &NodeApply, output: Output) -> Exit {
    let setup = match setup(config, &asked.wanted) {
        Ok(setup) => setup,
        Err(error) => {
            log::failure(&error.to_string());
            return Exit::Usage;
        }
    };
    let target = asked.wanted.target;
    let documents = render(&setup, target);
    if let Err(why) = has_files(target, &documents) {
        log::failure(&why);
        return Exit::Usage;
    }
    let root = Root::new(asked.place.root.clone(), asked.place.state.clone());
    if asked.dry_run {
        let lines = files::preview(&root, target, &documents);
        return lines.map_or_else(|error| no_journal(&error), |lines| report(&lines, true, output));
    }
    let faults = match ask(&setup, &asked.place.root).await {
        Ok(faults) => faults,
        Err(error) => {
            log::failure(&error.to_string());
            return Exit::Usage;
        }
    };
    if faults.iter().any(|finding| finding.code.level() == node::Level::Error) {
        log::failure("nothing was written, because the mirror did not answer as it must:");
        return printed(&faults, output);
    }
    match files::apply(&root, target, &documents) {
        Ok(lines) => {
            let exit = report(&lines, false, output);
            say_what_is_left_to_do(target, &documents, lines.iter().any(|line| line.texts.is_some()));
            exit
        }
        Err(error) => no_journal(&error),
    }
}

/// An error if no document is a file that pullgate may write.
pub(super) fn has_files(target: Target, documents: &[Document]) -> Result<(), String> {
    let pasted = |document: &Document| match document.place {
        Place::Paste(place) => Some(place),
        Place::Own(_) | Place::DockerMirrors { .. } => None,
    };
    let places: Vec<_> = documents.iter().filter_map(pasted).collect();
    if places.len() < documents.len() {
        return Ok(());
    }
    Err(format!(
        "{target} has no file on the node that stays as it is written: give the output of `pullgate node render --for {target}` to {}",
        places.join(", ")
    ))
}

fn say_what_is_left_to_do(target: Target, documents: &[Document], has_changed: bool) {
    if let Some(reload) = target.reload().filter(|_| has_changed) {
        eprintln!("pullgate: now run: {reload}");
    }
    if documents.iter().any(|document| matches!(document.place, Place::Paste(_))) {
        eprintln!("pullgate: `pullgate check node` tells whether the runtime reads these files");
    }
}
