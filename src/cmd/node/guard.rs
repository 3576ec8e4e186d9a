//! `pullgate node guard`: asks the mirror, and takes it out of the configuration while it is silent.

use std::time::Duration;

use node::files::{self, JournalError, Line, Root};
use node::guard::{Guard, Rules, Step};
use node::render::{Document, render};
use node::{Level, Setup, Target};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::apply::has_files;
use super::report::no_journal;
use crate::cli::NodeGuard;
use crate::cmd::mirror::setup::{ask, setup};
use crate::process::exit::Exit;
use crate::process::{log, signal};

pub(super) async fn run(config: &config::Config, asked: &NodeGuard) -> Exit {
    let watch = match Watch::new(config, asked) {
        Ok(watch) => watch,
        Err(why) => {
            log::failure(&why);
            return Exit::Usage;
        }
    };
    let guard = match files::is_applied(&watch.root, watch.target) {
        Ok(true) => Guard::resumed(watch.rules),
        Ok(false) => Guard::new(watch.rules),
        Err(error) => return no_journal(&error),
    };
    tokio::select! {
        () = watch.endless(guard, asked.every) => Exit::Unexpected,
        stopped = signal::stop() => watch.end(asked.keep, stopped.is_ok()),
    }
}

/// What is watched, and the files that follow it.
struct Watch {
    setup: Setup,
    target: Target,
    documents: Vec<Document>,
    root: Root,
    node_root: std::path::PathBuf,
    rules: Rules,
}

impl Watch {
    fn new(config: &config::Config, asked: &NodeGuard) -> Result<Self, String> {
        let setup = setup(config, &asked.wanted).map_err(|error| error.to_string())?;
        let target = asked.wanted.target;
        let documents = render(&setup, target);
        has_files(target, &documents)?;
        if !target.reads_at_every_pull() {
            return Err(format!(
                "{target} reads its files only when it is told to ({}), so that a guard of its files has no effect",
                target.reload().unwrap_or_default()
            ));
        }
        let rules = Rules {
            out_after: asked.out_after,
            back_after: asked.back_after,
            hold: asked.hold,
            hold_max: Rules::default().hold_max.max(asked.hold),
        };
        let root = Root::new(asked.place.root.clone(), asked.place.state.clone());
        Ok(Self { setup, target, documents, root, node_root: asked.place.root.clone(), rules })
    }

    async fn endless(&self, mut guard: Guard, every: Duration) {
        let begun = Instant::now();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut undone = None;
        loop {
            ticks.tick().await;
            let (answered, why) = self.answers().await;
            let step = guard.judge(answered, begun.elapsed()).or(undone);
            undone = step.filter(|step| !self.carry_out(*step, &why));
        }
    }

    /// Whether the mirror answers for every registry, and the reason if not.
    async fn answers(&self) -> (bool, String) {
        match ask(&self.setup, &self.node_root).await {
            Err(error) => (false, error.to_string()),
            Ok(findings) => match findings.iter().find(|finding| finding.code.level() == Level::Error) {
                Some(finding) => (false, format!("{} {}", finding.code, finding.seen)),
                None => (true, String::new()),
            },
        }
    }

    /// False if the files could not be changed, so that the step has to be taken again.
    fn carry_out(&self, step: Step, why: &str) -> bool {
        let (done, what) = match step {
            Step::TakeOut => (files::restore(&self.root, Some(self.target)), format!("mirror out: {why}")),
            Step::PutIn => (files::apply(&self.root, self.target, &self.documents), "mirror in".to_owned()),
        };
        say(&what, &done)
    }

    fn end(&self, keep: bool, in_order: bool) -> Exit {
        let is_done = if keep {
            eprintln!("pullgate: guard ends; the configuration stays as it is");
            true
        } else {
            say("guard ends, mirror out", &files::restore(&self.root, Some(self.target)))
        };
        if is_done && in_order { Exit::Fine } else { Exit::Unexpected }
    }
}

/// Reports a change on standard error; false if it was not done.
fn say(what: &str, done: &Result<Vec<Line>, JournalError>) -> bool {
    match done {
        Ok(lines) => {
            let changed = lines.iter().filter(|line| line.texts.is_some()).count();
            eprintln!("pullgate: {what} ({changed} files changed)");
            for (line, why) in lines.iter().filter_map(|line| Some((line, line.left.as_ref()?))) {
                eprintln!("pullgate: {} left alone {}: {why}", why.code(), line.path.display());
            }
            true
        }
        Err(error) => {
            log::failure(&format!("{what}: {error}"));
            false
        }
    }
}
