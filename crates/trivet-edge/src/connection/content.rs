//! Receiving a request's content: in memory while it is small, else in a file.

use std::future::poll_fn;
use std::io::IoSlice;
use std::task::Poll;

use trivet_core::Problem;
use trivet_core::gate::Framing;
use trivet_core::http1::{CONTINUE, ChunkStep, ChunkedDecoder};
use trivet_wire::edge_config::Timeouts;

use super::log::Record;
use super::{Broken, Connection};
use crate::clock::now_us;
use crate::spool::Spool;

/// Bytes that are gathered before they are written to a spool file: enough to
/// make the hop to another thread cheap.
const SPOOL_BYTES: usize = 256 << 10;

/// A request's content, received.
#[derive(Debug)]
pub(super) enum Content {
    /// There is none.
    None,
    /// In the connection's buffer.
    Inline {
        /// Where it starts.
        start: usize,
        /// Bytes of it.
        length: usize,
    },
    /// Small, and taken out of its chunks.
    Decoded(Vec<u8>),
    /// In a file.
    File(Spool),
    /// Still to come: its length, if it was told.
    Stream(Option<u64>),
    /// None: what follows are the frames of a WebSocket.
    WebSocket,
    /// None: what follows are bytes for the app's own socket.
    Upgrade,
}

/// Why the content did not come.
#[derive(Debug)]
pub(super) enum ContentEnd {
    /// The client left.
    Aborted,
    /// It is refused.
    Problem(Problem),
}

impl From<Problem> for ContentEnd {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Broken> for ContentEnd {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Gone | Broken::CutOff => Self::Aborted,
            Broken::Late => Self::Problem(Problem::RequestTimeout),
        }
    }
}

impl From<std::io::Error> for ContentEnd {
    fn from(_: std::io::Error) -> Self {
        Self::Problem(Problem::InsufficientStorage)
    }
}

/// How long the client may still take for its content.
///
/// Each byte earns time at the minimum rate. So a client that trickles is
/// refused however little it sends, and a large upload over a slow line is not
/// (nginx's timeout between two reads would allow the first, and a total
/// timeout forbid the second). What can be earned in advance is bounded, or a
/// client could send much at once and then hold its connection for hours.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bytes per second; 0 for any pace.
    rate: u64,
    left_us: u64,
    most_us: u64,
}

/// The longest pause that content may earn: nginx's `client_body_timeout`.
const MOST_PAUSE_US: u64 = 60_000_000;

impl Pace {
    /// At its start, with the grace that every request has.
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        let grace_us = u64::from(timeouts.body_grace_ms) * 1000;
        Self {
            rate: u64::from(timeouts.body_minimum_rate),
            // Deadlines are looked at every tenth of a second; none is shorter.
            left_us: grace_us.max(100_000),
            most_us: grace_us.max(MOST_PAUSE_US),
        }
    }

    /// When the next byte must have come, if at any time.
    fn deadline_us(&self, now_us: u64) -> Option<u64> {
        (self.rate > 0).then_some(now_us + self.left_us)
    }

    /// `bytes` came after a wait of `waited_us`.
    pub(super) fn earn(&mut self, waited_us: u64, bytes: usize) {
        let earned_us = (bytes as u64)
            .saturating_mul(1_000_000)
            .checked_div(self.rate)
            .unwrap_or(0);
        self.left_us = self
            .left_us
            .saturating_sub(waited_us)
            .saturating_add(earned_us)
            .min(self.most_us);
    }
}

