//! The images that running workloads need, each with the credential that its own pods would use. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use oci::{ImageName, Platform};

use super::index::{Index, Name};
use super::keeper::Seen;
use super::logins::{Logins, Look, PullLogin};
use crate::images::{Standing, Use, Workload, WorkloadId, WorkloadKind};
use crate::secret::{Keyring, PullSecret};

/// An image that workloads need, with one credential.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The image.
    pub image: ImageName,
    /// The credential that the kubelet would try first; `None` if no secret of these workloads is for this image, or if
    /// secrets are not read.
    pub login: Option<Arc<PullLogin>>,
    /// The platforms of the nodes that may pull it, sorted; empty if no node is known.
    pub platforms: Arc<[Platform]>,
    /// The workloads, by their owners' names, sorted.
    pub workloads: Vec<WorkloadId>,
}

/// The names of a workload's pull secrets: its own, and for a template without any those of its service account, as the
/// API server would copy them.
pub(super) fn secrets_of<'a>(workload: &'a Workload, index: &'a Index) -> &'a [Box<str>] {
    if !workload.pull_secrets.is_empty() || workload.id.kind == WorkloadKind::Pod {
        return &workload.pull_secrets;
    }
    let account = (workload.id.namespace.clone(), workload.service_account.clone());
    index.accounts.get(&account).map_or(&[], |account| &account.pull_secrets)
}

/// The workloads whose images must be pullable.
pub(super) fn live(index: &Index) -> impl Iterator<Item = &Workload> {
    index.workloads.values().filter(|workload| workload.standing == Standing::Live)
}

/// The secrets that live workloads name, except those with only images that no node pulls.
pub(super) fn named(index: &Index) -> BTreeSet<Name> {
    let named = live(index).filter(|workload| workload.pulled().next().is_some()).flat_map(|workload| {
        secrets_of(workload, index).iter().map(|name| (workload.id.namespace.clone(), name.clone()))
    });
    named.collect()
}

/// The uses of images that no node can pull or may pull, each with its workload, by the owner's name.
pub(super) fn unpullable(index: &Index) -> Vec<(WorkloadId, Use)> {
    let of = |workload: &Workload| {
        let bad = |used: &&Use| used.never_pulled || used.image.is_err();
        let top = workload.top();
        workload.uses.iter().filter(bad).map(|used| (top.clone(), used.clone())).collect::<Vec<_>>()
    };
    live(index).flat_map(of).collect()
}

/// All wanted images, sorted by name and by the number of the credential.
pub(super) fn wanted(index: &Index, secrets: &BTreeMap<Name, Seen>, logins: &mut Logins) -> Vec<Wanted> {
    let mut look = logins.look();
    let mut workloads: Vec<&Workload> = live(index).collect();
    workloads.sort_by(|one, other| one.id.cmp(&other.id));
    let mut platforms = Platforms::of(index);
    let mut found: HashMap<(&ImageName, Option<u64>), Gathered> = HashMap::new();
    for workload in workloads {
        let (top, nodes) = (workload.top(), platforms.nodes(workload));
        let secrets = present(workload, index, secrets);
        let keyring = Keyring::new(secrets.iter().map(|secret| &**secret));
        for image in workload.pulled() {
            let login = login(&keyring, image, &mut look);
            let gathered = found.entry((image, login.as_ref().map(|login| login.number))).or_default();
            gathered.login = login;
            gathered.nodes |= nodes;
            gathered.workloads.insert(top.clone());
        }
    }
    let mut wanted: Vec<Wanted> =
        found.into_iter().map(|((image, _), gathered)| gathered.finish(image, &mut platforms)).collect();
    wanted.sort_by_cached_key(|it| (it.image.to_string(), it.login.as_ref().map(|login| login.number)));
    wanted
}

#[derive(Default)]
struct Gathered {
    login: Option<Arc<PullLogin>>,
    nodes: Nodes,
    workloads: BTreeSet<WorkloadId>,
}

impl Gathered {
    fn finish(self, image: &ImageName, platforms: &mut Platforms<'_>) -> Wanted {
        Wanted {
            image: image.clone(),
            login: self.login,
            platforms: platforms.list(self.nodes),
            workloads: self.workloads.into_iter().collect(),
        }
    }
}

/// Some of the platforms of a cluster: a bit for each, in the order of [`Platforms::all`].
type Nodes = u64;

