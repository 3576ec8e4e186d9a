//! `pullgate node apply`: writes the documents once the mirror answered for every registry in them.

use node::files::{self, Root};
use node::render::{Document, Place, render};
use node::{Level, Target};

use super::report::{no_journal, report};
use crate::cli::{NodeApply, Output};
use crate::cmd::findings::printed;
use crate::cmd::mirror::setup::{ask, setup};
use crate::process::exit::Exit;
use crate::process::log;

pub(super) async fn run(config: &config::Config, asked: &NodeApply, output: Output) -> Exit {
    let target = asked.wanted.target;
    let prepared = setup(config, &asked.wanted).map_err(|error| error.to_string()).and_then(|setup| {
        let documents = render(&setup, target);
        has_files(target, &documents).map(|()| (setup, documents))
    });
    let (setup, documents) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            log::failure(&why);
            return Exit::Usage;
        }
    };
    let root = Root::new(asked.place.root.clone(), asked.place.state.clone());
    if asked.dry_run {
        let lines = files::preview(&root, target, &documents);
        return lines.map_or_else(|error| no_journal(&error), |lines| report(&lines, true, output));
    }
    match ask(&setup, &asked.place.root).await {
        Ok(faults) if faults.iter().any(|finding| finding.code.level() == Level::Error) => {
            log::failure("nothing was written, because the mirror did not answer as it must:");
            printed(&faults, output)
        }
        Ok(_) => write(&root, target, &documents, output),
        Err(error) => {
            log::failure(&error.to_string());
            Exit::Usage
        }
    }
}

fn write(root: &Root, target: Target, documents: &[Document], output: Output) -> Exit {
    match files::apply(root, target, documents) {
        Ok(lines) => {
            let exit = report(&lines, false, output);
            say_what_is_left_to_do(target, documents, lines.iter().any(|line| line.texts.is_some()));
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
