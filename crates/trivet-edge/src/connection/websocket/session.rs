//! The messages of one WebSocket, in both directions.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll};

use trivet_core::websocket::{
    CloseCode, Decoder, Deflater, Inflater, Limits, Offer, Opcode, Step, Violation, put_close,
    put_frame, put_message,
};
use trivet_wire::edge_config::{EdgeConfig, WebSocket as Settings};
use trivet_wire::frames::{
    Flags, INITIAL_MESSAGE_CREDIT, Kind, MAX_DATA_BYTES, NO_SLOT, message_cost,
    put_frame as put_wire_frame,
};

use super::super::answer::problem_of;
use super::super::log::Record;
use super::super::{After, Connection, give_buffer, take_buffer};
use crate::clock::now_us;
use crate::exchange::{Exchange, Failure, Piece, Said};
use crate::pool::Pool;

/// Bytes for a client that does not read: above it, nothing is read from it either,
/// so that it cannot make us gather pongs.
const MOST_OUT_BYTES: usize = 64 << 10;
/// Bytes of a read while a large message comes.
const LARGE_READ_BYTES: usize = 64 << 10;
/// How long the client may take to answer our close frame: as `websockets` has it
/// for its own side, shortened to what a round trip and a busy browser need.
const CLOSE_WAIT_US: u64 = 5_000_000;
/// Below this, deflating a message by itself seldom gains anything.
const LEAST_DEFLATED_BYTES: usize = 256;
/// Above this a message of the app is not gathered to be deflated.
const MOST_DEFLATED_BYTES: usize = 1 << 20;
/// Credit of the app that is gathered before it is given back.
const LEAST_CREDIT: u32 = INITIAL_MESSAGE_CREDIT / 4;

thread_local! {
    /// One deflater for each size of window: they keep nothing between two messages.
    static DEFLATERS: RefCell<[Option<Deflater>; 7]> = const { RefCell::new([const { None }; 7]) };
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Messages go both ways.
    Open,
    /// Our close frame is on its way or out, and the client's is awaited until then.
    Closing(u64),
    /// What `out` holds is the last.
    Finishing,
}

/// Why the connection ends without a closing handshake.
#[derive(Clone, Copy, Debug)]
enum Lost {
    /// The client closed or reset it.
    Gone,
    /// The client took nothing, or said nothing, for too long.
    Silent(&'static str),
}

/// An accepted WebSocket.
pub(super) struct Session<'a> {
    pool: &'a Arc<Pool>,
    exchange: &'a Arc<Exchange>,
    number: u64,
    settings: Settings,
    write_stall_us: u64,
    decoder: Decoder,
    /// Bits of the window, where compression was agreed on.
    window_bits: Option<u8>,
    inflater: Option<Inflater>,
    /// A message that was inflated and waits for credit, and how far it has gone.
    inflated: Option<(Vec<u8>, usize, bool)>,
    /// Messages of the app that come in pieces, before they are deflated.
    gathered: Vec<u8>,
    /// Whether the last piece to the client did not end its message.
    is_mid_message: bool,
    phase: Phase,
    /// What may still be sent to the app.
    credit: i64,
    /// What the app has said and the client has not been sent, for giving credit.
    owed: u32,
    /// For the client; the first `written` bytes are out.
    out: Vec<u8>,
    written: usize,
    /// For the worker.
    frames: Vec<u8>,
    /// Taken from the exchange, kept for its memory.
    said: Said,
    heard_us: u64,
    pinged_us: u64,
    stalled_us: u64,
    /// When the last message went either way.
    spoke_us: u64,
    /// What the client has sent and was not read yet; no buffer at all while idle.
    input: Vec<u8>,
    /// Whether the last read filled its buffer.
    wants_large_read: bool,
}

