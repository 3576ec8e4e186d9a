//! Faults of the node or of its policy: no registry was at fault, whatever else the text says.

use oci::Class;

use super::rule::{Rule, rule};
use crate::reason::Reason;

/// The rules of faults of the node.
pub(crate) const RULES: &[Rule] = &[
    rule(Class::CriDown, r"(?:imagegcfailed|containergcfailed)[^\n]*deadline exceeded"),
    // disk
    rule(Class::DiskFull, r"no space left on device|no space left on|not enough space on the disk|there is not enough space|out of disk space|not enough free space|insufficient disk space")
        .because(Reason::NoSpace),
    rule(Class::DiskFull, r"disk quota exceeded|\bedquot\b").because(Reason::DiskQuota),
    rule(Class::DiskFull, r"no free inodes|out of inodes|inodes? exhausted").because(Reason::NoInodes),
    rule(Class::DiskFull, r"failed to garbage collect required amount of images|freediskspacefailed|low on resource: (?:ephemeral-storage|inodes|imagefs)|\bdiskpressure\b|\bdisk-pressure\b")
        .because(Reason::DiskPressure),
    rule(Class::DiskFull, r"read-only file system|\berofs\b").because(Reason::ReadOnly),
    rule(Class::DiskFull, r"input/output error|structure needs cleaning|bad message").because(Reason::DiskError),
    rule(Class::DiskSlow, r"failed to (?:extract|apply|register|unpack) layer[^\n]*context (?:deadline exceeded|canceled)|failed to prepare extraction snapshot[^\n]*context (?:deadline exceeded|canceled)"),
    // the runtime
    rule(Class::CriDown, r"(?:dial|connect)[^\n]*<socket>"),
    rule(Class::CriDown, r"<socket>[^\n]*(?:connection refused|no such file|permission denied|i/o timeout|deadline exceeded|deadlineexceeded|unimplemented|unavailable)"),
    rule(Class::CriDown, r"unknown service runtime\.v1|cannot connect to the docker daemon|docker daemon is not running|error during connect: |docker desktop is (?:not running|unable to start)|is the docker daemon running|cannot connect to podman|failed to connect to (?:containerd|the docker api|cri)"),
    rule(Class::CriDown, r"container runtime (?:is down|network not ready|status check may not)|runtime service is not (?:running|available)|containerd is not running|runtimenotready|pleg is not healthy"),
    rule(Class::CriDown, r"code = unavailable desc = (?:error reading from server|connection closed|connection error|transport|the connection|all subconns|last connection error|ttrpc|name resolver)|transport is closing|ttrpc: closed|server is not initialized yet"),
    rule(Class::CriDown, r"failed to inspect image[^\n]*(?:deadlineexceeded|deadline exceeded|code = unavailable)"),
    // the kubelet
    rule(Class::KubeletThrottle, r"pull qps exceeded"),
    rule(Class::NeverPolicy, r"errimageneverpull|is not present with pull policy of never|pull policy of never|imagepullpolicy is never"),
    rule(Class::NameInvalid, r"invalidimagename|couldn't parse image (?:reference|name)|failed to apply default image tag|failed to parse image name|invalid image name"),
    rule(Class::NameInvalid, r"invalid reference format|invalid reference:|could not parse reference|failed to parse (?:image )?reference|normalizing image|invalid image reference|invalid source name|invalid tag format|invalid repository name"),
    rule(Class::NameInvalid, r"must be lower-?case|must not contain uppercase|(?:repository|tag|registr(?:y|ies)) can only contain|(?:repository|tag|registr(?:y|ies))[^\n]{0,40} must (?:be|match|consist)|cannot specify 64-byte hexadecimal|invalid checksum digest (?:length|format)|unsupported digest algorithm|invalid digest format|\bname_invalid\b|\btag_invalid\b"),
    rule(Class::NameInvalid, r"short-name (?:resolution|[^\n]* did not resolve)|no unqualified-search registries|no registries configured|shortnamemode|is ambiguous: it may refer")
        .because(Reason::ShortName),
    // policies about images
    rule(Class::Signature, r"signaturevalidationfailed|signature validation failed|image verifier [^\n]*(?:blocked|rejected|failed)|blocked pull of|source image rejected|rejected by policy|(?:a )?signature was required|no (?:matching )?signatures?(?: exists| found| were)|no valid signature|signature verification failed|failed to verify (?:image )?signature|(?:failed to verify|verifying|validate)[^\n]{0,60}(?:sigstore|cosign|attestor|notation)|invalid gpg signature|signature for identity"),
    rule(Class::Signature, r"(?:remote )?trust data|no trust data|notary[^\n]*trust|content trust|denied the request[^\n]*(?:signature|cosign|signed|attestation|verif)|policy[^\n]{0,80}(?:unsigned|not signed|signature)|image is not signed|imagepolicywebhook[^\n]*denied|denied by image policy|cosignverif|failed policy:|no matching attestations|none of the expected identities matched|sigstore[^\n]*(?:reject|fail|invalid|not)"),
];
