//! One worker process as the edge sees it: what it holds, and what it is sent.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use trivet_core::dispatch::ServiceTime;
use trivet_wire::claim::SLOTS;
use trivet_wire::control::{Outcome, Raised};
use trivet_wire::frames::{
    Flags, FrameError, Header, Kind, NO_SLOT, TrailersView, address_request, check_hello,
    put_frame, read_amount, read_close, read_failed, read_file_part,
};

use super::report::{Ended, EndedRequests, RaisedReport};
use super::standstill::Standstill;
use super::{Capacity, push_content};
use crate::claim_map::ClaimMap;
use crate::clock::now_us;
use crate::exchange::{Exchange, Failure, Piece, Segment, Stage};

/// Bytes to write, with the descriptor that goes out with the first of them.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptor: Option<Arc<File>>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) exchange: Arc<Exchange>,
    pub(super) number: u64,
    /// Its thread is busy for long: another one serves the requests behind it.
    pub(super) is_aside: bool,
    /// It does not end, and its worker is to be replaced for that.
    is_stuck: bool,
}

/// A worker process.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(super) number: u32,
    pub(super) pid: u32,
    pub(super) threads: usize,
    /// Requests that its event loop may run at once; 0 for threads.
    concurrency: usize,
    pub(super) claim: ClaimMap,
    doorbell: OwnedFd,
    slots: Vec<Option<Slot>>,
    free: Vec<u16>,
    /// Accepted WebSockets by their numbers: they hold no slot.
    sockets: HashMap<u64, Arc<Exchange>>,
    pub(super) aside: usize,
    stuck: usize,
    pub(super) is_draining: bool,
    /// It gets only what is meant for it alone: it is being warmed up.
    pub(super) is_held: bool,
    /// Its version is ours: before that, nothing it says is understood.
    has_greeted: bool,
    pub(super) service: ServiceTime,
    /// Answers so far: it is stuck if none came between two looks.
    pub(super) completed: u64,
    /// How long the answered requests waited in sum, until the app was called.
    pub(super) waited_us: u64,
    pub(super) last_look: super::rescue::Look,
    pub(super) standstill: Standstill,
    /// What the app raised since the last look.
    raised: Vec<RaisedReport>,
    /// What was answered lately: the app may go on, and fail.
    ended: EndedRequests,
    out: VecDeque<Outgoing>,
    waker: Option<Waker>,
}

impl Worker {
    pub(super) fn new(
        number: u32,
        pid: u32,
        capacity: Capacity,
        claim: ClaimMap,
        doorbell: OwnedFd,
    ) -> Self {
        Self {
            number,
            pid,
            threads: capacity.threads as usize,
            concurrency: capacity.concurrency as usize,
            claim,
            doorbell,
            slots: (0..SLOTS).map(|_| None).collect(),
            // The last of the list is taken first: low slots stay warm.
            free: (0..u16::try_from(SLOTS).unwrap_or(0)).rev().collect(),
            sockets: HashMap::new(),
            aside: 0,
            stuck: 0,
            is_draining: false,
            is_held: false,
            has_greeted: false,
            service: ServiceTime::default(),
            completed: 0,
            waited_us: 0,
            last_look: super::rescue::Look::default(),
            standstill: Standstill::default(),
            raised: Vec::new(),
            ended: EndedRequests::default(),
            out: VecDeque::new(),
            waker: None,
        }
    }

    /// Whether it runs an event loop.
    pub(super) fn has_event_loop(&self) -> bool {
        self.concurrency > 0
    }

    /// Requests that it holds.
    pub(super) fn outstanding(&self) -> usize {
        SLOTS - self.free.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.outstanding() == 0
    }

    /// Whether nothing is left that is worth a wait: no WebSockets, and no requests but stuck ones.
    pub(super) fn is_done(&self) -> bool {
        self.outstanding() == self.stuck && self.sockets.is_empty()
    }

