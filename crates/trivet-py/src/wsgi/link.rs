//! A worker's connection to the edge, shared by its threads. Knows no Python.
//!
//! Strategy: leader and followers. At most one thread reads the connection;
//! frames that it has read but not started lie in `pending` for all threads.
//! A thread that finds nothing pending becomes the reader; if there is one, it
//! waits for the doorbell, which the edge rings when the reader is stuck in
//! the app while requests wait. A thread that needs something from the edge in
//! the middle of a request (room to send, content to read) reads the
//! connection itself while it waits, or is told by the thread that does.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use trivet_edge::claim_map::ClaimMap;
use trivet_edge::fd_socket;
use trivet_wire::frames::{
    FrameError, HEADER_BYTES, Header, Kind, check_hello, put_frame, read_amount, split_frame,
};

/// Bytes that one read takes at the most: a window of requests with small
/// content, and not so many that they push each other out of the cache.
const READ_BYTES: usize = 256 << 10;

/// Answers that one send carries at the most. More would gain little, and the
/// first of them has waited for all the others.
const MOST_GATHERED: u64 = 8;
/// Bytes of them: what fits into a fresh socket buffer page or two.
const GATHERED_BYTES: usize = 8 << 10;

/// A request that was read and not started.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
    pub(crate) descriptor: Option<OwnedFd>,
}

/// What the edge has said about a request in progress.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Content bytes of the response that may still be sent.
    pub(crate) credit: u64,
    /// Pieces of the request's content, not yet read by the app.
    pub(crate) content: VecDeque<Vec<u8>>,
    /// The last piece has come.
    pub(crate) content_ended: bool,
    /// Nobody waits for the response any more.
    pub(crate) cancelled: bool,
}

/// The connection is gone, or its peer broke the contract.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection to the edge is closed")]
pub(crate) struct Closed;

#[derive(Debug, Default)]
struct State {
    reading: bool,
    closed: bool,
    has_greeted: bool,
    pending: VecDeque<Job>,
    streams: HashMap<u64, Stream>,
    descriptors: VecDeque<OwnedFd>,
    /// Threads that wait on `changed`.
    waiting: usize,
    /// Threads that wait for the doorbell, or are about to.
    idle: usize,
    crew: Crew,
}

/// Whether there can be more threads.
#[derive(Debug, Default, PartialEq, Eq)]
enum Crew {
    /// One more can be made.
    #[default]
    Open,
    /// One more is being made.
    Growing,
    /// There are as many as there may be.
    Full,
}

/// The unparsed end of what was read. Owned by the thread that reads.
#[derive(Debug, Default)]
struct Input {
    buf: Vec<u8>,
    filled: usize,
}

/// Whole small answers that wait for the next send.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    answers: u64,
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: OwnedFd,
    doorbell: OwnedFd,
    claim: ClaimMap,
    state: Mutex<State>,
    changed: Condvar,
    input: Mutex<Input>,
    /// A thread is in the middle of a frame.
    sending: Mutex<bool>,
    sent: Condvar,
    /// This is a forked child's copy: nothing here is to be touched, not even a lock,
    /// whose holder may not be there.
    abandoned: AtomicBool,
    gathered: Mutex<Gathered>,
}

/// What a thread that looks for work is to do.
pub(crate) enum Turn {
    /// Run this.
    Run(Job),
    /// Read the connection by [`Link::read`]: this thread is the reader now.
    Read,
    /// Wait for the doorbell by [`Link::wait_for_doorbell`].
    Wait,
    /// The connection is closed and nothing is pending.
    Leave,
}

impl Link {
    pub(crate) fn new(socket: OwnedFd, doorbell: OwnedFd, claim: ClaimMap) -> Self {
        Self {
            socket,
            doorbell,
            claim,
            state: Mutex::default(),
            changed: Condvar::new(),
            input: Mutex::default(),
            sending: Mutex::new(false),
            sent: Condvar::new(),
            abandoned: AtomicBool::new(false),
            gathered: Mutex::default(),
        }
    }

