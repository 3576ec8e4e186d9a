//! All entries of a pod's pull secrets, and those that the kubelet would use for an image.

use oci::ImageName;

use super::document::{Entry, Login, PullSecret};
use super::host_key::uses_default;
use super::near::{self, Near};

/// The entries of the secrets of one pod.
///
/// The kubelet tries every entry that covers the image, best first. Only if none does, it pulls anonymously: a wrong
/// password is never followed by an anonymous pull.
#[derive(Debug, Default)]
pub struct Keyring<'a> {
    entries: Vec<(&'a PullSecret, &'a Entry)>,
}

/// An entry that the kubelet uses for an image.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// The secret that holds it.
    pub secret: &'a PullSecret,
    /// The entry.
    pub entry: &'a Entry,
}

impl<'a> Keyring<'a> {
    /// The keyring of a pod that names these secrets, in its order.
    pub fn new(secrets: impl IntoIterator<Item = &'a PullSecret>) -> Self {
        let entries =
            secrets.into_iter().flat_map(|secret| secret.entries.iter().map(move |entry| (secret, entry)));
        Self { entries: entries.collect() }
    }

    /// The entries for `image`, in the order in which the kubelet tries them; empty means an anonymous pull.
    ///
    /// The keys are in reverse alphabetical order, so that a longer path comes before a shorter one and a host before a
    /// glob. Entries with the same key are in the order of the secrets.
    pub fn find(&self, image: &ImageName) -> Vec<Match<'a>> {
        let covering = self.matching(|entry| entry.key.as_ref().is_some_and(|key| key.covers(image)));
        if !covering.is_empty() || !uses_default(image) {
            return covering;
        }
        self.matching(|entry| entry.key.as_ref().is_some_and(super::host_key::HostKey::is_default))
    }

    /// The credential that the kubelet tries first.
    pub fn login(&self, image: &ImageName) -> Option<&'a Login> {
        self.find(image).first().map(|found| &found.entry.login)
    }

    /// The entries that were meant for `image` and do not cover it. Empty if an entry covers it.
    pub fn near(&self, image: &ImageName) -> Vec<(Match<'a>, Near)> {
        if !self.find(image).is_empty() {
            return Vec::new();
        }
        let near = |(secret, entry): &(&'a PullSecret, &'a Entry)| {
            Some((Match { secret, entry }, near::find(&entry.shown, image)?))
        };
        self.entries.iter().filter_map(near).collect()
    }

    fn matching(&self, yes: impl Fn(&Entry) -> bool) -> Vec<Match<'a>> {
        let text = |entry: &'a Entry| entry.key.as_ref().map_or("", super::host_key::HostKey::text);
        let mut found: Vec<(&PullSecret, &Entry)> =
            self.entries.iter().copied().filter(|(_, entry)| yes(entry)).collect();
        // A stable sort keeps the order of the secrets for equal keys.
        found.sort_by(|(_, one), (_, other)| text(other).cmp(text(one)));
        found.into_iter().map(|(secret, entry)| Match { secret, entry }).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::Secret as Object;

    use super::super::near::Slip;
    use super::*;

    fn secret(name: &str, entries: &[(&str, &str)]) -> PullSecret {
        let auths: serde_json::Map<_, _> = entries
            .iter()
            .map(|(key, user)| {
                ((*key).to_owned(), serde_json::json!({ "username": user, "password": "canary" }))
            })
            .collect();
        let mut object =
            Object { type_: Some(super::super::document::CFG_TYPE.to_owned()), ..Object::default() };
        object.metadata.name = Some(name.to_owned());
        let bytes = serde_json::to_vec(&auths).unwrap();
        object.data = Some([(".dockercfg".to_owned(), ByteString(bytes))].into());
        PullSecret::read(&object)
    }

    fn users(secrets: &[PullSecret], image: &str) -> Vec<String> {
        let found = Keyring::new(secrets).find(&image.parse().unwrap());
        found.iter().map(|found| found.entry.login.username.to_string()).collect()
    }

    #[test]
    fn the_kubelets_order_is_reverse_alphabetical_over_all_secrets() {
        let secrets = [
            secret("a", &[("r.example/org", "org"), ("r.example", "host-a"), ("*.example", "glob")]),
            secret(
                "b",
                &[("r.example/org/app", "app"), ("https://r.example", "host-b"), ("q.example", "other")],
            ),
        ];
        assert_eq!(users(&secrets, "r.example/org/app"), ["app", "org", "host-a", "host-b", "glob"]);
        assert_eq!(users(&secrets, "r.example/x"), ["host-a", "host-b", "glob"]);
        assert!(users(&secrets, "quay.io/x").is_empty());
    }

    #[test]
    fn the_names_of_docker_hub_that_work_and_those_that_do_not() {
        for (key, works) in [
            ("https://index.docker.io/v1/", true),
            ("index.docker.io", true),
            ("docker.io", true),
            ("https://docker.io/v1/", true),
            ("docker.io/org", true),
            ("registry-1.docker.io", false),
            ("https://registry-1.docker.io/v2/", false),
            ("hub.docker.com", false),
            ("https://index.docker.io/v1", false),
            ("docker.io:443", false),
            ("Docker.io", false),
        ] {
            let secrets = [secret("hub", &[(key, "me")])];
            assert_eq!(!users(&secrets, "org/app").is_empty(), works, "{key}");
            let near = Keyring::new(&secrets).near(&"org/app".parse().unwrap());
            assert_eq!(near.is_empty(), works, "{key}");
        }
        let both = [secret("hub", &[("https://index.docker.io/v1/", "default"), ("docker.io", "named")])];
        assert_eq!(users(&both, "alpine"), ["named"]);
    }

    #[test]
    fn a_key_that_was_meant_for_the_image_is_named_with_the_right_spelling() {
        for (key, image, slip, right) in [
            ("registry-1.docker.io", "alpine", Slip::DockerHub, "https://index.docker.io/v1/"),
            ("r.example:443", "r.example/app", Slip::Port, "r.example"),
            ("r.example", "r.example:5000/app", Slip::Port, "r.example:5000"),
            ("docker://r.example", "r.example/app", Slip::Scheme, "r.example"),
            ("HTTPS://r.example", "r.example/app", Slip::Scheme, "r.example"),
            ("R.Example", "r.example/app", Slip::Case, "r.example"),
            ("https://r.example/v2", "r.example/app", Slip::ApiPath, "r.example"),
            ("r.example/org/app/", "r.example/org/app", Slip::TrailingSlash, "r.example/org/app"),
            ("r.example/org/*", "r.example/org/app", Slip::PathGlob, "r.example/org"),
            ("r.example/other", "r.example/org/app", Slip::Path, "r.example"),
            ("r.example/org/app:1.2", "r.example/org/app:1.2", Slip::Path, "r.example"),
            (" r.example", "r.example/app", Slip::Space, "r.example"),
            ("*.example.com", "example.com/app", Slip::Glob, "example.com"),
            ("*.example.com", "a.b.example.com/app", Slip::Glob, "a.b.example.com"),
        ] {
            let secrets = [secret("s", &[(key, "me")])];
            let near = Keyring::new(&secrets).near(&image.parse().unwrap());
            let (_, near) = near.first().unwrap_or_else(|| panic!("{key} is near {image}"));
            assert_eq!((near.slip, near.right.as_str()), (slip, right), "{key} {image}");
            assert!(HostKeyCovers(right, image).yes(), "{right} covers {image}");
        }
        let secrets = [secret("s", &[("quay.io", "me"), ("*.example.com", "me")])];
        assert!(Keyring::new(&secrets).near(&"ghcr.io/a/b".parse().unwrap()).is_empty());
    }

    struct HostKeyCovers<'a>(&'a str, &'a str);

    impl HostKeyCovers<'_> {
        fn yes(&self) -> bool {
            !users(&[secret("right", &[(self.0, "me")])], self.1).is_empty()
        }
    }
}
