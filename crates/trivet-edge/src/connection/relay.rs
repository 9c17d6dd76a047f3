//! Passing an answer on to the client as it comes from the app.

use std::future::poll_fn;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use trivet_core::field::list_elements;
use trivet_core::http1::{
    BodyFraming, CHUNK_END, KnownField, LAST_CHUNK, encode_chunk_prefix, encode_trailers,
};
use trivet_wire::frames::TrailersView;

use super::compress::{Coder, SLICE_BYTES};
use super::log::Record;
use super::send_file::SendEnd;
use super::upload::Upload;
use super::{Broken, Connection, PIPELINED_BYTES};
use crate::compression::CodedStream;
use crate::exchange::{Exchange, Reply, Segment};
use crate::files::page_cache;
use crate::pool::Pool;
use crate::spool::Spool;

/// Bytes read from a file at once.
const FILE_BYTES: usize = 256 << 10;
/// Segments that one write takes at the most.
const GATHERED: usize = 16;
/// Parts of one write: per segment its chunk's frame, and the end of all.
const PARTS: usize = 3 * GATHERED + 2;

/// Why an answer did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RelayEnd {
    /// The client left, or took nothing for too long.
    Client,
    /// The app or its worker broke off.
    App,
    /// The app sent nothing more for too long.
    Stall,
}

impl From<Broken> for RelayEnd {
    fn from(_: Broken) -> Self {
        Self::Client
    }
}

/// What can be done next for an answer that is being passed on.
enum Step {
    /// Send this; the last of all or not.
    Content(Vec<Bytes>, bool),
    /// Send this part of a file; the last of all or not.
    File(FilePart, bool),
    /// All has been sent.
    End,
    /// It broke off.
    Failed,
}

/// What comes behind some content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Nothing: it was the last.
    Ends,
    /// More, which is there already.
    GoesOn,
    /// More, some time: what there is has to reach the client.
    Pauses,
}

impl Flow {
    fn of(relay: &Relay<'_>, is_last: bool) -> Self {
        if is_last {
            Self::Ends
        } else if relay.exchange.reply().segments.is_empty() {
            Self::Pauses
        } else {
            Self::GoesOn
        }
    }
}

struct FilePart {
    file: Arc<std::fs::File>,
    offset: u64,
    length: u64,
}

/// An answer on its way.
pub(super) struct Relay<'a> {
    pool: &'a Arc<Pool>,
    exchange: &'a Arc<Exchange>,
    /// The head, until it is sent; then what frames the content.
    out: &'a mut Vec<u8>,
    is_chunked: bool,
    /// What is yet to come from the app, as far as it has said.
    left: Option<u64>,
    coder: Option<Coder>,
    spill: Spill,
}

/// Where content goes that a slow client leaves behind.
enum Spill {
    /// To a file, as soon as there is some.
    Possible,
    /// To this file.
    File(Spool),
    /// Nowhere: it waits in memory, and the worker with it.
    Off,
}

impl<'a> Relay<'a> {
    /// Pass on the answer of `exchange`. `out` holds its head.
    pub(super) fn new(
        pool: &'a Arc<Pool>,
        exchange: &'a Arc<Exchange>,
        out: &'a mut Vec<u8>,
        framing: BodyFraming,
    ) -> Self {
        Self {
            pool,
            exchange,
            out,
            is_chunked: framing == BodyFraming::Chunked,
            left: match framing {
                BodyFraming::Length(length) => Some(length),
                _ => None,
            },
            spill: Spill::Possible,
            coder: None,
        }
    }

    /// Code the content, of which `length` comes from the app where that is known.
    pub(super) fn code(&mut self, stream: Box<CodedStream>, length: Option<u64>) {
        self.coder = Some(Coder::new(stream));
        self.left = length;
    }

    /// Count content against the promised length; more than that is never sent.
    fn count(&mut self, length: u64) -> Result<(), RelayEnd> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(length).ok_or(RelayEnd::App)?;
        }
        Ok(())
    }

    /// An answer that ends short of its promised length has broken off.
    fn end(&self) -> Result<(), RelayEnd> {
        if self.left.unwrap_or(0) == 0 {
            Ok(())
        } else {
            Err(RelayEnd::App)
        }
    }
}

