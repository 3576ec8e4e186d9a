//! The registries that are known without a file.

/// The settings of a registry that is known without a file. Every other setting has the ordinary default.
pub(crate) struct BuiltIn {
    /// Short id; a section of this name, or one with the same registry, changes it.
    pub(crate) id: &'static str,
    /// The registry as in image names.
    pub(crate) registry: &'static str,
    /// The address of its API.
    pub(crate) endpoint: &'static str,
    /// Token servers outside the registry's own domain, where we are sure of them.
    pub(crate) token_hosts: &'static [&'static str],
}

/// No `blob_hosts`: content networks change without notice, and a closed list that is wrong breaks pulls. Any https
/// host at an allowed address it is, until an operator says otherwise.
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
