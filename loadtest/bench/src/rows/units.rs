//! Columns and units of several groups.

use crate::report::Measure;

pub(super) const GIGABYTES_A_SECOND: Measure = Measure { name: "GB/s", digits: 2 };
pub(super) const CPU_PER_GIGABYTE: Measure = Measure { name: "server CPU s per GB", digits: 3 };
pub(super) const P50: Measure = Measure { name: "p50 ms", digits: 3 };
pub(super) const P99: Measure = Measure { name: "p99 ms", digits: 3 };
pub(super) const WALL: Measure = Measure { name: "wall s", digits: 3 };
pub(super) const FIRST_BYTE: Measure = Measure { name: "first byte ms", digits: 1 };
pub(super) const MEMORY: Measure = Measure { name: "RssAnon MiB", digits: 1 };

pub(super) const GIGA: f64 = 1e9;
pub(super) const MEBI: f64 = 1_048_576.0;
