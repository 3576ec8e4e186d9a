//! The runtimes and distributions that configuration is rendered for.

oci::labels! {
    /// A runtime, or a distribution with its own way to configure one.
    Target {
        /// containerd, as packaged by distributions, kubeadm and kubespray.
        Containerd = "containerd";
        /// CRI-O.
        Crio = "crio";
        /// dockerd.
        Docker = "docker";
        /// podman, buildah and skopeo.
        Podman = "podman";
        /// k3s.
        K3s = "k3s";
        /// RKE2.
        Rke2 = "rke2";
        /// Talos.
        Talos = "talos";
        /// Amazon EKS on AL2023.
        Eks = "eks";
        /// Bottlerocket.
        Bottlerocket = "bottlerocket";
        /// Google GKE.
        Gke = "gke";
        /// Azure AKS.
        Aks = "aks";
        /// kind.
        Kind = "kind";
    }
}

impl Target {
    /// True if containerd reads `certs.d` there, and the files in it stay as they are written.
    pub fn has_certs_d(self) -> bool {
        matches!(self, Self::Containerd | Self::Eks | Self::Aks | Self::Kind)
    }

    /// True if the runtime reads its files at every pull, so that they can be changed while it runs.
    pub fn reads_at_every_pull(self) -> bool {
        self.has_certs_d() || self == Self::Podman
    }

    /// The command that makes the runtime read its files again. `None` if it reads them at every pull.
    pub fn reload(self) -> Option<&'static str> {
        match self {
            Self::Crio => Some("systemctl reload crio"),
            Self::Docker => Some("systemctl reload docker"),
            Self::K3s => Some("systemctl restart k3s (k3s-agent on agents)"),
            Self::Rke2 => Some("systemctl restart rke2-server (rke2-agent on agents)"),
            _ => None,
        }
    }
}
