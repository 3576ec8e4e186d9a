//! The reach of a failure.

use std::collections::BTreeSet;

use oci::class::Family;
use oci::{Class, ImageName};

use super::case::{Case, Peer};

oci::labels! {
    /// The extent of a failure.
    Extent {
        /// This pod alone.
        Pod = "pod";
        /// All pods of this image that were seen.
        Image = "image";
        /// Pods of one node, while others work.
        Node = "node";
        /// Several images of one registry.
        Registry = "registry";
        /// Several registries.
        All = "all";
    }
}

/// The extent, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The extent.
    pub extent: Extent,
    /// The pods that fail alike, this one included.
    pub pods: usize,
    /// In words.
    pub text: String,
}

/// Pods that fail with another class are another failure, and do not count.
pub(super) fn scope(case: &Case, class: Class) -> Scope {
    let alike: Vec<&Peer> = case.peers.iter().filter(|peer| fails_alike(case, peer, class)).collect();
    let pods = 1 + alike.iter().map(|peer| peer.name.as_str()).collect::<BTreeSet<_>>().len();
    let extent = extent(case, &alike);
    Scope { extent, pods, text: text(case, extent, pods, &alike) }
}

fn fails_alike(case: &Case, peer: &Peer, class: Class) -> bool {
    let of_content = class.rules().family == Family::Content;
    let is_same = case.part.image.as_ref() == Some(&peer.image);
    peer.fails == Some(class) && (is_same || !of_content)
}

fn extent(case: &Case, alike: &[&Peer]) -> Extent {
    if alike.is_empty() {
        return Extent::Pod;
    }
    let own = case.part.image.iter();
    let images: BTreeSet<String> =
        alike.iter().map(|peer| &peer.image).chain(own).map(ToString::to_string).collect();
    let registries: BTreeSet<&str> = alike
        .iter()
        .map(|peer| &peer.image)
        .chain(&case.part.image)
        .map(|image| image.registry.as_str())
        .collect();
    if images.len() > 1 && is_of_one_node(case, alike) {
        return Extent::Node;
    }
    match (registries.len(), images.len()) {
        (2.., _) => Extent::All,
        (_, 2..) => Extent::Registry,
        _ => Extent::Image,
    }
}

/// True if all failing pods are on this pod's node, while the same registries work on another node.
fn is_of_one_node(case: &Case, alike: &[&Peer]) -> bool {
    let elsewhere = |peer: &&Peer| peer.fails.is_none() && peer.node.is_some() && peer.node != case.pod.node;
    let registry = case.part.image.as_ref().map(|image| &image.registry);
    alike.iter().all(|peer| peer.node == case.pod.node)
        && case.peers.iter().filter(elsewhere).any(|peer| Some(&peer.image.registry) == registry)
}

fn text(case: &Case, extent: Extent, pods: usize, alike: &[&Peer]) -> String {
    let image = case.part.image.as_ref();
    let registry = image.map(|image| image.registry.to_string()).unwrap_or_default();
    let node = case.pod.node.as_deref().unwrap_or("this node");
    let names = names(alike);
    let who = match extent {
        Extent::Pod => "this pod alone".to_owned(),
        Extent::Image => format!("the image: {pods} pods fail alike ({names})"),
        Extent::Node => {
            format!("the node {node}: {pods} pods fail alike there ({names}), and other nodes work")
        }
        Extent::Registry => format!("the registry {registry}: {pods} pods of several images ({names})"),
        Extent::All => format!("several registries: {pods} pods fail alike ({names})"),
    };
    match image.and_then(|image| elsewhere(case, image)) {
        Some(works) => format!("{who}; {works}"),
        None => who,
    }
}

/// The pods that have the same image.
fn elsewhere(case: &Case, image: &ImageName) -> Option<String> {
    let works = case.peers.iter().filter(|peer| peer.fails.is_none() && peer.image == *image);
    let nodes: BTreeSet<&str> = works.clone().filter_map(|peer| peer.node.as_deref()).collect();
    let count = works.map(|peer| peer.name.as_str()).collect::<BTreeSet<_>>().len();
    let nodes = nodes.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    let pods = if count == 1 { "pod runs" } else { "pods run" };
    (count > 0).then(|| format!("{count} {pods} with the same image on {nodes}"))
}

fn names(alike: &[&Peer]) -> String {
    let names: BTreeSet<&str> = alike.iter().map(|peer| peer.name.as_str()).collect();
    let more = names.len().saturating_sub(SHOWN);
    let mut shown = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        shown += &format!(" and {more} more");
    }
    shown
}

/// Names that a text shows.
const SHOWN: usize = 3;
