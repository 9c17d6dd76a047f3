//! A WebSocket that ends at the app: bytes both ways, once the app has said `101`.
//!
//! Strategy: the app's end of a Unix socket pair went out with the request. Until a
//! complete and valid `101` stands in ours (`trivet_core::websocket::read_answer`), the
//! request is an ordinary one, and nothing that the client sent behind its head goes to
//! the app. From then on each direction has one buffer, which is refilled only when it
//! is empty: who does not read stops the other by its socket. The edge does not
//! understand what passes, so it cannot end it politely either.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::net::UnixStream;
use trivet_core::Problem;
use trivet_core::http1::{BodyFraming, ResponseFacts, encode_head};
use trivet_core::websocket::{BadAnswer, MAX_ANSWER_BYTES, read_answer};
use trivet_wire::frames::ResponseView;

use super::answer::{REQUEST_ID, problem_of};
use super::log::Record;
use super::relay::RelayEnd;
use super::{After, Connection, give_buffer, take_buffer};
use crate::clock::now_us;
use crate::exchange::{Exchange, Failure};
use crate::pool::Pool;
use crate::stream::Stream;

/// Bytes of a read while much comes.
const LARGE_READ_BYTES: usize = 64 << 10;
/// What the app gets to send its last bytes when the client has sent its own.
const LAST_WORD_US: u64 = 5_000_000;

/// The way to an app that speaks for itself.
#[derive(Debug)]
pub(super) struct Tunnel {
    ours: Stream,
    theirs: Option<Arc<File>>,
    key: [u8; 24],
    /// What the app has written before its answer was complete.
    answer: Vec<u8>,
}

impl Tunnel {
    /// For the handshake with this key.
    pub(super) fn new(key: [u8; 24]) -> io::Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Self {
            ours: stream(ours)?,
            theirs: Some(Arc::new(File::from(theirs))),
            key,
            answer: Vec::new(),
        })
    }

    /// The app's end, once.
    pub(super) fn take_app_end(&mut self) -> Option<Arc<File>> {
        self.theirs.take()
    }

    /// Read the app's answer: the length of its head once that is complete.
    ///
    /// `is_last` says that the app has answered in another way, so that nothing follows
    /// what it has written by now; without any it is pending for ever.
    pub(super) fn poll_answer(
        &mut self,
        context: &mut Context<'_>,
        is_last: bool,
    ) -> Poll<Result<usize, BadAnswer>> {
        loop {
            let before = self.answer.len();
            let room = MAX_ANSWER_BYTES + 1 - before.min(MAX_ANSWER_BYTES);
            let read = match self
                .ours
                .poll_read_some(context, &mut self.answer, room.min(4 << 10))
            {
                Poll::Ready(result) => Some(result),
                // What was written before the answer in another way is there, though
                // the loop has not told yet.
                Poll::Pending if is_last => self.ours.read_now(&mut self.answer, room),
                Poll::Pending => None,
            };
            let is_over = matches!(read, None | Some(Ok(0) | Err(_)));
            if self.answer.len() > before {
                match read_answer(&self.answer, &self.key) {
                    Ok(Some(answer)) => return Poll::Ready(Ok(answer.len)),
                    Ok(None) => {}
                    Err(bad) => return Poll::Ready(Err(bad)),
                }
            }
            if is_over {
                let is_cut = is_last && !self.answer.is_empty();
                return if is_cut {
                    Poll::Ready(Err(BadAnswer::Malformed))
                } else {
                    Poll::Pending
                };
            }
        }
    }
}

fn stream(socket: OwnedFd) -> io::Result<Stream> {
    let socket = std::os::unix::net::UnixStream::from(socket);
    socket.set_nonblocking(true)?;
    Ok(Stream::Unix(UnixStream::from_std(socket)?))
}

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
struct Flow {
    buf: Vec<u8>,
    /// So many of them are out.
    at: usize,
    /// Bytes that have gone out since the start.
    passed: u64,
    wants_large_read: bool,
    /// No more comes in.
    ended: bool,
}

