//! Who may read what through us, by the upstream's access.

use config::Access;
use registry::Repository;

use crate::mirror::Served;
use crate::respond::Failure;
use crate::store::Scope;

/// May clients that proved nothing ask us for anything of this upstream?
pub(crate) fn admit(served: &Served) -> Result<(), Failure> {
    match served.access {
        Access::Public | Access::Shared => Ok(()),
        // A 403 in one request sends the node to the registry, with its own secret.
        Access::PerClient => Err(Failure::PerClient(served.registry.clone())),
    }
}

/// Where a link of `repository` is looked for and earned: content of a public upstream is public as a whole, any other
/// is seen only through repositories the upstream showed it in.
pub(crate) fn scope(served: &Served, repository: &Repository) -> Scope {
    let repository = (served.access != Access::Public).then(|| repository.clone());
    Scope { registry: served.registry.clone(), repository }
}
