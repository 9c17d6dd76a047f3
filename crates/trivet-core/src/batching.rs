//! Whether a worker's thread should be scheduled for batches.
//!
//! A thread of policy `SCHED_BATCH` gets the same share of the processor, but
//! does not push others off it when it wakes. Under load that is what a worker
//! wants: the edge and the client get on with what they do, and the worker
//! finds several requests at its next turn instead of one. Where requests come
//! one by one it would only make them wait, if something else computes on the
//! same processors.

/// How often the load is looked at, µs: often enough to follow a rush, and rare
/// enough that two system calls per change are nothing.
pub const LOOK_US: u64 = 50_000;
/// Requests per second of one thread from which on batches are worth it. Below, the
/// hop between the processes is a small part of what a request takes.
pub const LEAST_RATE: u64 = 1500;

/// What a thread has met since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    since_us: u64,
    wakes: u64,
    requests: u64,
    in_batches: bool,
}

impl Load {
    /// Count a wake-up that found `requests`, at `now_us` of any clock that only grows.
    ///
    /// Returns whether the thread should be scheduled for batches from now on,
    /// where that has changed.
    pub fn wake(&mut self, requests: u64, now_us: u64) -> Option<bool> {
        self.wakes += 1;
        self.requests += requests;
        let elapsed_us = now_us.saturating_sub(self.since_us);
        if elapsed_us < LOOK_US {
            return None;
        }
        // What has changed stays for a while: half of what it took to begin is enough to go on.
        let ease = if self.in_batches { 2 } else { 1 };
        let rate = self.requests.saturating_mul(1_000_000) / elapsed_us;
        let wanted = rate * ease >= LEAST_RATE && self.requests * ease >= 2 * self.wakes;
        let changed = wanted != self.in_batches;
        *self = Self {
            since_us: now_us,
            in_batches: wanted,
            ..Self::default()
        };
        changed.then_some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a second with so many wake-ups that find so many requests each.
    fn after(load: &mut Load, start_us: u64, wakes: u64, requests: u64) -> Option<bool> {
        (1..=wakes)
            .filter_map(|wake| load.wake(requests, start_us + wake * 1_000_000 / wakes))
            .last()
    }

    #[test]
    fn a_rush_is_served_in_batches() {
        assert_eq!(after(&mut Load::default(), 0, 2000, 4), Some(true));
    }

    #[test]
    fn requests_that_come_one_by_one_are_not() {
        assert_eq!(after(&mut Load::default(), 0, 5000, 1), None);
    }

    #[test]
    fn few_requests_are_not() {
        assert_eq!(after(&mut Load::default(), 0, 100, 4), None);
    }

    #[test]
    fn batches_end_with_the_rush() {
        let mut load = Load::default();
        after(&mut load, 0, 2000, 4);
        assert_eq!(after(&mut load, 1_000_000, 100, 1), Some(false));
    }

    #[test]
    fn a_thread_that_has_rested_is_not_in_a_rush_any_more() {
        let mut load = Load::default();
        after(&mut load, 0, 2000, 4);
        assert_eq!(load.wake(1, 60_000_000), Some(false));
    }

    #[test]
    fn a_rush_that_slackens_a_little_goes_on() {
        let mut load = Load::default();
        after(&mut load, 0, 2000, 4);
        assert_eq!(after(&mut load, 1_000_000, 1000, 1), None);
    }
}
