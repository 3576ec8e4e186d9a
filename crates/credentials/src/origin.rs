//! The source of a credential: the names of files and programs, and the recent answers of the programs.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use oci::Credential;

use crate::answers::Answers;
use crate::keyring::Keyring;

/// The source of a credential. Holds names of files and programs, never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A `config.json` of docker, or the `.dockerconfigjson` of a Kubernetes secret.
    DockerConfig(PathBuf),
    /// A user name, and a file that holds the password.
    Password {
        /// User name.
        username: String,
        /// File whose content, without a trailing line break, is the password.
        password_file: PathBuf,
    },
    /// A docker credential helper.
    Helper(Helper),
    /// A credential-provider plugin of the kubelet.
    Provider(Provider),
}

/// A docker credential helper: `docker-credential-<name>` in the search path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// The `<name>`.
    pub name: String,
    /// The helper's recent answers.
    pub(crate) answers: Answers<Credential>,
}

/// A credential-provider plugin of the kubelet, as its `CredentialProviderConfig` describes one.
#[derive(Clone, PartialEq, Eq)]
pub struct Provider {
    /// A path, or a name in the search path.
    pub program: PathBuf,
    /// The plugin's arguments.
    pub arguments: Vec<String>,
    /// Environment variables that the plugin gets besides those passed on from this process. Values may be secret.
    pub environment: Vec<(String, String)>,
    /// The time for which an answer without a lifetime is kept.
    pub lifetime: Duration,
    /// The plugin's recent answers.
    pub(crate) answers: Answers<Keyring>,
}

impl Helper {
    /// A helper without kept answers.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), answers: Answers::default() }
    }
}

impl Provider {
    /// A plugin without kept answers.
    pub fn new(
        program: PathBuf,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
        lifetime: Duration,
    ) -> Self {
        Self { program, arguments, environment, lifetime, answers: Answers::default() }
    }
}

impl fmt::Debug for Provider {
    /// Shows the names of the variables without their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        let mut shown = f.debug_struct("Provider");
        shown.field("program", &self.program).field("arguments", &self.arguments);
        shown.field("environment", &names).field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}
