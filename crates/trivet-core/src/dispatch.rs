//! How many requests a worker process may hold.
//!
//! A window of requests ahead of the running one saves a wake-up per request;
//! a window that is too long makes requests wait behind a slow one. So it
//! follows the measured service time: the wait behind a running request stays
//! around [`TARGET_WAIT_US`].

/// The wait that a full window may cause, µs.
pub const TARGET_WAIT_US: u32 = 1000;
/// The longest window. Beyond it a wake-up is shared by so many requests that
/// more of them save nothing (measured: `docs/decisions/`).
pub const LONGEST_WINDOW: u16 = 16;

/// The service time of an app's requests, as a moving average.
#[derive(Clone, Copy, Debug)]
pub struct ServiceTime {
    average_us: u32,
}

impl Default for ServiceTime {
    /// Before anything is known: a window of 4, which neither starves a fast
    /// app nor piles up behind a slow one.
    fn default() -> Self {
        Self {
            average_us: TARGET_WAIT_US / 4,
        }
    }
}

impl ServiceTime {
    /// Take a request's time in the app into account.
    ///
    /// A single slow request moves the average by a bounded step only, since
    /// unstarted requests behind it are recalled anyway; a slow app moves it
    /// quickly all the same.
    pub fn record(&mut self, service_us: u32) {
        let average = u64::from(self.average_us);
        let seen = u64::from(service_us).min(4 * average + 200);
        let next = (7 * average + seen).div_ceil(8);
        self.average_us = u32::try_from(next).unwrap_or(u32::MAX);
    }

    /// The average, µs.
    pub fn average_us(self) -> u32 {
        self.average_us
    }

    /// How many requests a process may hold; `configured` is used unless 0.
    pub fn window(self, configured: u16) -> u16 {
        if configured != 0 {
            return configured;
        }
        let fitting = TARGET_WAIT_US / self.average_us.max(1);
        u16::try_from(fitting)
            .unwrap_or(LONGEST_WINDOW)
            .clamp(1, LONGEST_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times: &[u32]) -> ServiceTime {
        let mut service = ServiceTime::default();
        for &time in times {
            service.record(time);
        }
        service
    }

    #[test]
    fn a_fast_app_gets_the_longest_window() {
        assert_eq!(after(&[10; 100]).window(0), LONGEST_WINDOW);
    }

    #[test]
    fn a_slow_app_gets_a_window_of_one() {
        assert_eq!(after(&[50_000; 20]).window(0), 1);
    }

    #[test]
    fn an_app_of_a_quarter_millisecond_gets_four() {
        assert_eq!(after(&[250; 50]).window(0), 4);
    }

    #[test]
    fn one_slow_request_among_fast_ones_leaves_a_window() {
        let mut times = vec![50; 100];
        times.push(500_000);
        assert!(after(&times).window(0) >= 8);
    }

    #[test]
    fn a_configured_window_stands() {
        assert_eq!(after(&[50_000; 20]).window(7), 7);
    }

    #[test]
    fn the_average_survives_the_longest_times() {
        assert!(after(&[u32::MAX; 1000]).average_us() > 1_000_000);
    }
}
