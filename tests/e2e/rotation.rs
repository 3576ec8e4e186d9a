//! Secrets that change while pullgate runs, with the steps of Kubernetes: a new folder, then a switched symlink.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use loadtest::image::Image;
use loadtest::registry::{Access, Registry, Tokens};
use loadtest::tls::Authority;
use support::http::Answer;
use support::{Pullgate, Scratch};

use crate::setup::{BIN, REGISTRY, config, upstream};

/// A volume of a Kubernetes secret: the files are links through `..data`, which is switched in one step.
struct Volume(PathBuf);

impl Volume {
    fn new(scratch: &Scratch, name: &str, content: &str) -> Self {
        let volume = Self(scratch.folder("secret"));
        volume.put(name, content);
        symlink(format!("..data/{name}"), volume.0.join(name)).unwrap();
        volume
    }

    fn put(&self, name: &str, content: &str) {
        let version = format!("..{}", fs::read_dir(&self.0).unwrap().count());
        fs::create_dir(self.0.join(&version)).unwrap();
        fs::write(self.0.join(&version).join(name), content).unwrap();
        symlink(&version, self.0.join("..data_tmp")).unwrap();
        fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

#[tokio::test]
async fn a_rotated_password_is_used_for_the_next_token_and_an_old_token_is_replaced() {
    let scratch = Scratch::new();
    let (registry, images) = private("first").await;
    let volume = Volume::new(&scratch, "password", "first\n");
    let credentials = format!("{{ username = \"ann\", password_file = {:?} }}", volume.file("password"));
    rotates(&scratch, &registry, &images, &credentials, || volume.put("password", "second\n")).await;
}

#[tokio::test]
async fn a_rotated_docker_configuration_is_used_for_the_next_token() {
    let scratch = Scratch::new();
    let entry = |password: &str| {
        format!(
            "{{\"auths\": {{\"{REGISTRY}/library\": {{\"username\": \"ann\", \"password\": \"{password}\"}}}}}}"
        )
    };
    let (registry, images) = private("first").await;
    let volume = Volume::new(&scratch, ".dockerconfigjson", &entry("first"));
    let credentials = format!("{{ docker_config = {:?} }}", volume.file(".dockerconfigjson"));
    rotates(&scratch, &registry, &images, &credentials, || volume.put(".dockerconfigjson", &entry("second")))
        .await;
}

async fn rotates(
    scratch: &Scratch,
    registry: &Registry,
    images: &[Image],
    credentials: &str,
    rotate: impl Fn(),
) {
    let config = config(scratch)
        + &upstream("test", REGISTRY, &registry.url())
        + &format!("access = \"shared\"\ncredentials = {credentials}\n");
    let pullgate = Pullgate::start(BIN, scratch, &config).await;
    assert_eq!(blob(&pullgate, &images[0]).await.status, 200);

    // The registry rotates: earlier tokens and the old password are no longer accepted.
    registry.require(access("second"));
    let refused = blob(&pullgate, &images[1]).await;
    assert_eq!((refused.status.as_u16(), refused.header("x-pullgate-class")), (403, Some("auth_rejected")));

    rotate();
    let answer = blob(&pullgate, &images[1]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    // The request that finds the token revoked gets a new one.
    let before = registry.log().tokens();
    registry.revoke_tokens();
    assert_eq!(blob(&pullgate, &images[2]).await.status, 200);
    assert_eq!(registry.log().tokens(), before + 1);
}

#[tokio::test]
async fn a_rotated_authority_is_used_for_new_connections() {
    let scratch = Scratch::new();
    let (old, new) = (Authority::new(), Authority::new());
    let registry = Registry::start_tls(new.for_loopback()).await.unwrap();
    registry.add_image("library/app", "1", &Image::with_layers(51, &[100]));
    let volume = Volume::new(&scratch, "ca.pem", &old.pem());
    let config = config(&scratch)
        + &upstream("test", REGISTRY, &registry.url())
        + &format!("ca_file = {:?}\n", volume.file("ca.pem"));
    let pullgate = Pullgate::start(BIN, &scratch, &config).await;
    let pull = || pullgate.get(&format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send();
    assert_eq!(pull().await.header("x-pullgate-class"), Some("tls_unknown_ca"));

    volume.put("ca.pem", &new.pem());
    assert_eq!(pull().await.status, 200);

    volume.put("ca.pem", "no certificate");
    registry.drop_connections().await;
    let answer = pull().await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-pullgate-outcome")),
        (200, Some("hit")),
        "{answer:?}"
    );
    assert!(pullgate.log().contains("the authorities stay as they were"), "{}", pullgate.log());
}

async fn private(password: &str) -> (Registry, Vec<Image>) {
    let registry = Registry::start().await.unwrap();
    let images: Vec<Image> = (0..3).map(|seed| Image::with_layers(61 + seed, &[100])).collect();
    for image in &images {
        registry.add_untagged("library/app", image);
    }
    registry.require(access(password));
    (registry, images)
}

fn access(password: &str) -> Access {
    Access::Tokens(Tokens::new().user("ann", password).private("library/app", "ann"))
}

async fn blob(pullgate: &Pullgate, image: &Image) -> Answer {
    let digest = &image.layers[0].digest;
    pullgate.get(&format!("/v2/library/app/blobs/{digest}?ns={REGISTRY}")).send().await
}
