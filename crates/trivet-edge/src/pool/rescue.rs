//! No request waits behind a slow one while anybody is idle.
//!
//! Looks at the pool once per millisecond, while somebody waits, or could soon
//! have to: while a request has just begun to hold its thread. One that waits
//! for something is set aside before the next one comes, so that nobody waits
//! for that to be found out.

use std::sync::Arc;

use super::State;
use super::worker::Worker;
use crate::clock::process_cpu_us;
use crate::exchange::Exchange;

/// A request that has been running for longer holds its thread.
const LONG_US: u64 = 1000;
/// A process that holds the interpreter lock with one request gets a second
/// thread only after this long: two threads that both want the lock are slower
/// than one, but nobody should wait behind a long computation for ever.
const PATIENCE_US: u64 = 20_000;
/// For so long a request is looked after though nobody waits behind it. What has not
/// begun to wait by then computes, and another thread would only be in its way.
const FRESH_US: u64 = 20_000;
/// Least time between two looks at a process's CPU clock that says anything.
const LOOK_US: u64 = 500;

/// What was seen of a process at the last look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    at_us: u64,
    cpu_us: u64,
    completed: u64,
}

/// What a process is doing since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    /// It answers requests, or it is too early to tell.
    Moving,
    /// It computes: another thread would only fight for the interpreter lock.
    Computing,
    /// It waits for something: another thread can run.
    Waiting,
}

impl State {
    /// Recall, wake and hand out as needed; false where nobody waits, or could soon have to.
    pub(super) fn rescue(&mut self, now_us: u64) -> bool {
        let mut someone_waits = !self.queue.is_empty();
        for at in 0..self.workers.len() {
            let Some(worker) = self.workers.get_mut(at) else {
                break;
            };
            if worker.is_held {
                // What it has is for no other worker.
                continue;
            }
            let (unstarted, longest_us) = worker.backlog(now_us);
            let started = worker.outstanding() - unstarted;
            let completed = worker.completed;
            if worker
                .standstill
                .look(now_us, completed, started, unstarted)
            {
                self.recall(at, usize::MAX);
                someone_waits = true;
                continue;
            }
            let unsent = worker.has_unsent();
            if unstarted == 0 && self.queue.is_empty() && !unsent {
                someone_waits |= worker.look_after(longest_us, now_us);
                continue;
            }
            someone_waits = true;
            if unsent && longest_us >= LONG_US {
                // A slow request holds up the answers of quick ones before it. These look as
                // if they were running still, so what to do next is for the next look.
                if worker.claim.page().ask_to_send() {
                    worker.ring();
                }
                continue;
            }
            let activity = worker.look(now_us);
            if worker.ahead() == unstarted || longest_us < LONG_US || activity == Activity::Moving {
                continue;
            }
            self.recall_for_idle(at);
            let Some(worker) = self.workers.get_mut(at) else {
                break;
            };
            let worth_it = activity == Activity::Waiting || longest_us > PATIENCE_US;
            if worth_it {
                worker.set_aside(now_us);
            }
        }
        self.pump();
        someone_waits
    }

    /// Move unstarted requests of the worker at `at` to idle workers.
    fn recall_for_idle(&mut self, at: usize) {
        let idle = self
            .workers
            .iter()
            .filter(|worker| worker.is_idle() && worker.room(self.window) > 0)
            .count();
        self.recall(at, idle);
    }

    /// Take back at most `most` unstarted requests of the worker at `at`, the oldest first.
    fn recall(&mut self, at: usize, most: usize) {
        let Some(worker) = self.workers.get_mut(at) else {
            return;
        };
        let recalled: Vec<Arc<Exchange>> = worker.recall_some(most);
        for exchange in recalled.iter().rev() {
            self.take_back(exchange);
        }
        self.pump();
    }
}

