//! Passing content on as it comes: answers to the client, uploads to the app.

use std::future::poll_fn;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use trivet_core::Problem;
use trivet_core::gate::{Admitted, Framing};
use trivet_core::http1::{
    BodyFraming, CHUNK_END, ChunkStep, ChunkedDecoder, LAST_CHUNK, encode_chunk_prefix,
};
use trivet_wire::frames::{Flags, Kind, MAX_DATA_BYTES};

use super::answer::read_part;
use super::content::ContentEnd;
use super::log::Record;
use super::{After, Broken, Connection};
use crate::exchange::{Exchange, Segment};
use crate::pool::Pool;
use crate::shared::Shared;
use crate::spool::Spool;

/// Bytes read from a file at once.
const FILE_BYTES: usize = 256 << 10;
/// Segments that one write takes at the most.
const GATHERED: usize = 16;

/// Why an answer did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RelayEnd {
    /// The client left, or took nothing for too long.
    Client,
    /// The app or its worker broke off.
    App,
}

impl From<Broken> for RelayEnd {
    fn from(_: Broken) -> Self {
        Self::Client
    }
}

/// What can be done next for an answer that is being passed on.
enum Step {
    /// Send this.
    Content(Vec<Bytes>, bool),
    /// Send this part of a file.
    File(Arc<std::fs::File>, u64, u64, bool),
    /// All has been sent.
    End,
    /// It broke off.
    Failed,
}

