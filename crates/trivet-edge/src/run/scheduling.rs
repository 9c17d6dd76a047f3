//! Asking the scheduler not to push others off the processor for this thread.

use std::sync::OnceLock;

use trivet_core::batching::Load;

/// Schedule the calling thread for batches, or as usual again (sched(7)).
///
/// Needs no privilege. What the thread starts meanwhile is scheduled for batches, too:
/// `SCHED_RESET_ON_FORK` is about real-time policies only.
#[allow(unsafe_code, reason = "rustix has no scheduling policies")]
pub fn prefer_batches(wanted: bool) {
    let policy = if wanted {
        libc::SCHED_BATCH
    } else {
        libc::SCHED_OTHER
    };
    // SAFETY: a valid parameter block, for the calling thread.
    unsafe {
        let parameters: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, policy, &raw const parameters);
    }
}

/// Whether the calling thread has the policy that everybody has; any other is the operator's wish.
#[allow(unsafe_code, reason = "rustix has no scheduling policies")]
fn is_as_usual() -> bool {
    // SAFETY: no pointers; asks about the calling thread.
    unsafe { libc::sched_getscheduler(0) == libc::SCHED_OTHER }
}

/// A worker's thread, scheduled for batches as long as requests come in batches.
#[derive(Debug)]
pub struct Scheduling {
    /// `None` where its scheduling is left alone.
    load: Option<Load>,
}

impl Scheduling {
    /// That of the calling thread, which is the one that calls [`Scheduling::wake`].
    ///
    /// What the first thread of the process finds is the operator's wish: a later one
    /// may have been made by a thread that was scheduled for batches.
    pub fn of_this_thread() -> Self {
        static IS_OURS: OnceLock<bool> = OnceLock::new();
        Self::new(*IS_OURS.get_or_init(is_as_usual))
    }

    fn new(is_ours: bool) -> Self {
        if is_ours && !is_as_usual() {
            prefer_batches(false);
        }
        Self {
            load: is_ours.then(Load::default),
        }
    }

    /// The thread has woken and found `requests`, at `now_us` of the monotonic clock.
    pub fn wake(&mut self, requests: u64, now_us: u64) {
        let Some(load) = &mut self.load else { return };
        if let Some(in_batches) = load.wake(requests, now_us) {
            prefer_batches(in_batches);
        }
    }
}

#[cfg(test)]
#[allow(unsafe_code, reason = "rustix has no scheduling policies")]
mod tests {
    use super::*;

    fn policy() -> i32 {
        // SAFETY: no pointers; asks about the calling thread.
        unsafe { libc::sched_getscheduler(0) }
    }

    fn rush(scheduling: &mut Scheduling) {
        for wake in 1..1000 {
            scheduling.wake(4, wake * 500);
        }
    }

    #[test]
    fn a_thread_is_scheduled_for_batches_while_requests_rush_in() {
        let mut scheduling = Scheduling::new(is_as_usual());
        rush(&mut scheduling);
        assert_eq!(policy(), libc::SCHED_BATCH);
        scheduling.wake(1, 60_000_000);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }

    #[test]
    fn a_thread_that_is_made_in_a_rush_begins_as_usual() {
        rush(&mut Scheduling::new(is_as_usual()));
        let made = std::thread::spawn(|| {
            let scheduling = Scheduling::new(true);
            (policy(), scheduling.load.is_some())
        });
        assert_eq!(made.join().unwrap(), (libc::SCHED_OTHER, true));
    }

    #[test]
    fn what_the_operator_has_chosen_stays() {
        // SAFETY: a valid parameter block, for the calling thread.
        unsafe {
            let parameters: libc::sched_param = std::mem::zeroed();
            libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters);
        }
        rush(&mut Scheduling::new(is_as_usual()));
        assert_eq!(policy(), libc::SCHED_IDLE);
    }
}