    /// Its accepted WebSockets.
    pub(super) fn sockets(&self) -> impl ExactSizeIterator<Item = &Arc<Exchange>> {
        self.sockets.values()
    }

    /// Forget a WebSocket; false where it is not among the accepted ones any more.
    pub(super) fn forget_socket(&mut self, number: u64) -> bool {
        self.sockets.remove(&number).is_some()
    }

    /// Whether it still has this request.
    pub(super) fn holds(&self, slot: u16, number: u64) -> bool {
        let held = self.slots.get(usize::from(slot)).and_then(Option::as_ref);
        held.is_some_and(|held| held.number == number)
    }

    /// Wait for the request in `slot` no longer.
    pub(super) fn give_up(&mut self, slot: u16) {
        if let Some(held) = self.slot_mut(slot)
            && !held.is_stuck
        {
            held.is_stuck = true;
            self.stuck += 1;
            self.wake();
        }
    }

    /// Requests it may still be given.
    pub(super) fn room(&self, window: u16) -> usize {
        if self.is_draining || self.is_held || self.aside >= self.threads {
            return 0;
        }
        let most = match self.concurrency {
            0 => self.aside + usize::from(self.service.window(window)),
            concurrency => concurrency,
        };
        let room = most.min(SLOTS).saturating_sub(self.outstanding());
        self.standstill.most().map_or(room, |most| room.min(most))
    }

    /// Requests ahead of a new one, not counting those that are aside.
    pub(super) fn ahead(&self) -> usize {
        self.outstanding() - self.aside
    }