impl Connection {
    /// Write all of `parts`; together they make one piece.
    pub(super) async fn send(&mut self, parts: &[&[u8]]) -> Result<(), Broken> {
        let mut sent = 0;
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut is_watched = false;
        while sent < total {
            let written = poll_fn(|context| self.poll_send(context, parts, sent)).await;
            match written {
                Ok(bytes) => sent += bytes,
                Err(broken) => return Err(broken),
            }
            if sent < total {
                // Any progress is enough: the line may be slow.
                self.watch.set(self.shared.config.timeouts.write_stall_ms);
                is_watched = true;
            }
        }
        if is_watched {
            self.watch.clear();
        }
        Ok(())
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        parts: &[&[u8]],
        sent: usize,
    ) -> Poll<Result<usize, Broken>> {
        let mut slices = [IoSlice::new(&[]); GATHERED * 3 + 2];
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
        match self
            .stream
            .poll_write(context, slices.get(..count).unwrap_or_default())
        {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Broken::Gone)),
            Poll::Ready(Ok(bytes)) => Poll::Ready(Ok(bytes)),
            Poll::Pending => {
                if self.watch_is_unset() {
                    self.watch.set(self.shared.config.timeouts.write_stall_ms);
                }
                self.poll_deadline(context).map(Err)
            }
        }
    }

    fn watch_is_unset(&self) -> bool {
        !self.watch.is_set()
    }

    /// Pass an answer on while it comes. `out` holds its head.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of one answer, each used once"
    )]
    pub(super) async fn relay(
        &mut self,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        record: &mut Record,
        out: &mut Vec<u8>,
        first: Bytes,
        framing: BodyFraming,
        upload: &mut Upload,
    ) -> Result<(), RelayEnd> {
        let mut spill = None;
        let mut left = match framing {
            BodyFraming::Length(length) => Some(length),
            _ => None,
        };
        let is_chunked = framing == BodyFraming::Chunked;
        let mut step = Step::Content(vec![first], false);
        if step_is_empty(&step) && !exchange.reply().segments.is_empty() {
            step = poll_fn(|context| self.poll_step(context, exchange)).await?;
        }
        loop {
            match step {
                Step::Content(pieces, is_last) => {
                    let length = pieces.iter().map(Bytes::len).sum::<usize>() as u64;
                    if left.is_some_and(|left| length > left) {
                        return Err(RelayEnd::App);
                    }
                    left = left.map(|left| left - length);
                    record.bytes_out += length;
                    self.send_pieces(
                        pool,
                        exchange,
                        out,
                        &pieces,
                        (is_chunked, is_last),
                        &mut spill,
                    )
                    .await?;
                    if is_last {
                        return if left.unwrap_or(0) == 0 {
                            Ok(())
                        } else {
                            Err(RelayEnd::App)
                        };
                    }
                }
                Step::File(file, offset, length, is_last) => {
                    if left.is_some_and(|left| length > left) {
                        return Err(RelayEnd::App);
                    }
                    left = left.map(|left| left - length);
                    self.send_file(
                        pool,
                        exchange,
                        record,
                        out,
                        (&file, offset, length),
                        is_chunked,
                    )
                    .await?;
                    if is_last {
                        let end = if is_chunked { LAST_CHUNK } else { &[] };
                        self.send(&[end]).await?;
                        return if left.unwrap_or(0) == 0 {
                            Ok(())
                        } else {
                            Err(RelayEnd::App)
                        };
                    }
                }
                Step::End => {
                    if left.unwrap_or(0) != 0 {
                        return Err(RelayEnd::App);
                    }
                    if is_chunked {
                        out.extend_from_slice(LAST_CHUNK);
                    }
                    self.send(&[out]).await?;
                    return Ok(());
                }
                Step::Failed => return Err(RelayEnd::App),
            }
            pool.give_credit(exchange);
            step = loop {
                let wants_content = {
                    let reply = exchange.reply();
                    reply.segments.is_empty()
                        && !reply.ended
                        && upload.is_open()
                        && reply.wanted > upload.sent()
                };
                if wants_content && !upload.is_done() {
                    self.upload_more(pool, exchange, record, upload)
                        .await
                        .map_err(|_| RelayEnd::Client)?;
                    continue;
                }
                break poll_fn(|context| self.poll_step(context, exchange)).await?;
            };
        }
    }

    /// The next thing to do; also notices a client that leaves meanwhile.
    fn poll_step(
        &mut self,
        context: &mut Context<'_>,
        exchange: &Exchange,
    ) -> Poll<Result<Step, RelayEnd>> {
        let mut reply = exchange.reply();
        let mut pieces = Vec::new();
        while pieces.len() < GATHERED {
            match reply.segments.pop_front() {
                Some(Segment::Memory(bytes)) => {
                    reply.buffered -= bytes.len() as u64;
                    pieces.push(bytes);
                }
                Some(file @ Segment::File { .. }) => {
                    reply.segments.push_front(file);
                    break;
                }
                None => break,
            }
        }
        let failed = reply.failure.is_some();
        if !pieces.is_empty() {
            let is_last = reply.ended && reply.segments.is_empty() && !failed;
            return Poll::Ready(Ok(Step::Content(pieces, is_last)));
        }
        if let Some(Segment::File {
            file,
            offset,
            length,
        }) = reply.segments.pop_front()
        {
            let is_last = reply.ended && reply.segments.is_empty() && !failed;
            return Poll::Ready(Ok(Step::File(file, offset, length, is_last)));
        }
        if failed {
            return Poll::Ready(Ok(Step::Failed));
        }
        if reply.ended {
            return Poll::Ready(Ok(Step::End));
        }
        drop(reply);
        if self.buf.len() < 2 * MAX_DATA_BYTES {
            match self.stream.poll_read(context, &mut self.buf) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(RelayEnd::Client)),
                Poll::Ready(Ok(_)) => context.waker().wake_by_ref(),
                Poll::Pending => {}
            }
        }
        self.poll_deadline(context).map(|_| Err(RelayEnd::Client))
    }

    /// Send what `out` holds and then pieces of content, spilling meanwhile.
    async fn send_pieces(
        &mut self,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        out: &mut Vec<u8>,
        pieces: &[Bytes],
        (is_chunked, is_last): (bool, bool),
        spill: &mut Option<Spool>,
    ) -> Result<(), RelayEnd> {
        let head = out.len();
        let mut ends = Vec::with_capacity(pieces.len());
        for piece in pieces {
            if is_chunked && !piece.is_empty() {
                encode_chunk_prefix(out, piece.len());
            }
            ends.push(out.len());
        }
        let mut parts: Vec<&[u8]> = Vec::with_capacity(3 * pieces.len() + 2);
        let mut start = 0;
        for (piece, &end) in pieces.iter().zip(&ends) {
            // The first part also holds the head.
            parts.push(out.get(start..end).unwrap_or_default());
            parts.push(piece);
            if is_chunked && !piece.is_empty() {
                parts.push(CHUNK_END);
            }
            start = end;
        }
        debug_assert!(head <= out.len());
        if is_chunked && is_last {
            parts.push(LAST_CHUNK);
        }
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut sent = 0;
        while sent < total {
            let written = poll_fn(|context| {
                if let Poll::Ready(result) = self.poll_send(context, &parts, sent) {
                    return Poll::Ready(Some(result));
                }
                let is_full = pool.wants_spill(&exchange.reply());
                if is_full && self.may_spill(exchange) {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            })
            .await;
            match written {
                Some(Ok(bytes)) => {
                    sent += bytes;
                    self.watch.clear();
                }
                Some(Err(broken)) => return Err(broken.into()),
                None => self.spill(pool, exchange, spill).await?,
            }
        }
        self.watch.clear();
        out.clear();
        Ok(())
    }

    fn may_spill(&self, exchange: &Exchange) -> bool {
        exchange.reply().spilled < self.shared.config.buffers.response_file_bytes
    }

    /// Move content that waits for a slow client from memory to a file.
    async fn spill(
        &mut self,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        spill: &mut Option<Spool>,
    ) -> Result<(), RelayEnd> {
        let mut spool = match spill.take() {
            Some(spool) => spool,
            None => Spool::create(&self.shared.spool)
                .await
                .map_err(|_| RelayEnd::App)?,
        };
        let mut gathered = Vec::new();
        {
            let mut reply = exchange.reply();
            for segment in &reply.segments {
                if let Segment::Memory(bytes) = segment {
                    gathered.extend_from_slice(bytes);
                }
            }
            // Files can only be earlier spills, which lie before all of memory.
            reply
                .segments
                .retain(|segment| matches!(segment, Segment::File { .. }));
            let length = gathered.len() as u64;
            reply.buffered -= length;
            reply.spilled += length;
        }
        let (offset, length) = (spool.length(), gathered.len() as u64);
        spool.append(gathered).await.map_err(|_| RelayEnd::App)?;
        let segment = Segment::File {
            file: spool.file(),
            offset,
            length,
        };
        {
            let mut reply = exchange.reply();
            // Content that came meanwhile belongs behind it.
            let at = reply
                .segments
                .iter()
                .position(|segment| matches!(segment, Segment::Memory(_)));
            let at = at.unwrap_or(reply.segments.len());
            reply.segments.insert(at, segment);
        }
        *spill = Some(spool);
        pool.give_credit(exchange);
        Ok(())
    }

    /// Send what `out` holds and then a part of a file.
    async fn send_file(
        &mut self,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        record: &mut Record,
        out: &mut Vec<u8>,
        (file, mut offset, mut length): (&Arc<std::fs::File>, u64, u64),
        is_chunked: bool,
    ) -> Result<(), RelayEnd> {
        let mut spill = None;
        while length > 0 {
            let wanted = usize::try_from(length)
                .unwrap_or(usize::MAX)
                .min(FILE_BYTES);
            let data = read_part(file, offset, wanted)
                .await
                .map_err(|_| RelayEnd::App)?;
            if data.is_empty() {
                return Err(RelayEnd::App); // The file was cut while it was being sent.
            }
            let sent = data.len() as u64;
            let pieces = [Bytes::from(data)];
            self.send_pieces(
                pool,
                exchange,
                out,
                &pieces,
                (is_chunked, false),
                &mut spill,
            )
            .await?;
            record.bytes_out += sent;
            offset += sent;
            length -= sent;
        }
        if !out.is_empty() {
            self.send(&[out]).await?;
            out.clear();
        }
        Ok(())
    }

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
            let timeouts = &self.shared.config.timeouts;
            self.watch
                .set(timeouts.body_grace_ms.max(timeouts.request_head_ms));
            let filled = self.fill().await;
            self.watch.clear();
            filled?;
        };
        let data = self.buf.get(piece.clone()).unwrap_or_default();
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
    ) -> Option<After> {
        pool.cancel(exchange);
        record.keep_alive = false;
        match end {
            ContentEnd::Problem(problem) => {
                self.answer_problem(problem, record).await;
                Some(After::Linger)
            }
            ContentEnd::Aborted => {
                record.aborted = true;
                Some(After::Close)
            }
        }
    }
}

