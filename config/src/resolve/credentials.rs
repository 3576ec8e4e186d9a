//! Resolves credentials, which must have exactly one source.

use std::ops::Range;

use super::resolver::Resolver;
use crate::file::raw;
use crate::model::{Credentials, Helper, Provider};

impl Resolver<'_> {
    /// The credentials of a section; a problem unless it names exactly one source.
    pub(super) fn credentials(
        &mut self,
        raw: raw::Credentials,
        span: Option<Range<usize>>,
    ) -> Option<Credentials> {
        let password = raw.username.span.is_some() || raw.password_file.span.is_some();
        let sources = [
            raw.docker_config.span.is_some(),
            password,
            raw.helper.span.is_some(),
            raw.provider.span.is_some(),
        ];
        let count = sources.into_iter().filter(|written| *written).count();
        if count > 1 {
            self.source_problem(span, "`credentials` names more than one source", "keep one of them");
            return None;
        }
        if raw.provider.span.is_none() && is_for_provider(&raw) {
            let help = "write provider = \"name-of-the-plugin\", or take them out";
            self.source_problem(span, "`args`, `env` and `default_lifetime` are for a `provider`", help);
            return None;
        }
        if count == 0 {
            let help = "write docker_config = \"/path/config.json\"";
            self.source_problem(span, "`credentials` names no source", help);
            return None;
        }
        if password {
            return self.password(raw, span);
        }
        let docker_config = raw.docker_config.value.map(|file| Credentials::DockerConfig(self.path(file)));
        let helper = raw.helper.value.map(|name| Credentials::Helper(Helper { name: name.0 }));
        let provider = raw.provider.value.map(|program| {
            Credentials::Provider(Provider {
                program: program.0,
                arguments: raw.args.value.into_iter().map(|argument| argument.0).collect(),
                environment: raw.env.value.0,
                lifetime: raw.default_lifetime.value,
            })
        });
        docker_config.or(helper).or(provider)
    }

    fn password(&mut self, raw: raw::Credentials, span: Option<Range<usize>>) -> Option<Credentials> {
        match (raw.username.value, raw.password_file.value) {
            (Some(name), Some(file)) => {
                return Some(Credentials::Password { username: name.0, password_file: self.path(file) });
            }
            (Some(_), None) => {
                let help = "add password_file = \"/path/to/file\" that holds the password";
                self.source_problem(span, "`username` has no `password_file`", help);
            }
            _ => self.source_problem(span, "`password_file` has no `username`", "add it"),
        }
        None
    }

    /// Adds a problem for the whole section, unless a problem inside it was already reported.
    fn source_problem(&mut self, span: Option<Range<usize>>, message: &str, help: &str) {
        if !self.has_problem_within(span.as_ref()) {
            let expected = "one of `docker_config`, `username` with `password_file`, `helper`, `provider`";
            self.problem(span, message, expected, help);
        }
    }
}

/// True if a key is set that is only for a provider.
fn is_for_provider(raw: &raw::Credentials) -> bool {
    raw.args.span.is_some() || raw.env.span.is_some() || raw.default_lifetime.span.is_some()
}