impl Connection {
    /// Receive the whole content of the present request.
    ///
    /// On success the bytes of head and content are at the front of the
    /// buffer as far as [`Connection::taken`] says.
    pub(super) async fn receive_content(
        &mut self,
        record: &mut Record,
    ) -> Result<(Content, usize), ContentEnd> {
        let limit = self.body_limit();
        let buffers = self.way.treatment.request_buffering.unwrap_or(true);
        let start = self.head.len;
        let length = match self.admitted.framing {
            Framing::None | Framing::Length(0) => return Ok((Content::None, start)),
            Framing::Length(length) if length > limit => {
                return Err(Problem::ContentTooLarge.into());
            }
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let memory = u64::from(self.settings.config.buffers.request_memory_bytes);
        // Without a folder for files, content that may be large waits with its client.
        let fits =
            self.settings.spool.has_folder() || length.is_some_and(|length| length <= memory);
        if !buffers || !fits {
            return Ok((Content::Stream(length), start));
        }
        if self.admitted.expects_continue && self.buf.len() == start {
            self.send_continue().await?;
        }
        let pace = Pace::new(&self.settings.config.timeouts);
        let result = match length {
            Some(length) if length <= memory => self.receive_inline(length, pace, record).await,
            Some(length) => self.receive_file(length, pace, record).await,
            None => self.receive_chunked(limit, pace, record).await,
        };
        self.watch.clear();
        result
    }

    /// Bytes that the present request's content may have.
    pub(super) fn body_limit(&self) -> u64 {
        let limit = self.way.treatment.request_body_bytes;
        limit.unwrap_or(self.settings.config.limits.request_body_bytes)
    }

    async fn receive_inline(
        &mut self,
        length: u64,
        mut pace: Pace,
        record: &mut Record,
    ) -> Result<(Content, usize), ContentEnd> {
        let start = self.head.len;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        loop {
            let here = self.buf.len() - start;
            record.bytes_in = here.min(length) as u64;
            if here >= length {
                return Ok((Content::Inline { start, length }, start + length));
            }
            self.fill_in_time(&mut pace).await?;
        }
    }

    async fn receive_file(
        &mut self,
        length: u64,
        mut pace: Pace,
        record: &mut Record,
    ) -> Result<(Content, usize), ContentEnd> {
        let start = self.head.len;
        let mut spool = Spool::create(&self.settings.spool).await?;
        let here = self
            .buf
            .len()
            .saturating_sub(start)
            .min(usize::try_from(length).unwrap_or(usize::MAX));
        let mut gathered = Vec::with_capacity(SPOOL_BYTES);
        gathered.extend_from_slice(self.buf.get(start..start + here).unwrap_or_default());
        record.bytes_in = here as u64;
        while record.bytes_in < length {
            // Never more than belongs to this request: what follows is the next one.
            let left = usize::try_from(length - record.bytes_in).unwrap_or(usize::MAX);
            let before = gathered.len();
            self.fill_into(&mut gathered, left.min(SPOOL_BYTES), &mut pace)
                .await?;
            record.bytes_in += (gathered.len() - before) as u64;
            if gathered.len() >= SPOOL_BYTES {
                gathered = spool.append(gathered).await?;
            }
        }
        spool.append(gathered).await?;
        Ok((Content::File(spool), start + here))
    }

    async fn receive_chunked(
        &mut self,
        limit: u64,
        mut pace: Pace,
        record: &mut Record,
    ) -> Result<(Content, usize), ContentEnd> {
        let memory = self.settings.config.buffers.request_memory_bytes as usize;
        let mut decoder = ChunkedDecoder::new(self.settings.chunked_limits);
        let mut at = self.head.len;
        let mut gathered = Vec::new();
        let mut spool = None;
        loop {
            let input = self.buf.get(at..).unwrap_or_default();
            match decoder.step(input)? {
                ChunkStep::Data { skip, len } => {
                    gathered.extend_from_slice(input.get(skip..skip + len).unwrap_or_default());
                    at += skip + len;
                    record.bytes_in += len as u64;
                    if record.bytes_in > limit {
                        return Err(Problem::ContentTooLarge.into());
                    }
                }
                ChunkStep::Done { consumed } => {
                    at += consumed;
                    break;
                }
                ChunkStep::More { consumed } => {
                    at += consumed;
                    // The chunks that were decoded need not be kept.
                    self.buf.drain(self.head.len..at);
                    at = self.head.len;
                    self.fill_in_time(&mut pace).await?;
                }
            }
            let most = if spool.is_some() { SPOOL_BYTES } else { memory };
            if gathered.len() > most {
                if spool.is_none() {
                    spool = Some(Spool::create(&self.settings.spool).await?);
                }
                if let Some(spool) = &mut spool {
                    gathered = spool.append(gathered).await?;
                }
            }
        }
        let content = match spool {
            Some(mut spool) => {
                spool.append(gathered).await?;
                Content::File(spool)
            }
            None => Content::Decoded(gathered),
        };
        Ok((content, at))
    }

    /// Tell a client that waits for it to send its content (RFC 9110 section 10.1.1).
    pub(super) async fn send_continue(&mut self) -> Result<(), Broken> {
        self.watch.set(self.settings.config.timeouts.write_stall_ms);
        let mut rest = CONTINUE;
        while !rest.is_empty() {
            let written =
                poll_fn(
                    |context| match self.stream.poll_write(context, &[IoSlice::new(rest)]) {
                        Poll::Ready(Ok(bytes)) => Poll::Ready(Ok(bytes)),
                        Poll::Ready(Err(_)) => Poll::Ready(Err(Broken::Gone)),
                        Poll::Pending => self.poll_deadline(context).map(Err),
                    },
                )
                .await?;
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Read more behind the head, at the pace that a request must keep.
    async fn fill_in_time(&mut self, pace: &mut Pace) -> Result<(), Broken> {
        let begun_us = self.set_pace(pace);
        let bytes = self.fill().await?;
        pace.earn(now_us() - begun_us, bytes);
        Ok(())
    }

    /// Read at most `room` bytes behind what `buffer` holds.
    async fn fill_into(
        &mut self,
        buffer: &mut Vec<u8>,
        room: usize,
        pace: &mut Pace,
    ) -> Result<(), Broken> {
        let begun_us = self.set_pace(pace);
        let bytes = poll_fn(
            |context| match self.stream.poll_read_some(context, buffer, room) {
                Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Broken::Gone)),
                Poll::Ready(Ok(bytes)) => Poll::Ready(Ok(bytes)),
                Poll::Pending => self.poll_deadline(context).map(Err),
            },
        )
        .await?;
        pace.earn(now_us() - begun_us, bytes);
        Ok(())
    }

    /// Set the deadline for more content; returns the time now.
    pub(super) fn set_pace(&self, pace: &Pace) -> u64 {
        let now_us = now_us();
        match pace.deadline_us(now_us) {
            Some(deadline_us) => self.watch.set_at(deadline_us),
            None => self.watch.clear(),
        }
        now_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn pace(rate: u32) -> Pace {
        Pace::new(&Timeouts {
            request_head_ms: 0,
            keep_alive_ms: 0,
            body_grace_ms: 5_000,
            body_minimum_rate: rate,
            write_stall_ms: 0,
            queue_wait_ms: 0,
            response_stall_ms: 0,
            interrupt_grace_ms: 0,
            linger_ms: 0,
        })
    }

    #[test]
    fn a_client_that_trickles_runs_out_of_time() {
        let mut pace = pace(100);
        for _ in 0..5 {
            pace.earn(SECOND, 1);
        }
        assert_eq!(pace.deadline_us(0), Some(SECOND / 20));
    }

    #[test]
    fn a_client_at_the_minimum_rate_keeps_its_grace() {
        let mut pace = pace(100);
        for _ in 0..1000 {
            pace.earn(SECOND, 100);
        }
        assert_eq!(pace.deadline_us(0), Some(5 * SECOND));
    }

    // A client that had sent 10 MB could once pause for half a day.
    #[test]
    fn a_fast_start_earns_a_minute_at_the_most() {
        let mut pace = pace(240);
        pace.earn(0, 10 << 20);
        assert_eq!(pace.deadline_us(0), Some(60 * SECOND));
    }

    #[test]
    fn a_rate_of_0_has_no_deadline() {
        assert_eq!(pace(0).deadline_us(0), None);
    }
}