fn step_is_empty(step: &Step) -> bool {
    matches!(step, Step::Content(pieces, _) if pieces.iter().all(Bytes::is_empty))
}

/// A request's content on its way to the app while the client sends it.
#[derive(Debug)]
pub(super) struct Upload {
    source: Source,
    limit: u64,
    sent: u64,
    /// Where the rest starts in the connection's buffer.
    at: usize,
    wants_continue: bool,
}

#[derive(Debug)]
enum Source {
    /// Nothing is streamed, or all of it has been passed on.
    Done {
        streamed: bool,
    },
    Length(u64),
    Chunked(ChunkedDecoder),
}

impl Upload {
    /// A request whose content is not streamed.
    pub(super) fn none() -> Self {
        Self {
            source: Source::Done { streamed: false },
            limit: 0,
            sent: 0,
            at: 0,
            wants_continue: false,
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
            (None, _) => Source::Done { streamed: true },
        };
        let limit = shared.route(&admitted.path).body_bytes;
        Self {
            source,
            limit,
            sent: 0,
            at,
            wants_continue: admitted.expects_continue,
        }
    }

    /// Whether content is streamed and not all passed on.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.source, Source::Done { .. })
    }

    /// Whether all of the request has been read.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.source, Source::Done { .. })
    }

    /// Bytes passed on.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes of the buffer that belong to the request.
    pub(super) fn taken(&self, otherwise: usize) -> usize {
        match self.source {
            Source::Done { streamed: false } => otherwise,
            _ => self.at,
        }
    }

    /// The next piece in `input`, as a range of the connection's buffer, and
    /// whether it is the last. `None` where more must be read first.
    fn decode(&mut self, input: &[u8]) -> Result<Option<(std::ops::Range<usize>, bool)>, Problem> {
        match &mut self.source {
            Source::Done { .. } => Ok(Some((self.at..self.at, true))),
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
                    self.source = Source::Done { streamed: true };
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
                        self.source = Source::Done { streamed: true };
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