impl<'a> Session<'a> {
    /// `input` holds what the client has sent behind its handshake, `out` the answer to it.
    pub(super) fn new(
        pool: &'a Arc<Pool>,
        exchange: &'a Arc<Exchange>,
        number: u64,
        offer: &Offer,
        config: &EdgeConfig,
        (input, out): (Vec<u8>, Vec<u8>),
    ) -> Self {
        let settings = config.websocket.clone();
        let now = now_us();
        Self {
            pool,
            exchange,
            number,
            write_stall_us: u64::from(config.timeouts.write_stall_ms) * 1000,
            decoder: Decoder::new(Limits {
                message_bytes: u64::from(settings.max_message_bytes),
                allows_compressed: offer.deflate.is_some(),
            }),
            settings,
            window_bits: offer.deflate.map(|deflate| deflate.window_bits),
            inflater: None,
            inflated: None,
            gathered: Vec::new(),
            is_mid_message: false,
            phase: Phase::Open,
            credit: i64::from(INITIAL_MESSAGE_CREDIT),
            owed: 0,
            out,
            written: 0,
            frames: Vec::new(),
            said: Said::default(),
            heard_us: now,
            pinged_us: 0,
            stalled_us: 0,
            spoke_us: now,
            input,
            wants_large_read: false,
        }
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.written
    }

    /// Take what the app has said, and frame it for the client.
    fn take_said(&mut self, record: &mut Record) {
        let (failure, leave_at_us) = {
            let mut reply = self.exchange.reply();
            std::mem::swap(&mut self.said.data, &mut reply.said.data);
            std::mem::swap(&mut self.said.pieces, &mut reply.said.pieces);
            self.said.close = reply.said.close.take();
            self.credit += i64::try_from(std::mem::take(&mut reply.said.granted)).unwrap_or(0);
            (reply.failure.take(), reply.said.leave_at_us)
        };
        if self.phase == Phase::Open {
            self.frame_said(record);
        }
        self.said.pieces.clear();
        self.said.data.clear();
        if self.unsent() == 0 {
            // What was gathered waits for the rest of its message, not for the client.
            self.give_credit();
        }
        if let Some(failure) = failure {
            self.fail(failure, record);
        } else if let Some((code, reason)) = self.said.close.take() {
            self.begin_close(code, &reason);
        } else if leave_at_us != 0 && now_us() >= leave_at_us && self.phase == Phase::Open {
            self.leave();
        }
    }

    fn frame_said(&mut self, record: &mut Record) {
        let data = std::mem::take(&mut self.said.data);
        let mut rest = data.as_slice();
        for at in 0..self.said.pieces.len() {
            let Some(&piece) = self.said.pieces.get(at) else {
                break;
            };
            let (payload, behind) = rest.split_at_checked(piece.len).unwrap_or((rest, &[]));
            rest = behind;
            record.bytes_out += payload.len() as u64;
            self.owed = self.owed.saturating_add(message_cost(payload.len()));
            self.frame_piece(piece, payload);
        }
        if !self.said.pieces.is_empty() && self.settings.idle_ms != 0 {
            self.spoke_us = now_us();
        }
        self.said.data = data;
    }

    fn frame_piece(&mut self, piece: Piece, payload: &[u8]) {
        match self.window_bits {
            Some(bits) if !self.is_mid_message => self.gather_piece(bits, piece, payload),
            _ => self.put_piece(piece, payload),
        }
    }

    fn put_piece(&mut self, piece: Piece, payload: &[u8]) {
        let opcode = match (self.is_mid_message, piece.is_text) {
            (true, _) => Opcode::Continuation,
            (false, true) => Opcode::Text,
            (false, false) => Opcode::Binary,
        };
        self.is_mid_message = !piece.is_last;
        put_frame(&mut self.out, opcode, piece.is_last, payload);
    }

    /// Deflate a message once it is whole; one that gets too large goes out as it is.
    fn gather_piece(&mut self, bits: u8, piece: Piece, payload: &[u8]) {
        if self.gathered.len() + payload.len() > MOST_DEFLATED_BYTES {
            let before = std::mem::take(&mut self.gathered);
            if !before.is_empty() {
                let is_last = false;
                self.put_piece(Piece { is_last, ..piece }, &before);
            }
            return self.put_piece(piece, payload);
        }
        if !piece.is_last {
            return self.gathered.extend_from_slice(payload);
        }
        let mut whole = std::mem::take(&mut self.gathered);
        let message = if whole.is_empty() {
            payload
        } else {
            whole.extend_from_slice(payload);
            &whole
        };
        let mut deflated = Vec::new();
        let is_smaller =
            message.len() >= LEAST_DEFLATED_BYTES && deflate(bits, message, &mut deflated);
        let data = if is_smaller { &deflated } else { message };
        put_message(&mut self.out, piece.is_text, is_smaller, data);
    }

    /// The app or its worker broke.
    fn fail(&mut self, failure: Failure, record: &mut Record) {
        let _ = problem_of(Some(failure), record);
        self.begin_close(CloseCode::InternalError as u16, "");
    }

