//! Requests that have become tunnels: what their connections ask of the pool, and how
//! they end when the edge or a worker stops.
//!
//! A tunnel keeps its slot on the claim page: its thread is the app's until that returns.

use std::sync::Arc;

use super::Pool;
use super::worker::Worker;
use crate::exchange::{Exchange, Stage};

/// What apps get at the most between the cut of their tunnels and the end of the drain, µs.
const MOST_REST_US: u64 = 1_000_000;

impl Pool {
    /// The app has answered the handshake: it is an answer in part from now on, and the
    /// thread that runs it is not counted on any more.
    pub fn begin_tunnel(&self, exchange: &Arc<Exchange>) {
        exchange.reply().has_head = true;
        exchange.drop_descriptor();
        let mut state = self.state.lock();
        let stage = exchange.place.lock().stage;
        if let Stage::HandedOut {
            worker,
            slot,
            number,
        } = stage
            && let Some(worker) = state.worker(worker)
        {
            worker.put_aside(slot, number);
            state.pump();
        }
    }
}

impl Worker {
    /// Have every tunnel cut at `at_us`, also those that are only asked for.
    pub(super) fn cut_tunnels(&mut self, at_us: u64) {
        for (_, held) in self.slots() {
            if held.exchange.is_upgrade {
                held.exchange.tell(|reply| reply.said.leave_at_us = at_us);
            }
        }
    }
}

/// When tunnels are cut in a drain that lasts `most_us`: there is no way to say to their
/// clients that they should come again, so they live for as long as they may, and their
/// apps have a moment to notice.
pub(super) fn cut_us(now_us: u64, most_us: u64) -> u64 {
    now_us.saturating_add(most_us - (most_us / 5).min(MOST_REST_US))
}

#[cfg(test)]
mod tests {
    use super::cut_us;

    #[test]
    fn apps_have_a_moment_between_the_cut_and_the_end() {
        assert_eq!(cut_us(7, 0), 7);
        assert_eq!(cut_us(0, 1_000_000), 800_000);
        assert_eq!(cut_us(0, 30_000_000), 29_000_000);
        assert_eq!(cut_us(u64::MAX, u64::MAX), u64::MAX);
    }
}