impl Connection {
    /// Write all of `parts`; together they make one piece.
    pub(super) async fn send(&mut self, parts: &[&[u8]]) -> Result<(), Broken> {
        let mut sent = 0;
        let total: usize = parts.iter().map(|part| part.len()).sum();
        while sent < total {
            sent += poll_fn(|context| self.poll_send(context, parts, sent)).await?;
            if self.watch.is_set() {
                // Any progress is enough: the line may be slow.
                self.watch.clear();
            }
        }
        Ok(())
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        parts: &[&[u8]],
        sent: usize,
    ) -> Poll<Result<usize, Broken>> {
        if let [part] = parts {
            let rest = part.get(sent..).unwrap_or_default();
            return self.poll_send_slices(context, &[IoSlice::new(rest)]);
        }
        let mut slices = [IoSlice::new(&[]); PARTS];
        let mut skip = sent;
        let mut count = 0;
        for part in parts {
            let rest = part.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(part.len());
            if let (false, Some(slice)) = (rest.is_empty(), slices.get_mut(count)) {
                *slice = IoSlice::new(rest);
                count += 1;
            }
        }
        self.poll_send_slices(context, slices.get(..count).unwrap_or_default())
    }

    fn poll_send_slices(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Broken>> {
        match self.stream.poll_write(context, slices) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Broken::Gone)),
            Poll::Ready(Ok(bytes)) => Poll::Ready(Ok(bytes)),
            Poll::Pending => self.poll_stall(context).map(Err),
        }
    }

    /// Ready when the client has taken nothing for too long, or the edge ends all connections.
    pub(super) fn poll_stall(&mut self, context: &mut Context<'_>) -> Poll<Broken> {
        if !self.watch.is_set() {
            self.watch.set(self.settings.config.timeouts.write_stall_ms);
        }
        self.poll_deadline(context)
    }

    /// Pass on an answer, whose first content came with its head.
    pub(super) async fn relay(
        &mut self,
        mut relay: Relay<'_>,
        record: &mut Record,
        first: Bytes,
        upload: &mut Upload,
    ) -> Result<(), RelayEnd> {
        let mut step = Step::Content(vec![first], false);
        if matches!(&step, Step::Content(pieces, _) if pieces.iter().all(Bytes::is_empty))
            && !relay.exchange.reply().segments.is_empty()
        {
            step = poll_fn(|context| self.poll_step(context, relay.exchange)).await?;
        }
        loop {
            // Memory has room again as soon as something is taken out of it: with
            // a slow client, the time when it is sent may be far away.
            relay.pool.give_credit(relay.exchange);
            match step {
                Step::Content(pieces, is_last) => {
                    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
                    relay.count(length)?;
                    let flow = Flow::of(&relay, is_last);
                    self.send_content(&mut relay, record, pieces, flow).await?;
                    if is_last {
                        return relay.end();
                    }
                }
                Step::File(part, is_last) => {
                    relay.count(part.length)?;
                    self.send_file(&mut relay, record, part, is_last).await?;
                    if is_last {
                        return relay.end();
                    }
                }
                Step::End => {
                    relay.end()?;
                    let pieces = Vec::new();
                    self.send_content(&mut relay, record, pieces, Flow::Ends)
                        .await?;
                    return Ok(());
                }
                Step::Failed => return Err(RelayEnd::App),
            }
            while wants_content(&relay.exchange.reply(), upload) {
                self.upload_more(relay.pool, relay.exchange, record, upload)
                    .await
                    .map_err(|_| RelayEnd::Client)?;
            }
            step = poll_fn(|context| self.poll_step(context, relay.exchange)).await?;
        }
    }

    /// The next thing to do; also notices a client that leaves meanwhile.
    fn poll_step(
        &mut self,
        context: &mut Context<'_>,
        exchange: &Exchange,
    ) -> Poll<Result<Step, RelayEnd>> {
        if let Some(step) = next_step(&mut exchange.reply()) {
            if self.watch.is_set() {
                self.watch.clear();
            }
            return Poll::Ready(Ok(step));
        }
        if self.buf.len() < self.request_end + PIPELINED_BYTES {
            match self.stream.poll_read(context, &mut self.buf) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(RelayEnd::Client)),
                Poll::Ready(Ok(_)) => context.waker().wake_by_ref(),
                Poll::Pending => {}
            }
        }
        let stall_ms = self.settings.config.timeouts.response_stall_ms;
        if stall_ms != 0 && !self.watch.is_set() {
            self.watch.set(stall_ms);
        }
        self.poll_deadline(context).map(|broken| match broken {
            Broken::Late => Err(RelayEnd::Stall),
            Broken::CutOff | Broken::Gone => Err(RelayEnd::Client),
        })
    }

    /// The end of content with the app's trailer fields, for a client that takes some
    /// (`TE: trailers`, RFC 9110 section 10.1.4).
    fn trailers(&self, exchange: &Exchange) -> Option<Vec<u8>> {
        let payload = exchange.reply().trailers.take()?;
        let view = TrailersView::parse(&payload).ok()?;
        let mut codings = self
            .head
            .values(&self.buf, KnownField::Te)
            .flat_map(list_elements);
        if !codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers")) {
            return None;
        }
        let mut out = Vec::new();
        encode_trailers(&mut out, view.fields());
        Some(out)
    }

    /// Send what `out` holds and then content of the app's, coded if it is to be.
    async fn send_content(
        &mut self,
        relay: &mut Relay<'_>,
        record: &mut Record,
        mut pieces: Vec<Bytes>,
        mut flow: Flow,
    ) -> Result<(), RelayEnd> {
        if flow == Flow::Ends && relay.coder.is_some() && relay.end().is_err() {
            // Content that is short must not look whole.
            flow = Flow::Pauses;
        }
        if let Some(mut coder) = relay.coder.take() {
            for piece in std::mem::take(&mut pieces) {
                for slice in piece.chunks(SLICE_BYTES) {
                    if let Some(coded) = coder.push(slice)? {
                        record.bytes_out += coded.len() as u64;
                        self.send_pieces(relay, &[coded], false).await?;
                    }
                    if slice.len() == SLICE_BYTES {
                        tokio::task::yield_now().await;
                    }
                }
            }
            match flow {
                Flow::GoesOn => {}
                Flow::Pauses => pieces.push(coder.flush()?),
                Flow::Ends => pieces.push(coder.finish()?),
            }
            relay.coder = Some(coder);
        }
        let sent: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.send_pieces(relay, &pieces, flow == Flow::Ends).await?;
        record.bytes_out += sent;
        Ok(())
    }

    /// Send what `out` holds and then pieces of content, spilling meanwhile.
    async fn send_pieces(
        &mut self,
        relay: &mut Relay<'_>,
        pieces: &[Bytes],
        is_last: bool,
    ) -> Result<(), RelayEnd> {
        let out = std::mem::take(relay.out);
        let mut frames = out;
        let mut ends = Vec::with_capacity(pieces.len());
        for piece in pieces {
            if relay.is_chunked && !piece.is_empty() {
                encode_chunk_prefix(&mut frames, piece.len());
            }
            ends.push(frames.len());
        }
        let mut parts: Vec<&[u8]> = Vec::with_capacity(PARTS);
        let mut start = 0;
        for (piece, &end) in pieces.iter().zip(&ends) {
            // The first part also holds the head.
            parts.push(frames.get(start..end).unwrap_or_default());
            parts.push(piece);
            if relay.is_chunked && !piece.is_empty() {
                parts.push(CHUNK_END);
            }
            start = end;
        }
        parts.push(frames.get(start..).unwrap_or_default());
        let trailers = if relay.is_chunked && is_last {
            self.trailers(relay.exchange)
        } else {
            None
        };
        if relay.is_chunked && is_last {
            parts.push(trailers.as_deref().unwrap_or(LAST_CHUNK));
        }
        self.send_parts(relay, &parts).await?;
        frames.clear();
        *relay.out = frames;
        Ok(())
    }

    async fn send_parts(&mut self, relay: &mut Relay<'_>, parts: &[&[u8]]) -> Result<(), RelayEnd> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut sent = 0;
        while sent < total {
            let written = poll_fn(|context| {
                if let Poll::Ready(result) = self.poll_send(context, parts, sent) {
                    return Poll::Ready(Some(result));
                }
                if self.may_spill(relay) {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            })
            .await;
            match written {
                Some(result) => {
                    sent += result?;
                    self.watch.clear();
                }
                None => self.spill(relay).await,
            }
        }
        Ok(())
    }

    /// Whether memory is full, and there is a file to put content in.
    fn may_spill(&self, relay: &Relay<'_>) -> bool {
        let reply = relay.exchange.reply();
        relay.pool.wants_spill(&reply)
            && !matches!(relay.spill, Spill::Off)
            && reply.spilled < self.settings.config.buffers.response_file_bytes
    }

    /// Move content that waits for a slow client from memory to a file.
    ///
    /// Where that fails it stays: then the worker waits for its client, and the
    /// answer is still whole.
    async fn spill(&mut self, relay: &mut Relay<'_>) {
        let spool = match std::mem::replace(&mut relay.spill, Spill::Off) {
            Spill::File(spool) => Ok(spool),
            _ => Spool::create(&self.settings.spool).await,
        };
        let Ok(mut spool) = spool else { return };
        let (at, run) = memory_run(&relay.exchange.reply());
        let mut gathered = Vec::with_capacity(run.iter().map(Bytes::len).sum());
        for bytes in &run {
            gathered.extend_from_slice(bytes);
        }
        let (offset, length) = (spool.length(), gathered.len() as u64);
        if run.is_empty() || spool.append(gathered).await.is_err() {
            return;
        }
        {
            let mut reply = relay.exchange.reply();
            // Only this task takes segments away, so the run is where it was.
            reply.segments.drain(at..at + run.len());
            let file = spool.file();
            let part = Segment::File {
                file,
                offset,
                length,
            };
            reply.segments.insert(at, part);
            reply.buffered -= length;
            reply.spilled += length;
        }
        relay.spill = Spill::File(spool);
        relay.pool.give_credit(relay.exchange);
    }

    /// Send what `out` holds and then a part of a file.
    async fn send_file(
        &mut self,
        relay: &mut Relay<'_>,
        record: &mut Record,
        mut part: FilePart,
        is_last: bool,
    ) -> Result<(), RelayEnd> {
        if !relay.is_chunked && part.length > 0 {
            let head = std::mem::take(relay.out);
            let place = (part.offset, part.length);
            let sent = self.send_file_part(&head, &part.file, place, &mut record.bytes_out);
            return sent.await.map_err(|end| match end {
                SendEnd::Client => RelayEnd::Client,
                SendEnd::File => RelayEnd::App,
            });
        }
        while part.length > 0 {
            let wanted = usize::try_from(part.length)
                .unwrap_or(usize::MAX)
                .min(FILE_BYTES);
            let data = page_cache::read(&part.file, part.offset, wanted)
                .await
                .map_err(|_| RelayEnd::App)?;
            if data.is_empty() {
                return Err(RelayEnd::App); // The file was cut while it was being sent.
            }
            let sent = data.len() as u64;
            part.offset += sent;
            part.length -= sent;
            let pieces = vec![Bytes::from(data)];
            self.send_content(relay, record, pieces, Flow::GoesOn)
                .await?;
        }
        // The end; before an empty file, also the head.
        let flow = Flow::of(relay, is_last);
        self.send_content(relay, record, Vec::new(), flow).await
    }
}

