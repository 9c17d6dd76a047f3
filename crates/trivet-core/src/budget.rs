//! How often something may be told, so that telling never costs more than doing.

/// A token bucket: `burst` at once, and `per_second` in the long run.
///
/// Times are µs of any clock that does not go back.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    per_second: u64,
    burst_us: u64,
    /// The time that has not been spent yet, in µs; one token costs `1 s / per_second`.
    saved_us: u64,
    last_us: u64,
}

const SECOND_US: u64 = 1_000_000;

impl Budget {
    /// A full bucket. Both numbers are at least 1.
    pub const fn new(burst: u32, per_second: u32) -> Self {
        let per_second = if per_second == 0 {
            1
        } else {
            per_second as u64
        };
        let burst = if burst == 0 { 1 } else { burst as u64 };
        let burst_us = burst * (SECOND_US / per_second);
        Self {
            per_second,
            burst_us,
            saved_us: burst_us,
            last_us: 0,
        }
    }

    /// Take a token, if there is one at `now_us`.
    pub fn take(&mut self, now_us: u64) -> bool {
        let passed = now_us.saturating_sub(self.last_us);
        self.last_us = self.last_us.max(now_us);
        self.saved_us = self.saved_us.saturating_add(passed).min(self.burst_us);
        let price = SECOND_US / self.per_second;
        let has_one = self.saved_us >= price;
        if has_one {
            self.saved_us -= price;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let mut budget = Budget::new(5, 10);
        let now = 77_000_000;
        assert_eq!((0..100).filter(|_| budget.take(now)).count(), 5);
        let second = (1..=1000).filter(|ms| budget.take(now + ms * 1000)).count();
        assert_eq!(second, 10);
    }

    #[test]
    fn a_quiet_hour_saves_no_more_than_a_burst() {
        let mut budget = Budget::new(5, 10);
        assert!(budget.take(1));
        assert_eq!((0..100).filter(|_| budget.take(3_600_000_000)).count(), 5);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut budget = Budget::new(1, 1);
        assert!(budget.take(5_000_000));
        assert!(!budget.take(1_000_000));
        assert!(!budget.take(5_000_001));
        assert!(budget.take(6_000_000));
    }
}