    /// Give it a request. The caller has checked that there is room.
    pub(super) fn hand_out(&mut self, exchange: &Arc<Exchange>, number: u64, now_us: u64) {
        let Some(slot) = self.free.pop() else { return };
        self.standstill.give();
        let mut place = exchange.place.lock();
        place.stage = Stage::HandedOut {
            worker: self.number,
            slot,
            number,
        };
        let attempt = place.attempts;
        place.attempts = place.attempts.saturating_add(1);
        drop(place);
        let mut reply = exchange.reply();
        reply.handed_out_us = now_us;
        reply.worker = Some(self.number);
        drop(reply);
        self.claim.page().hand_out(slot, number);
        let out = match exchange.descriptor() {
            None => self.out(),
            descriptor => {
                let bytes = Vec::new();
                self.out.push_back(Outgoing { bytes, descriptor });
                self.last_out()
            }
        };
        let start = out.len();
        out.extend_from_slice(&exchange.frame);
        if let Some(frame) = out.get_mut(start..) {
            address_request(frame, slot, number, attempt);
        }
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = Some(Slot {
                exchange: Arc::clone(exchange),
                number,
                is_aside: false,
                is_stuck: false,
            });
        }
        self.wake();
    }

    /// Where frames without descriptors are appended.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        if self.out.is_empty() {
            self.out.push_back(Outgoing::default());
        }
        self.last_out()
    }

    fn last_out(&mut self) -> &mut Vec<u8> {
        let at = self.out.len().saturating_sub(1);
        &mut self.out[at].bytes
    }

    /// Let the task run that writes to the worker.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    pub(super) fn take_output(&mut self, waker: &Waker, out: &mut VecDeque<Outgoing>) {
        if !self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            self.waker = Some(waker.clone());
        }
        out.append(&mut self.out);
    }

    /// Wake one more thread of the process.
    pub(super) fn ring(&self) {
        let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
    }

    /// All that it holds.
    pub(super) fn slots(&self) -> impl Iterator<Item = (u16, &Slot)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(at, slot)| Some((u16::try_from(at).ok()?, slot.as_ref()?)))
    }

    pub(super) fn slot_mut(&mut self, slot: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(slot))?.as_mut()
    }

    /// Take an unstarted request back; false where Python has started it.
    pub(super) fn recall(&mut self, slot: u16, number: u64) -> bool {
        self.claim.page().recall(slot, number) && self.release(slot, number).is_some()
    }

    /// Take all unstarted requests back.
    pub(super) fn recall_all(&mut self) -> Vec<Arc<Exchange>> {
        let held: Vec<_> = self
            .slots()
            .map(|(slot, held)| (slot, held.number))
            .collect();
        let page = self.claim.page();
        let unstarted: Vec<_> = held
            .into_iter()
            .filter(|&(slot, number)| page.recall(slot, number))
            .collect();
        unstarted
            .into_iter()
            .filter_map(|(slot, number)| self.release(slot, number))
            .collect()
    }

    /// Free a slot, if it still is this request's.
    pub(super) fn release(&mut self, slot: u16, number: u64) -> Option<Arc<Exchange>> {
        let place = self.slots.get_mut(usize::from(slot))?;
        let held = place.take_if(|held| held.number == number)?;
        self.free.push(slot);
        self.stuck -= usize::from(held.is_stuck);
        if held.is_aside {
            self.aside -= 1;
            self.pass_aside_on(now_us());
        }
        Some(held.exchange)
    }

    /// Everything it held, at its end.
    pub(super) fn into_held(mut self) -> Vec<Held> {
        let page = self.claim.page();
        let mut held = Vec::new();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if let (Ok(at), Some(slot)) = (u16::try_from(at), slot.take()) {
                let started_us = page.running_since(at, slot.number);
                let state = if page.recall(at, slot.number) {
                    ClaimState::Unstarted
                } else {
                    ClaimState::Started
                };
                held.push(Held {
                    number: slot.number,
                    exchange: slot.exchange,
                    state,
                    started_us,
                });
            }
        }
        held
    }

    /// Take in one frame from the worker.
    pub(super) fn take_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        descriptors: &mut VecDeque<OwnedFd>,
        (memory, now_us): (u64, u64),
    ) -> Result<(), FrameError> {
        let file = if header.flags.has(Flags::DESCRIPTOR) {
            Some(File::from(
                descriptors
                    .pop_front()
                    .ok_or(FrameError::Value("descriptor"))?,
            ))
        } else {
            None
        };
        if header.kind == Kind::Hello {
            self.has_greeted = true;
            return check_hello(payload).map(|_| ());
        }
        if !self.has_greeted {
            return Err(FrameError::Value("hello"));
        }
        if header.slot == NO_SLOT {
            return self.take_socket_frame(header, payload);
        }
        // Frames of a request that was recalled or is over say nothing any more.
        let Some(held) = self
            .slot_mut(header.slot)
            .filter(|held| held.number == header.request)
        else {
            if header.kind == Kind::Failed {
                self.take_late(header.request, payload)?;
            }
            return Ok(());
        };
        let exchange = Arc::clone(&held.exchange);
        let ended = header.flags.has(Flags::END);
        if exchange.place.lock().is_cancelled {
            if header.kind == Kind::Failed {
                self.take_failed(header, &exchange, payload)?;
                self.finish(header);
            } else {
                self.take_unwanted(header, payload, ended, &exchange);
            }
            return Ok(());
        }
        match header.kind {
            Kind::Response => {
                self.take_response(&exchange, payload, ended, now_us)?;
                if accepts_websocket(&exchange, payload) {
                    self.accept_socket(header, exchange);
                    return Ok(());
                }
            }
            Kind::Data => exchange.tell(|reply| {
                reply.uncredited = reply.uncredited.saturating_add(header.len);
                push_content(reply, payload);
                reply.ended |= ended;
            }),
            Kind::File => {
                let (offset, length) = read_file_part(payload)?;
                let file = Arc::new(file.ok_or(FrameError::Value("descriptor"))?);
                exchange.tell(|reply| {
                    reply.segments.push_back(Segment::File {
                        file,
                        offset,
                        length,
                    });
                    reply.ended |= ended;
                });
            }
            Kind::Trailers => {
                TrailersView::parse(payload)?;
                exchange.tell(|reply| {
                    reply.trailers = Some(Bytes::copy_from_slice(payload));
                    reply.ended = true;
                });
            }
            Kind::Failed => {
                let raised = self.take_failed(header, &exchange, payload)?;
                self.finish(header);
                exchange.fail(Failure::Raised {
                    error: raised.error,
                    place: raised.place,
                });
                return Ok(());
            }
            Kind::Read => {
                let bytes = read_amount(payload)?;
                exchange.tell(|reply| reply.wanted += u64::from(bytes));
            }
            _ => return Err(FrameError::Kind(header.kind as u8)),
        }
        if ended {
            let started_us = self.claim.page().running_since(header.slot, header.request);
            self.ended.remember(header.request, &exchange, started_us);
            self.finish(header);
        } else {
            self.give_credit(header, &exchange, memory);
        }
        Ok(())
    }

    /// The app has accepted the WebSocket: its place is free for the next request.
    fn accept_socket(&mut self, header: &Header, exchange: Arc<Exchange>) {
        self.finish(header);
        exchange.place.lock().stage = Stage::Socket {
            worker: self.number,
            number: header.request,
        };
        if self.is_draining {
            exchange.tell(|reply| reply.said.leave_at_us = now_us());
        }
        self.sockets.insert(header.request, exchange);
    }

    /// Take in a frame about an accepted WebSocket.
    fn take_socket_frame(&mut self, header: &Header, payload: &[u8]) -> Result<(), FrameError> {
        let number = header.request;
        // Frames of one that is over say nothing any more.
        let Some(exchange) = self.sockets.get(&number) else {
            return Ok(());
        };
        match header.kind {
            Kind::Message => {
                let piece = Piece {
                    len: payload.len(),
                    is_text: header.flags.has(Flags::TEXT),
                    is_last: header.flags.has(Flags::END),
                };
                exchange.tell(|reply| {
                    reply.said.data.extend_from_slice(payload);
                    reply.said.pieces.push(piece);
                });
            }
            Kind::Read => {
                let bytes = read_amount(payload)?;
                exchange.tell(|reply| reply.said.granted += u64::from(bytes));
            }
            Kind::Close => {
                let (code, reason) = read_close(payload)?;
                let reason = String::from_utf8_lossy(reason).into_owned();
                exchange.place.lock().stage = Stage::Over;
                exchange.tell(|reply| reply.said.close = Some((code, reason)));
                self.sockets.remove(&number);
            }
            Kind::Failed => {
                let exchange = Arc::clone(exchange);
                let raised = self.take_failed(header, &exchange, payload)?;
                exchange.place.lock().stage = Stage::Over;
                exchange.fail(Failure::Raised {
                    error: raised.error,
                    place: raised.place,
                });
                self.sockets.remove(&number);
            }
            _ => return Err(FrameError::Kind(header.kind as u8)),
        }
        Ok(())
    }

    /// What the app raised; noted for the supervisor if there is a traceback.
    fn take_failed(
        &mut self,
        header: &Header,
        exchange: &Arc<Exchange>,
        payload: &[u8],
    ) -> Result<Raised, FrameError> {
        let raised = read_raised(payload)?;
        if !raised.trace.is_empty() {
            let page = self.claim.page();
            let started_us = page.running_since(header.slot, header.request);
            let ended = Ended::new(header.request, exchange, started_us);
            let place = *exchange.place.lock();
            if !place.is_told {
                let outcome = match exchange.is_answered() {
                    _ if place.is_cancelled => Outcome::Gone,
                    true => Outcome::Cut,
                    false => Outcome::Answered,
                };
                self.raised.push(RaisedReport {
                    ended,
                    outcome,
                    raised: raised.clone(),
                });
            }
        }
        Ok(raised)
    }

    /// What the app raised behind its answer; of one that is long over nothing is known.
    fn take_late(&mut self, number: u64, payload: &[u8]) -> Result<(), FrameError> {
        let raised = read_raised(payload)?;
        if !raised.trace.is_empty()
            && let Some(ended) = self.ended.take(number)
        {
            self.raised.push(RaisedReport {
                ended,
                outcome: Outcome::Whole,
                raised,
            });
        }
        Ok(())
    }

    /// What was noted for the supervisor.
    pub(super) fn take_raised(&mut self) -> Vec<RaisedReport> {
        std::mem::take(&mut self.raised)
    }

    /// A frame of a request that nobody waits for any more.
    fn take_unwanted(&mut self, header: &Header, payload: &[u8], ended: bool, exchange: &Exchange) {
        match header.kind {
            _ if ended => self.finish(header),
            // Accepted for a client that has left: `Cancel` has told the app, and
            // no further frame with the slot comes.
            Kind::Response if accepts_websocket(exchange, payload) => self.finish(header),
            // Before this frame the worker had no stream that the first
            // `Cancel` could have ended: it would wait for ever for room.
            Kind::Response | Kind::Read => {
                let (slot, number) = (header.slot, header.request);
                put_frame(
                    self.out(),
                    Kind::Cancel,
                    Flags::default(),
                    slot,
                    number,
                    &[],
                );
                self.wake();
            }
            _ => {}
        }
    }

    fn take_response(
        &mut self,
        exchange: &Exchange,
        payload: &[u8],
        ended: bool,
        now_us: u64,
    ) -> Result<(), FrameError> {
        let view = trivet_wire::frames::ResponseView::parse(payload)?;
        let app_us = view.head.app_us;
        let content = u32::try_from(view.content.len()).unwrap_or(u32::MAX);
        if view.head.status == 103 {
            exchange.tell(|reply| reply.interim.push_back(Bytes::copy_from_slice(payload)));
            return Ok(());
        }
        if !exchange.is_upgrade {
            // How long WebSockets are open says nothing about requests.
            self.service.record(app_us);
            self.waited_us += now_us
                .saturating_sub(exchange.received_us)
                .saturating_sub(u64::from(app_us));
        }
        exchange.tell(|reply| {
            reply.app_us = app_us;
            reply.whole = ended;
            reply.ended |= ended;
            if !ended {
                reply.uncredited = content;
            }
            reply.head = Some(Bytes::copy_from_slice(payload));
            reply.has_head = true;
        });
        Ok(())
    }

    fn finish(&mut self, header: &Header) {
        self.completed += 1;
        self.standstill.end();
        if let Some(exchange) = self.release(header.slot, header.request) {
            exchange.place.lock().stage = Stage::Over;
        }
    }

    /// As `Pool::give_credit`, for a caller that holds the pool's lock.
    fn give_credit(&mut self, header: &Header, exchange: &Exchange, memory: u64) {
        let Some(bytes) = exchange.reply().take_credit(memory) else {
            return;
        };
        let (slot, number) = (header.slot, header.request);
        put_frame(
            self.out(),
            Kind::Credit,
            Flags::default(),
            slot,
            number,
            &bytes.to_le_bytes(),
        );
        self.wake();
    }
}

fn read_raised(payload: &[u8]) -> Result<Raised, FrameError> {
    let view = read_failed(payload)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Raised {
        error: text(view.error),
        place: text(view.place),
        trace: text(view.trace),
    })
}

/// Whether a `Response` accepts a WebSocket instead of refusing it.
fn accepts_websocket(exchange: &Exchange, payload: &[u8]) -> bool {
    if !exchange.is_websocket {
        return false;
    }
    let status = trivet_wire::frames::ResponseView::parse(payload).map(|view| view.head.status);
    status == Ok(101)
}

/// A request that a lost worker held.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) number: u64,
    pub(super) exchange: Arc<Exchange>,
    pub(super) state: ClaimState,
    /// µs of the monotonic clock.
    pub(super) started_us: Option<u64>,
}

/// Whether Python had started a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimState {
    Started,
    Unstarted,
}
