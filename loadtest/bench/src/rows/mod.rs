//! The groups of figures, one file each; [`measure`] chooses the file of a group.

mod beside;
mod cold;
mod crowd;
mod layer;
mod manifest;
mod measure;
mod parallel;
mod records;
mod slow;
mod startup;
mod units;

pub(crate) use measure::measure;
