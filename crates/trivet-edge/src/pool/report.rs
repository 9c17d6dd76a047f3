//! Telling the supervisor about requests that went wrong: the black box.
//!
//! Nothing of a request's fields or content is told, and of an app that fails
//! all the time only so much that telling costs nothing that counts.

use std::collections::VecDeque;
use std::sync::Arc;

use trivet_core::access_log::redact;
use trivet_core::budget::Budget;
use trivet_wire::control::{FailedRequest, FromEdge, Outcome, Raised};
use trivet_wire::frames::{HEADER_BYTES, RequestView};

use super::Patience;
use crate::clock::{now_us, unix_us};
use crate::control::Outbox;
use crate::exchange::Exchange;

/// Failures that are told at once, and in each second: a person reads a few,
/// and the supervisor has one thread.
const BURST: u32 = 50;
const PER_SECOND: u32 = 20;
/// Bytes of a target or method that are told.
const MOST_BYTES: usize = 2048;

/// Answered requests of a worker that are remembered: an app may fail in `close()`, or in what
/// it does behind its answer. What fails after so many others is in the log alone.
const MOST_ENDED: usize = 128;
/// The longest frame that is remembered: heads are shorter, inline content may be longer.
const ENDED_BYTES: usize = 4096;

/// What the app raised, until the pool tells it.
#[derive(Debug)]
pub(super) struct RaisedReport {
    pub(super) ended: Ended,
    pub(super) outcome: Outcome,
    pub(super) raised: Raised,
}

/// What is told of a request; nothing of its answer is held.
#[derive(Debug)]
pub(super) struct Ended {
    number: u64,
    frame: Arc<Vec<u8>>,
    route: Option<Arc<str>>,
    received_us: u64,
    attempts: u8,
    handed_out_us: u64,
    started_us: Option<u64>,
    answered_us: Option<u64>,
}

impl Ended {
    pub(super) fn new(number: u64, exchange: &Exchange, started_us: Option<u64>) -> Self {
        let attempts = exchange.place.lock().attempts;
        let reply = exchange.reply();
        Self {
            number,
            frame: Arc::clone(&exchange.frame),
            route: exchange.route.clone(),
            received_us: exchange.received_us,
            attempts,
            handed_out_us: reply.handed_out_us,
            started_us,
            answered_us: reply.has_head.then_some(u64::from(reply.app_us)),
        }
    }
}

/// The latest requests of a worker whose answers are whole.
#[derive(Debug, Default)]
pub(super) struct EndedRequests(VecDeque<Ended>);

impl EndedRequests {
    pub(super) fn remember(&mut self, number: u64, exchange: &Exchange, started_us: Option<u64>) {
        if exchange.frame.len() > ENDED_BYTES {
            return;
        }
        if self.0.len() == MOST_ENDED {
            self.0.pop_front();
        }
        self.0.push_back(Ended::new(number, exchange, started_us));
    }

    /// The request with this number, once.
    pub(super) fn take(&mut self, number: u64) -> Option<Ended> {
        let at = self.0.iter().rposition(|ended| ended.number == number)?;
        self.0.remove(at)
    }
}

/// Where failures are told.
#[derive(Debug)]
pub(super) struct Reporter {
    outbox: Option<Outbox>,
    budget: Budget,
    dropped: u64,
}

impl Default for Reporter {
    fn default() -> Self {
        Self {
            outbox: None,
            budget: Budget::new(BURST, PER_SECOND),
            dropped: 0,
        }
    }
}

impl Reporter {
    pub(super) fn set_outbox(&mut self, outbox: Outbox) {
        self.outbox = Some(outbox);
    }

    /// Failures that were not told, because there were too many.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether one more failure may be told; counted where not.
    fn may_tell(&mut self) -> bool {
        let may_tell = self.budget.take(now_us());
        self.dropped += u64::from(!may_tell);
        may_tell
    }

    /// What is to be told of a request whose time is over, unless too much has been told already.
    pub(super) fn overdue(
        &mut self,
        exchange: &Exchange,
        started_us: Option<u64>,
        patience: &Patience,
    ) -> Option<FailedRequest> {
        let Patience {
            interrupt_us,
            outcome,
            status,
            ..
        } = *patience;
        self.may_tell().then(|| {
            let ended = Ended::new(0, exchange, started_us);
            let failed = describe(&ended, outcome, status);
            FailedRequest {
                failed_us: interrupt_us.saturating_sub(exchange.received_us),
                ..failed
            }
        })
    }

    /// Tell that the app raised, unless too much has been told already.
    pub(super) fn raised(&mut self, worker: u32, report: RaisedReport) {
        if self.may_tell() {
            let status = match report.outcome {
                Outcome::Answered => 500,
                _ => 0,
            };
            let request = describe(&report.ended, report.outcome, status);
            self.tell(worker, request, Some(report.raised));
        }
    }

    /// Tell what becomes of a request whose worker was lost, unless it had failed before.
    pub(super) fn lost(
        &self,
        worker: u32,
        exchange: &Exchange,
        started_us: Option<u64>,
        outcome: Outcome,
        status: u16,
    ) {
        if exchange.place.lock().is_told {
            return;
        }
        let ended = Ended::new(0, exchange, started_us);
        self.tell(worker, describe(&ended, outcome, status), None);
    }

    fn tell(&self, worker: u32, request: FailedRequest, raised: Option<Raised>) {
        if let Some(outbox) = &self.outbox {
            outbox.send(FromEdge::RequestFailed {
                worker,
                request: Box::new(request),
                raised,
                dropped: self.dropped,
            });
        }
    }
}

fn describe(ended: &Ended, outcome: Outcome, status: u16) -> FailedRequest {
    let frame = ended.frame.get(HEADER_BYTES..).unwrap_or_default();
    let view = RequestView::parse(frame).ok();
    let part = |choose: for<'a> fn(&RequestView<'a>) -> &'a [u8]| {
        text(view.as_ref().map(choose).unwrap_or_default())
    };
    let since = |then_us: u64| then_us.saturating_sub(ended.received_us);
    let now_us = now_us();
    FailedRequest {
        id: part(|request| request.head.request_id),
        method: part(|request| request.head.method),
        target: text(&redact(
            view.map(|request| request.head.target).unwrap_or_default(),
        )),
        mount: part(|request| request.head.mount),
        route: ended.route.as_deref().map(str::to_owned),
        client: part(|request| request.head.client),
        attempts: u32::from(ended.attempts),
        received_unix_us: unix_us().saturating_sub(since(now_us)),
        handed_out_us: (ended.handed_out_us != 0).then(|| since(ended.handed_out_us)),
        started_us: ended.started_us.filter(|&started| started != 0).map(since),
        answered_us: ended.answered_us,
        failed_us: since(now_us),
        outcome,
        status: u32::from(status),
    }
}

fn text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..bytes.len().min(MOST_BYTES)).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