    /// The edge or the worker stops.
    fn leave(&mut self) {
        let code = CloseCode::ServiceRestart as u16;
        self.pool.close_socket(self.exchange, code, "");
        self.begin_close(code, "");
    }

    fn begin_close(&mut self, code: u16, reason: &str) {
        if self.phase == Phase::Open {
            // 1005 says that the frame has no code.
            let code = (code != CloseCode::NoStatus as u16).then_some(code);
            put_close(&mut self.out, code, reason);
            self.phase = Phase::Closing(now_us() + CLOSE_WAIT_US);
        }
    }

    /// Read the frames that are here; drops what it has read.
    fn read_frames(&mut self, record: &mut Record) {
        let mut buf = std::mem::take(&mut self.input);
        let mut at = 0;
        while self.may_read() {
            let room = usize::try_from(self.credit)
                .unwrap_or(1)
                .clamp(1, MAX_DATA_BYTES);
            let input = buf.get_mut(at..).unwrap_or_default();
            let step = match self.decoder.step(input, room) {
                Ok((0, Step::More)) => break,
                Ok((taken, step)) => {
                    let result = self.take_step(step, input, record);
                    at += taken;
                    result
                }
                Err(violation) => Err(violation),
            };
            if let Err(violation) = step {
                self.violated(violation, record);
            }
        }
        buf.drain(..at);
        if self.phase == Phase::Finishing {
            buf.clear();
        }
        self.input = buf;
        self.send_frames();
    }

    /// Whether what the client sends has a place.
    fn may_read(&self) -> bool {
        let has_room = match self.phase {
            Phase::Open => self.credit > 0 && self.inflated.is_none(),
            Phase::Closing(_) => true, // thrown away
            Phase::Finishing => false,
        };
        has_room && self.unsent() < MOST_OUT_BYTES
    }

