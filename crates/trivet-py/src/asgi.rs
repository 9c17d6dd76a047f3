//! The ASGI codec: one worker process's side of the conversation with the edge,
//! for an event loop in Python.
//!
//! Strategy: the event loop calls [`AsgiLink::read`] when the socket is
//! readable and gets all that has come as Python values; HTTP requests are kept
//! for [`AsgiWork`], which runs them. What the app sends is encoded at once and
//! written once per turn of the loop, by [`AsgiLink::flush`]. Nothing here waits.

mod exchange;
mod head;
mod scope;
mod websocket;
mod work;

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use parking_lot::Mutex;
use pyo3::exceptions::{PyConnectionError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use trivet_edge::claim_map::ClaimMap;
use trivet_edge::clock::now_us;
use trivet_edge::fd_socket;
use trivet_edge::scheduling::Scheduling;
use trivet_wire::frames::{
    Content, Flags, FrameError, HEADER_BYTES, Header, Kind, RequestView, ResponseHead,
    UNKNOWN_LENGTH, check_hello, encode_response, encode_trailers, put_frame, put_hello,
    read_amount, split_frame,
};

pub(crate) use exchange::{AsgiCall, AsgiExchange};
pub(crate) use head::AsgiHead;
use scope::ScopeMaker;
use work::Ready;
pub(crate) use work::{AsgiRun, AsgiWork};

/// Bytes that one read takes at the most.
const READ_BYTES: usize = 256 << 10;

/// What [`AsgiLink::read`] tells about, as the first item of each event.
mod event {
    /// `(BODY, number, data, ended)`.
    pub(super) const BODY: u8 = 0;
    /// `(CREDIT, number, bytes)`.
    pub(super) const CREDIT: u8 = 1;
    /// `(CANCEL, number)`.
    pub(super) const CANCEL: u8 = 2;
    /// `(WEBSOCKET, number, slot, started, scope)`.
    pub(super) const WEBSOCKET: u8 = 3;
    /// `(MESSAGE, number, message, cost)`.
    pub(super) const MESSAGE: u8 = 4;
    /// `(CLOSE, number, code, reason)`.
    pub(super) const CLOSE: u8 = 5;
    /// `(PIECE, number)`: a message has begun, and there is credit to be written.
    pub(super) const PIECE: u8 = 6;
}

#[derive(Debug, Default)]
struct Outgoing {
    bytes: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

/// Which request a frame is about.
#[derive(Clone, Copy, Debug)]
struct Address {
    number: u64,
    slot: u16,
}

#[derive(Default)]
struct State {
    input: Vec<u8>,
    filled: usize,
    descriptors: VecDeque<OwnedFd>,
    output: VecDeque<Outgoing>,
    /// Bytes of the first output part that are written.
    written: usize,
    /// WebSocket messages of which the last piece has not come, by number.
    unfinished: HashMap<u64, Vec<u8>>,
    /// Requests that nobody has taken yet.
    ready: VecDeque<Ready>,
    /// That of the event loop's thread, from the first read on.
    scheduling: Option<Scheduling>,
}

impl State {
    fn out(&mut self) -> &mut Vec<u8> {
        if self.output.is_empty() {
            self.output.push_back(Outgoing::default());
        }
        let at = self.output.len() - 1;
        &mut self.output[at].bytes
    }
}

/// One worker process's side of the conversation with the edge.
#[pyclass(frozen, module = "trivet._trivet")]
pub(crate) struct AsgiLink {
    socket: OwnedFd,
    claim: ClaimMap,
    scopes: ScopeMaker,
    websocket_scopes: ScopeMaker,
    state: Mutex<State>,
}

#[pymethods]
impl AsgiLink {
    /// Takes over the descriptors. `scope` and `websocket_scope` have the entries of
    /// every HTTP and every WebSocket scope.
    #[new]
    #[pyo3(signature = (*, link_fd, claim_fd, scope, websocket_scope))]
    fn new(
        link_fd: RawFd,
        claim_fd: RawFd,
        scope: Bound<'_, PyDict>,
        websocket_scope: Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let (socket, claim) = (crate::wsgi::owned(link_fd)?, crate::wsgi::owned(claim_fd)?);
        let claim = ClaimMap::open(claim.as_fd())
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let mut state = State::default();
        put_hello(state.out(), std::process::id());
        Ok(Self {
            socket,
            claim,
            scopes: ScopeMaker::new(scope)?,
            websocket_scopes: ScopeMaker::new(websocket_scope)?,
            state: Mutex::new(state),
        })
    }

    /// The socket, for the event loop to watch.
    fn fileno(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Take in what has come. Returns a list of events, or `None` at the end;
    /// requests are for [`AsgiWork`].
    ///
    /// Raises `ConnectionError` where the edge broke the contract.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.input.len() - state.filled < READ_BYTES / 2 {
            state.input.resize(state.filled + READ_BYTES, 0);
        }
        let space = &mut state.input[state.filled..];
        let events = PyList::empty(py);
        match fd_socket::receive(
            &self.socket,
            space,
            &mut state.descriptors,
            RecvFlags::DONTWAIT,
        ) {
            Ok(0) => return Ok(None),
            Ok(bytes) => state.filled += bytes,
            Err(Errno::AGAIN) => return Ok(Some(events)),
            Err(_) => return Ok(None),
        }
        let mut taken = 0;
        let before = state.ready.len();
        let input = std::mem::take(&mut state.input);
        while let Some((header, payload)) =
            split_frame(&input[taken..state.filled]).map_err(broken)?
        {
            taken += HEADER_BYTES + payload.len();
            let descriptor = if header.flags.has(Flags::DESCRIPTOR) {
                let first = state.descriptors.pop_front();
                Some(first.ok_or_else(|| broken(FrameError::Value("descriptor")))?)
            } else {
                None
            };
            let event = match header.kind {
                Kind::Message => websocket::message(py, state, &header, payload)?,
                Kind::Close => websocket::close(py, state, &header, payload)?,
                Kind::Request => self.request(py, state, &header, (payload, descriptor))?,
                _ => Self::event(py, &header, payload)?,
            };
            if let Some(event) = event {
                events.append(event)?;
            }
        }
        state.input = input;
        state.input.copy_within(taken..state.filled, 0);
        state.filled -= taken;
        let requests = (state.ready.len() - before) as u64;
        state
            .scheduling
            .get_or_insert_with(Scheduling::of_this_thread)
            .wake(requests, now_us());
        Ok(Some(events))
    }

    /// Begin a response with its first content; `started` is the request's.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of a response, one call per response"
    )]
    fn respond(
        &self,
        number: u64,
        slot: u16,
        started: u64,
        head: &Bound<'_, AsgiHead>,
        body: &[u8],
        ended: bool,
    ) {
        let head = head.get();
        let parts = ResponseHead {
            status: head.status,
            app_us: u32::try_from(now_us().saturating_sub(started)).unwrap_or(u32::MAX),
            declared_length: head.declared_length,
            reason: b"",
        };
        encode_response(
            self.state.lock().out(),
            (slot, number, end_flag(ended)),
            &parts,
            head.fields(),
            body,
        );
    }

    /// Send early hints, before the response.
    ///
    /// Raises `TypeError` or `ValueError` that names the rule broken.
    fn hint(&self, number: u64, slot: u16, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let head = AsgiHead::of_fields("http.response.early_hint", 103, headers)?;
        let parts = ResponseHead {
            status: 103,
            app_us: 0,
            declared_length: UNKNOWN_LENGTH,
            reason: b"",
        };
        let mut state = self.state.lock();
        let address = (slot, number, Flags::default());
        encode_response(state.out(), address, &parts, head.fields(), b"");
        Ok(())
    }

    /// End a response with trailer fields.
    ///
    /// Raises `TypeError` or `ValueError` that names the rule broken.
    fn trailers(&self, number: u64, slot: u16, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let head = AsgiHead::of_fields("http.response.trailers", 200, headers)?;
        let mut state = self.state.lock();
        encode_trailers(state.out(), (slot, number), head.fields());
        Ok(())
    }

    /// Send more content.
    fn data(&self, number: u64, slot: u16, body: &[u8], ended: bool) {
        put_frame(
            self.state.lock().out(),
            Kind::Data,
            end_flag(ended),
            slot,
            number,
            body,
        );
    }

    /// Send a part of a file as the rest of the content. Takes over `fd`.
    fn file(&self, number: u64, slot: u16, fd: RawFd, offset: u64, length: u64) -> PyResult<()> {
        let descriptor = crate::wsgi::owned(fd)?;
        let mut payload = offset.to_le_bytes().to_vec();
        payload.extend_from_slice(&length.to_le_bytes());
        let mut bytes = Vec::new();
        put_frame(
            &mut bytes,
            Kind::File,
            Flags::END.with(Flags::DESCRIPTOR),
            slot,
            number,
            &payload,
        );
        self.state.lock().output.push_back(Outgoing {
            bytes,
            descriptor: Some(descriptor),
        });
        Ok(())
    }

    /// Say that the app broke, and no more of the response comes.
    fn fail(&self, number: u64, slot: u16, error: &str, place: &str, trace: &str) {
        let raised = trivet_wire::frames::RaisedView {
            error: error.as_bytes(),
            place: place.as_bytes(),
            trace: trace.as_bytes(),
        };
        let mut state = self.state.lock();
        trivet_wire::frames::put_failed(state.out(), (slot, number), &raised);
    }

    /// Accept a WebSocket: its frames have no slot from here on.
    ///
    /// Raises `TypeError` or `ValueError` that names the rule broken.
    fn accept(
        &self,
        number: u64,
        slot: u16,
        started: u64,
        headers: &Bound<'_, PyAny>,
        subprotocol: Option<&str>,
    ) -> PyResult<()> {
        let head = AsgiHead::of_accept(headers, subprotocol)?;
        let parts = ResponseHead {
            status: 101,
            app_us: u32::try_from(now_us().saturating_sub(started)).unwrap_or(u32::MAX),
            declared_length: UNKNOWN_LENGTH,
            reason: b"",
        };
        let mut state = self.state.lock();
        let address = (slot, number, Flags::default());
        encode_response(state.out(), address, &parts, head.fields(), b"");
        Ok(())
    }

    /// Send a message, or a piece of one: text or bytes. Returns what it takes of the credit.
    ///
    /// Raises `TypeError` for anything else, `UnicodeEncodeError` for text that has no UTF-8.
    fn message(&self, number: u64, data: &Bound<'_, PyAny>, ended: bool) -> PyResult<u32> {
        websocket::put_message(self.state.lock().out(), number, data, ended)
    }

    /// Send a further piece of a text, or its first: UTF-8 that may end within a character.
    fn text_piece(&self, number: u64, data: &[u8], ended: bool) -> u32 {
        websocket::put_piece(self.state.lock().out(), number, data, (true, ended))
    }

    /// Close a WebSocket that was accepted.
    ///
    /// Raises `ValueError` for a code that must not be sent, or too long a reason.
    fn close(&self, number: u64, code: u16, reason: &str) -> PyResult<()> {
        websocket::put_close(self.state.lock().out(), number, code, reason)
    }

    /// Ask for `amount` bytes more of streamed request content.
    fn want(&self, number: u64, slot: u16, amount: u32) {
        let mut state = self.state.lock();
        put_frame(
            state.out(),
            Kind::Read,
            Flags::default(),
            slot,
            number,
            &amount.to_le_bytes(),
        );
    }

    /// Write what is to be sent; false where the socket is full: wait until it is writable.
    ///
    /// Raises `ConnectionError` where the edge is gone.
    fn flush(&self) -> PyResult<bool> {
        let mut state = self.state.lock();
        let state = &mut *state;
        while let Some(part) = state.output.front() {
            let rest = part.bytes.get(state.written..).unwrap_or_default();
            if rest.is_empty() {
                state.output.pop_front();
                state.written = 0;
                continue;
            }
            let descriptor = part.descriptor.as_ref().filter(|_| state.written == 0);
            let descriptors: Vec<_> = descriptor.iter().map(|fd| fd.as_fd()).collect();
            match fd_socket::send(
                &self.socket,
                &[IoSlice::new(rest)],
                &descriptors,
                SendFlags::DONTWAIT,
            ) {
                Ok(bytes) => state.written += bytes,
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(PyConnectionError::new_err(error.to_string())),
            }
        }
        Ok(true)
    }
}

