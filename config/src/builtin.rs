//! The registries that need no section in the file.

/// The settings of a built-in registry. All other settings have their ordinary defaults.
pub(crate) struct BuiltIn {
    /// Short id. A section with this name, or with the same registry, changes the settings of this registry.
    pub(crate) id: &'static str,
    /// The registry host as in image names.
    pub(crate) registry: &'static str,
    /// The address of its API.
    pub(crate) endpoint: &'static str,
    /// Known token servers outside the registry's own domain.
    pub(crate) token_hosts: &'static [&'static str],
}

/// The built-in registries. They have no `blob_hosts`: content networks change without notice, and a wrong closed list
/// breaks pulls. Any https host at an allowed address is accepted unless an operator configures a list.
pub(crate) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        id: "dockerhub",
        registry: "docker.io",
        endpoint: "https://registry-1.docker.io",
        token_hosts: &["auth.docker.io"],
    },
    BuiltIn {
        id: "ecr-public",
        registry: "public.ecr.aws",
        endpoint: "https://public.ecr.aws",
        token_hosts: &[],
    },
    BuiltIn { id: "gcr", registry: "gcr.io", endpoint: "https://gcr.io", token_hosts: &[] },
    BuiltIn { id: "ghcr", registry: "ghcr.io", endpoint: "https://ghcr.io", token_hosts: &[] },
    BuiltIn {
        id: "kubernetes",
        registry: "registry.k8s.io",
        endpoint: "https://registry.k8s.io",
        token_hosts: &[],
    },
    BuiltIn {
        id: "microsoft",
        registry: "mcr.microsoft.com",
        endpoint: "https://mcr.microsoft.com",
        token_hosts: &[],
    },
    BuiltIn { id: "quay", registry: "quay.io", endpoint: "https://quay.io", token_hosts: &[] },
];
