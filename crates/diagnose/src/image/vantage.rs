//! The decision table of two ways to the same image: direct, and through the mirror.

use oci::class::Family;
use oci::{Class, labels};

use super::evidence::{Depth, Fault, Mirror, Served};

labels! {
    /// The place of the fault.
    Place {
        /// Nowhere: the image can be pulled.
        Nowhere = "nowhere";
        /// The image: its name, tag, digest or platform.
        Image = "image";
        /// The credential, or its absence.
        Credential = "credential";
        /// The registry.
        Registry = "registry";
        /// The path to the registry: name service, network, forward proxy, interception.
        Path = "path";
        /// The mirror, its configuration or its machine.
        Mirror = "mirror";
        /// This machine: its clock, its limits.
        Machine = "machine";
        /// The node of the pod.
        Node = "node";
        /// The specification of the pod, or a policy about it.
        Pod = "pod";
    }
}

/// What both ways show together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A pull succeeds.
    Fine,
    /// The fault of the direct way counts.
    Direct(Place),
    /// The fault of the way through the mirror counts.
    Mirror(Place),
}

/// Judges. `direct` is the result of the identity that a node would use.
pub fn judge(direct: Result<Depth, &Fault>, mirror: Option<&Mirror>) -> Judgement {
    let Some(mirror) = mirror else {
        return direct.err().map_or(Judgement::Fine, |fault| Judgement::Direct(alone(fault)));
    };
    match (direct, &mirror.result) {
        (Ok(_), Ok(_)) => Judgement::Fine,
        (Ok(_), Err(_)) if !mirror.answered => Judgement::Mirror(Place::Mirror),
        (Ok(_), Err(fault)) => Judgement::Mirror(of_mirror(fault)),
        (Err(fault), Ok(_)) => Judgement::Direct(served(fault, mirror.served)),
        (Err(fault), Err(theirs)) if mirror.answered => Judgement::Direct(both(fault, theirs)),
        (Err(fault), Err(_)) => Judgement::Direct(alone(fault)),
    }
}

/// The place of a fault that only one way shows.
fn alone(fault: &Fault) -> Place {
    use Class as C;
    match fault.class {
        C::Dns | C::ConnectTimeout | C::ConnectUnreachable | C::ConnectReset | C::HttpProxy => Place::Path,
        C::TlsUnknownCa | C::TlsName | C::TlsOther | C::BlobHost => Place::Path,
        C::TlsNotYetValid => Place::Machine,
        C::Loop | C::TrustRefused | C::UpstreamPaused | C::NotConfigured | C::DiskFull | C::DiskSlow => {
            Place::Mirror
        }
        C::Overloaded => Place::Machine,
        C::Corrupt => Place::Registry,
        class => match class.rules().family {
            Family::Content => Place::Image,
            Family::Access => Place::Credential,
            Family::Configuration => Place::Mirror,
            Family::Capacity => Place::Machine,
            Family::Limit | Family::Reachability | Family::Certificate => Place::Registry,
        },
    }
}

/// The place of a fault that only the mirror shows, while the direct way works.
fn of_mirror(fault: &Fault) -> Place {
    match fault.class.rules().family {
        // The mirror cannot reach what this machine reaches.
        Family::Reachability | Family::Certificate
            if !matches!(fault.class, Class::UpstreamPaused | Class::Registry5xx) =>
        {
            Place::Path
        }
        // The registry counts the mirror's address.
        Family::Limit => Place::Registry,
        _ => Place::Mirror,
    }
}

/// The place of a fault of the direct way, while the mirror serves the image.
fn served(fault: &Fault, served: Served) -> Place {
    let is_network = matches!(fault.class.rules().family, Family::Reachability | Family::Certificate);
    match served {
        // The mirror says itself that the registry fails it.
        Served::Stale if is_network => both_fail(fault),
        // The mirror reaches what this machine does not, unless the registry answered.
        Served::Registry if is_network && fault.status.is_none() => match alone(fault) {
            Place::Machine => Place::Machine,
            _ => Place::Path,
        },
        _ => alone(fault),
    }
}

/// The place of a fault that both ways show.
fn both(direct: &Fault, mirror: &Fault) -> Place {
    if direct.class == mirror.class { both_fail(direct) } else { alone(direct) }
}