/// The different platforms of a cluster's nodes. Images share their lists of them.
struct Platforms<'a> {
    all: Vec<&'a Platform>,
    of_node: HashMap<&'a str, Nodes>,
    lists: HashMap<Nodes, Arc<[Platform]>>,
}

impl<'a> Platforms<'a> {
    fn of(index: &'a Index) -> Self {
        let named: BTreeMap<String, &Platform> =
            index.nodes.values().map(|platform| (platform.to_string(), platform)).collect();
        let all: Vec<&Platform> = named.into_values().take(Nodes::BITS as usize).collect();
        let bit =
            |platform: &Platform| all.iter().position(|known| *known == platform).map_or(0, |at| 1 << at);
        let of_node = index.nodes.iter().map(|(name, platform)| (&**name, bit(platform))).collect();
        Self { all, of_node, lists: HashMap::new() }
    }

    /// The platforms of the nodes that may run the workload: that of its own node, else those that its selector allows.
    fn nodes(&self, workload: &Workload) -> Nodes {
        if let Some(own) = workload.node.as_ref().and_then(|node| self.of_node.get(&**node)) {
            return *own;
        }
        let asked = workload.architecture.as_deref();
        let fits = |platform: &Platform| asked.is_none_or(|it| it == platform.architecture);
        let bits = self.all.iter().enumerate().filter(|(_, platform)| fits(platform));
        bits.fold(0, |nodes, (at, _)| nodes | 1 << at)
    }

    fn list(&mut self, nodes: Nodes) -> Arc<[Platform]> {
        let chosen = self.all.iter().enumerate().filter(|(at, _)| nodes & (1 << at) != 0);
        let list = || chosen.map(|(_, platform)| (*platform).clone()).collect();
        self.lists.entry(nodes).or_insert_with(list).clone()
    }
}

/// The secrets of a workload that were read. If one of them makes the kubelet refuse every pull, there is none: the
/// finding says so, and a probe with the others would show a success that no node has.
fn present(workload: &Workload, index: &Index, secrets: &BTreeMap<Name, Seen>) -> Vec<Arc<PullSecret>> {
    let named = secrets_of(workload, index).iter();
    let found =
        named.filter_map(|name| match secrets.get(&(workload.id.namespace.clone(), name.clone()))? {
            Seen::Found(secret) => Some(secret.clone()),
            _ => None,
        });
    found.collect()
}

