//! Statistics: histograms, quantiles and medians.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A histogram of latencies up to a minute, in nanoseconds, with three significant digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("invariant: the bounds are in order")
}

/// Adds a latency, and the latencies of the requests that would have been sent every `period` during it (coordinated
/// omission). A period of zero adds no others.
pub(crate) fn record_with_omitted(histogram: &mut Histogram<u64>, latency: Duration, period: Duration) {
    histogram.saturating_record(nanoseconds(latency));
    let period = nanoseconds(period);
    let mut omitted = nanoseconds(latency).saturating_sub(period);
    while period > 0 && omitted >= period {
        histogram.saturating_record(omitted);
        omitted -= period;
    }
}

/// Adds a latency; one beyond a minute counts as a minute.
pub(crate) fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(nanoseconds(latency));
}

fn nanoseconds(latency: Duration) -> u64 {
    u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX)
}

/// A quantile, milliseconds.
pub(crate) fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e6
}

/// The median: the middle value, or the mean of the two middle values; NaN if there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_does_not_change_the_median() {
        assert_eq!(median(&[3.0, 900.0, 2.0]), 3.0);
        assert_eq!(median(&[1.0, 2.0]), 1.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut latencies = histogram();
        (1..=100).for_each(|ms| record(&mut latencies, Duration::from_millis(ms)));
        assert!((quantile_ms(&latencies, 0.5) - 50.0).abs() < 0.1);
        assert!((quantile_ms(&latencies, 0.99) - 99.0).abs() < 0.1);
        record(&mut latencies, Duration::from_secs(600));
        assert!((quantile_ms(&latencies, 1.0) - 60_000.0).abs() < 100.0);
    }

    #[test]
    fn a_long_latency_also_counts_for_the_omitted_requests() {
        let mut latencies = histogram();
        record_with_omitted(&mut latencies, Duration::from_millis(10), Duration::from_millis(2));
        assert_eq!(latencies.len(), 5, "10, 8, 6, 4 and 2 ms");
        assert!((quantile_ms(&latencies, 0.0) - 2.0).abs() < 0.01);
        record_with_omitted(&mut latencies, Duration::from_millis(10), Duration::ZERO);
        assert_eq!(latencies.len(), 6);
    }
}