/// Take the next thing to do out of the answer, if there is any.
fn next_step(reply: &mut Reply) -> Option<Step> {
    let mut pieces = Vec::new();
    while pieces.len() < GATHERED {
        match reply.segments.front_mut() {
            Some(Segment::Memory(bytes)) => {
                let bytes = std::mem::take(bytes);
                reply.segments.pop_front();
                reply.buffered -= bytes.len() as u64;
                pieces.push(bytes);
            }
            _ => break,
        }
    }
    if !pieces.is_empty() {
        return Some(Step::Content(pieces, is_over(reply)));
    }
    if let Some(Segment::File {
        file,
        offset,
        length,
    }) = reply.segments.pop_front()
    {
        let part = FilePart {
            file,
            offset,
            length,
        };
        return Some(Step::File(part, is_over(reply)));
    }
    if reply.failure.is_some() {
        return Some(Step::Failed);
    }
    reply.ended.then_some(Step::End)
}

fn is_over(reply: &Reply) -> bool {
    reply.ended && reply.segments.is_empty() && reply.failure.is_none()
}

/// Whether the app waits for streamed content, and we for the app.
fn wants_content(reply: &Reply, upload: &Upload) -> bool {
    reply.segments.is_empty() && !reply.ended && upload.is_wanted(reply.wanted)
}

