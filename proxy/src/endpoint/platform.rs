//! The images of an index to pull for wanted platforms, `os/architecture[/variant]` as in OCI image indexes.

use oci::Platform;
use oci::manifest::Child;

/// The children that nodes of `platforms` pull, in their order; without platforms, the child for this machine.
pub(super) fn chosen(manifests: &[Child], platforms: &[String]) -> Result<Vec<Child>, String> {
    let platforms = match platforms {
        [] => vec![Platform::of_this_machine()],
        named => named
            .iter()
            .map(|text| text.parse().map_err(|error| format!("{text}: {error}")))
            .collect::<Result<_, _>>()?,
    };
    let child = |wanted: &Platform| {
        let offered = manifests.iter().map(|child| child.platform.as_ref());
        wanted.choose(offered).map(|index| manifests[index].clone()).ok_or_else(|| missing(wanted, manifests))
    };
    platforms.iter().map(child).collect()
}

fn missing(wanted: &Platform, manifests: &[Child]) -> String {
    let there: Vec<_> =
        manifests.iter().filter_map(|child| child.platform.as_ref().map(ToString::to_string)).collect();
    format!("the image has no {wanted}; it has {}", there.join(", "))
}
