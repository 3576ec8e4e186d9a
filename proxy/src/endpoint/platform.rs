//! The images of an index to pull for wanted platforms, `os/architecture[/variant]` as in OCI image indexes.

use oci::manifest::Child;

/// The children for `platforms`, in their order; those that are no image (attestations) have an unknown platform.
pub(super) fn chosen(manifests: Vec<Child>, platforms: &[String]) -> Result<Vec<Child>, String> {
    let ours = [format!("linux/{}", architecture())];
    let platforms = if platforms.is_empty() { &ours } else { platforms };
    let mut chosen = Vec::new();
    for wanted in platforms {
        let is_wanted = |child: &&Child| {
            let platform = child.platform.as_deref().unwrap_or_default();
            platform == wanted
                || platform.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        match manifests.iter().find(is_wanted) {
            Some(child) => chosen.push(child.clone()),
            None => {
                let there: Vec<_> = manifests.iter().filter_map(|child| child.platform.as_deref()).collect();
                return Err(format!("the image has no {wanted}; it has {}", there.join(", ")));
            }
        }
    }
    Ok(chosen)
}

/// The architecture as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
