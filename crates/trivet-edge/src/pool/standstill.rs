//! A process that does not start what it was given.
//!
//! A thread that holds the interpreter lock in C, an event loop in a blocking
//! call, a stopped process: from outside all look the same. Requests that lie
//! there are taken back, whoever is idle or not, and no more are given to it
//! than one now and then, which tells when it moves again.

/// Without a start or an answer for so long, a process with unstarted requests
/// is at a standstill: far more than a switch of threads (5 ms) or a collection
/// of garbage takes, far less than a client notices.
const STANDSTILL_US: u64 = 50_000;
/// How often it is tried again.
const TRY_US: u64 = 100_000;

/// Whether a process moves.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// Since when nothing has moved while requests wait in it; 0 if none do.
    since_us: u64,
    completed: u64,
    started: usize,
    is_blocked: bool,
    may_try: bool,
    try_us: u64,
}

impl Standstill {
    /// Take in what is seen at `now_us`: requests that the process has answered so far, and
    /// those in it that it has and has not started. True where the latter are to be taken back.
    pub(super) fn look(
        &mut self,
        now_us: u64,
        completed: u64,
        started: usize,
        unstarted: usize,
    ) -> bool {
        let moves = completed != self.completed || started > self.started;
        (self.completed, self.started) = (completed, started);
        if moves {
            self.end();
        }
        if unstarted == 0 {
            self.since_us = 0;
            self.may_try |= self.is_blocked && now_us >= self.try_us;
            return false;
        }
        if self.since_us == 0 {
            self.since_us = now_us;
        }
        if now_us.saturating_sub(self.since_us) < STANDSTILL_US {
            return false;
        }
        *self = Self {
            since_us: 0,
            is_blocked: true,
            may_try: false,
            try_us: now_us + TRY_US,
            ..*self
        };
        true
    }

    /// It has answered.
    pub(super) fn end(&mut self) {
        (self.since_us, self.is_blocked, self.may_try) = (0, false, false);
    }

    /// The most requests that it may be given now; `None` for any number.
    pub(super) fn most(&self) -> Option<usize> {
        self.is_blocked.then_some(usize::from(self.may_try))
    }

    /// It was given a request.
    pub(super) fn give(&mut self) {
        self.may_try = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_start_within_50_ms_is_taken_back() {
        let mut standstill = Standstill::default();
        assert!(!standstill.look(1_000, 7, 1, 2));
        assert!(!standstill.look(50_999, 7, 1, 2));
        assert!(standstill.look(51_000, 7, 1, 2));
        assert_eq!(standstill.most(), Some(0));
    }

    #[test]
    fn a_start_or_an_answer_is_a_sign_of_life() {
        let mut standstill = Standstill::default();
        assert!(!standstill.look(1_000, 0, 1, 2));
        assert!(!standstill.look(50_000, 1, 1, 2));
        assert!(!standstill.look(99_000, 1, 2, 1));
        assert!(!standstill.look(140_000, 1, 2, 1));
        assert!(standstill.look(149_000, 1, 2, 1));
    }

    #[test]
    fn it_is_tried_again_with_one_request_at_a_time() {
        let mut standstill = Standstill::default();
        standstill.look(0, 0, 1, 0);
        standstill.look(1, 0, 1, 1);
        assert!(standstill.look(60_000, 0, 1, 1));
        assert!(!standstill.look(159_999, 0, 1, 0));
        assert_eq!(standstill.most(), Some(0));
        assert!(!standstill.look(160_000, 0, 1, 0));
        assert_eq!(standstill.most(), Some(1));
        standstill.give();
        assert_eq!(standstill.most(), Some(0));
        assert!(!standstill.look(161_000, 0, 1, 1));
        assert!(
            !standstill.look(170_000, 0, 2, 0),
            "it has started that one"
        );
        assert_eq!(standstill.most(), None);
    }
}
