//! The workers of an app, and the one queue before them.
//!
//! Strategy: a request goes at once to the process that holds the fewest, if
//! that is below its window; else it waits in the queue, and goes out when an
//! answer makes room. Frames for a worker are gathered and written once per
//! turn of the loop. While somebody waits, or could soon have to, a coarse timer
//! looks for requests that lie unstarted behind a slow one: they are recalled
//! for an idle process, or another thread of their process is woken for them.

mod handout;
mod report;
mod rescue;
mod socket;
mod standstill;
#[cfg(test)]
mod tests;
mod tunnel;
mod vigil;
mod worker;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use trivet_core::Problem;
use trivet_core::websocket::CloseCode;
use trivet_wire::control::WorkerLoad;
use trivet_wire::edge_config::App;
use trivet_wire::frames::{Flags, FrameError, HEADER_BYTES, Kind, put_frame, split_frame};

use crate::claim_map::ClaimMap;
use crate::clock::now_us;
use crate::control::Outbox;
use crate::exchange::{Exchange, Reply, Segment, Stage};
pub(crate) use vigil::Patience;
pub(crate) use worker::{Outgoing, Worker};

/// The app's workers and queue, which live on when the settings change.
#[derive(Debug, Default)]
pub struct Pool {
    state: Mutex<State>,
    /// Told when requests wait, so that the rescue timer runs.
    waiting: Notify,
    /// Told when a worker comes, since the first one says how the app is called.
    arrived: Notify,
    /// A response's content that stays in memory while its client is slow.
    response_memory: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    workers: Vec<Worker>,
    queue: VecDeque<Arc<Exchange>>,
    /// Requests that run on when nobody waits for them.
    vigils: Vec<vigil::Vigil>,
    queue_limit: usize,
    concurrency: Option<usize>,
    window: u16,
    next_number: u64,
    /// Whether the workers run event loops; unknown before the first one.
    has_event_loops: Option<bool>,
    reporter: report::Reporter,
}

/// What a worker can do at once.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Threads that run requests.
    pub threads: u32,
    /// Requests that an event loop may run at once; 0 for threads.
    pub concurrency: u32,
}

/// What a lost worker left behind.
#[derive(Debug, Default, Clone, Copy)]
pub struct Losses {
    /// Requests that Python had started on it.
    pub started: u32,
    /// Requests that go to another worker.
    pub retried: u32,
}