fn login(keyring: &Keyring<'_>, image: &ImageName, look: &mut Look<'_>) -> Option<Arc<PullLogin>> {
    let found = keyring.find(image).into_iter().find(|found| !found.entry.login.is_empty())?;
    Some(look.login(found))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use k8s_openapi::ByteString;
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::{Pod, Secret};
    use serde_json::json;

    use super::super::index::{Entry, Key};
    use super::*;
    use crate::findings::Account;

    fn put(index: &mut Index, workload: Workload) {
        index.put(Key::Workload(workload.id.clone()), Some(Entry::Workload(workload)));
    }

    fn pod(namespace: &str, name: &str, image: &str, secrets: &[&str], node: Option<&str>) -> Workload {
        let secrets: Vec<_> = secrets.iter().map(|name| json!({ "name": name })).collect();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "namespace": namespace, "name": name },
            "spec": { "nodeName": node, "imagePullSecrets": secrets, "containers": [{ "name": "c", "image": image }] }
        }))
        .unwrap();
        Workload::from(&pod)
    }

    fn deployment(image: &str) -> Workload {
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": { "namespace": "shop", "name": "web" },
            "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "c", "image": image }] } } }
        }))
        .unwrap();
        Workload::from(&deployment)
    }

    fn secret(namespace: &str, name: &str, version: &str, password: &str) -> (Name, Seen) {
        let document = json!({ "ghcr.io": { "username": "me", "password": password } });
        let mut object = Secret { type_: Some("kubernetes.io/dockercfg".to_owned()), ..Secret::default() };
        object.metadata.namespace = Some(namespace.to_owned());
        object.metadata.name = Some(name.to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        object.data = Some([(".dockercfg".to_owned(), ByteString(document.to_string().into_bytes()))].into());
        ((namespace.into(), name.into()), Seen::Found(Arc::new(PullSecret::read(&object))))
    }

    fn shown(wanted: &[Wanted]) -> Vec<String> {
        let login = |it: &Wanted| it.login.as_ref().map_or(0, |login| login.number);
        let workloads =
            |it: &Wanted| it.workloads.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        wanted.iter().map(|it| format!("{} {} {}", it.image, login(it), workloads(it))).collect()
    }

    #[test]
    fn equal_credentials_of_several_namespaces_are_one_and_others_are_not() {
        let mut index = Index::default();
        for (namespace, secrets) in [("a", &["s"][..]), ("b", &["s"]), ("c", &["s"]), ("d", &[])] {
            put(&mut index, pod(namespace, "p", "ghcr.io/x/y:1", secrets, None));
        }
        let secrets =
            [secret("a", "s", "1", "one"), secret("b", "s", "7", "one"), secret("c", "s", "9", "two")].into();
        let mut logins = Logins::default();
        let first = wanted(&index, &secrets, &mut logins);
        let right = ["ghcr.io/x/y:1 0 pod/d/p", "ghcr.io/x/y:1 1 pod/a/p,pod/b/p", "ghcr.io/x/y:1 2 pod/c/p"];
        assert_eq!(shown(&first), right);
        assert_eq!(shown(&wanted(&index, &secrets, &mut logins)), right, "numbers are stable");
        let renewed = [secret("a", "s", "2", "new"), secret("b", "s", "7", "one")].into();
        let renewed = wanted(&index, &renewed, &mut logins);
        assert_eq!(
            shown(&renewed),
            ["ghcr.io/x/y:1 0 pod/c/p,pod/d/p", "ghcr.io/x/y:1 1 pod/b/p", "ghcr.io/x/y:1 3 pod/a/p"]
        );
        assert!(!format!("{renewed:?}").contains("new"), "a password is never shown");
    }

    #[test]
    fn a_touched_secret_keeps_its_number_and_gets_another_version() {
        let mut index = Index::default();
        put(&mut index, pod("a", "p", "ghcr.io/x/y:1", &["s"], None));
        let mut logins = Logins::default();
        let mut login = |version: &str| {
            let wanted = wanted(&index, &[secret("a", "s", version, "one")].into(), &mut logins);
            let login = wanted[0].login.clone().unwrap();
            (login.number, login.version.to_string())
        };
        assert_eq!((login("1"), login("2")), ((1, "1".to_owned()), (1, "2".to_owned())));
    }

    #[test]
    fn a_template_uses_the_secrets_of_its_service_account_and_a_pod_only_its_own() {
        let mut index = Index::default();
        put(&mut index, deployment("ghcr.io/x/y:1"));
        put(&mut index, pod("shop", "old", "ghcr.io/x/y:1", &[], None));
        let account = Account { pull_secrets: ["s".into()].into() };
        index.put(Key::Account(("shop".into(), "default".into())), Some(Entry::Account(account)));
        assert_eq!(named(&index), [("shop".into(), "s".into())].into());
        let wanted = wanted(&index, &[secret("shop", "s", "1", "one")].into(), &mut Logins::default());
        assert_eq!(shown(&wanted), ["ghcr.io/x/y:1 0 pod/shop/old", "ghcr.io/x/y:1 1 deployment/shop/web"]);
    }

    #[test]
    fn the_platforms_are_those_of_the_nodes_that_may_pull() {
        let mut index = Index::default();
        for (node, architecture) in [("n1", "amd64"), ("n2", "arm64"), ("n3", "amd64")] {
            let platform = Platform::new("linux", architecture, "");
            index.put(Key::Node(node.into()), Some(Entry::Node(platform)));
        }
        put(&mut index, pod("a", "here", "quay.io/a/here:1", &[], Some("n2")));
        put(&mut index, pod("a", "waiting", "quay.io/a/waiting:1", &[], None));
        put(
            &mut index,
            Workload { architecture: Some("amd64".into()), ..deployment("quay.io/a/selected:1") },
        );
        let wanted = wanted(&index, &BTreeMap::new(), &mut Logins::default());
        let platforms: Vec<Vec<String>> =
            wanted.iter().map(|it| it.platforms.iter().map(ToString::to_string).collect()).collect();
        assert_eq!(platforms, [&["linux/arm64"][..], &["linux/amd64"], &["linux/amd64", "linux/arm64"]]);
    }
}
