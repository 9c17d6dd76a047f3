//! Accepted WebSockets: what their connections ask of the pool, and how they end
//! when the edge or a worker stops.

use std::sync::Arc;

use trivet_wire::frames::{Flags, Kind, NO_SLOT, put_close, put_frame};

use super::Pool;
use crate::clock::now_us;
use crate::exchange::{Exchange, Stage};

/// Time between two WebSockets that are closed because their worker stops, µs.
///
/// Their clients come back at once, each with a handshake: a hundred per second
/// are no burden, and two need no waiting at all.
const STEP_US: u64 = 10_000;

impl Pool {
    /// Whether the app is called by event loops; waits for the first worker.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn has_event_loops(&self) -> bool {
        loop {
            // Registered before the look: a worker that comes in between is noticed.
            let arrival = self.arrived.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            if let Some(known) = self.state.lock().has_event_loops {
                return known;
            }
            arrival.await;
        }
    }

    /// Send whole frames about an accepted WebSocket to its worker.
    pub fn send_frames(&self, exchange: &Exchange, frames: &[u8]) {
        let mut state = self.state.lock();
        let Stage::Socket { worker, .. } = exchange.place.lock().stage else {
            return;
        };
        if let Some(worker) = state.worker(worker) {
            worker.out().extend_from_slice(frames);
            worker.wake();
        }
    }

    /// Let the app say so much more on its WebSocket.
    pub fn give_message_credit(&self, exchange: &Exchange, amount: u32) {
        let Stage::Socket { number, .. } = exchange.place.lock().stage else {
            return;
        };
        let mut frame = Vec::with_capacity(32);
        let flags = Flags::default();
        put_frame(
            &mut frame,
            Kind::Credit,
            flags,
            NO_SLOT,
            number,
            &amount.to_le_bytes(),
        );
        self.send_frames(exchange, &frame);
    }

    /// Tell the app that its WebSocket is over; nothing that it says is heard any more.
    pub fn close_socket(&self, exchange: &Exchange, code: u16, reason: &str) {
        let mut state = self.state.lock();
        let mut place = exchange.place.lock();
        let Stage::Socket { worker, number } = place.stage else {
            return;
        };
        place.stage = Stage::Over;
        drop(place);
        if let Some(worker) = state.worker(worker)
            && worker.forget_socket(number)
        {
            put_close(worker.out(), (NO_SLOT, number), code, reason.as_bytes());
            worker.wake();
        }
    }

    /// Close all WebSockets one after the other, within `most_us`, and cut tunnels at its end.
    pub fn drain_sockets(&self, most_us: u64) {
        let mut state = self.state.lock();
        let at_us = super::tunnel::cut_us(now_us(), most_us);
        for worker in &mut state.workers {
            worker.cut_tunnels(at_us);
        }
        let all: Vec<_> = state
            .workers
            .iter()
            .flat_map(super::Worker::sockets)
            .collect();
        spread(all.into_iter(), now_us(), most_us);
    }
}

/// Give each WebSocket its time to be closed.
pub(super) fn spread<'a>(
    sockets: impl ExactSizeIterator<Item = &'a Arc<Exchange>>,
    now_us: u64,
    most_us: u64,
) {
    let count = sockets.len().max(1) as u64;
    // A fifth of the time is left for the clients to answer.
    let step_us = STEP_US.min(most_us / 5 * 4 / count);
    let mut at_us = now_us;
    for exchange in sockets {
        exchange.tell(|reply| reply.said.leave_at_us = at_us);
        at_us += step_us;
    }
}
