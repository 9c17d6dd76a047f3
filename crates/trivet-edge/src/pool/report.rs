//! Telling the supervisor about requests that went wrong: the black box.
//!
//! Nothing of a request's fields or content is told, and of an app that fails
//! all the time only so much that telling costs nothing that counts.

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

/// What the app raised, until the pool tells it.
#[derive(Debug)]
pub(super) struct RaisedReport {
    pub(super) exchange: std::sync::Arc<Exchange>,
    pub(super) started_us: Option<u64>,
    pub(super) raised: Raised,
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
            let failed = describe(exchange, started_us, outcome, status);
            FailedRequest {
                failed_us: interrupt_us.saturating_sub(exchange.received_us),
                ..failed
            }
        })
    }

    /// Tell that the app raised, unless that is known or too much has been told already.
    pub(super) fn raised(&mut self, worker: u32, report: RaisedReport) {
        let place = *report.exchange.place.lock();
        if place.is_told || !self.may_tell() {
            return;
        }
        let exchange = &report.exchange;
        let is_gone = place.is_cancelled;
        let (outcome, status) = match exchange.is_answered() {
            _ if is_gone => (Outcome::Gone, 0),
            true => (Outcome::Cut, 0),
            false => (Outcome::Answered, 500),
        };
        let request = describe(exchange, report.started_us, outcome, status);
        self.tell(worker, request, Some(report.raised));
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
        self.tell(
            worker,
            describe(exchange, started_us, outcome, status),
            None,
        );
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

fn describe(
    exchange: &Exchange,
    started_us: Option<u64>,
    outcome: Outcome,
    status: u16,
) -> FailedRequest {
    let frame = exchange.frame.get(HEADER_BYTES..).unwrap_or_default();
    let view = RequestView::parse(frame).ok();
    let part = |choose: for<'a> fn(&RequestView<'a>) -> &'a [u8]| {
        text(view.as_ref().map(choose).unwrap_or_default())
    };
    let since = |then_us: u64| then_us.saturating_sub(exchange.received_us);
    let now_us = now_us();
    let attempts = u32::from(exchange.place.lock().attempts);
    let reply = exchange.reply();
    FailedRequest {
        id: part(|request| request.head.request_id),
        method: part(|request| request.head.method),
        target: text(&redact(
            view.map(|request| request.head.target).unwrap_or_default(),
        )),
        mount: part(|request| request.head.mount),
        route: exchange.route.as_deref().map(str::to_owned),
        client: part(|request| request.head.client),
        attempts,
        received_unix_us: unix_us().saturating_sub(since(now_us)),
        handed_out_us: (reply.handed_out_us != 0).then(|| since(reply.handed_out_us)),
        started_us: started_us.filter(|&started| started != 0).map(since),
        answered_us: reply.has_head.then_some(u64::from(reply.app_us)),
        failed_us: since(now_us),
        outcome,
        status: u32::from(status),
    }
}

fn text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..bytes.len().min(MOST_BYTES)).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
