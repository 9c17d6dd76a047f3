//! Streamed request content on its way to the app while the client sends it.

use std::ops::Range;
use std::sync::Arc;

use trivet_core::Problem;
use trivet_core::gate::{Admitted, Framing};
use trivet_core::http1::{ChunkStep, ChunkedDecoder};
use trivet_wire::frames::{Flags, Kind, MAX_DATA_BYTES};

use super::content::{ContentEnd, Pace};
use super::log::Record;
use super::{After, Connection};
use crate::exchange::Exchange;
use crate::pool::Pool;
use crate::shared::Shared;

/// A request's content on its way to the app.
#[derive(Debug)]
pub(super) struct Upload {
    source: Source,
    limit: u64,
    sent: u64,
    /// Where the rest starts in the connection's buffer.
    at: usize,
    wants_continue: bool,
    pace: Pace,
}

#[derive(Debug)]
enum Source {
    /// Nothing is streamed, or all of it has been passed on.
    Done,
    Length(u64),
    Chunked(ChunkedDecoder),
}

impl Upload {
    /// A request that ends at `at` in the buffer: nothing is streamed.
    pub(super) fn none(at: usize, shared: &Shared) -> Self {
        Self {
            source: Source::Done,
            limit: 0,
            sent: 0,
            at,
            wants_continue: false,
            pace: Pace::new(&shared.config.timeouts),
        }
    }

    /// Content of `length` bytes, or chunked, that starts at `at` in the buffer.
    pub(super) fn new(
        length: Option<u64>,
        admitted: &Admitted,
        at: usize,
        shared: &Shared,
    ) -> Self {
        let source = match (length, admitted.framing) {
            (Some(length), _) => Source::Length(length),
            (None, Framing::Chunked) => Source::Chunked(ChunkedDecoder::new(shared.chunked_limits)),
            (None, _) => Source::Done,
        };
        Self {
            source,
            limit: shared.route(&admitted.path).body_bytes,
            wants_continue: admitted.expects_continue,
            ..Self::none(at, shared)
        }
    }

    /// Whether all of the request has been read, so that another may follow.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    /// Whether the app waits for content that can still come.
    pub(super) fn is_wanted(&self, wanted: u64) -> bool {
        wanted > self.sent && !self.is_done()
    }

    /// Bytes of the buffer that belong to the request.
    pub(super) fn taken(&self) -> usize {
        self.at
    }

    /// The next piece in `input`, as a range of the connection's buffer, and
    /// whether it is the last. `None` where more must be read first.
    fn decode(&mut self, input: &[u8]) -> Result<Option<(Range<usize>, bool)>, Problem> {
        match &mut self.source {
            Source::Done => Ok(Some((self.at..self.at, true))),
            Source::Length(left) => {
                let here = input
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX))
                    .min(MAX_DATA_BYTES);
                if here == 0 {
                    return Ok(None);
                }
                *left -= here as u64;
                let ended = *left == 0;
                let piece = self.at..self.at + here;
                self.at += here;
                if ended {
                    self.source = Source::Done;
                }
                Ok(Some((piece, ended)))
            }
            Source::Chunked(decoder) => {
                match decoder.step(input.get(..MAX_DATA_BYTES).unwrap_or(input))? {
                    ChunkStep::Data { skip, len } => {
                        let start = self.at + skip;
                        self.at = start + len;
                        if self.sent + len as u64 > self.limit {
                            return Err(Problem::ContentTooLarge);
                        }
                        Ok(Some((start..start + len, false)))
                    }
                    ChunkStep::Done { consumed } => {
                        self.at += consumed;
                        self.source = Source::Done;
                        Ok(Some((self.at..self.at, true)))
                    }
                    ChunkStep::More { consumed } => {
                        self.at += consumed;
                        Ok(None)
                    }
                }
            }
        }
    }
}

impl Connection {
    /// Pass on a piece of streamed request content.
    pub(super) async fn upload_more(
        &mut self,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        record: &mut Record,
        upload: &mut Upload,
    ) -> Result<(), ContentEnd> {
        if upload.wants_continue && self.buf.len() <= upload.at {
            self.send_continue().await?;
        }
        upload.wants_continue = false;
        let (piece, ended) = loop {
            let input = self.buf.get(upload.at..).unwrap_or_default();
            if let Some(piece) = upload.decode(input)? {
                break piece;
            }
            // What was passed on need not be kept.
            self.buf.drain(self.head.len..upload.at);
            upload.at = self.head.len;
            // The app's own pauses do not count: the pace runs while it waits.
            self.fill_in_time(&mut upload.pace).await?;
        };
        self.watch.clear();
        let data = self.buf.get(piece).unwrap_or_default();
        record.bytes_in += data.len() as u64;
        let flags = if ended { Flags::END } else { Flags::default() };
        pool.send(exchange, Kind::Body, flags, data);
        upload.sent += data.len() as u64;
        Ok(())
    }

    /// End a request whose content broke off or is refused.
    pub(super) async fn break_upload(
        &mut self,
        end: ContentEnd,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        record: &mut Record,
    ) -> After {
        pool.cancel(exchange);
        self.watch.clear();
        record.keep_alive = false;
        match end {
            ContentEnd::Problem(problem) => {
                self.answer_problem(problem, record).await;
                After::Linger
            }
            ContentEnd::Aborted => {
                record.aborted = true;
                After::Close
            }
        }
    }
}