impl AsgiLink {
    fn event<'py>(
        py: Python<'py>,
        header: &Header,
        payload: &[u8],
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let number = header.request;
        let event = match header.kind {
            Kind::Hello => {
                check_hello(payload).map_err(broken)?;
                return Ok(None);
            }
            Kind::Body => {
                let ended = header.flags.has(Flags::END);
                (event::BODY, number, PyBytes::new(py, payload), ended).into_pyobject(py)?
            }
            Kind::Credit => {
                let bytes = read_amount(payload).map_err(broken)?;
                (event::CREDIT, number, bytes).into_pyobject(py)?
            }
            Kind::Cancel => (event::CANCEL, number).into_pyobject(py)?,
            _ => return Err(broken(FrameError::Kind(header.kind as u8))),
        };
        Ok(Some(event))
    }

    fn request<'py>(
        &self,
        py: Python<'py>,
        state: &mut State,
        header: &Header,
        (payload, descriptor): (&[u8], Option<OwnedFd>),
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let request = RequestView::parse(payload).map_err(broken)?;
        let address = Address {
            number: header.request,
            slot: header.slot,
        };
        if request.head.content == Content::WebSocket {
            let started = now_us();
            if !self.claim(address, started) {
                return Ok(None); // The edge took it back and gave it to somebody else.
            }
            let scope = self.websocket_scopes.make_websocket(py, &request)?;
            let (number, slot) = (header.request, header.slot);
            let event = (event::WEBSOCKET, number, slot, started, scope);
            return Ok(Some(event.into_pyobject(py)?));
        }
        let scope = self.scopes.make(py, &request)?;
        // Bytes that are here, the descriptor of a file with so many bytes, or
        // `None` for content that is still to come.
        let content = match (request.head.content, descriptor) {
            (Content::None | Content::Inline, _) => PyBytes::new(py, request.inline).into_any(),
            (Content::File, Some(file)) => (file.into_raw_fd(), request.head.content_length)
                .into_pyobject(py)?
                .into_any(),
            (Content::File, None) => return Err(broken(FrameError::Value("descriptor"))),
            (Content::Stream | Content::WebSocket | Content::Upgrade, _) => {
                py.None().into_bound(py)
            }
        };
        state.ready.push_back(Ready {
            address,
            scope: scope.unbind(),
            is_head: request.head.method == b"HEAD",
            content: content.unbind(),
            is_cancelled: false,
        });
        Ok(None)
    }

    /// Start a request, unless the edge has taken it back.
    fn claim(&self, address: Address, now_us: u64) -> bool {
        self.claim
            .page()
            .start(address.slot, address.number, now_us)
    }

    /// Append frames to what is to be sent.
    fn write(&self, put: impl FnOnce(&mut Vec<u8>)) {
        put(self.state.lock().out());
    }

    fn take_ready(&self, to: &mut VecDeque<Ready>) {
        to.append(&mut self.state.lock().ready);
    }
}

fn end_flag(ended: bool) -> Flags {
    if ended { Flags::END } else { Flags::default() }
}

fn broken(error: FrameError) -> PyErr {
    PyConnectionError::new_err(format!("the edge broke the contract: {error}"))
}
