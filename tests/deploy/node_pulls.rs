//! Real containerds use the node files: the tests check which server each image pull asks.

use std::fs;

use loadtest::image::Image;
use support::containerd::Release;
use support::{Containerd, DockerRegistry, HostsDir, Scratch, Skopeo};

use crate::{files, nodes};

const RELEASES: [Release; 3] = [Release::System, Release::V1_7, Release::V2];
const IMAGE: &str = "org/app:1";

/// A mirror and a registry that both hold the image; their logs show which of them was asked.
struct Node {
    containerd: Containerd,
    hosts: HostsDir,
    mirror: DockerRegistry,
    registry: DockerRegistry,
    _scratch: Scratch,
}

impl Node {
    async fn start(release: Release) -> Self {
        let scratch = Scratch::new();
        let (mirror, registry) =
            (DockerRegistry::start(&scratch).await, DockerRegistry::start(&scratch).await);
        let skopeo = Skopeo::new(&scratch);
        let image = Image::with_layers(1, &[1000]);
        for holder in [&mirror, &registry] {
            skopeo.push(&image, &holder.image(IMAGE)).await.ok();
        }
        let containerd = Containerd::start(release, &scratch).await;
        Self { containerd, hosts: HostsDir::new(&scratch), mirror, registry, _scratch: scratch }
    }

    /// Installs a shipped file; only the mirror's address is changed.
    fn install(&self, folder: &str, file: &str) {
        let text = files::text(file).replace(&nodes::mirror(), &self.mirror.url());
        self.hosts.write(folder, &text);
    }

    async fn pull(&self, image: &str) {
        self.containerd.pull_with(image, &self.hosts, &["--plain-http"]).await.ok();
    }
}

/// Number of containerd's requests that a registry answered with content, and how many of them carried `ns`.
fn asked(registry: &DockerRegistry, ns: &str) -> (usize, usize) {
    let requests = registry.requests();
    let pulls =
        requests.iter().filter(|request| request.user_agent.contains("containerd") && request.status == 200);
    let (mut all, mut named) = (0, 0);
    for request in pulls {
        all += 1;
        named += usize::from(request.path.ends_with(&format!("?ns={ns}")));
    }
    (all, named)
}

#[tokio::test]
async fn the_file_of_a_registry_sends_every_request_to_the_mirror() {
    for release in RELEASES {
        let node = Node::start(release).await;
        node.install("ghcr.io", &format!("{}/ghcr.io/hosts.toml", nodes::CERTS_D));
        node.pull(&format!("ghcr.io/{IMAGE}")).await;
        let (all, named) = asked(&node.mirror, "ghcr.io");
        assert!(all >= 4, "{release:?}: expected tag, manifest, config and layer, got {all} requests");
        assert_eq!(all, named, "{release:?}: every request names the registry in `ns`");
    }
}

#[tokio::test]
async fn default_sends_registries_without_a_directory_to_the_mirror() {
    for release in RELEASES {
        let node = Node::start(release).await;
        node.install("_default", nodes::DEFAULT);
        node.pull(&node.registry.image(IMAGE)).await;
        assert!(asked(&node.mirror, "").0 >= 4, "{release:?}");
        assert_eq!(asked(&node.registry, "").0, 0, "{release:?}");
    }
}

/// The cost of `_default`: it does not apply to registries that have a directory, even an empty one.
#[tokio::test]
async fn a_registrys_own_directory_bypasses_default_even_if_empty() {
    for release in RELEASES {
        let node = Node::start(release).await;
        node.install("_default", nodes::DEFAULT);
        let own = node.registry.address().replace(':', "_") + "_";
        fs::create_dir(node.hosts.path().join(own)).unwrap();
        node.pull(&node.registry.image(IMAGE)).await;
        assert_eq!(asked(&node.mirror, "").0, 0, "{release:?}");
        assert!(asked(&node.registry, "").0 >= 4, "{release:?}");
    }
}

/// Without `server`, containerd falls back to the registry of the image.
#[tokio::test]
async fn default_falls_back_to_the_registry_when_the_mirror_is_gone() {
    for release in RELEASES {
        let mut node = Node::start(release).await;
        node.install("_default", nodes::DEFAULT);
        node.mirror.stop().await;
        node.pull(&node.registry.image(IMAGE)).await;
        assert!(asked(&node.registry, "").0 >= 4, "{release:?}");
    }
}
