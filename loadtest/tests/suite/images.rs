//! Real clients accept the images: skopeo copies them from the registry and from a layout folder.

use std::path::Path;

use loadtest::{
    image::{Image, Index, Layer, media},
    registry::Registry,
};
use tokio::process::Command;

#[test]
fn the_same_seed_makes_the_same_image() {
    let make = |seed| Image::with_layers(seed, &[1000, 10]);
    assert_eq!(make(1).digest(), make(1).digest());
    assert_ne!(make(1).digest(), make(2).digest());
    assert_ne!(make(1).layers[0].digest, make(2).layers[0].digest);
    let base = |seed| Image::builder(seed).layer(Layer::new().file("base", 50).seed(9)).layer_of(5).finish();
    assert_eq!(base(1).layers[0], base(2).layers[0], "a shared base layer");
    assert_ne!(base(1).layers[1], base(2).layers[1]);
}

#[test]
fn an_image_lists_the_files_it_unpacks_to() {
    let layer = Layer::new().file("etc/app/motd", 700).file("etc/empty", 0);
    let image = Image::builder(1).layer(layer.clone()).layer(layer.plain()).finish();
    let files: Vec<_> = image.files().iter().map(|file| (file.path.clone(), file.bytes.len())).collect();
    assert_eq!(files[..2], [("etc/app/motd".to_owned(), 700), ("etc/empty".to_owned(), 0)]);
    assert_eq!(image.layers[0].media_type, media::OCI_LAYER_GZIP);
    assert_eq!(image.layers[1].media_type, media::OCI_LAYER);
}

#[tokio::test]
async fn skopeo_copies_from_the_registry() {
    let registry = Registry::start().await.unwrap();
    let oci = Image::builder(1).layer_of(3000).plain_layer_of(100).finish();
    let docker = Image::builder(2).docker().layer_of(3000).finish();
    let arm = Image::builder(3).platform("linux", "arm64").layer_of(20).finish();
    registry.add_image("apps/oci", "1", &oci);
    registry.add_image("apps/docker", "1", &docker);
    registry.add_index("apps/all", "1", &Index::oci(vec![oci.clone(), arm]));
    let folder = tempfile::tempdir().unwrap();
    for (name, image) in [("oci", &oci), ("docker", &docker), ("all", &oci)] {
        let source = format!("docker://{}/apps/{name}:1", registry.authority());
        let target = folder.path().join(name);
        skopeo(&["--override-arch", "amd64", "copy", "--src-tls-verify=false", &source, &dir(&target)]).await;
        let manifest = std::fs::read(target.join("manifest.json")).unwrap();
        assert_eq!(manifest, image.manifest.bytes, "{name}");
    }
}

#[tokio::test]
async fn skopeo_copies_from_a_layout_folder() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let (one, two) = (Image::with_layers(1, &[500]), Image::with_layers(2, &[500]));
    one.write_layout(&layout, "one").unwrap();
    Index::oci(vec![two.clone()]).write_layout(&layout, "two").unwrap();
    for (tag, image) in [("one", &one), ("two", &two)] {
        let target = folder.path().join(tag);
        let source = format!("oci:{}:{tag}", layout.display());
        skopeo(&["--override-arch", "amd64", "copy", &source, &dir(&target)]).await;
        assert_eq!(std::fs::read(target.join("manifest.json")).unwrap(), image.manifest.bytes);
    }
}

fn dir(path: &Path) -> String {
    format!("dir:{}", path.display())
}

async fn skopeo(arguments: &[&str]) {
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments)
        .output()
        .await
        .expect("skopeo runs; install it with: apt-get install skopeo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
