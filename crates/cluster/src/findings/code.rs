//! The closed list of findings. The range PG0600 to PG0699 belongs to Kubernetes: references, pull secrets, access.

oci::labels! {
    /// The code of a finding. It never changes its meaning.
    Code {
        /// An image reference that no node can pull.
        BadReference = "PG0601";
        /// A pull secret that does not exist.
        SecretMissing = "PG0602";
        /// A pull secret that exists in another namespace only.
        SecretElsewhere = "PG0603";
        /// A pull secret of a type that the kubelet does not read.
        SecretType = "PG0604";
        /// A pull secret whose document is not JSON, or has another shape.
        SecretNotJson = "PG0605";
        /// An `auth` that is not base64 of `user:password`.
        SecretAuth = "PG0606";
        /// A pull secret without entries.
        SecretNoEntries = "PG0607";
        /// An entry without user name and password.
        EntryEmpty = "PG0608";
        /// An entry whose key nearly matches the registry.
        HostNearMiss = "PG0609";
        /// A password that has ended, or ends soon.
        Expired = "PG0610";
        /// A credential that breaks the pull of a public image.
        Poisoned = "PG0611";
        /// A pod that was created before its service account got a secret.
        PodBeforeAccount = "PG0612";
        /// A pod with a secret that its service account no longer has.
        AccountLostSecret = "PG0613";
        /// A service account that does not exist.
        AccountMissing = "PG0614";
        /// A secret that is too large to be read.
        SecretTooLarge = "PG0615";
        /// Something that the API server does not let us read.
        NotAllowed = "PG0616";
        /// An API server that does not answer.
        NotReachable = "PG0617";
    }
}

oci::labels! {
    /// The weight of a finding.
    Level {
        /// A pull fails, or will fail at the next restart.
        Error = "error";
        /// A pull may fail, or something could not be looked at.
        Warning = "warning";
    }
}
