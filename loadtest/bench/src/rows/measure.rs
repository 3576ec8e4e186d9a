//! Takes the figures of one group.

use super::{beside, cold, crowd, layer, manifest, parallel, records, slow, startup};
use crate::{error::Error, group::Group, lab::Lab, report::Section};

/// Takes the figures.
pub(crate) fn measure(group: Group, lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    match group {
        Group::Layer => layer::plain(lab),
        Group::Tls => layer::tls(lab),
        Group::Manifest => manifest::measure(lab),
        Group::Beside => beside::measure(lab),
        Group::Cold => cold::measure(lab),
        Group::Crowd => crowd::measure(lab),
        Group::Parallel => parallel::measure(lab),
        Group::Slow => slow::measure(lab),
        Group::Startup => startup::measure(lab),
        Group::Records => records::measure(lab),
    }
}
