//! Receiving a request head in time.

use std::future::poll_fn;
use std::task::{Context, Poll};

use trivet_core::Problem;
use trivet_core::http1::Parse;

use super::{Broken, Connection, give_buffer, take_buffer};
use crate::clock::{coarse_now_us, now_us};

/// Why no request head came.
#[derive(Debug)]
pub(super) enum HeadEnd {
    /// The client is done, or never began: nothing to answer, nothing to log.
    Quiet,
    /// The client left in the middle of a head.
    Aborted {
        /// When its first byte came.
        begun_us: u64,
    },
    /// It is refused.
    Problem {
        /// Why.
        problem: Problem,
        /// When its first byte came.
        begun_us: u64,
    },
}

/// When a request head came, µs of the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    /// Its first byte.
    pub(super) begun_us: u64,
    /// Its last.
    pub(super) received_us: u64,
}

impl Connection {
    /// Receive the next request head into `head`.
    pub(super) async fn receive_head(&mut self, is_first: bool) -> Result<Received, HeadEnd> {
        if self.buf.is_empty() {
            let since_us = coarse_now_us();
            self.renew_settings();
            self.watch.set_at(since_us + self.patience_us(is_first));
            self.watch.set_idle(true);
            let filled = poll_fn(|context| {
                let first = self.poll_first(context);
                if first.is_pending() && self.renew_settings() {
                    self.watch.set_at(since_us + self.patience_us(is_first));
                }
                first
            });
            let filled = filled.await;
            self.watch.set_idle(false);
            if filled.is_err() {
                return Err(HeadEnd::Quiet);
            }
        }
        self.renew_settings();
        let begun_us = now_us();
        let head_ms = self.settings.config.timeouts.request_head_ms;
        let mut came_at_once = true;
        self.watch.set_at(begun_us + u64::from(head_ms) * 1000);
        loop {
            match self.head.parse(&self.buf, &self.settings.head_limits) {
                Ok(Parse::Complete) => {
                    self.watch.clear();
                    let received_us = if came_at_once { begun_us } else { now_us() };
                    return Ok(Received {
                        begun_us,
                        received_us,
                    });
                }
                Ok(Parse::Partial) => {}
                Err(problem) => {
                    // Nothing of the request before may speak for this one.
                    self.head.reset();
                    return Err(HeadEnd::Problem { problem, begun_us });
                }
            }
            came_at_once = false;
            match self.fill().await {
                Ok(_) => {}
                // Old clients end a form with an empty line that belongs to no
                // request (RFC 9112 section 2.2); nobody waits for an answer to it.
                Err(_) if self.buf.iter().all(|byte| b"\r\n".contains(byte)) => {
                    return Err(HeadEnd::Quiet);
                }
                Err(Broken::Late) => {
                    self.head.reset();
                    return Err(HeadEnd::Problem {
                        problem: Problem::RequestTimeout,
                        begun_us,
                    });
                }
                Err(Broken::Gone | Broken::CutOff) => return Err(HeadEnd::Aborted { begun_us }),
            }
        }
    }

    /// How long the first byte of a request may take.
    fn patience_us(&self, is_first: bool) -> u64 {
        let timeouts = &self.settings.config.timeouts;
        // A new connection is expected to speak at once; a kept one may rest.
        let patience_ms = if is_first {
            timeouts.request_head_ms
        } else {
            timeouts.keep_alive_ms
        };
        u64::from(patience_ms) * 1000
    }

    /// Wait for the first bytes, without a buffer of our own while there are none.
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let mut buffer = take_buffer();
        match self.stream.poll_read(context, &mut buffer) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Broken::Gone)),
            Poll::Ready(Ok(_)) => {
                self.buf = buffer;
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                give_buffer(buffer);
                // Registered before the look: whoever drains later wakes us.
                self.watch.register(context.waker());
                if self.shared.is_draining() {
                    return Poll::Ready(Err(Broken::CutOff));
                }
                self.poll_deadline(context).map(Err)
            }
        }
    }
}