/// The first run of segments in memory, and where it starts.
///
/// A file of the app's own may lie between two of them, so only a run can be
/// replaced without changing the order.
fn memory_run(reply: &Reply) -> (usize, Vec<Bytes>) {
    let in_memory = |segment: &Segment| match segment {
        Segment::Memory(bytes) => Some(bytes.clone()),
        Segment::File { .. } => None,
    };
    let is_file = |segment: &Segment| matches!(segment, Segment::File { .. });
    let at = reply
        .segments
        .iter()
        .take_while(|&segment| is_file(segment))
        .count();
    let run = reply.segments.iter().skip(at).map_while(in_memory);
    (at, run.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Segment {
        Segment::File {
            file: Arc::new(std::fs::File::open("/dev/null").unwrap()),
            offset: 0,
            length: 1,
        }
    }

    fn memory(text: &'static str) -> Segment {
        Segment::Memory(Bytes::from_static(text.as_bytes()))
    }

    // The whole of memory was once spilled behind a file that the app had
    // handed over after some of it: the client got the content out of order.
    #[test]
    fn content_is_spilled_up_to_the_next_file() {
        let reply = Reply {
            segments: [file(), memory("a"), memory("b"), file(), memory("c")].into(),
            ..Reply::default()
        };
        let (at, run) = memory_run(&reply);
        assert_eq!((at, run.concat()), (1, b"ab".to_vec()));
    }

    #[test]
    fn an_answer_that_failed_behind_its_content_does_not_end_well() {
        let mut reply = Reply {
            segments: [memory("a")].into(),
            buffered: 1,
            ended: true,
            failure: Some(crate::exchange::Failure::Problem(
                trivet_core::Problem::WorkerLost,
            )),
            ..Reply::default()
        };
        assert!(matches!(
            next_step(&mut reply),
            Some(Step::Content(_, false))
        ));
        assert!(matches!(next_step(&mut reply), Some(Step::Failed)));
    }
}