    fn take_step(
        &mut self,
        step: Step,
        input: &[u8],
        record: &mut Record,
    ) -> Result<(), Violation> {
        match step {
            Step::Piece {
                at,
                is_text,
                is_compressed,
                is_last,
            } if self.phase == Phase::Open => {
                let data = input.get(at).unwrap_or_default();
                if is_compressed {
                    self.inflate(data, is_text, is_last, record)?;
                } else {
                    record.bytes_in += data.len() as u64;
                    self.pass_on(data, is_text, is_last);
                }
            }
            Step::Piece { .. } | Step::More | Step::Pong => {}
            Step::Ping(at) => {
                if self.phase == Phase::Open {
                    let payload = input.get(at).unwrap_or_default();
                    put_frame(&mut self.out, Opcode::Pong, true, payload);
                }
            }
            Step::Close { code, reason } => {
                let reason = std::str::from_utf8(input.get(reason).unwrap_or_default());
                self.closed_by_client(code, reason.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// The client's close frame: the answer to ours, or answered by ours.
    fn closed_by_client(&mut self, code: Option<u16>, reason: &str) {
        self.send_frames();
        if self.phase == Phase::Open {
            put_close(&mut self.out, code, "");
            let told = code.unwrap_or(CloseCode::NoStatus as u16);
            self.pool.close_socket(self.exchange, told, reason);
        }
        self.phase = Phase::Finishing;
    }

    fn violated(&mut self, violation: Violation, record: &mut Record) {
        self.send_frames();
        let code = violation.code() as u16;
        if self.phase == Phase::Open {
            put_close(&mut self.out, Some(code), "");
            self.pool
                .close_socket(self.exchange, code, &violation.to_string());
            record.error = Some(format!("websocket {code}: {violation}"));
        }
        self.phase = Phase::Finishing;
    }

    fn inflate(
        &mut self,
        data: &[u8],
        is_text: bool,
        is_last: bool,
        record: &mut Record,
    ) -> Result<(), Violation> {
        let most = self.settings.max_message_bytes as usize;
        let inflater = self.inflater.get_or_insert_with(|| Inflater::new(most));
        inflater.push(data)?;
        if !is_last {
            return Ok(());
        }
        let Some(inflater) = self.inflater.take() else {
            return Ok(());
        };
        let message = inflater.finish()?;
        if is_text && std::str::from_utf8(&message).is_err() {
            return Err(Violation::Utf8);
        }
        record.bytes_in += message.len() as u64;
        self.inflated = Some((message, 0, is_text));
        self.pass_inflated_on();
        Ok(())
    }

    /// Pass on what was inflated, as far as there is credit.
    fn pass_inflated_on(&mut self) {
        while self.credit > 0
            && let Some((message, at, is_text)) = self.inflated.take()
        {
            let room = usize::try_from(self.credit)
                .unwrap_or(1)
                .clamp(1, MAX_DATA_BYTES);
            let rest = message.get(at..).unwrap_or_default();
            let piece = rest.get(..room).unwrap_or(rest);
            let is_last = piece.len() == rest.len();
            self.pass_on(piece, is_text, is_last);
            let at = at + piece.len();
            if !is_last {
                self.inflated = Some((message, at, is_text));
            }
        }
    }

    fn pass_on(&mut self, data: &[u8], is_text: bool, is_last: bool) {
        let mut flags = Flags::default();
        if is_text {
            flags = flags.with(Flags::TEXT);
        }
        if is_last {
            flags = flags.with(Flags::END);
        }
        self.credit -= i64::from(message_cost(data.len()));
        put_wire_frame(
            &mut self.frames,
            Kind::Message,
            flags,
            NO_SLOT,
            self.number,
            data,
        );
    }

    fn send_frames(&mut self) {
        if !self.frames.is_empty() {
            self.pool.send_frames(self.exchange, &self.frames);
            self.frames.clear();
            self.spoke_us = self.heard_us;
            if self.frames.capacity() > LARGE_READ_BYTES {
                self.frames = Vec::new();
            }
        }
    }

    /// The client has taken all: the app may say more.
    fn give_credit(&mut self) {
        if self.owed >= LEAST_CREDIT {
            let owed = std::mem::take(&mut self.owed);
            self.pool.give_message_credit(self.exchange, owed);
        }
    }

    /// Do what is due now; returns when to look again, or how the client was lost.
    fn look_at_clock(&mut self) -> Result<u64, Lost> {
        let now = now_us();
        let mut next = u64::MAX;
        if self.unsent() > 0 {
            if self.stalled_us == 0 {
                self.stalled_us = now;
            }
            next = next.min(self.stalled_us + self.write_stall_us);
            if now >= self.stalled_us + self.write_stall_us {
                return Err(Lost::Silent("websocket: the client takes nothing"));
            }
        }
        if let Phase::Closing(until) = self.phase {
            if now >= until {
                return Err(Lost::Silent("websocket: no answer to the close frame"));
            }
            return Ok(next.min(until));
        }
        let leave_at_us = self.exchange.reply().said.leave_at_us;
        if leave_at_us != 0 {
            next = next.min(leave_at_us);
        }
        if self.settings.idle_ms != 0 {
            let until = self.spoke_us + u64::from(self.settings.idle_ms) * 1000;
            if now >= until {
                let code = CloseCode::Normal as u16;
                self.pool.close_socket(self.exchange, code, "idle");
                self.begin_close(code, "idle");
                return Ok(now);
            }
            next = next.min(until);
        }
        // Who is not read from cannot be heard.
        if self.settings.ping_interval_ms != 0 && self.may_read() {
            next = next.min(self.look_for_life(now)?);
        }
        Ok(next)
    }

    fn look_for_life(&mut self, now: u64) -> Result<u64, Lost> {
        let interval_us = u64::from(self.settings.ping_interval_ms) * 1000;
        let timeout_us = u64::from(self.settings.ping_timeout_ms) * 1000;
        if self.pinged_us > self.heard_us {
            let until = self.pinged_us + timeout_us;
            if now >= until {
                return Err(Lost::Silent("websocket: no answer to a ping"));
            }
            return Ok(until);
        }
        if now >= self.heard_us + interval_us {
            put_frame(&mut self.out, Opcode::Ping, true, b"");
            self.pinged_us = now;
            return Ok(now);
        }
        Ok(self.heard_us + interval_us)
    }
}

impl Connection {
    /// Carry messages until the WebSocket is over.
    pub(super) async fn carry(&mut self, mut session: Session<'_>, record: &mut Record) -> After {
        record.keep_alive = false;
        let end = poll_fn(|context| self.poll_session(context, &mut session, record)).await;
        self.watch.clear();
        let Err(lost) = end else {
            return After::Linger;
        };
        let code = CloseCode::Abnormal as u16;
        session.pool.close_socket(session.exchange, code, "");
        record.aborted = true;
        if let Lost::Silent(why) = lost {
            record.error.get_or_insert_with(|| why.to_owned());
            self.stream.reset_on_close();
        }
        After::Close
    }

    fn poll_session(
        &mut self,
        context: &mut Context<'_>,
        session: &mut Session<'_>,
        record: &mut Record,
    ) -> Poll<Result<(), Lost>> {
        loop {
            if session.unsent() < MOST_OUT_BYTES {
                session.take_said(record);
            }
            session.pass_inflated_on();
            session.send_frames();
            let wrote = match self.poll_write_out(context, session) {
                Poll::Ready(Err(lost)) => return Poll::Ready(Err(lost)),
                Poll::Ready(Ok(wrote)) => wrote,
                Poll::Pending => false,
            };
            if session.phase == Phase::Finishing && session.unsent() == 0 {
                return Poll::Ready(Ok(()));
            }
            let read = match self.poll_read_in(context, session, record) {
                Poll::Ready(Err(lost)) => return Poll::Ready(Err(lost)),
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            if read || (wrote && !session.exchange.reply().said.pieces.is_empty()) {
                continue;
            }
            if session.unsent() > 0 && session.stalled_us == 0 {
                // Something was added by reading nothing: a pong, or a close frame.
                session.stalled_us = now_us();
                continue;
            }
            self.watch.register(context.waker());
            if self.shared.is_cut_off() {
                return Poll::Ready(Err(Lost::Gone));
            }
            let before = session.unsent();
            let next = match session.look_at_clock() {
                Ok(next) => next,
                Err(lost) => return Poll::Ready(Err(lost)),
            };
            if session.unsent() > before {
                continue;
            }
            if next == u64::MAX {
                self.watch.clear();
            } else {
                self.watch.set_at(next);
            }
            return Poll::Pending;
        }
    }

    /// Write; true where all that was there is out.
    fn poll_write_out(
        &mut self,
        context: &mut Context<'_>,
        session: &mut Session<'_>,
    ) -> Poll<Result<bool, Lost>> {
        if session.unsent() == 0 {
            return Poll::Ready(Ok(false));
        }
        while session.unsent() > 0 {
            let rest = session.out.get(session.written..).unwrap_or_default();
            match self.stream.poll_write(context, &[IoSlice::new(rest)]) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Lost::Gone)),
                Poll::Ready(Ok(bytes)) => {
                    session.written += bytes;
                    session.stalled_us = 0;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        session.written = 0;
        if session.out.capacity() > LARGE_READ_BYTES {
            session.out = Vec::new();
        } else {
            session.out.clear();
        }
        session.give_credit();
        Poll::Ready(Ok(true))
    }

    /// Read what the client sends, if it has a place.
    fn poll_read_in(
        &mut self,
        context: &mut Context<'_>,
        session: &mut Session<'_>,
        record: &mut Record,
    ) -> Poll<Result<(), Lost>> {
        if !session.may_read() {
            return Poll::Pending;
        }
        if !session.input.is_empty() {
            let before = session.input.len();
            session.read_frames(record);
            if session.input.len() < before {
                return Poll::Ready(Ok(()));
            }
        }
        if session.input.capacity() == 0 {
            session.input = take_buffer();
        }
        let input = &mut session.input;
        let room = if session.wants_large_read {
            LARGE_READ_BYTES
        } else {
            // At least one whole control frame fits, and a spare buffer is not grown.
            (input.capacity() - input.len()).max(1 << 10)
        };
        match self.stream.poll_read_some(context, input, room) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Lost::Gone)),
            Poll::Ready(Ok(bytes)) => {
                session.wants_large_read = bytes >= room;
                session.heard_us = now_us();
                session.read_frames(record);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                session.wants_large_read = false;
                if session.input.is_empty() {
                    give_buffer(std::mem::take(&mut session.input));
                }
                Poll::Pending
            }
        }
    }
}

fn deflate(bits: u8, message: &[u8], out: &mut Vec<u8>) -> bool {
    DEFLATERS.with_borrow_mut(|deflaters| {
        let Some(place) = deflaters.get_mut(usize::from(bits.saturating_sub(9))) else {
            return false;
        };
        place
            .get_or_insert_with(|| Deflater::new(bits))
            .deflate(message, out)
    })
}
