//! How long answers took.

use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};
use serde::Serialize;

/// The longest that is told apart: ten minutes, in microseconds.
const LONGEST: u64 = 600_000_000;
/// Digits that are told apart.
const DIGITS: u8 = 3;

/// Latencies, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

/// What is said of latencies, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "figures carry their unit")]
pub struct Quantiles {
    /// Half of them are shorter.
    pub p50_us: u64,
    /// All but one of a hundred.
    pub p99_us: u64,
    /// All but one of a thousand.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Latencies {
    pub(super) fn new() -> Result<Self, CreationError> {
        Histogram::new_with_bounds(1, LONGEST, DIGITS).map(Self)
    }

    pub(super) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST));
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        Quantiles {
            p50_us: self.0.value_at_quantile(0.5),
            p99_us: self.0.value_at_quantile(0.99),
            p999_us: self.0.value_at_quantile(0.999),
            max_us: self.0.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::new().unwrap();
        (1..=1000).for_each(|millis| latencies.record(Duration::from_millis(millis)));
        let Quantiles { p50_us, p99_us, p999_us, max_us } = latencies.quantiles();
        for (found, exact) in [(p50_us, 500_000), (p99_us, 990_000), (p999_us, 999_000), (max_us, 1_000_000)] {
            assert!(found.abs_diff(exact) <= exact / 500, "{found} is not {exact} to three digits");
        }
    }

    #[test]
    fn nothing_recorded_is_zero_and_too_long_is_the_longest() {
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(latencies.quantiles().max_us, 0);
        latencies.record(Duration::from_secs(3600));
        assert!(latencies.quantiles().max_us >= LONGEST);
    }
}