impl Flow {
    fn of(buf: Vec<u8>) -> Self {
        Self {
            buf,
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.at == self.buf.len()
    }

    /// Write once; an error where the receiver takes nothing any more.
    fn poll_out(&mut self, context: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        let rest = self.buf.get(self.at..).unwrap_or_default();
        let written = match to.poll_write(context, &[IoSlice::new(rest)]) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        self.at += written;
        self.passed += written as u64;
        if self.is_empty() {
            self.drop_rest();
        }
        Poll::Ready(Ok(()))
    }

    /// Read once into the empty buffer; 0 bytes are the end.
    fn poll_in(&mut self, context: &mut Context<'_>, from: &mut Stream) -> Poll<io::Result<usize>> {
        if self.buf.capacity() == 0 {
            self.buf = take_buffer();
        }
        let room = if self.wants_large_read {
            LARGE_READ_BYTES
        } else {
            self.buf.capacity()
        };
        let read = from.poll_read_some(context, &mut self.buf, room);
        self.wants_large_read = matches!(read, Poll::Ready(Ok(bytes)) if bytes >= room);
        if self.buf.is_empty() {
            // An idle tunnel holds no buffer.
            give_buffer(std::mem::take(&mut self.buf));
        }
        read
    }

    fn drop_rest(&mut self) {
        self.at = 0;
        if self.buf.capacity() > LARGE_READ_BYTES {
            self.buf = Vec::new();
        } else {
            self.buf.clear();
        }
    }
}

/// Why the tunnel ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The app has closed its end, or its request is over; all that it wrote is out.
    App,
    /// The client is gone.
    Client,
    /// The client, or both, did nothing for too long.
    Silence(&'static str),
    /// The edge or the worker stops.
    Cut,
}

/// The bytes of a tunnel, and its clock.
struct Carriage<'a> {
    app: &'a mut Stream,
    exchange: &'a Exchange,
    to_app: Flow,
    to_client: Flow,
    /// Whether the app has been told that the client sends no more.
    is_shut: bool,
    write_stall_us: u64,
    idle_us: u64,
    /// Since when the client takes nothing; 0 while it does.
    stalled_us: u64,
    moved_us: u64,
    /// When it ends because the client has sent all; 0 before.
    last_us: u64,
}

impl Connection {
    /// Pass bytes both ways until the tunnel is over. `opened` is the tunnel, and the length
    /// of the head that the app has answered with.
    pub(super) async fn run_tunnel(
        &mut self,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        record: &mut Record,
        opened: (&mut Tunnel, usize),
    ) -> After {
        let (tunnel, head_len) = opened;
        self.watch.clear();
        {
            let reply = exchange.reply();
            record.note(&reply);
            record.app_us = Some(now_us().saturating_sub(reply.handed_out_us));
        }
        let Some(head) = self.answer_head(tunnel, record) else {
            pool.abandon(exchange, self.patience_behind_a_bad_head());
            self.answer_problem(Problem::BadAppResponse, record).await;
            return After::Linger;
        };
        record.status = 101;
        record.keep_alive = false;
        pool.begin_tunnel(exchange);
        self.watch_for_dead_clients();
        let mut out = head;
        let own_len = out.len() as u64;
        out.extend_from_slice(tunnel.answer.get(head_len..).unwrap_or_default());
        tunnel.answer = Vec::new();
        // The head stays for the log line.
        let ahead = self.buf.split_off(self.head.len.min(self.buf.len()));
        self.buf.shrink_to_fit();
        let mut carriage = Carriage {
            app: &mut tunnel.ours,
            exchange,
            to_app: Flow::of(ahead),
            to_client: Flow::of(out),
            is_shut: false,
            write_stall_us: u64::from(self.settings.config.timeouts.write_stall_ms) * 1000,
            idle_us: u64::from(self.settings.config.websocket.idle_ms) * 1000,
            stalled_us: 0,
            moved_us: now_us(),
            last_us: 0,
        };
        let end = poll_fn(|context| self.poll_tunnel(context, &mut carriage)).await;
        self.watch.clear();
        record.bytes_in = carriage.to_app.passed;
        record.bytes_out = carriage.to_client.passed.saturating_sub(own_len);
        if end == End::App {
            // Its last frame was sent before its socket was closed.
            tokio::task::yield_now().await;
        }
        let after = self.note_end(end, exchange, record);
        pool.abandon(exchange, self.patience_behind_the_head(RelayEnd::Client));
        after
    }

    fn note_end(&self, end: End, exchange: &Exchange, record: &mut Record) -> After {
        match end {
            End::App => {
                let (failure, status) = {
                    let reply = exchange.reply();
                    let view = reply
                        .head
                        .as_ref()
                        .and_then(|head| ResponseView::parse(head).ok());
                    (reply.failure.clone(), view.map(|view| view.head.status))
                };
                // Some libraries raise, with nothing to say, when all is said.
                let is_word =
                    matches!(&failure, Some(Failure::Raised { error, .. }) if error.is_empty());
                if failure.is_some() && !is_word {
                    let _ = problem_of(failure, record);
                } else if let Some(status @ 500..) = status {
                    record.error = Some(format!("the app answered {status} behind its 101"));
                }
                After::Linger
            }
            End::Client => {
                record.aborted = true;
                After::Close
            }
            End::Silence(why) => {
                record.aborted = true;
                record.error = Some(why.to_owned());
                self.stream.reset_on_close();
                After::Close
            }
            End::Cut => {
                record.error = Some("websocket: cut by a stop or a reload".to_owned());
                After::Close
            }
        }
    }

    /// The app's answer, written anew; `None` where HTTP does not allow it.
    fn answer_head(&self, tunnel: &Tunnel, record: &Record) -> Option<Vec<u8>> {
        let answer = read_answer(&tunnel.answer, &tunnel.key).ok()??;
        let date = self.shared.date();
        let facts = ResponseFacts {
            version: self.head.version,
            head_request: false,
            keep_alive: true,
            date: &date,
            server: None,
        };
        let own: [(&[u8], &[u8]); 2] = [
            (b"Upgrade", b"websocket"),
            (REQUEST_ID, record.id.as_bytes()),
        ];
        let mut out = Vec::with_capacity(256);
        let edits = &self.way.treatment.response_fields;
        let fields = edits.over(own.into_iter().chain(answer.fields));
        encode_head(&mut out, 101, b"", fields, BodyFraming::NoBody, &facts).ok()?;
        Some(out)
    }