    /// Be of no further use, in a child that the app has forked.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    pub(crate) fn claim(&self) -> &ClaimMap {
        &self.claim
    }

    /// What the calling thread is to do next. Never blocks.
    ///
    /// The flag says that nobody is left to take over from this thread: the
    /// caller makes one more, which calls [`Link::enter`], or says that there
    /// can be no more with [`Link::cannot_grow`].
    pub(crate) fn turn(&self) -> (Turn, bool) {
        if self.is_abandoned() {
            return (Turn::Leave, false);
        }
        let mut state = self.state.lock();
        let turn = if let Some(job) = state.pending.pop_front() {
            Turn::Run(job)
        } else if state.closed {
            return (Turn::Leave, false);
        } else if state.reading {
            state.idle += 1;
            return (Turn::Wait, false);
        } else {
            state.reading = true;
            Turn::Read
        };
        let grows = state.idle == 0 && state.crew == Crew::Open;
        if grows {
            state.crew = Crew::Growing;
        }
        (turn, grows)
    }

    /// A thread has come.
    pub(crate) fn enter(&self) {
        self.state.lock().crew = Crew::Open;
    }

    /// No more threads can be made.
    pub(crate) fn cannot_grow(&self) {
        self.state.lock().crew = Crew::Full;
    }

    /// Read once, as the reader; `block` says whether to wait for bytes.
    ///
    /// Gives up the reader's place, unless nothing was there to read without
    /// blocking: then it returns false, and the caller is still the reader.
    pub(crate) fn read(&self, block: bool) -> bool {
        let mut input = self.input.lock();
        let mut descriptors = VecDeque::new();
        let flags = if block {
            RecvFlags::empty()
        } else {
            RecvFlags::DONTWAIT
        };
        if input.buf.len() - input.filled < READ_BYTES / 2 {
            let len = input.filled + READ_BYTES;
            input.buf.resize(len, 0);
        }
        let filled = input.filled;
        let received = fd_socket::receive(
            &self.socket,
            &mut input.buf[filled..],
            &mut descriptors,
            flags,
        );
        let closed = match received {
            Err(Errno::AGAIN) if !block => return false,
            Ok(0) | Err(_) => true,
            Ok(bytes) => {
                input.filled += bytes;
                false
            }
        };
        let mut state = self.state.lock();
        state.descriptors.append(&mut descriptors);
        let broken = closed || absorb(&mut state, &mut input).is_err();
        state.reading = false;
        if broken {
            self.close(state);
        } else if state.waiting > 0 {
            self.changed.notify_all();
        }
        true
    }

    fn close(&self, mut state: MutexGuard<'_, State>) {
        state.closed = true;
        state.pending.clear();
        for stream in state.streams.values_mut() {
            stream.cancelled = true;
        }
        self.changed.notify_all();
        drop(state);
        // Every thread that waits for the doorbell leaves.
        self.ring(trivet_wire::claim::THREADS as u64);
    }

    /// End the conversation: threads leave when their request is done.
    pub(crate) fn stop(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read);
        self.close(self.state.lock());
    }

    fn ring(&self, times: u64) {
        let _ = rustix::io::write(&self.doorbell, &times.to_ne_bytes());
    }

    /// Wait until the edge, or another thread, rings for this one.
    ///
    /// Meanwhile it sends gathered answers, when the edge asks for that.
    /// Blocks; the caller does not hold the interpreter lock.
    pub(crate) fn wait_for_doorbell(&self) {
        loop {
            let mut count = [0; 8];
            if rustix::io::read(&self.doorbell, &mut count) == Err(Errno::AGAIN) {
                let _ = poll(&mut [PollFd::new(&self.doorbell, PollFlags::IN)], None);
            }
            if !self.claim.page().was_asked_to_send() {
                break;
            }
            self.send_gathered();
            if self.state.lock().closed {
                break;
            }
        }
        self.state.lock().idle -= 1;
    }

    /// Keep a whole small answer for the next send, if another request is
    /// there to be run and somebody could send it meanwhile.
    ///
    /// Whoever keeps answers back must send them before it blocks:
    /// [`Link::take_gathered`].
    pub(crate) fn gather(&self, frame: &[u8]) -> bool {
        if self.is_abandoned() {
            return false;
        }
        let state = self.state.lock();
        let may_wait = !state.pending.is_empty() && state.idle > 0 && !state.closed;
        drop(state);
        if !may_wait {
            return false;
        }
        let mut gathered = self.gathered.lock();
        if gathered.answers + 1 >= MOST_GATHERED
            || gathered.bytes.len() + frame.len() > GATHERED_BYTES
        {
            return false;
        }
        gathered.bytes.extend_from_slice(frame);
        gathered.answers += 1;
        self.claim.page().set_unsent(gathered.answers);
        true
    }

    /// Take the gathered answers, to send them. Empty where there are none.
    pub(crate) fn take_gathered(&self) -> Vec<u8> {
        if self.is_abandoned() {
            return Vec::new(); // The parent sends its own.
        }
        let mut gathered = self.gathered.lock();
        if gathered.answers == 0 {
            return Vec::new();
        }
        gathered.answers = 0;
        self.claim.page().set_unsent(0);
        std::mem::take(&mut gathered.bytes)
    }

    /// Send the gathered answers. Blocks; without interpreter lock.
    fn send_gathered(&self) {
        let bytes = self.take_gathered();
        if bytes.is_empty() {
            return;
        }
        let parts = [IoSlice::new(&bytes)];
        // Where the connection is gone, so is everybody who waits for these.
        if let Ok(sending) = self.try_send(&parts, None)
            && !sending.is_done()
        {
            let _ = self.send_rest(&parts, None, sending);
        }
    }

    /// Keep track of what the edge says about `request` from now on.
    pub(crate) fn open_stream(&self, request: u64, credit: u64) {
        if self.is_abandoned() {
            return;
        }
        let mut state = self.state.lock();
        let stream = state.streams.entry(request).or_default();
        stream.credit = credit;
    }

    pub(crate) fn close_stream(&self, request: u64) {
        if self.is_abandoned() {
            return;
        }
        self.state.lock().streams.remove(&request);
    }

    /// Let `ready` take what it needs from the request's stream, without waiting.
    pub(crate) fn try_for<T>(
        &self,
        request: u64,
        ready: impl FnOnce(&mut Stream) -> Option<T>,
    ) -> Option<T> {
        if self.is_abandoned() {
            return None;
        }
        ready(self.state.lock().streams.get_mut(&request)?)
    }

    /// Wait until `ready` takes what it needs from the request's stream.
    ///
    /// Blocks; the caller does not hold the interpreter lock.
    pub(crate) fn wait_for<T>(
        &self,
        request: u64,
        mut ready: impl FnMut(&mut Stream) -> Option<T>,
    ) -> Result<T, Closed> {
        if self.is_abandoned() {
            return Err(Closed);
        }
        self.send_gathered();
        let mut has_read = false;
        let mut state = self.state.lock();
        loop {
            let closed = state.closed;
            let stream = state.streams.get_mut(&request).ok_or(Closed)?;
            if let Some(got) = ready(stream) {
                if has_read && !state.reading && state.idle > 0 {
                    // This thread goes back to the app, for how long nobody knows. The edge
                    // may count it as busy already, and then rings for nobody behind it.
                    self.ring(1);
                }
                return Ok(got);
            }
            if closed {
                return Err(Closed);
            }
            if state.reading {
                state.waiting += 1;
                self.changed.wait(&mut state);
                state.waiting -= 1;
                continue;
            }
            state.reading = true;
            has_read = true;
            drop(state);
            self.read(true);
            state = self.state.lock();
            if !state.pending.is_empty() {
                // This thread is in the middle of a request: others run those.
                self.ring(1);
            }
        }
    }

    /// Send the bytes of whole frames as far as the socket takes them at once.
    ///
    /// Never blocks. What is left is for [`Link::send_rest`]; until then the
    /// socket is this thread's, so that no other frame comes between.
    pub(crate) fn try_send(
        &self,
        parts: &[IoSlice<'_>],
        descriptor: Option<&OwnedFd>,
    ) -> Result<Sending, Closed> {
        if self.is_abandoned() {
            return Err(Closed);
        }
        let total = parts.iter().map(|part| part.len()).sum();
        let mut busy = self.sending.lock();
        if *busy {
            return Ok(Sending {
                owns: false,
                sent: 0,
                total,
            });
        }
        let sent = self.send_once(parts, descriptor, SendFlags::DONTWAIT)?;
        *busy = sent < total;
        Ok(Sending {
            owns: *busy,
            sent,
            total,
        })
    }

    /// Finish what [`Link::try_send`] began. Blocks; without interpreter lock.
    pub(crate) fn send_rest(
        &self,
        parts: &[IoSlice<'_>],
        descriptor: Option<&OwnedFd>,
        sending: Sending,
    ) -> Result<(), Closed> {
        if !sending.owns {
            let mut busy = self.sending.lock();
            while *busy {
                self.sent.wait(&mut busy);
            }
            *busy = true;
        }
        let mut sent = sending.sent;
        let mut result = Ok(());
        while sent < sending.total {
            let rest = rest_of(parts, sent);
            let descriptor = if sent == 0 { descriptor } else { None };
            match self.send_once(&rest, descriptor, SendFlags::empty()) {
                Ok(bytes) => sent += bytes,
                Err(closed) => {
                    result = Err(closed);
                    break;
                }
            }
        }
        *self.sending.lock() = false;
        self.sent.notify_one();
        result
    }

    fn send_once(
        &self,
        parts: &[IoSlice<'_>],
        descriptor: Option<&OwnedFd>,
        flags: SendFlags,
    ) -> Result<usize, Closed> {
        let descriptors: Vec<_> = descriptor.iter().map(|fd| fd.as_fd()).collect();
        match fd_socket::send(&self.socket, parts, &descriptors, flags) {
            Ok(bytes) => Ok(bytes),
            Err(Errno::AGAIN) => Ok(0),
            Err(_) => Err(Closed),
        }
    }

    /// Send a small frame without content; blocks where the socket is full.
    pub(crate) fn send_frame(
        &self,
        kind: Kind,
        header: &Header,
        payload: &[u8],
    ) -> Result<(), Closed> {
        let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
        put_frame(
            &mut frame,
            kind,
            trivet_wire::frames::Flags::default(),
            header.slot,
            header.request,
            payload,
        );
        let parts = [IoSlice::new(&frame)];
        let sending = self.try_send(&parts, None)?;
        if sending.is_done() {
            return Ok(());
        }
        self.send_rest(&parts, None, sending)
    }

    /// Send our `Hello`. The first frame in this direction.
    pub(crate) fn say_hello(&self) -> Result<(), Closed> {
        let mut frame = Vec::new();
        trivet_wire::frames::put_hello(&mut frame, std::process::id());
        let parts = [IoSlice::new(&frame)];
        let sending = self.try_send(&parts, None)?;
        self.send_rest(&parts, None, sending)
    }
}

/// How far a send has come.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Sending {
    owns: bool,
    sent: usize,
    total: usize,
}

impl Sending {
    pub(crate) fn is_done(&self) -> bool {
        self.sent == self.total
    }
}

fn rest_of<'a>(parts: &'a [IoSlice<'_>], mut skip: usize) -> Vec<IoSlice<'a>> {
    let mut rest = Vec::with_capacity(parts.len());
    for part in parts {
        if skip >= part.len() {
            skip -= part.len();
        } else {
            rest.push(IoSlice::new(&part[skip..]));
            skip = 0;
        }
    }
    rest
}

/// Take all whole frames out of `input`.
fn absorb(state: &mut State, input: &mut Input) -> Result<(), FrameError> {
    let mut taken = 0;
    while let Some((header, payload)) = split_frame(&input.buf[taken..input.filled])? {
        taken += HEADER_BYTES + payload.len();
        take_frame(state, header, payload)?;
    }
    input.buf.copy_within(taken..input.filled, 0);
    input.filled -= taken;
    Ok(())
}

fn take_frame(state: &mut State, header: Header, payload: &[u8]) -> Result<(), FrameError> {
    let stream = match header.kind {
        Kind::Hello => {
            check_hello(payload)?;
            state.has_greeted = true;
            return Ok(());
        }
        _ if !state.has_greeted => return Err(FrameError::Value("hello")),
        Kind::Request => {
            let wants = header.flags.has(trivet_wire::frames::Flags::DESCRIPTOR);
            let descriptor = if wants {
                Some(
                    state
                        .descriptors
                        .pop_front()
                        .ok_or(FrameError::Value("descriptor"))?,
                )
            } else {
                None
            };
            state.pending.push_back(Job {
                header,
                payload: payload.to_vec(),
                descriptor,
            });
            return Ok(());
        }
        Kind::Body | Kind::Credit | Kind::Cancel => state.streams.get_mut(&header.request),
        _ => return Err(FrameError::Kind(header.kind as u8)),
    };
    // A request that is over may still be spoken of.
    let Some(stream) = stream else { return Ok(()) };
    match header.kind {
        Kind::Body => {
            if !payload.is_empty() {
                stream.content.push_back(payload.to_vec());
            }
            stream.content_ended |= header.flags.has(trivet_wire::frames::Flags::END);
        }
        Kind::Credit => stream.credit += u64::from(read_amount(payload)?),
        _ => stream.cancelled = true,
    }
    Ok(())
}
