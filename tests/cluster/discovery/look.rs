//! A running discovery, and waiting for what it finds.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cluster::findings::Finding;
use cluster::watch::{Waits, WatchState};
use cluster::{Context, Discovery, Scope, Settings, connect};
use support::{ControlPlane, Scratch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A running discovery. Dropping it ends it.
pub(super) struct Look {
    discovery: Discovery,
    running: JoinHandle<()>,
}

impl Look {
    /// Looks at `scope` with this kubeconfig, and reads secrets.
    pub(super) async fn at(scope: Scope, kubeconfig: PathBuf) -> Self {
        let context = Context { kubeconfig: Some(kubeconfig), ..Context::default() };
        let waits = Waits {
            usual: Duration::from_secs(1),
            urgent: Duration::from_millis(300),
            refused: Duration::from_secs(1),
        };
        let settings = Settings { scope, secrets: true, waits };
        let discovery = Discovery::new(connect(&context).await.expect("a client"), settings);
        let following = discovery.clone();
        Self { discovery, running: tokio::spawn(async move { following.run().await }) }
    }

    /// Waits until `find` returns a value; it is asked again after every change.
    pub(super) async fn when<T>(&self, what: &str, find: impl Fn(&Discovery) -> Option<T>) -> T {
        let mut changes = self.discovery.changes();
        let search = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = find(&self.discovery) {
                    return found;
                }
                // Silent recoveries and ends of passwords come without a change.
                let _late = timeout(AGAIN, changes.changed()).await;
            }
        };
        timeout(LIMIT, search).await.unwrap_or_else(|_| {
            let (images, findings) = (self.images(), self.discovery.findings());
            panic!("waited in vain for {what}\n{images:#?}\n{findings:#?}\n{:#?}", self.discovery.watches())
        })
    }

    /// Waits until exactly these images are wanted, each as `image workload,workload`.
    pub(super) async fn wants(&self, images: &[&str]) {
        self.when(&format!("{images:#?}"), |_| (self.images() == images).then_some(())).await;
    }

    /// Waits until every watch works.
    pub(super) async fn is_live(&self) {
        let live = |discovery: &Discovery| {
            let watches = discovery.watches();
            (watches.len() > 1 && watches.iter().all(|(_, state)| *state == WatchState::Live)).then_some(())
        };
        self.when("all watches", live).await;
    }

    /// Waits for a finding of this code whose text contains `part`.
    pub(super) async fn finds(&self, code: &str, part: &str) -> Finding {
        let is = |finding: &Finding| finding.code.as_str() == code && finding.seen.contains(part);
        self.when(&format!("{code} {part}"), |discovery| discovery.findings().into_iter().find(is)).await
    }

    /// Waits until no finding has this code.
    pub(super) async fn finds_no(&self, code: &str) {
        let none = |discovery: &Discovery| {
            discovery.findings().iter().all(|finding| finding.code.as_str() != code).then_some(())
        };
        self.when(&format!("no {code}"), none).await;
    }

    /// The wanted images, each with its workloads.
    pub(super) fn images(&self) -> Vec<String> {
        let shown = |it: &cluster::Wanted| {
            let workloads: Vec<String> = it.workloads.iter().map(ToString::to_string).collect();
            format!("{} {}", it.image, workloads.join(","))
        };
        self.discovery.wanted().iter().map(shown).collect()
    }
}

impl std::ops::Deref for Look {
    type Target = Discovery;

    fn deref(&self) -> &Discovery {
        &self.discovery
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// The kubeconfig of the user that may do everything, for another address of the API server.
pub(crate) fn through(plane: &ControlPlane, scratch: &Scratch, address: &str) -> PathBuf {
    let text = fs::read_to_string(plane.kubeconfig()).expect("a kubeconfig");
    let text = text.replace(&plane.url(), &format!("https://{address}"));
    assert!(text.contains(address), "{text}");
    scratch.file("through.kubeconfig", &text)
}

/// The kubeconfig of a token.
pub(crate) fn of_token(plane: &ControlPlane, scratch: &Scratch, token: &str) -> PathBuf {
    let (url, authority) = (plane.url(), plane.authority().display().to_string());
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\n\
         clusters: [{{name: c, cluster: {{server: {url:?}, certificate-authority: {authority:?}}}}}]\n\
         users: [{{name: u, user: {{token: {token:?}}}}}]\n\
         contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n"
    );
    scratch.file("token.kubeconfig", &text)
}

/// A pod without a node.
pub(super) fn pod(namespace: &str, name: &str, image: &str, more: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {{containers: [{{name: main, image: {image:?}}}]{more}}}}}\n---\n"
    )
}

const LIMIT: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(500);
