//! For how long a request may take, and what follows when its time is over.
//!
//! A request's time runs from its arrival (that of its content, where the edge
//! gathers it) to the head of its response; behind the head only a stall of
//! the app counts, for a response may rightly go on for hours.

use std::sync::Arc;

use trivet_core::Problem;
use trivet_wire::control::{Outcome, Overdue};

use super::Connection;
use super::log::Record;
use super::relay::RelayEnd;
use crate::clock::now_us;
use crate::exchange::{Exchange, Reply};
use crate::mount::MountedApp;
use crate::pool::{Patience, Pool};

impl Connection {
    /// When the present request's time is over, if it arrived at `received_us`; 0 for never.
    pub(super) fn due_us(&self, app: &MountedApp, received_us: u64) -> u64 {
        let timeout_ms = self.way.treatment.timeout_ms;
        match timeout_ms.map_or(app.request_us, |timeout_ms| u64::from(timeout_ms) * 1000) {
            0 => 0,
            timeout_us => received_us + timeout_us,
        }
    }

    /// A deadline has passed while the app owes the head of its response.
    ///
    /// `None` where it was that of the queue, and the request has left the queue.
    pub(super) fn overdue(
        &mut self,
        pool: &Pool,
        exchange: &Arc<Exchange>,
        record: &mut Record,
    ) -> Option<Problem> {
        let now_us = now_us();
        if record.due_us == 0 || now_us < record.due_us {
            if pool.withdraw(exchange) {
                self.watch.clear();
                return Some(Problem::QueueTimeout);
            }
            self.watch.set_at(record.due_us);
            return None;
        }
        self.watch.clear();
        let patience = self
            .patience(Overdue::Timeout, now_us)
            .failed(Outcome::Answered)
            .answered(Problem::AppTimeout.status());
        if pool.abandon(exchange, Some(patience)) {
            return Some(Problem::QueueDeadline);
        }
        let reply = exchange.reply();
        record.note(&reply);
        record.app_us = Some(now_us.saturating_sub(reply.handed_out_us));
        Some(Problem::AppTimeout)
    }

    /// What a request gets whose client has left before the head of the response.
    pub(super) fn patience_for_a_lost_client(&self, due_us: u64) -> Option<Patience> {
        let now_us = now_us();
        if self.way.treatment.cancel_on_disconnect.unwrap_or(false) {
            let mut patience = self.patience(Overdue::Disconnect, now_us);
            let grace_us = patience.replace_us - now_us;
            // That nobody waits is no reason to end a process before the request's time is over.
            patience.replace_us = match due_us {
                0 => 0,
                due_us => due_us.max(now_us) + grace_us,
            };
            return Some(patience);
        }
        (due_us != 0).then(|| self.patience(Overdue::Timeout, due_us))
    }

    /// What a request gets whose response ended early.
    pub(super) fn patience_behind_the_head(&self, end: RelayEnd) -> Option<Patience> {
        let stall_us = u64::from(self.settings.config.timeouts.response_stall_ms) * 1000;
        match end {
            RelayEnd::Stall => {
                let patience = self.patience(Overdue::Stall, now_us());
                Some(patience.failed(Outcome::Cut))
            }
            RelayEnd::Client if stall_us != 0 => {
                Some(self.patience(Overdue::Stall, now_us() + stall_us))
            }
            RelayEnd::App | RelayEnd::Client => None,
        }
    }

    /// What a request gets whose response is no answer to an upgrade.
    pub(super) fn patience_behind_a_bad_head(&self) -> Option<Patience> {
        self.patience_behind_the_head(RelayEnd::Client)
            .map(|patience| patience.answered(Problem::BadAppResponse.status()))
    }

    fn patience(&self, cause: Overdue, interrupt_us: u64) -> Patience {
        let grace_us = u64::from(self.settings.config.timeouts.interrupt_grace_ms) * 1000;
        Patience {
            cause,
            interrupt_us,
            replace_us: interrupt_us + grace_us,
            has_failed: false,
            outcome: Outcome::Gone,
            status: 0,
        }
    }
}

impl Record {
    /// Note who has the request, and how long it waited for that.
    pub(super) fn note(&mut self, reply: &Reply) {
        self.worker = reply.worker;
        if reply.handed_out_us != 0 {
            self.queue_us = Some(reply.handed_out_us.saturating_sub(self.received_us));
        }
    }

    /// The app waited for content of the client's: that is not the app's time.
    pub(super) fn wait_for_client(&mut self, waited_us: u64) {
        if self.due_us != 0 {
            self.due_us += waited_us;
        }
    }
}

/// The sooner of two points of time, of which the second may be 0 for none.
pub(super) fn sooner(one_us: u64, other_us: u64) -> u64 {
    match other_us {
        0 => one_us,
        other_us => one_us.min(other_us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_never_the_sooner_one() {
        assert_eq!(sooner(5, 0), 5);
        assert_eq!(sooner(5, 3), 3);
        assert_eq!(sooner(5, 9), 5);
    }
}
