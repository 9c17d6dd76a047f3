//! Streamed request content on its way to the app while the client sends it.

use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;

use trivet_core::Problem;
use trivet_core::gate::{Admitted, Framing};
use trivet_core::http1::{ChunkStep, ChunkedDecoder};
use trivet_wire::frames::{Flags, Kind, MAX_DATA_BYTES};

use super::content::{ContentEnd, Pace};
use super::log::Record;
use super::{After, Broken, Connection};
use crate::clock::now_us;
use crate::exchange::{Exchange, Reply};
use crate::pool::Pool;
use crate::settings::Settings;

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
    pub(super) fn none(at: usize, settings: &Settings) -> Self {
        Self {
            source: Source::Done,
            limit: 0,
            sent: 0,
            at,
            wants_continue: false,
            pace: Pace::new(&settings.config.timeouts),
        }
    }

    /// Content of `length` bytes, or chunked and of `limit` bytes at the most, that starts at
    /// `at` in the buffer.
    pub(super) fn new(
        length: Option<u64>,
        admitted: &Admitted,
        at: usize,
        (limit, settings): (u64, &Settings),
    ) -> Self {
        let source = match (length, admitted.framing) {
            (Some(length), _) => Source::Length(length),
            (None, Framing::Chunked) => {
                Source::Chunked(ChunkedDecoder::new(settings.chunked_limits))
            }
            (None, _) => Source::Done,
        };
        Self {
            source,
            limit,
            wants_continue: admitted.expects_continue,
            ..Self::none(at, settings)
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
    ///
    /// It has `room` bytes at the most: worker and edge both count what was
    /// asked for, and a byte more would put the two apart.
    fn decode(
        &mut self,
        input: &[u8],
        room: usize,
    ) -> Result<Option<(Range<usize>, bool)>, Problem> {
        match &mut self.source {
            Source::Done => Ok(Some((self.at..self.at, true))),
            Source::Length(left) => {
                let here = input
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX))
                    .min(room);
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
                let mut rest = input;
                while !rest.is_empty() {
                    match decoder.step(rest.get(..room).unwrap_or(rest))? {
                        ChunkStep::Data { skip, len } => {
                            let start = self.at + skip;
                            self.at = start + len;
                            if self.sent + len as u64 > self.limit {
                                return Err(Problem::ContentTooLarge);
                            }
                            return Ok(Some((start..start + len, false)));
                        }
                        ChunkStep::Done { consumed } => {
                            self.at += consumed;
                            self.source = Source::Done;
                            return Ok(Some((self.at..self.at, true)));
                        }
                        ChunkStep::More { consumed } => {
                            self.at += consumed;
                            rest = rest.get(consumed..).unwrap_or_default();
                        }
                    }
                }
                Ok(None)
            }
        }
    }
}

impl Connection {
    /// Pass on a piece of streamed request content, unless the app is heard from first.
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
        let wanted = exchange.reply().wanted.saturating_sub(upload.sent);
        let room = usize::try_from(wanted)
            .unwrap_or(usize::MAX)
            .min(MAX_DATA_BYTES);
        let (piece, ended) = loop {
            let input = self.buf.get(upload.at..).unwrap_or_default();
            if let Some(piece) = upload.decode(input, room)? {
                break piece;
            }
            // What was passed on need not be kept.
            self.buf.drain(self.head.len..upload.at);
            upload.at = self.head.len;
            if !self.fill_or_news(&mut upload.pace, exchange).await? {
                return Ok(());
            }
        };
        let data = self.buf.get(piece).unwrap_or_default();
        record.bytes_in += data.len() as u64;
        let flags = if ended { Flags::END } else { Flags::default() };
        pool.send(exchange, Kind::Body, flags, data);
        upload.sent += data.len() as u64;
        Ok(())
    }

    /// Read more, at the pace that content must keep; false where the app was
    /// heard from meanwhile: it may answer before it has got everything.
    ///
    /// The app's own pauses do not count: the pace runs while it waits.
    async fn fill_or_news(&mut self, pace: &mut Pace, exchange: &Exchange) -> Result<bool, Broken> {
        let begun_us = self.set_pace(pace);
        let bytes = poll_fn(|context| {
            if has_news(&exchange.reply()) {
                return Poll::Ready(Ok(0));
            }
            self.poll_fill(context)
        })
        .await?;
        self.watch.clear();
        pace.earn(now_us() - begun_us, bytes);
        Ok(bytes > 0)
    }

    /// End a request whose content broke off or is refused.
    pub(super) async fn break_upload(
        &mut self,
        end: ContentEnd,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        record: &mut Record,
    ) -> After {
        pool.abandon(exchange, self.patience_for_a_lost_client(record.due_us));
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

fn has_news(reply: &Reply) -> bool {
    reply.head.is_some() || reply.ended || !reply.segments.is_empty()
}

#[cfg(test)]
mod tests {
    use trivet_core::http1::ChunkedLimits;

    use super::*;

    fn upload(source: Source) -> Upload {
        Upload {
            source,
            limit: 1000,
            sent: 0,
            at: 0,
            wants_continue: false,
            pace: Pace::default(),
        }
    }

    /// Decode `input` in pieces of at most `room` bytes.
    fn pieces(mut upload: Upload, input: &[u8], room: usize) -> Vec<&[u8]> {
        let mut pieces = Vec::new();
        while let Some((piece, ended)) = upload.decode(&input[upload.at..], room).unwrap() {
            pieces.push(&input[piece]);
            if ended {
                return pieces;
            }
        }
        panic!("{pieces:?} and no end")
    }

    // The edge once sent more than the worker had asked for: both then waited
    // for each other, and every streamed upload of more than 256 KiB hung.
    #[test]
    fn no_piece_is_larger_than_what_was_asked_for() {
        let input = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n";
        for room in 1..10 {
            let source = Source::Chunked(ChunkedDecoder::new(ChunkedLimits::default()));
            let chunks = pieces(upload(source), input, room);
            assert_eq!(chunks.concat(), b"abcde");
            assert!(chunks.iter().all(|piece| piece.len() <= room));
            let lengths = pieces(upload(Source::Length(5)), b"abcdefg", room);
            assert_eq!(lengths.concat(), b"abcde");
            assert!(lengths.iter().all(|piece| piece.len() <= room));
        }
    }
}
