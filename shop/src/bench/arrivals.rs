//! When the orders of an open loop are meant to come: a Poisson process, the same for the same seed.

use std::time::Duration;

use rand::{SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, Exp, ExpError};

/// Intended starts, counted from the beginning, without end.
#[derive(Debug)]
pub struct Arrivals {
    gap: Exp<f64>,
    random: StdRng,
    at: Duration,
}

impl Arrivals {
    /// `rate` arrivals per second on average.
    ///
    /// # Errors
    /// The rate is no rate.
    pub fn new(rate: u32, seed: u64) -> Result<Self, ExpError> {
        Ok(Self { gap: Exp::new(f64::from(rate))?, random: StdRng::seed_from_u64(seed), at: Duration::ZERO })
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let gap = Duration::try_from_secs_f64(self.gap.sample(&mut self.random)).unwrap_or_default();
        self.at = self.at.saturating_add(gap);
        Some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_the_rate_on_average() {
        let last = Arrivals::new(1_000, 7).unwrap().nth(99_999).unwrap();
        assert!((98..=102).contains(&last.as_secs()), "100,000 arrivals took {last:?}");
    }

    #[test]
    fn arrivals_are_random_and_not_evenly_spaced() {
        let starts: Vec<Duration> = Arrivals::new(1_000, 7).unwrap().take(10_000).collect();
        let gaps: Vec<Duration> = starts.windows(2).map(|pair| pair[1].abs_diff(pair[0])).collect();
        let mean = Duration::from_millis(1);
        let longer = gaps.iter().filter(|gap| **gap > mean).count();
        assert!((3_400..=3_950).contains(&longer), "1/e of the gaps are longer than the mean: {longer}");
    }

    #[test]
    fn a_seed_draws_the_same_arrivals_again() {
        let draw = |seed| Arrivals::new(50, seed).unwrap().take(100).collect::<Vec<_>>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