    /// The edge sends no pings here: the system asks whether the client still is there.
    fn watch_for_dead_clients(&self) {
        let settings = &self.settings.config.websocket;
        if settings.ping_interval_ms == 0 {
            return;
        }
        let interval = Duration::from_millis(settings.ping_interval_ms.into());
        let timeout = Duration::from_millis(settings.ping_timeout_ms.into());
        self.stream.ask_for_life(interval, timeout);
    }

    fn poll_tunnel(&mut self, context: &mut Context<'_>, carriage: &mut Carriage<'_>) -> Poll<End> {
        loop {
            let before = (carriage.to_app.passed, carriage.to_client.passed);
            let came_in = carriage.poll_to_app(context, &mut self.stream);
            let came_out = carriage.poll_to_client(context, &mut self.stream);
            let has_moved = match (came_in, came_out) {
                (Err(end), _) | (_, Err(end)) => return Poll::Ready(end),
                (Ok(one), Ok(other)) => one || other,
            };
            if has_moved || before != (carriage.to_app.passed, carriage.to_client.passed) {
                carriage.moved_us = now_us();
                continue;
            }
            self.watch.register(context.waker());
            if self.shared.is_cut_off() {
                return Poll::Ready(End::Cut);
            }
            return match carriage.look_at_clock(now_us()) {
                Err(end) => Poll::Ready(end),
                Ok(u64::MAX) => {
                    self.watch.clear();
                    Poll::Pending
                }
                Ok(next_us) => {
                    self.watch.set_at(next_us);
                    Poll::Pending
                }
            };
        }
    }
}

impl Carriage<'_> {
    /// Pass on what the client sends; true where something came.
    fn poll_to_app(&mut self, context: &mut Context<'_>, client: &mut Stream) -> Result<bool, End> {
        while !self.to_app.is_empty() {
            match self.to_app.poll_out(context, self.app) {
                Poll::Ready(Ok(())) => {}
                // The app has closed its end: what it wrote before is still read.
                Poll::Ready(Err(_)) => {
                    self.to_app.drop_rest();
                    self.to_app.ended = true;
                    self.is_shut = true;
                }
                Poll::Pending => return Ok(false),
            }
        }
        if self.to_app.ended {
            if !self.is_shut {
                self.is_shut = true;
                self.last_us = now_us() + LAST_WORD_US;
                let _ = self.app.poll_shutdown(context);
            }
            return Ok(false);
        }
        match self.to_app.poll_in(context, client) {
            Poll::Ready(Ok(0)) => {
                self.to_app.ended = true;
                Ok(true)
            }
            Poll::Ready(Ok(_)) => Ok(true),
            Poll::Ready(Err(_)) => Err(End::Client),
            Poll::Pending => Ok(false),
        }
    }

    /// Pass on what the app writes; true where something came.
    fn poll_to_client(
        &mut self,
        context: &mut Context<'_>,
        client: &mut Stream,
    ) -> Result<bool, End> {
        while !self.to_client.is_empty() {
            match self.to_client.poll_out(context, client) {
                Poll::Ready(Ok(())) => self.stalled_us = 0,
                Poll::Ready(Err(_)) => return Err(End::Client),
                Poll::Pending => {
                    if self.stalled_us == 0 {
                        self.stalled_us = now_us();
                    }
                    return Ok(false);
                }
            }
        }
        // Looked at first: what the app wrote before the end of its request is there then.
        let is_over = self.exchange.reply().ended;
        let read = match self.to_client.poll_in(context, self.app) {
            Poll::Pending if is_over => self
                .app
                .read_now(&mut self.to_client.buf, LARGE_READ_BYTES)
                .unwrap_or(Ok(0)),
            Poll::Pending => return Ok(false),
            Poll::Ready(read) => read,
        };
        match read {
            Ok(0) | Err(_) => Err(End::App),
            Ok(_) => Ok(true),
        }
    }

    /// When to look again, or why it ends now.
    fn look_at_clock(&self, now_us: u64) -> Result<u64, End> {
        let mut next = u64::MAX;
        let mut due = |since_us: u64, after_us: u64, end: End| {
            if since_us == 0 {
                return Ok(());
            }
            let at_us = since_us + after_us;
            next = next.min(at_us);
            if now_us >= at_us { Err(end) } else { Ok(()) }
        };
        let stall = End::Silence("websocket: the client takes nothing");
        due(self.exchange.reply().said.leave_at_us, 0, End::Cut)?;
        due(self.stalled_us, self.write_stall_us, stall)?;
        due(self.last_us, 0, End::Client)?;
        if self.idle_us != 0 {
            due(self.moved_us, self.idle_us, End::Silence("websocket: idle"))?;
        }
        Ok(next)
    }
}