impl Pool {
    /// Go by an app's settings from now on: for the requests that wait and run, too.
    pub(crate) fn configure(&self, app: &App, response_memory: u64) {
        self.response_memory
            .store(response_memory, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.queue_limit = app.queue as usize;
        state.concurrency = app.concurrency.map(|limit| limit as usize);
        state.window = app.window;
        state.pump();
    }

    fn response_memory(&self) -> u64 {
        self.response_memory.load(Ordering::Relaxed)
    }

    /// Tell the supervisor from now on about requests that go wrong.
    pub(crate) fn report_to(&self, outbox: Outbox) {
        self.state.lock().reporter.set_outbox(outbox);
    }

    /// Whether there is a worker that gets requests.
    pub fn takes_requests(&self) -> bool {
        let state = self.state.lock();
        state
            .workers
            .iter()
            .any(|worker| !worker.is_draining && !worker.is_held)
    }

    /// Give a request to a worker, or to the queue.
    ///
    /// # Errors
    /// [`Problem::ConcurrencyLimit`] where as many wait and run as may,
    /// [`Problem::QueueFull`] where as many wait as may.
    pub fn submit(&self, exchange: &Arc<Exchange>) -> Result<(), Problem> {
        let mut state = self.state.lock();
        if state
            .concurrency
            .is_some_and(|most| state.present() >= most)
        {
            return Err(Problem::ConcurrencyLimit);
        }
        if state.queue.is_empty()
            && let Some(at) = state.best_worker()
        {
            let is_watched = state.hand_out(at, exchange);
            drop(state);
            if is_watched {
                self.waiting.notify_one();
            }
            return Ok(());
        }
        if state.queue.len() >= state.queue_limit {
            return Err(Problem::QueueFull);
        }
        state.queue.push_back(Arc::clone(exchange));
        drop(state);
        self.waiting.notify_one();
        Ok(())
    }

    /// Take a request out of the queue, or back from a worker that has not
    /// started it. Returns whether the app certainly never sees it.
    pub fn withdraw(&self, exchange: &Arc<Exchange>) -> bool {
        let mut state = self.state.lock();
        let stage = exchange.place.lock().stage;
        match stage {
            Stage::Queued => {
                state
                    .queue
                    .retain(|waiting| !Arc::ptr_eq(waiting, exchange));
                exchange.place.lock().stage = Stage::Over;
                true
            }
            Stage::HandedOut {
                worker,
                slot,
                number,
            } => {
                let Some(worker) = state.worker(worker) else {
                    return false;
                };
                if worker.recall(slot, number) {
                    exchange.place.lock().stage = Stage::Over;
                    state.pump();
                    return true;
                }
                false
            }
            Stage::Socket { .. } | Stage::Over => false,
        }
    }

    /// Tell the worker that nobody waits for this answer any more.
    pub fn cancel(&self, exchange: &Arc<Exchange>) {
        if exchange.is_websocket {
            // It may have been accepted by now.
            self.close_socket(exchange, CloseCode::Abnormal as u16, "");
        }
        if !self.withdraw(exchange) {
            exchange.place.lock().is_cancelled = true;
            self.send(exchange, Kind::Cancel, Flags::default(), &[]);
        }
    }

    /// Send a frame about a request to the worker that has it.
    pub fn send(&self, exchange: &Exchange, kind: Kind, flags: Flags, payload: &[u8]) {
        let mut state = self.state.lock();
        let Stage::HandedOut {
            worker,
            slot,
            number,
        } = exchange.place.lock().stage
        else {
            return;
        };
        if let Some(worker) = state.worker(worker) {
            put_frame(worker.out(), kind, flags, slot, number, payload);
            worker.wake();
        }
    }

    /// Let the worker send as many bytes more as have found a place.
    pub fn give_credit(&self, exchange: &Exchange) {
        let Some(bytes) = exchange.reply().take_credit(self.response_memory()) else {
            return;
        };
        self.send(
            exchange,
            Kind::Credit,
            Flags::default(),
            &bytes.to_le_bytes(),
        );
    }

    /// Whether content should be spilled to a file, because memory is full.
    pub fn wants_spill(&self, reply: &Reply) -> bool {
        reply.buffered > self.response_memory()
    }

    /// Add a worker that has loaded the app. It is held until [`Self::serve_worker`] is called.
    pub fn add_worker(
        &self,
        number: u32,
        pid: u32,
        capacity: Capacity,
        claim: ClaimMap,
        doorbell: OwnedFd,
    ) {
        let mut worker = Worker::new(number, pid, capacity, claim, doorbell);
        worker.is_held = true;
        self.state.lock().workers.push(worker);
    }

    /// Hold a worker, as before it serves.
    #[cfg(test)]
    pub(crate) fn hold_worker(&self, number: u32) {
        if let Some(worker) = self.state.lock().worker(number) {
            worker.is_held = true;
        }
    }

    /// Hand requests to a worker from now on.
    pub fn serve_worker(&self, number: u32) {
        let mut state = self.state.lock();
        let Some(worker) = state.worker(number) else {
            return;
        };
        worker.is_held = false;
        let has_event_loops = worker.has_event_loop();
        state.has_event_loops = Some(has_event_loops);
        self.arrived.notify_waiters();
        state.pump();
    }

    /// Give a request to this worker and no other; false where it is not there.
    pub(crate) fn hand_to(&self, number: u32, exchange: &Arc<Exchange>) -> bool {
        let mut state = self.state.lock();
        let at = state
            .workers
            .iter()
            .position(|worker| worker.number == number);
        let Some(at) = at else { return false };
        state.hand_out(at, exchange);
        true
    }

    /// Hand the worker no further request; true where it has none left. Its
    /// WebSockets are closed one after the other, within `most_us`.
    pub fn drain_worker(&self, number: u32, most_us: u64) -> bool {
        let mut state = self.state.lock();
        let Some(worker) = state.worker(number) else {
            return true;
        };
        worker.is_draining = true;
        socket::spread(worker.sockets(), now_us(), most_us);
        worker.cut_tunnels(tunnel::cut_us(now_us(), most_us));
        worker.wake();
        let unstarted = worker.recall_all();
        let idle = worker.is_done();
        let moves = !unstarted.is_empty();
        for exchange in unstarted {
            state.take_back(&exchange);
        }
        state.pump();
        drop(state);
        if moves {
            self.waiting.notify_one();
        }
        idle
    }

    /// Whether the worker drains and has no request left, but those that never end.
    pub fn is_drained(&self, number: u32) -> bool {
        let mut state = self.state.lock();
        state
            .worker(number)
            .is_none_or(|worker| worker.is_draining && worker.is_done())
    }

    /// Remove a worker whose connection ended, and decide what becomes of its requests.
    pub fn lose_worker(&self, number: u32) -> Losses {
        let mut state = self.state.lock();
        let Some(at) = state
            .workers
            .iter()
            .position(|worker| worker.number == number)
        else {
            return Losses::default();
        };
        let worker = state.workers.swap_remove(at);
        let losses = state.settle(worker);
        state.pump();
        drop(state);
        if losses.retried > 0 {
            // What was tried again may lie behind a slow request now.
            self.waiting.notify_one();
        }
        losses
    }

    /// Register the task that writes the worker's frames, and take what is to be written.
    pub(crate) fn take_output(
        &self,
        number: u32,
        waker: &Waker,
        out: &mut VecDeque<Outgoing>,
    ) -> bool {
        let mut state = self.state.lock();
        match state.worker(number) {
            Some(worker) => {
                worker.take_output(waker, out);
                true
            }
            None => false,
        }
    }

    /// Take in what a worker has sent, and hand out what waits for its room.
    ///
    /// Returns how many bytes of `input` were whole frames.
    pub(crate) fn absorb(
        &self,
        number: u32,
        input: &[u8],
        descriptors: &mut VecDeque<OwnedFd>,
    ) -> Result<usize, FrameError> {
        let mut state = self.state.lock();
        let Some(worker) = state.worker(number) else {
            return Ok(input.len());
        };
        let mut taken = 0;
        let now_us = now_us();
        while let Some((header, payload)) = split_frame(input.get(taken..).unwrap_or_default())? {
            taken += HEADER_BYTES + payload.len();
            worker.take_frame(
                &header,
                payload,
                descriptors,
                (self.response_memory(), now_us),
            )?;
        }
        for raised in worker.take_raised() {
            state.reporter.raised(number, raised);
        }
        state.pump();
        Ok(taken)
    }

    /// Look for requests that wait behind slow ones; false where nobody does, or soon could.
    pub fn rescue(&self) -> bool {
        self.state.lock().rescue(now_us())
    }

    /// Have the rescue look, if the workers hold anything: a process that holds no request that
    /// runs may be at a standstill all the same.
    pub(crate) fn look_over(&self) {
        let state = self.state.lock();
        if state.workers.iter().any(|worker| !worker.is_idle()) {
            self.waiting.notify_one();
        }
    }

    /// Wait until requests may have to be rescued.
    ///
    /// # Cancel safety
    /// Safe: a notice that came is kept for the next call.
    pub async fn someone_waits(&self) {
        self.waiting.notified().await;
    }

    /// Waiting and handed-out requests.
    pub fn load(&self) -> (usize, usize) {
        let state = self.state.lock();
        let in_flight = state.workers.iter().map(Worker::outstanding).sum();
        (state.queue.len(), in_flight)
    }

    /// Requests that wait for a worker, and how long the first of them has waited, in µs.
    pub fn queue_load(&self) -> (usize, u64) {
        let state = self.state.lock();
        let oldest = state
            .queue
            .front()
            .map_or(0, |exchange| now_us().saturating_sub(exchange.received_us));
        (state.queue.len(), oldest)
    }

    /// What each worker has to do.
    pub fn worker_loads(&self) -> Vec<WorkerLoad> {
        let state = self.state.lock();
        let load = |worker: &Worker| WorkerLoad {
            worker: worker.number,
            in_flight: u32::try_from(worker.outstanding()).unwrap_or(u32::MAX),
            requests: worker.completed,
            waited_us: worker.waited_us,
        };
        state.workers.iter().map(load).collect()
    }
}

/// Append content to an answer; counts it against memory.
fn push_content(reply: &mut Reply, content: &[u8]) {
    if !content.is_empty() {
        reply.buffered += content.len() as u64;
        reply
            .segments
            .push_back(Segment::Memory(Bytes::copy_from_slice(content)));
    }
}
