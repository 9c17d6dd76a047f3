//! Receiving a request's content: in memory while it is small, else in a file.

use std::future::poll_fn;
use std::io::IoSlice;
use std::task::Poll;

use trivet_core::Problem;
use trivet_core::gate::Framing;
use trivet_core::http1::{CONTINUE, ChunkStep, ChunkedDecoder};

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

/// What the content is measured against.
#[derive(Debug, Clone, Copy)]
struct Pace {
    started_us: u64,
    received: u64,
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
        let route = self.shared.route(&self.admitted.path);
        let (limit, buffers) = (route.body_bytes, route.buffers_request);
        let start = self.head.len;
        let length = match self.admitted.framing {
            Framing::None | Framing::Length(0) => return Ok((Content::None, start)),
            Framing::Length(length) if length > limit => {
                return Err(Problem::ContentTooLarge.into());
            }
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        if !buffers {
            return Ok((Content::Stream(length), start));
        }
        if self.admitted.expects_continue && self.buf.len() == start {
            self.send_continue().await?;
        }
        let pace = Pace {
            started_us: now_us(),
            received: 0,
        };
        let result = match length {
            Some(length) => self.receive_length(length, pace).await,
            None => self.receive_chunked(limit, pace, record).await,
        };
        self.watch.clear();
        if let (Ok(_), Some(length)) = (&result, length) {
            record.bytes_in = length;
        }
        result
    }

    async fn receive_length(
        &mut self,
        length: u64,
        mut pace: Pace,
    ) -> Result<(Content, usize), ContentEnd> {
        let start = self.head.len;
        let memory = u64::from(self.shared.config.buffers.request_memory_bytes);
        if length <= memory {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            while self.buf.len() < start + length {
                self.fill_in_time(&mut pace).await?;
            }
            return Ok((Content::Inline { start, length }, start + length));
        }
        let mut spool = Spool::create(&self.shared.spool).await?;
        let here = self
            .buf
            .len()
            .saturating_sub(start)
            .min(usize::try_from(length).unwrap_or(usize::MAX));
        let mut gathered = Vec::with_capacity(SPOOL_BYTES);
        gathered.extend_from_slice(self.buf.get(start..start + here).unwrap_or_default());
        let mut left = length - here as u64;
        while left > 0 {
            // Never more than belongs to this request: what follows is the next one.
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(SPOOL_BYTES);
            let before = gathered.len();
            self.fill_into(&mut gathered, room, &mut pace).await?;
            left -= (gathered.len() - before) as u64;
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
        let memory = self.shared.config.buffers.request_memory_bytes as usize;
        let mut decoder = ChunkedDecoder::new(self.shared.chunked_limits);
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
                    spool = Some(Spool::create(&self.shared.spool).await?);
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
        self.watch.set(self.shared.config.timeouts.write_stall_ms);
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
    async fn fill_in_time(&mut self, pace: &mut Pace) -> Result<(), ContentEnd> {
        self.set_pace(pace);
        pace.received += self.fill().await? as u64;
        Ok(())
    }

    /// Read at most `room` bytes behind what `buffer` holds.
    async fn fill_into(
        &mut self,
        buffer: &mut Vec<u8>,
        room: usize,
        pace: &mut Pace,
    ) -> Result<(), ContentEnd> {
        self.set_pace(pace);
        let read = poll_fn(
            |context| match self.stream.poll_read_some(context, buffer, room) {
                Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Broken::Gone)),
                Poll::Ready(Ok(bytes)) => Poll::Ready(Ok(bytes)),
                Poll::Pending => self.poll_deadline(context).map(Err),
            },
        )
        .await?;
        pace.received += read as u64;
        Ok(())
    }

    /// Content must come at a minimum rate on average, after some grace.
    ///
    /// So a client that trickles is refused however little it sends, and a
    /// large upload over a slow line is not (as nginx's timeout between two
    /// reads would allow the first, and a total timeout forbid the second).
    fn set_pace(&self, pace: &Pace) {
        let timeouts = &self.shared.config.timeouts;
        let rate = u64::from(timeouts.body_minimum_rate.max(1));
        let earned_us = pace.received.saturating_mul(1_000_000) / rate;
        let grace_us = u64::from(timeouts.body_grace_ms) * 1000;
        self.watch.set_at(pace.started_us + grace_us + earned_us);
    }
}
