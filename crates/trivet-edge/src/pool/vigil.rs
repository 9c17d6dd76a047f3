//! What becomes of requests that run on when nobody waits for their answers.
//!
//! A vigil begins when the client has got its 504, or has left. At its time the
//! supervisor is told to interrupt the request, and after the time of grace to
//! replace the worker. Looked at by the sweep: no timer per request.

use std::sync::Arc;

use trivet_wire::control::{FromEdge, Overdue};
use trivet_wire::frames::{HEADER_BYTES, RequestView};

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
}

/// A request that is waited for to end.
#[derive(Debug)]
pub(super) struct Vigil {
    exchange: Arc<Exchange>,
    worker: u32,
    slot: u16,
    number: u64,
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
            self.state.lock().vigils.push(Vigil {
                exchange: Arc::clone(exchange),
                worker,
                slot,
                number,
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
            workers, vigils, ..
        } = &mut *state;
        vigils.retain_mut(|vigil| {
            let worker = workers
                .iter_mut()
                .find(|worker| worker.number == vigil.worker);
            vigil.look(worker, now_us, &mut told)
        });
        told
    }
}

impl Vigil {
    /// Look once; false where the vigil is over.
    fn look(&mut self, worker: Option<&mut Worker>, now_us: u64, told: &mut Vec<FromEdge>) -> bool {
        let (number, request) = (self.worker, self.number);
        let Some(worker) = worker.filter(|worker| worker.holds(self.slot, request)) else {
            if self.is_told {
                told.push(FromEdge::RequestReleased {
                    worker: number,
                    request,
                });
            }
            return false;
        };
        let Patience {
            cause,
            interrupt_us,
            replace_us,
        } = self.patience;
        if !self.is_told && now_us >= interrupt_us {
            self.is_told = true;
            told.push(self.describe(worker, cause, now_us));
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

    fn describe(&self, worker: &Worker, cause: Overdue, now_us: u64) -> FromEdge {
        let since = worker.claim.page().running_since(self.slot, self.number);
        let running_us = now_us.saturating_sub(since.filter(|&since| since != 0).unwrap_or(now_us));
        let payload = self.exchange.frame.get(HEADER_BYTES..).unwrap_or_default();
        let head = RequestView::parse(payload).ok().map(|request| request.head);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        FromEdge::RequestOverdue {
            worker: self.worker,
            request: self.number,
            cause,
            running_ms: u32::try_from(running_us / 1000).unwrap_or(u32::MAX),
            method: head.map_or_else(String::new, |head| text(head.method)),
            path: head.map_or_else(String::new, |head| text(head.path)),
            id: head.map_or_else(String::new, |head| text(head.request_id)),
        }
    }
}
