//! The proxy's sink of pull records: every record goes to metrics and log, and to the record file and the traces if there are any.

use std::sync::Arc;

use arc_swap::ArcSwap;
use proxy::{PullRecord, Records, Telemetry};

use super::fresh::FreshPulls;
use super::keeper::Keeper;
use super::savings::Savings;
use super::translate::translate;
use crate::run::incidents::{Incidents, sightings};
use crate::run::traces::Traces;

/// The sinks of one record.
pub(crate) struct Sinks {
    /// Metrics and log.
    pub(crate) telemetry: Arc<Telemetry>,
    /// The record file.
    pub(crate) keeper: Keeper,
    /// Counts what pulls saved.
    pub(crate) savings: Savings,
    /// Pulls that replace a probe.
    pub(crate) fresh: FreshPulls,
    /// The upstreams as configured now.
    pub(crate) upstreams: Arc<ArcSwap<Vec<config::Upstream>>>,
    /// Incidents that failures make.
    pub(crate) incidents: Incidents,
    /// Exports pulls as traces.
    pub(crate) traces: Traces,
}

impl Records for Sinks {
    fn ended(&self, record: &PullRecord) {
        self.telemetry.ended(record);
        let upstreams = self.upstreams.load();
        self.fresh.note(record, &upstreams);
        if let Some(sighting) = sightings::of_pull(record, &upstreams) {
            self.incidents.see(&sighting);
        }
        let kept = translate(record);
        self.telemetry.saved(&record.registry, &self.savings.of(&kept));
        self.traces.take(record, &kept);
        if self.keeper.is_on() {
            self.keeper.keep(kept);
        }
    }
}
