//! Deadlines of connections: one coarse timer for all of them.
//!
//! A timer per request would cost more than the request. A connection writes
//! its deadline into an atomic; a sweep every [`SWEEP`] wakes those whose time
//! is over. So a deadline is kept to a tenth of a second, late, never early.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{coarse_now_us, now_us};

/// How often deadlines are looked at.
pub const SWEEP: Duration = Duration::from_millis(100);

/// One connection's deadline.
#[derive(Debug, Default)]
pub struct Watch {
    deadline_us: AtomicU64,
    /// When the sweep has looked last: a task that wakes for anything else need not ask the clock.
    swept_us: Arc<AtomicU64>,
    is_idle: AtomicBool,
    waker: OnceLock<Waker>,
}

impl Watch {
    /// Set the deadline `timeout_ms` from now.
    pub fn set(&self, timeout_ms: u32) {
        self.set_at(coarse_now_us() + u64::from(timeout_ms) * 1000);
    }

    /// Set the deadline to a point of the monotonic clock.
    pub fn set_at(&self, deadline_us: u64) {
        self.deadline_us.store(deadline_us, Ordering::Relaxed);
    }

    /// No deadline.
    pub fn clear(&self) {
        self.deadline_us.store(0, Ordering::Relaxed);
    }

    /// Whether there is a deadline.
    pub fn is_set(&self) -> bool {
        self.deadline_us.load(Ordering::Relaxed) != 0
    }

    /// Whether the deadline had passed at the last sweep.
    pub fn is_over(&self) -> bool {
        let deadline = self.deadline_us.load(Ordering::Relaxed);
        deadline != 0 && self.swept_us.load(Ordering::Relaxed) >= deadline
    }

    /// Say whether the connection waits for its next request.
    ///
    /// Ordered with the start of the drain: a connection that becomes idle at
    /// that moment either is seen as idle and woken, or sees the drain.
    pub fn set_idle(&self, is_idle: bool) {
        self.is_idle.store(is_idle, Ordering::SeqCst);
    }

    /// Register the task to wake; the first call counts.
    pub fn register(&self, waker: &Waker) {
        if self.waker.get().is_none() {
            let _ = self.waker.set(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// The watches of all open connections.
#[derive(Debug, Default)]
pub struct Watches {
    list: Mutex<Vec<Weak<Watch>>>,
    swept_us: Arc<AtomicU64>,
}

impl Watches {
    /// Watch one more connection, as long as it keeps the returned value.
    pub fn add(&self) -> Arc<Watch> {
        let watch = Arc::new(Watch {
            swept_us: Arc::clone(&self.swept_us),
            ..Watch::default()
        });
        self.list.lock().push(Arc::downgrade(&watch));
        watch
    }

    /// Wake those whose deadline has passed, and forget those that are gone.
    pub fn sweep(&self) {
        let now = now_us();
        self.swept_us.store(now, Ordering::Relaxed);
        self.list.lock().retain(|watch| {
            let Some(watch) = watch.upgrade() else {
                return false;
            };
            let deadline = watch.deadline_us.load(Ordering::Relaxed);
            if deadline != 0 && now >= deadline {
                watch.wake();
            }
            true
        });
    }

    /// Wake the connections that wait for a next request: the edge drains, or goes by other
    /// settings.
    pub fn wake_idle(&self) {
        for watch in self.list.lock().iter().filter_map(Weak::upgrade) {
            if watch.is_idle.load(Ordering::SeqCst) {
                watch.wake();
            }
        }
    }

    /// Wake all, as at the end of the drain deadline.
    pub fn wake_all(&self) {
        for watch in self.list.lock().iter().filter_map(Weak::upgrade) {
            watch.wake();
        }
    }

    /// Open connections.
    pub fn count(&self) -> usize {
        self.list
            .lock()
            .iter()
            .filter(|watch| watch.strong_count() > 0)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_over_once_the_sweep_has_seen_it() {
        let watches = Watches::default();
        let watch = watches.add();
        watch.set_at(now_us());
        assert!(!watch.is_over());
        watches.sweep();
        assert!(watch.is_over());
        watch.set(60_000);
        watches.sweep();
        assert!(!watch.is_over());
    }
}
