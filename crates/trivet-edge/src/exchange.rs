//! One request on its way through a worker, shared by the client's connection
//! and the worker's link.
//!
//! Where the request is (queued, handed out) belongs to the [`crate::pool`];
//! here is what both sides pass to each other: the request's frame, and the
//! answer as far as it has come.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

/// A piece of a response's content.
#[derive(Debug)]
pub enum Segment {
    /// Bytes in memory.
    Memory(Bytes),
    /// A part of a file: one that the app handed over, or spilled content.
    File {
        /// The file; read by position only.
        file: Arc<File>,
        /// Where the part starts.
        offset: u64,
        /// Bytes of the part.
        length: u64,
    },
}

/// What the app says on its WebSocket, as far as the connection has not taken it.
#[derive(Debug, Default)]
pub struct Said {
    /// The pieces' payloads, one behind the other.
    pub data: Vec<u8>,
    /// The pieces, in order.
    pub pieces: Vec<Piece>,
    /// The app is done: its close code, and the reason.
    pub close: Option<(u16, String)>,
    /// What the worker lets the edge send of the client's messages beyond what it
    /// let before, in the units of [`trivet_wire::frames::message_cost`].
    pub granted: u64,
    /// When the edge has to close the WebSocket because it or its worker stops, µs
    /// of the monotonic clock; 0 for not at all.
    pub leave_at_us: u64,
}

/// A piece of a WebSocket message.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Bytes of it.
    pub len: usize,
    /// Whether the message is a text.
    pub is_text: bool,
    /// Whether the message ends here.
    pub is_last: bool,
}

/// Why an answer will not come, or not come to its end.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The edge or the worker's death ended it.
    Problem(trivet_core::Problem),
    /// The app raised.
    Raised {
        /// What: `ZeroDivisionError: division by zero`.
        error: String,
        /// Where: `app.py:17 in boom`.
        place: String,
    },
}

/// The answer as far as it has come.
#[derive(Debug, Default)]
pub struct Reply {
    /// Payload of the `Response` frame, until the connection takes it.
    pub head: Option<Bytes>,
    /// Whether it has come: what is answered in part is never tried again.
    pub has_head: bool,
    /// Whether the head came with all of the content.
    pub whole: bool,
    /// Payloads of the `Response` frames that come before the final one: early hints.
    pub interim: VecDeque<Bytes>,
    /// Payload of the `Trailers` frame.
    pub trailers: Option<Bytes>,
    /// Content behind what came with the head.
    pub segments: VecDeque<Segment>,
    /// No further content comes.
    pub ended: bool,
    /// It broke off.
    pub failure: Option<Failure>,
    /// Content bytes in memory segments.
    pub buffered: u64,
    /// Content bytes spilled to a file so far.
    pub spilled: u64,
    /// Content bytes that the worker has sent and got no new credit for.
    pub uncredited: u32,
    /// Bytes of streamed request content that the worker has asked for.
    pub wanted: u64,
    /// Time in the app until the head, µs.
    pub app_us: u32,
    /// Number of the worker that answered.
    pub worker: Option<u32>,
    /// When it was handed to that worker, µs of the monotonic clock.
    pub handed_out_us: u64,
    /// What comes behind the head of an accepted WebSocket.
    pub said: Said,
}

impl Reply {
    /// The credit that is due to the worker, if any: nothing while more than
    /// `memory` waits for the client, or when no more content comes.
    pub(crate) fn take_credit(&mut self, memory: u64) -> Option<u32> {
        /// Below this a credit frame would cost more than it saves; the
        /// worker's first credit is several times as large.
        const LEAST: u32 = 64 << 10;
        let is_due = self.uncredited >= LEAST && !self.ended && self.buffered <= memory;
        is_due.then(|| std::mem::take(&mut self.uncredited))
    }
}

/// A request and its answer.
#[derive(Debug)]
pub struct Exchange {
    /// The encoded `Request` frame, addressed to nobody yet. Shared with what remembers a
    /// request that is over, and nothing else of it.
    pub frame: Arc<Vec<u8>>,
    /// The spooled content, or the app's end of a tunnel until that is there.
    descriptor: Mutex<Option<Arc<File>>>,
    /// When the request had come in, µs of the monotonic clock.
    pub received_us: u64,
    /// Whether the content can be sent again.
    pub is_replayable: bool,
    /// Whether it is the handshake of a WebSocket that ends here.
    pub is_websocket: bool,
    /// Whether it is the handshake of a WebSocket that ends at the app.
    pub is_upgrade: bool,
    /// The path of the route whose settings it has; `None` for those of its app.
    pub(crate) route: Option<Arc<str>>,
    waker: Waker,
    reply: Mutex<Reply>,
    /// The pool's own notes; guarded by the pool's lock for writing.
    pub(crate) place: Mutex<Place>,
}

/// Where the request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the central queue.
    Queued,
    /// With a worker: its number, the slot, the request's number.
    HandedOut { worker: u32, slot: u16, number: u64 },
    /// An accepted WebSocket: its worker, and its number there.
    Socket { worker: u32, number: u64 },
    /// Answered, failed or withdrawn: nothing more is done for it.
    Over,
}

/// The pool's notes on an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) stage: Stage,
    pub(crate) attempts: u8,
    pub(crate) deaths: u8,
    /// Nobody waits for the answer any more.
    pub(crate) is_cancelled: bool,
    /// The supervisor hears of its failure by other means than its end.
    pub(crate) is_told: bool,
}

impl Exchange {
    /// A new exchange, whose connection's task is woken by `waker`.
    pub fn new(
        frame: Vec<u8>,
        descriptor: Option<Arc<File>>,
        received_us: u64,
        is_replayable: bool,
        waker: Waker,
    ) -> Self {
        Self {
            frame: Arc::new(frame),
            descriptor: Mutex::new(descriptor),
            received_us,
            is_replayable,
            is_websocket: false,
            is_upgrade: false,
            route: None,
            waker,
            reply: Mutex::default(),
            place: Mutex::new(Place {
                stage: Stage::Queued,
                attempts: 0,
                deaths: 0,
                is_cancelled: false,
                is_told: false,
            }),
        }
    }

    /// What goes to the worker with the frame.
    pub fn descriptor(&self) -> Option<Arc<File>> {
        self.descriptor.lock().clone()
    }

    /// The worker has its own by now.
    pub fn drop_descriptor(&self) {
        *self.descriptor.lock() = None;
    }

    /// The answer as far as it has come.
    pub fn reply(&self) -> MutexGuard<'_, Reply> {
        self.reply.lock()
    }

    /// Change the answer, and wake the connection's task.
    pub fn tell(&self, change: impl FnOnce(&mut Reply)) {
        change(&mut self.reply.lock());
        self.waker.wake_by_ref();
    }

    /// End the exchange with a failure.
    pub fn fail(&self, failure: Failure) {
        self.tell(|reply| {
            reply.ended = true;
            reply.failure.get_or_insert(failure);
        });
    }

    /// Whether a part of the answer has come, so that it cannot be tried again.
    pub fn is_answered(&self) -> bool {
        self.reply.lock().has_head
    }
}
