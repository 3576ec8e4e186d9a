//! `pullgate coverage`: asks the running instance which workloads could restart.

use config::Loaded;

use super::instance::{ask, print, print_json};
use crate::admin::human::count;
use crate::cli::{Coverage as Asked, Output};
use crate::coverage::document::{Coverage, Image, Restartable, Workload};
use crate::process::control::Request;
use crate::process::exit::Exit;

/// Asks, and prints the answer.
pub(crate) async fn run(loaded: &Loaded, asked: &Asked, output: Output) -> Exit {
    let coverage = match ask::<Coverage>(loaded, &Request::Coverage).await {
        Ok(coverage) => narrowed(coverage, asked),
        Err(exit) => return exit,
    };
    let printed = match output {
        Output::Json => print_json(&coverage),
        Output::Text => print(&text(&coverage)),
    };
    match printed {
        Err(exit) => exit,
        Ok(()) if coverage.failing().next().is_some() => Exit::CheckFailed,
        Ok(()) => Exit::Fine,
    }
}

/// The workloads that were asked for. The counts stay those of all.
fn narrowed(mut coverage: Coverage, asked: &Asked) -> Coverage {
    coverage.workloads.retain(|workload| {
        let here = asked.namespace.as_ref().is_none_or(|namespace| *namespace == workload.namespace);
        here && (!asked.failing || workload.restartable == Restartable::No)
    });
    coverage
}

fn text(coverage: &Coverage) -> String {
    let mut text = table(&coverage.workloads);
    let counts = coverage.counts;
    text += &format!(
        "{}: {} could restart ({} from the cache alone), {} could not, {} unknown\n",
        count(counts.workloads, "workload"),
        counts.restartable,
        counts.from_cache_only,
        counts.not_restartable,
        counts.unknown
    );
    for note in &coverage.notes {
        text += &format!("note: {note}\n");
    }
    text
}

fn table(workloads: &[Workload]) -> String {
    let lines =
        workloads.iter().flat_map(|workload| workload.images.iter().map(move |image| (workload, image)));
    let lines: Vec<_> = lines.map(|(workload, image)| (row(workload, image), details(image))).collect();
    if lines.is_empty() {
        return String::new();
    }
    let head = HEADER.map(str::to_owned);
    let width = |column: usize| {
        let cells = lines.iter().map(|(row, _)| &row[column]).chain([&head[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let rows = lines.iter().map(|(row, details)| line(row, &widths) + details);
    line(&head, &widths) + &rows.collect::<String>()
}

fn line(cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let cells: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

fn row(workload: &Workload, image: &Image) -> [String; COLUMNS] {
    [
        workload.namespace.clone(),
        workload.kind_and_name(),
        image.image.clone(),
        image.restartable.as_str().to_owned(),
        image.source.map_or("-", |source| source.as_str()).to_owned(),
    ]
}

/// Cause and fix, each in a line of its own. They are sentences, and would make a column too wide.
fn details(image: &Image) -> String {
    let mut text = String::new();
    if let Some(cause) = &image.cause {
        let class = image.class.as_ref().filter(|class| !cause.starts_with(class.as_str()));
        let class = class.map_or_else(String::new, |class| format!("{class}: "));
        text += &format!("    cause: {class}{cause}\n");
    }
    if let Some(fix) = &image.fix {
        text += &format!("    fix:   {fix}\n");
    }
    text
}

/// The number of columns.
const COLUMNS: usize = 5;
/// The heads of the columns.
const HEADER: [&str; COLUMNS] = ["NAMESPACE", "WORKLOAD", "IMAGE", "RESTARTABLE", "SOURCE"];
