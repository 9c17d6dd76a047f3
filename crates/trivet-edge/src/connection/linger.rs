//! Closing so that the last answer arrives.
//!
//! A socket that is closed with unread bytes makes the system send a reset,
//! and a reset makes the client's system throw away the answer that it has
//! received but not read yet: the browser shows "connection reset" instead of
//! the 413. So we stop writing, and read on for a while what is thrown away
//! (RFC 9112 section 9.6).

use std::future::poll_fn;
use std::task::Poll;

use super::Connection;
use crate::clock::now_us;

/// Bytes that are thrown away at the most.
const MOST_BYTES: usize = 256 << 20;
/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// The longest time in all: Apache's and nginx's.
const MOST_US: u64 = 30_000_000;

impl Connection {
    /// Stop writing, read until the client closes or sends nothing for a while.
    ///
    /// A client that is still sending gets more time: many only look for the
    /// answer when they have sent all.
    pub(super) async fn linger(mut self) {
        let begun_us = now_us();
        let linger_us = u64::from(self.settings.config.timeouts.linger_ms) * 1000;
        self.watch.set_at(begun_us + linger_us);
        self.buf = Vec::new();
        let shut = poll_fn(|context| match self.stream.poll_shutdown(context) {
            Poll::Ready(result) => Poll::Ready(result.is_ok()),
            Poll::Pending => self.poll_deadline(context).map(|_| false),
        });
        if !shut.await {
            return;
        }
        let mut scratch = Vec::with_capacity(READ_BYTES);
        let mut thrown_away = 0;
        while thrown_away < MOST_BYTES {
            scratch.clear();
            let read = poll_fn(|context| {
                match self
                    .stream
                    .poll_read_some(context, &mut scratch, READ_BYTES)
                {
                    Poll::Ready(Ok(bytes)) => Poll::Ready(bytes),
                    Poll::Ready(Err(_)) => Poll::Ready(0),
                    Poll::Pending => self.poll_deadline(context).map(|_| 0),
                }
            });
            match read.await {
                0 => return,
                bytes => thrown_away += bytes,
            }
            if !self.shared.is_draining() {
                self.watch
                    .set_at((now_us() + linger_us).min(begun_us + MOST_US));
            }
        }
    }
}
