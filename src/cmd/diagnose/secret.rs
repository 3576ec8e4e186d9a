//! Pull secrets of the cluster: their credentials as identities of a pull, and their faults.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cluster::api::ReadError;
use cluster::findings::{self, Finding};
use cluster::secret::{Keyring, Login, PullSecret};
use diagnose::image::OF_SECRET;
use oci::credential::{CredentialFuture, CredentialSource};
use oci::{ImageName, Repository};
use serde::Serialize;

use super::cluster::{Connected, unreadable};
use super::image::options::SecretName;
use super::layout::{Style, wrapped};
use crate::process::exit::Exit;

/// The credential of a pull secret.
pub(super) struct OfSecret {
    /// The name of the identity, with the secret and, if it has several entries for the image, the key.
    pub(super) name: String,
    pub(super) source: Arc<dyn CredentialSource>,
}

/// What secrets hold for an image.
#[derive(Default)]
pub(super) struct Held {
    /// The credentials, in the order in which the kubelet tries them.
    pub(super) all: Vec<OfSecret>,
    /// The secrets without an entry for the image.
    pub(super) unusable: Vec<(String, String)>,
}

/// The secrets that the command line names.
#[derive(Default)]
pub(super) struct Named {
    pub(super) held: Held,
    pub(super) findings: Vec<Finding>,
}

/// A finding as the document has it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FindingLine {
    pub(super) code: &'static str,
    pub(super) level: &'static str,
    pub(super) seen: String,
    pub(super) fix: String,
    /// The page that explains the code.
    pub(super) docs: String,
}

/// Reads the secrets that the command line names, and what they hold for `image`. A secret that does not exist is a
/// finding; one that may not be read is an error.
pub(super) async fn named(
    connected: &Connected,
    names: &[SecretName],
    image: &ImageName,
) -> Result<Named, Exit> {
    let (mut secrets, mut found) = (Vec::new(), Named::default());
    for SecretName { namespace, name } in names {
        let namespace = namespace.as_deref().unwrap_or(&connected.namespace);
        match connected.reader.secret(namespace, name).await {
            Ok(secret) => {
                found.findings.extend(findings::secret(&secret, &image.registry, now()));
                found.findings.extend(findings::near(&secret, image));
                secrets.push(secret);
            }
            Err(ReadError::Missing { .. }) => {
                found.findings.push(findings::absent(namespace, name, &image.registry));
            }
            Err(error) => return Err(unreadable(&error)),
        }
    }
    found.held = held(&secrets, image);
    Ok(found)
}

/// What the secrets hold for `image`. The kubelet does not use any secret of a pod that names a broken one.
pub(super) fn held(secrets: &[PullSecret], image: &ImageName) -> Held {
    let matches = Keyring::new(secrets).find(image);
    let is_alone =
        |secret: &PullSecret| matches.iter().filter(|found| std::ptr::eq(found.secret, secret)).count() == 1;
    let name = |found: &cluster::secret::Match<'_>| {
        let shown = shown(found.secret);
        if is_alone(found.secret) { shown } else { format!("{shown} ({})", found.entry.shown) }
    };
    let all = matches
        .iter()
        .map(|found| OfSecret { name: name(found), source: Arc::new(Fixed(found.entry.login.clone())) });
    let unused = secrets.iter().filter(|it| !matches.iter().any(|found| std::ptr::eq(found.secret, *it)));
    let reason = format!("it has no entry that covers {}", image.registry);
    Held { all: all.collect(), unusable: unused.map(|secret| (shown(secret), reason.clone())).collect() }
}

/// The findings in lines, each with its fix.
pub(super) fn findings(lines: &[FindingLine], style: Style) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let shown = |line: &FindingLine| {
        let commands = line.fix.lines().map(|line| format!("    {line}\n")).collect::<String>();
        wrapped("  ", &format!("{}: {}", line.code, line.seen)) + &commands
    };
    format!("\n{}\n{}", style.heading("Secrets"), lines.iter().map(shown).collect::<String>())
}

/// The present, in seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn shown(secret: &PullSecret) -> String {
    format!("{OF_SECRET}{}/{}", secret.namespace, secret.name)
}

impl From<&Finding> for FindingLine {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code.as_str(),
            level: finding.level().as_str(),
            seen: finding.seen.clone(),
            fix: finding.fix.clone(),
            docs: finding.page(),
        }
    }
}

/// The user name and password of one entry.
struct Fixed(Login);

impl CredentialSource for Fixed {
    fn credential<'a>(&'a self, _: Option<&'a Repository>) -> CredentialFuture<'a> {
        Box::pin(async { Ok(Some(self.0.credential())) })
    }
}
