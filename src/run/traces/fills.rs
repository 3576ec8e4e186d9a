//! The spans of recent transfers from upstreams, for links from the pulls that waited for them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use oci::{Digest, RegistryHost};
use opentelemetry::trace::SpanContext;

/// The object of a transfer.
pub(super) type Key = (RegistryHost, Digest);

/// The latest transfer of each object.
#[derive(Default)]
pub(super) struct Fills(HashMap<Key, Fill>);

struct Fill {
    span: SpanContext,
    began: SystemTime,
    ended: SystemTime,
}

impl Fills {
    /// Adds a transfer.
    pub(super) fn add(&mut self, key: Key, span: SpanContext, (began, ended): (SystemTime, SystemTime)) {
        if self.0.len() >= FILLS_MAX {
            let oldest = ended - KEPT.min(ended.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
            self.0.retain(|_, fill| fill.ended > oldest);
        }
        if self.0.len() < FILLS_MAX {
            self.0.insert(key, Fill { span, began, ended });
        }
    }

    /// The transfer of this object that ran at a moment of this time.
    pub(super) fn during(&self, key: &Key, (began, ended): (SystemTime, SystemTime)) -> Option<SpanContext> {
        let fill = self.0.get(key).filter(|fill| fill.began <= ended && fill.ended >= began)?;
        Some(fill.span.clone())
    }
}

/// The most transfers that are remembered.
const FILLS_MAX: usize = 4096;
/// The time for which a transfer is remembered when there are so many.
const KEPT: Duration = Duration::from_secs(60);