/// The same fault from two places: the network of one machine does not explain it.
fn both_fail(fault: &Fault) -> Place {
    match fault.class {
        // A name that nobody can resolve is wrong, or its zone fails.
        Class::Dns => Place::Registry,
        Class::HttpProxy => Place::Path,
        class if matches!(class.rules().family, Family::Reachability | Family::Certificate) => {
            Place::Registry
        }
        _ => alone(fault),
    }
}

#[cfg(test)]
mod tests {
    use oci::Stage;

    use super::*;

    fn fault(class: Class) -> Fault {
        Fault::new(class, Stage::Connect)
    }

    fn mirror(class: Option<Class>) -> Mirror {
        let result = class.map_or(Ok(Depth::Resolved), |class| Err(fault(class)));
        Mirror { url: String::new(), result, answered: true, served: Served::Registry }
    }

    #[test]
    fn one_verdict_for_each_pair_of_results() {
        use Class as C;
        use Judgement::{Direct, Fine, Mirror as Ours};
        for (direct, through, expected) in [
            (None, None, Fine),
            (None, Some(C::Dns), Ours(Place::Path)),
            (None, Some(C::ConnectTimeout), Ours(Place::Path)),
            (None, Some(C::TlsUnknownCa), Ours(Place::Path)),
            (None, Some(C::UpstreamPaused), Ours(Place::Mirror)),
            (None, Some(C::NotConfigured), Ours(Place::Mirror)),
            (None, Some(C::AuthRejected), Ours(Place::Mirror)),
            (None, Some(C::DiskFull), Ours(Place::Mirror)),
            (None, Some(C::ManifestUnknown), Ours(Place::Mirror)),
            (None, Some(C::RatePullQuota), Ours(Place::Registry)),
            (Some(C::Dns), None, Direct(Place::Path)),
            (Some(C::ConnectRefused), None, Direct(Place::Path)),
            (Some(C::TlsExpired), None, Direct(Place::Path)),
            (Some(C::RatePullQuota), None, Direct(Place::Registry)),
            (Some(C::AuthMissing), None, Direct(Place::Credential)),
            (Some(C::Dns), Some(C::Dns), Direct(Place::Registry)),
            (Some(C::ConnectRefused), Some(C::ConnectRefused), Direct(Place::Registry)),
            (Some(C::ConnectTimeout), Some(C::ConnectTimeout), Direct(Place::Registry)),
            (Some(C::TlsExpired), Some(C::TlsExpired), Direct(Place::Registry)),
            (Some(C::Registry5xx), Some(C::Registry5xx), Direct(Place::Registry)),
            (Some(C::HttpProxy), Some(C::HttpProxy), Direct(Place::Path)),
            (Some(C::ManifestUnknown), Some(C::ManifestUnknown), Direct(Place::Image)),
            (Some(C::AuthMissing), Some(C::ManifestUnknown), Direct(Place::Credential)),
            (Some(C::Dns), Some(C::UpstreamPaused), Direct(Place::Path)),
        ] {
            let failed = direct.map(fault);
            let found = judge(failed.as_ref().map_or(Ok(Depth::Pullable), Err), Some(&mirror(through)));
            assert_eq!(found, expected, "direct {direct:?}, mirror {through:?}");
        }
    }

    #[test]
    fn a_mirror_that_does_not_answer_is_at_fault_only_if_the_registry_works() {
        let silent = Mirror { answered: false, ..mirror(Some(Class::ConnectRefused)) };
        assert_eq!(judge(Ok(Depth::Pullable), Some(&silent)), Judgement::Mirror(Place::Mirror));
        let direct = fault(Class::Registry5xx);
        assert_eq!(judge(Err(&direct), Some(&silent)), Judgement::Direct(Place::Registry));
    }

    #[test]
    fn a_stale_answer_shows_that_the_registry_fails_the_mirror_too() {
        let from = |served| Mirror { served, ..mirror(None) };
        let direct = fault(Class::ConnectTimeout);
        let place = |served| judge(Err(&direct), Some(&from(served)));
        assert_eq!(place(Served::Stale), Judgement::Direct(Place::Registry));
        assert_eq!(place(Served::Cache), Judgement::Direct(Place::Path), "the mirror did not ask");
        assert_eq!(place(Served::Registry), Judgement::Direct(Place::Path));
    }

    #[test]
    fn without_a_mirror_every_class_has_a_place() {
        for class in Class::ALL.iter().copied() {
            let found = judge(Err(&fault(class)), None);
            assert!(matches!(found, Judgement::Direct(place) if place != Place::Nowhere), "{class}");
        }
    }
}
