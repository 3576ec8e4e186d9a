//! The images of an index to pull for wanted platforms, `os/architecture[/variant]` as in OCI image indexes.

use oci::Platform;
use oci::manifest::Child;

/// The platforms that a command names, or the platform of this machine if it names none.
pub(super) fn wanted(named: &[String]) -> Result<Vec<Platform>, String> {
    match named {
        [] => Ok(vec![Platform::of_this_machine()]),
        named => named.iter().map(|text| text.parse().map_err(|error| format!("{text}: {error}"))).collect(),
    }
}

/// The message for an index that has no child for `wanted`.
pub(super) fn missing(wanted: &Platform, manifests: &[Child]) -> String {
    let there: Vec<_> =
        manifests.iter().filter_map(|child| child.platform.as_ref().map(ToString::to_string)).collect();
    format!("the image has no {wanted}; it has {}", there.join(", "))
}
