//! Which worker gets a request, and what becomes of those of a lost one.

use std::sync::Arc;

use trivet_core::Problem;
use trivet_core::retry::{RetryVerdict, WorkState, verdict};
use trivet_wire::control::Outcome;
use trivet_wire::frames::{HEADER_BYTES, RequestView};

use super::report::Reporter;
use super::worker::{ClaimState, Worker};
use super::{Losses, State};
use crate::clock::now_us;
use crate::exchange::{Exchange, Failure, Stage};

impl State {
    pub(super) fn worker(&mut self, number: u32) -> Option<&mut Worker> {
        self.workers
            .iter_mut()
            .find(|worker| worker.number == number)
    }

    /// Requests that wait or run, accepted WebSockets included.
    pub(super) fn present(&self) -> usize {
        let held = |worker: &Worker| worker.outstanding() + worker.sockets().len();
        self.queue.len() + self.workers.iter().map(held).sum::<usize>()
    }

    /// The worker with the fewest requests ahead, among those with room.
    pub(super) fn best_worker(&self) -> Option<usize> {
        let window = self.window;
        let with_room = self
            .workers
            .iter()
            .enumerate()
            .filter(|(_, worker)| worker.room(window) > 0);
        // One at a standstill is tried when no other has room. Among equals the one with the
        // fewest WebSockets and tunnels, so that they spread too.
        let rank = |worker: &Worker| {
            let at_standstill = worker.standstill.most().is_some();
            let others = worker.sockets().len() + worker.aside;
            (at_standstill, worker.ahead(), others)
        };
        with_room
            .min_by_key(|(_, worker)| rank(worker))
            .map(|(at, _)| at)
    }

    /// Hand a request to the worker at `at`; true where the rescue is to look at it.
    pub(super) fn hand_out(&mut self, at: usize, exchange: &Arc<Exchange>) -> bool {
        let number = self.next_number;
        self.next_number += 1;
        let Some(worker) = self.workers.get_mut(at) else {
            return false;
        };
        let is_watched = !worker.is_idle() || worker.has_spare_thread();
        worker.hand_out(exchange, number, now_us());
        is_watched
    }

    /// Hand out what waits, as far as there is room.
    pub(super) fn pump(&mut self) {
        while !self.queue.is_empty() {
            let Some(at) = self.best_worker() else { return };
            let Some(exchange) = self.queue.pop_front() else {
                return;
            };
            self.hand_out(at, &exchange);
        }
    }

    /// Put a recalled request back; its worker never tried it.
    pub(super) fn take_back(&mut self, exchange: &Arc<Exchange>) {
        let mut place = exchange.place.lock();
        place.attempts = place.attempts.saturating_sub(1);
        drop(place);
        self.put_back(exchange);
    }

    /// Put a request back where it was: before all that wait.
    pub(super) fn put_back(&mut self, exchange: &Arc<Exchange>) {
        exchange.place.lock().stage = Stage::Queued;
        self.queue.push_front(Arc::clone(exchange));
    }

    /// Decide for each request of a lost worker by RFC 9110 section 9.2.2.
    pub(super) fn settle(&mut self, worker: Worker) -> Losses {
        let mut losses = Losses::default();
        let lost = worker.number;
        for exchange in worker.sockets() {
            losses.started += 1;
            exchange.place.lock().stage = Stage::Over;
            self.reporter.lost(lost, exchange, None, Outcome::Cut, 0);
            exchange.fail(Failure::Problem(Problem::WorkerLost));
        }
        if worker.is_held {
            // What it had was for no other worker.
            for held in worker.into_held() {
                held.exchange.place.lock().stage = Stage::Over;
                held.exchange.fail(Failure::Problem(Problem::WorkerLost));
            }
            return losses;
        }
        let mut held = worker.into_held();
        // Put back from the last to the first, so that they keep their order.
        held.sort_by_key(|held| std::cmp::Reverse(held.number));
        for held in held {
            let exchange = held.exchange;
            let state = match held.state {
                _ if exchange.is_answered() => WorkState::Answered,
                ClaimState::Started => WorkState::Started,
                ClaimState::Unstarted => WorkState::NotStarted,
            };
            let mut place = exchange.place.lock();
            if state != WorkState::NotStarted {
                losses.started += 1;
                place.deaths = place.deaths.saturating_add(1);
            }
            let (attempts, deaths) = (place.attempts, place.deaths);
            let is_cancelled = place.is_cancelled;
            place.stage = Stage::Over;
            drop(place);
            let tell = |reporter: &Reporter, outcome, status| {
                if state != WorkState::NotStarted {
                    reporter.lost(lost, &exchange, held.started_us, outcome, status);
                }
            };
            if is_cancelled {
                // Nobody is there to try again for.
                tell(&self.reporter, Outcome::Gone, 0);
                continue;
            }
            let method = RequestView::parse(exchange.frame.get(HEADER_BYTES..).unwrap_or_default())
                .map_or(&b""[..], |request| request.head.method);
            match verdict(state, method, exchange.is_replayable, attempts, deaths) {
                RetryVerdict::Retry => {
                    losses.retried += 1;
                    tell(&self.reporter, Outcome::Retried, 0);
                    self.put_back(&exchange);
                }
                RetryVerdict::Answer(problem) => {
                    tell(&self.reporter, Outcome::Answered, problem.status());
                    exchange.fail(Failure::Problem(problem));
                }
                RetryVerdict::Quarantine => {
                    let problem = Problem::Quarantined;
                    tell(&self.reporter, Outcome::Answered, problem.status());
                    exchange.fail(Failure::Problem(problem));
                }
                RetryVerdict::Abort => {
                    tell(&self.reporter, Outcome::Cut, 0);
                    exchange.fail(Failure::Problem(Problem::WorkerLost));
                }
            }
        }
        losses
    }
}
