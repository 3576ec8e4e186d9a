//! What to do about a pod: lines that a person can paste, with the names of this pod.

use oci::Class;
use oci::class::Family;

use super::case::{Case, Finding};
use super::choice::{State, refuses};
use crate::image::Verdict;

/// The fix. It begins with the verdict's own lines, unless a finding names the fault of the pod's secret.
pub(super) fn fix(case: &Case, class: Class, state: State, verdict: &Verdict) -> Vec<String> {
    let shell = Shell::of(case);
    match state {
        State::OfTheNode => return verdict.fix.clone(),
        State::WorksNow => {
            let mut lines =
                vec!["Nothing needs repair. The kubelet pulls again by itself; to pull at once:".to_owned()];
            lines.extend(shell.renew());
            return lines;
        }
        _ => {}
    }
    let mut lines = match cause(case, class) {
        Some(finding) => of_finding(finding),
        None => verdict.fix.clone(),
    };
    if class.rules().family == Family::Content {
        lines.extend(
            lines.iter().find_map(|line| line.strip_prefix("  image: ")).map(|to| shell.set_image(to)),
        );
    }
    if refuses(class) {
        lines.push(after_secret(case).to_owned());
        lines.extend(shell.renew());
    }
    lines
}

/// What follows the repair of a credential. The kubelet reads the secrets that a pod names at every try.
fn after_secret(case: &Case) -> &'static str {
    if case.pod.pull_secrets.is_empty() {
        "Then make the pod anew, because a pod keeps the names of secrets that it was created with:"
    } else {
        "The kubelet reads the secret again at its next try; to pull at once:"
    }
}

/// The finding that explains a refusal.
pub(super) fn cause(case: &Case, class: Class) -> Option<&Finding> {
    case.findings.first().filter(|_| refuses(class))
}

fn of_finding(finding: &Finding) -> Vec<String> {
    let is_command = |line: &str| COMMANDS.iter().any(|command| line.starts_with(command));
    let shown = |line: &str| if is_command(line) { paste(line) } else { capital(line) };
    finding.fix.lines().map(shown).collect()
}

/// Commands of `kubectl` for a pod. Names of objects need no quotation marks; names of images and nodes are quoted.
pub(super) struct Shell<'a>(&'a Case);

impl<'a> Shell<'a> {
    pub(super) fn of(case: &'a Case) -> Self {
        Self(case)
    }

    /// Makes the pod anew. Its back-off begins anew too.
    pub(super) fn renew(&self) -> Vec<String> {
        let pod = &self.0.pod;
        match &pod.owner {
            Some(_) => vec![paste(&format!("kubectl delete pod {} --namespace={}", pod.name, pod.namespace))],
            None => vec![paste(&format!(
                "kubectl get pod {0} --namespace={1} -o yaml | kubectl replace --force -f -",
                pod.name, pod.namespace
            ))],
        }
    }

    /// Gives the container another image.
    pub(super) fn set_image(&self, image: &str) -> String {
        let part = &self.0.part;
        paste(&format!(
            "kubectl set image {} {}={}{}",
            self.target(),
            part.name,
            word(image),
            self.namespace()
        ))
    }

    /// Opens the specification.
    pub(super) fn edit(&self) -> String {
        paste(&format!("kubectl edit {}{}", self.target(), self.namespace()))
    }

    /// Gives the container another pull policy. A pod itself cannot change it.
    pub(super) fn set_policy(&self, policy: &str) -> Vec<String> {
        let (pod, part) = (&self.0.pod, &self.0.part);
        if self.owner().is_none() {
            return vec![paste(&format!(
                "kubectl get pod {} --namespace={} -o yaml | sed 's/imagePullPolicy: Never/imagePullPolicy: {policy}/' | \
                 kubectl replace --force -f -",
                pod.name, pod.namespace
            ))];
        }
        let list = if part.role == "init container" { "initContainers" } else { "containers" };
        let patch = format!(
            "{{\"spec\":{{\"template\":{{\"spec\":{{\"{list}\":[{{\"name\":\"{}\",\"imagePullPolicy\":\"{policy}\"}}]}}}}}}}}",
            part.name
        );
        vec![paste(&format!("kubectl patch {}{} --patch='{patch}'", self.target(), self.namespace()))]
    }

    /// The object whose specification people change: the owner, else the pod.
    fn target(&self) -> String {
        match self.owner() {
            Some((kind, name)) => format!("{kind}/{name}"),
            None => format!("pod/{}", self.0.pod.name),
        }
    }

    /// The owner, if a change of its template reaches its pods.
    fn owner(&self) -> Option<(&str, &str)> {
        let owner = self.0.pod.owner.as_ref()?;
        ROLLED_OUT.contains(&owner.kind.as_str()).then_some((owner.kind.as_str(), owner.name.as_str()))
    }

    fn namespace(&self) -> String {
        format!(" --namespace={}", self.0.pod.namespace)
    }
}

/// A line that can be pasted.
pub(super) fn paste(line: &str) -> String {
    format!("  {line}")
}

/// The text as a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let rest = letters.as_str();
    let end = if rest.ends_with(['.', ':']) { "" } else { "." };
    format!("{first}{rest}{end}")
}

/// The text as one word of a shell command.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Beginnings of lines that a shell runs.
const COMMANDS: &[&str] = &["kubectl ", "rm "];
/// Workloads that replace their pods when their template changes.
const ROLLED_OUT: &[&str] = &["deployment", "statefulset", "daemonset"];
