//! The parts that could not be looked at, with the rule that would allow it.

use super::code::Code;
use super::finding::{About, Finding};

/// A request that the API server refused or did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refused {
    /// The verb of the rule, such as `list`.
    pub verbs: &'static [&'static str],
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource in the plural, such as `pods`.
    pub resource: &'static str,
    /// The namespace; `None` for the whole cluster.
    pub namespace: Option<Box<str>>,
    /// True if the answer was 401 or 403; false if there was none, or an error of the server.
    pub by_rule: bool,
    /// The answer in one line, without names of objects.
    pub answer: Box<str>,
}

impl Refused {
    /// The finding.
    pub fn finding(&self) -> Finding {
        let place =
            self.namespace.as_ref().map_or("the cluster".to_owned(), |name| format!("namespace {name}"));
        let (code, fix) = if self.by_rule {
            (Code::NotAllowed, self.rule())
        } else {
            (Code::NotReachable, "kubectl get --raw='/readyz?verbose'".to_owned())
        };
        Finding {
            code,
            about: About { namespace: self.namespace.clone().unwrap_or_default(), ..About::default() },
            seen: format!("{} of {place} could not be looked at: {}", self.resource, self.answer),
            fix,
        }
    }

    /// The role that allows the request, to be bound to pullgate's service account.
    fn rule(&self) -> String {
        let (kind, namespace) = match &self.namespace {
            Some(namespace) => ("Role", format!("\n  namespace: {namespace}")),
            None => ("ClusterRole", String::new()),
        };
        let verbs = self.verbs.join(", ");
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: pullgate-{}{namespace}\nrules:\n  - apiGroups: [\"{}\"]\n    resources: [{}]\n    verbs: [{verbs}]",
            self.resource, self.group, self.resource
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refused(namespace: Option<&str>, by_rule: bool) -> Finding {
        Refused {
            verbs: &["list", "watch"],
            group: "apps",
            resource: "deployments",
            namespace: namespace.map(Into::into),
            by_rule,
            answer: "403 Forbidden".into(),
        }
        .finding()
    }

    #[test]
    fn a_refusal_prints_the_rule_that_would_allow_it() {
        let here = refused(Some("shop"), true);
        assert_eq!(here.seen, "deployments of namespace shop could not be looked at: 403 Forbidden");
        assert_eq!(
            here.fix,
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: pullgate-deployments\n  namespace: shop\n\
             rules:\n  - apiGroups: [\"apps\"]\n    resources: [deployments]\n    verbs: [list, watch]"
        );
        let everywhere = refused(None, true);
        assert!(
            everywhere.fix.contains("kind: ClusterRole\nmetadata:\n  name: pullgate-deployments\nrules:"),
            "{everywhere:?}"
        );
        assert_eq!((everywhere.code, refused(None, false).code), (Code::NotAllowed, Code::NotReachable));
    }
}
