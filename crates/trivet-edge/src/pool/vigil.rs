//! What becomes of requests that run on when nobody waits for their answers.
//!
//! A vigil begins when the client has got its 504, or has left. At its time the
//! supervisor is told to interrupt the request, and after the time of grace to
//! replace the worker. Looked at by the sweep: no timer per request.

use std::sync::Arc;

use trivet_wire::control::{FromEdge, Outcome, Overdue};
use trivet_wire::frames::{HEADER_BYTES, RequestView};

use super::report::Reporter;
use super::worker::Worker;
use super::{Pool, State};
use crate::exchange::{Exchange, Stage};

/// For how long a request may run on when nobody waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) cause: Overdue,
    /// When it is interrupted, µs of the monotonic clock.
    pub(crate) interrupt_us: u64,
    /// When its worker is replaced if it still runs; 0 for never.
    pub(crate) replace_us: u64,
    /// Whether it has failed by now, so that this is told even if it ends by itself.
    pub(crate) has_failed: bool,
    /// What its client gets, or got.
    pub(crate) outcome: Outcome,
    /// The status of that; 0 for none.
    pub(crate) status: u16,
}

impl Patience {
    /// The same for a request that has failed by now.
    #[must_use]
    pub(crate) fn failed(self, outcome: Outcome) -> Self {
        Self {
            has_failed: true,
            outcome,
            ..self
        }
    }

    /// The same where the client gets an error page.
    #[must_use]
    pub(crate) fn answered(self, status: u16) -> Self {
        Self {
            outcome: Outcome::Answered,
            status,
            ..self
        }
    }
}

/// A request that is waited for to end.
#[derive(Debug)]
pub(super) struct Vigil {
    exchange: Arc<Exchange>,
    worker: u32,
    slot: u16,
    number: u64,
    /// When Python began with it, µs of the monotonic clock: the slot may soon be another's.
    started_us: Option<u64>,
    patience: Patience,
    is_told: bool,
}

impl Pool {
    /// Wait for an answer no longer. Returns whether the app certainly never sees the request;
    /// one that runs is told, and watched for as long as `patience` lasts.
    pub(crate) fn abandon(&self, exchange: &Arc<Exchange>, patience: Option<Patience>) -> bool {
        if self.withdraw(exchange) {
            return true;
        }
        self.cancel(exchange);
        let stage = exchange.place.lock().stage;
        if let (
            Some(patience),
            Stage::HandedOut {
                worker,
                slot,
                number,
            },
        ) = (patience, stage)
        {
            let mut state = self.state.lock();
            let started_us = state
                .worker(worker)
                .and_then(|worker| worker.claim.page().running_since(slot, number));
            exchange.place.lock().is_told = patience.has_failed;
            state.vigils.push(Vigil {
                exchange: Arc::clone(exchange),
                worker,
                slot,
                number,
                started_us: started_us.filter(|&started_us| started_us != 0),
                patience,
                is_told: false,
            });
        }
        false
    }

    /// What the supervisor is to hear at `now_us` about requests that nobody waits for.
    pub(crate) fn keep_vigil(&self, now_us: u64) -> Vec<FromEdge> {
        let mut state = self.state.lock();
        let mut told = Vec::new();
        if state.vigils.is_empty() {
            return told;
        }
        let State {
            workers,
            vigils,
            reporter,
            ..
        } = &mut *state;
        vigils.retain_mut(|vigil| {
            let worker = workers
                .iter_mut()
                .find(|worker| worker.number == vigil.worker);
            vigil.look(worker, now_us, reporter, &mut told)
        });
        told
    }
}

impl Vigil {
    /// Look once; false where the vigil is over.
    fn look(
        &mut self,
        worker: Option<&mut Worker>,
        now_us: u64,
        reporter: &mut Reporter,
        told: &mut Vec<FromEdge>,
    ) -> bool {
        let (number, request) = (self.worker, self.number);
        let Some(worker) = worker.filter(|worker| worker.holds(self.slot, request)) else {
            if self.is_told {
                told.push(FromEdge::RequestReleased {
                    worker: number,
                    request,
                });
            } else if self.patience.has_failed {
                told.push(self.describe(None, reporter));
            }
            return false;
        };
        let Patience {
            interrupt_us,
            replace_us,
            ..
        } = self.patience;
        if !self.is_told && now_us >= interrupt_us {
            self.is_told = true;
            let running_us = now_us.saturating_sub(self.started_us.unwrap_or(now_us));
            let running_ms = u32::try_from(running_us / 1000).unwrap_or(u32::MAX);
            told.push(self.describe(Some(running_ms), reporter));
        }
        if self.is_told && replace_us != 0 && now_us >= replace_us {
            worker.give_up(self.slot);
            told.push(FromEdge::RequestStuck {
                worker: number,
                request,
            });
            return false;
        }
        true
    }

    fn describe(&self, running_ms: Option<u32>, reporter: &mut Reporter) -> FromEdge {
        let failed = match self.patience.cause {
            Overdue::Disconnect => None,
            Overdue::Stall | Overdue::Timeout => {
                self.exchange.place.lock().is_told = true;
                reporter.overdue(&self.exchange, self.started_us, &self.patience)
            }
        };
        let payload = self.exchange.frame.get(HEADER_BYTES..).unwrap_or_default();
        let head = RequestView::parse(payload).ok().map(|request| request.head);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        FromEdge::RequestOverdue {
            worker: self.worker,
            request: self.number,
            cause: self.patience.cause,
            running_ms,
            method: head.map_or_else(String::new, |head| text(head.method)),
            path: head.map_or_else(String::new, |head| text(head.path)),
            id: head.map_or_else(String::new, |head| text(head.request_id)),
            failed: failed.map(Box::new),
            dropped: reporter.dropped(),
        }
    }
}
