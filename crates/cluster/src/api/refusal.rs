//! An error of the client, as what could not be looked at and why.

use std::time::Duration;

use kube::Error;

use crate::findings::Refused;

/// A question to the API server, as a rule of RBAC names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) verbs: &'static [&'static str],
    pub(crate) group: &'static str,
    pub(crate) resource: &'static str,
    /// `None`: in the whole cluster.
    pub(crate) namespace: Option<Box<str>>,
}

/// A single question failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The object does not exist.
    #[error("{resource} {name} does not exist")]
    Missing {
        /// The resource in the plural.
        resource: &'static str,
        /// Namespace and name.
        name: String,
    },
    /// The API server refused, or did not answer.
    #[error("{}", .0.finding().seen)]
    Refused(Box<Refused>),
}

impl Question {
    /// The error of this question about the object `name`.
    pub(crate) fn failed(self, name: &str, error: &Error) -> ReadError {
        if matches!(error, Error::Api(status) if status.code == 404) {
            let namespace =
                self.namespace.as_deref().map_or_else(String::new, |namespace| format!("{namespace}/"));
            return ReadError::Missing { resource: self.resource, name: format!("{namespace}{name}") };
        }
        ReadError::Refused(Box::new(refused(self, error)))
    }

    /// The error of a question that was not answered in time.
    pub(crate) fn late(self, after: Duration) -> ReadError {
        let answer = format!("no answer within {} s", after.as_secs());
        ReadError::Refused(Box::new(self.refused(false, &answer)))
    }

    fn refused(self, by_rule: bool, answer: &str) -> Refused {
        let Self { verbs, group, resource, namespace } = self;
        Refused { verbs, group, resource, namespace, by_rule, answer: answer.into() }
    }
}

/// The part that the API server did not let us see. The status's message is left out: it names the user and the object.
pub(crate) fn refused(question: Question, error: &Error) -> Refused {
    match error {
        Error::Api(status) => {
            let by_rule = matches!(status.code, 401 | 403);
            question.refused(by_rule, format!("{} {}", status.code, status.reason).trim())
        }
        Error::Auth(_) => question.refused(true, "the credential for the API server could not be read"),
        error => question.refused(false, &causes(error)),
    }
}

/// The causes of a failure of the transport in one line, without repetitions.
fn causes(error: &Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    let text = if texts.is_empty() { error.to_string() } else { texts.join(": ") };
    text.chars().take(ANSWER_MAX).collect()
}

/// The longest text of an answer, in characters.
const ANSWER_MAX: usize = 300;