impl Worker {
    /// Unstarted requests, and for how long the longest of those that are
    /// running and not aside has been running.
    fn backlog(&self, now_us: u64) -> (usize, u64) {
        let page = self.claim.page();
        let mut unstarted = 0;
        let mut longest = 0;
        for (slot, held) in self.slots() {
            match page.running_since(slot, held.number) {
                None => unstarted += 1,
                Some(since) if !held.is_aside && since != 0 => {
                    longest = longest.max(now_us.saturating_sub(since));
                }
                Some(_) => {}
            }
        }
        (unstarted, longest)
    }

    /// Answers lie in the process, gathered for one send.
    fn has_unsent(&self) -> bool {
        !self.is_idle() && self.claim.page().has_unsent()
    }

    /// Free the thread's place for who comes next, if its request waits for something.
    /// Returns whether to look again.
    fn look_after(&mut self, longest_us: u64, now_us: u64) -> bool {
        if self.ahead() == 0 || longest_us > FRESH_US || !self.has_spare_thread() {
            return false;
        }
        let activity = self.look(now_us);
        if longest_us >= LONG_US && activity == Activity::Waiting {
            self.set_aside(now_us);
        }
        true
    }

    /// Whether a request that it is given should be looked after.
    pub(super) fn has_spare_thread(&self) -> bool {
        self.aside + 1 < self.threads
    }

    fn look(&mut self, now_us: u64) -> Activity {
        let last = self.last_look;
        let elapsed = now_us.saturating_sub(last.at_us);
        if elapsed < LOOK_US {
            return Activity::Moving;
        }
        let cpu_us = process_cpu_us(self.pid).unwrap_or(0);
        self.last_look = Look {
            at_us: now_us,
            cpu_us,
            completed: self.completed,
        };
        // A look from long ago says nothing about now.
        if elapsed > 20 * LOOK_US || last.completed != self.completed {
            return Activity::Moving;
        }
        if cpu_us.saturating_sub(last.cpu_us) * 2 > elapsed {
            Activity::Computing
        } else {
            Activity::Waiting
        }
    }

    /// Count the long-running requests aside, and wake a thread for the rest.
    fn set_aside(&mut self, now_us: u64) {
        while self.aside + 1 < self.threads
            && let Some(slot) = self.long_running(now_us)
            && let Some(held) = self.slot_mut(slot)
        {
            held.is_aside = true;
            self.aside += 1;
            self.ring();
        }
    }

    /// Count a request aside that holds its thread for as long as it likes, and wake
    /// another thread at once: nobody may be reading what this worker is sent.
    pub(super) fn put_aside(&mut self, slot: u16, number: u64) {
        if self.aside + 1 < self.threads
            && let Some(held) = self.slot_mut(slot)
            && held.number == number
            && !held.is_aside
        {
            held.is_aside = true;
            self.aside += 1;
            self.ring();
        }
    }

    /// A request that was aside is over, and its thread is free to read: a
    /// long-running one takes its place, so that the next request goes out at
    /// once and not at the next look.
    pub(super) fn pass_aside_on(&mut self, now_us: u64) {
        if let Some(slot) = self.long_running(now_us)
            && let Some(held) = self.slot_mut(slot)
        {
            held.is_aside = true;
            self.aside += 1;
        }
    }

    /// A request that has been running for long and is not aside.
    fn long_running(&self, now_us: u64) -> Option<u16> {
        let page = self.claim.page();
        let is_long = |since| since != 0 && now_us.saturating_sub(since) >= LONG_US;
        self.slots()
            .filter(|(_, held)| !held.is_aside)
            .find(|(slot, held)| page.running_since(*slot, held.number).is_some_and(is_long))
            .map(|(slot, _)| slot)
    }

    /// Take back at most `most` unstarted requests, the oldest first.
    fn recall_some(&mut self, most: usize) -> Vec<Arc<Exchange>> {
        if most == 0 {
            return Vec::new();
        }
        let mut held: Vec<_> = self
            .slots()
            .map(|(slot, held)| (held.number, slot))
            .collect();
        held.sort_unstable();
        let mut recalled = Vec::new();
        for (number, slot) in held {
            if recalled.len() == most {
                break;
            }
            if self.claim.page().recall(slot, number) {
                recalled.extend(self.release(slot, number));
            }
        }
        recalled
    }
}
