//! All failing pods of a namespace, grouped by registry, class and image, with one diagnosis for each group.

use cluster::api::{PodState, ReadError};
use config::Loaded;
use serde::Serialize;

use super::broken::{Broken, broken};
use super::document::{Document, SCHEMA};
use super::one::of_part;
use super::text;
use crate::cmd::diagnose::asked::Diagnose;
use crate::cmd::diagnose::cluster::Connected;
use crate::cmd::diagnose::layout::{Style, wrapped};

/// The result for a namespace.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Namespace {
    schema: u32,
    namespace: String,
    /// True if an image of a pod does not come.
    pub(super) fault: bool,
    /// All pods, and those that fail.
    pods: usize,
    failing: usize,
    groups: Vec<Group>,
    /// Groups beyond those that were diagnosed.
    more: usize,
}

/// Pods that fail alike.
#[derive(Clone, Debug, Serialize)]
struct Group {
    registry: Option<String>,
    class: &'static str,
    image: String,
    pods: Vec<String>,
    /// The diagnosis of the first of them.
    diagnosis: Document,
}

/// Diagnoses one pod of each group.
///
/// # Errors
/// If the pods may not be read.
pub(super) async fn diagnose(
    loaded: &Loaded,
    connected: &Connected,
    name: &str,
    asked: &Diagnose,
) -> Result<Namespace, ReadError> {
    let pods = connected.reader.pods(name).await?;
    let groups = grouped(&pods);
    let failing = pods.iter().filter(|pod| !broken(pod).is_empty()).count();
    let mut made = Vec::new();
    for (part, of) in groups.iter().take(GROUPS) {
        let Some(first) = of.first() else { continue };
        let diagnosis = of_part(loaded, connected, first, part, asked).await;
        made.push(Group {
            registry: part.image.as_ref().map(|image| image.registry.to_string()),
            class: diagnosis.class.unwrap_or_default(),
            image: part.written.clone(),
            pods: of.iter().map(|pod| pod.workload.id.name.to_string()).collect(),
            diagnosis,
        });
    }
    Ok(Namespace {
        schema: SCHEMA,
        namespace: name.to_owned(),
        fault: failing > 0,
        pods: pods.len(),
        failing,
        more: groups.len().saturating_sub(GROUPS),
        groups: made,
    })
}

/// The groups, the largest first.
fn grouped(pods: &[PodState]) -> Vec<(Broken, Vec<&PodState>)> {
    let mut groups: Vec<(Broken, Vec<&PodState>)> = Vec::new();
    for pod in pods {
        for part in broken(pod) {
            let is_same = |(known, _): &&mut (Broken, _)| {
                known.written == part.written && known.class() == part.class()
            };
            match groups.iter_mut().find(is_same) {
                Some((_, of)) => of.push(pod),
                None => groups.push((part, vec![pod])),
            }
        }
    }
    groups.sort_by_key(|(_, of)| std::cmp::Reverse(of.len()));
    groups
}

/// The result for a person.
pub(super) fn text(document: &Namespace, style: Style) -> String {
    let Namespace { namespace, pods, failing, groups, more, .. } = document;
    if groups.is_empty() {
        return format!("{} namespace {namespace}\n", style.good("✓ ok"))
            + &wrapped("  ", &format!("No image of its {pods} pods fails."));
    }
    let mut text = format!("{} namespace {namespace}\n", style.bad("✗"));
    let causes = if groups.len() == 1 { "1 cause".to_owned() } else { format!("{} causes", groups.len()) };
    text += &wrapped("  ", &format!("{failing} of {pods} pods wait for an image; {causes}."));
    for group in groups {
        text += "\n";
        text += &text::verdict(&group.diagnosis, style);
        if group.pods.len() > 1 {
            text += &wrapped("  ", &format!("The same: {}.", group.pods[1..].join(", ")));
        }
    }
    if *more > 0 {
        text += &wrapped("\n  ", &format!("{more} more groups were not diagnosed."));
    }
    text
}

/// The most groups of which one pod is diagnosed, so that the command ends.
const GROUPS: usize = 10;
