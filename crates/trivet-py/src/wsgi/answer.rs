//! One request's answer: from `start_response` and an iterable to frames.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use parking_lot::Mutex;
use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyTuple};
use trivet_edge::clock::now_us;
use trivet_wire::frames::{
    Flags, HEADER_BYTES, Header, INITIAL_CREDIT_BYTES, Kind, MAX_DATA_BYTES, ResponseHead,
    UNKNOWN_LENGTH, encode_response,
};

use super::head::Head;
use super::link::{Closed, Link, Stream};

/// An app that has answered in less may gather answers: the next ones will
/// hardly take longer, and a wait of eight times this is not felt.
const QUICK_US: u64 = 300;

/// Content up to this size is copied behind its head; larger is sent from
/// where it lies, without the interpreter lock.
const COPIED_BYTES: usize = 16 << 10;

/// Why no (further) frame of this answer can be sent.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The app broke a rule or raised.
    Error(PyErr),
    /// Nobody waits for the answer any more, or the edge is gone.
    Gone,
    /// The answer is whole: what the app has beyond that is not wanted.
    Enough,
}

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Self {
        Self::Error(error)
    }
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Self::Gone
    }
}

/// How far the content has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// More may come.
    #[default]
    Open,
    /// All of it was sent, or the app broke.
    Ended,
    /// The client, or the edge, is gone.
    Gone,
}

#[derive(Debug, Default)]
struct Progress {
    head: Option<Head>,
    head_sent: bool,
    /// Whether a stream is registered with the link.
    streaming: bool,
    stage: Stage,
    sent: u64,
}

/// Where one request's answer stands. Used by one thread at a time.
#[derive(Debug)]
pub(crate) struct Answer {
    link: std::sync::Arc<Link>,
    header: Header,
    started_us: u64,
    /// The request's method is HEAD: the client gets the head alone.
    is_head: bool,
    /// The app may have answered by a socket of its own instead.
    is_upgrade: bool,
    progress: Mutex<Progress>,
}

impl Answer {
    pub(crate) fn new(
        link: std::sync::Arc<Link>,
        header: Header,
        started_us: u64,
        (is_head, is_upgrade): (bool, bool),
    ) -> Self {
        Self {
            link,
            header,
            started_us,
            is_head,
            is_upgrade,
            progress: Mutex::default(),
        }
    }

    /// Whether the response has content at all (RFC 9110 section 6.4.1).
    fn has_content(&self, progress: &Progress) -> bool {
        let status = progress.head.as_ref().map_or(200, |head| head.status);
        !self.is_head && !matches!(status, 204 | 205 | 304)
    }

    /// What an app gets that goes on after its answer is whole.
    fn excess(&self, progress: &Progress) -> Stop {
        let declared = progress.head.as_ref().map(|head| head.declared_length);
        match declared {
            _ if !self.has_content(progress) => Stop::Enough,
            Some(declared) if declared != UNKNOWN_LENGTH => {
                Stop::Error(PyRuntimeError::new_err(format!(
                    "the app promised {declared} bytes by Content-Length and sent more (PEP 3333)"
                )))
            }
            _ => Stop::Error(PyRuntimeError::new_err(
                "the app sent content after its response was complete (PEP 3333)",
            )),
        }
    }

    /// Whether the client left before the answer's end, or in the middle of its content.
    pub(crate) fn is_gone(&self, py: Python<'_>) -> bool {
        let cancelled = |stream: &mut Stream| stream.cancelled.then_some(());
        self.progress.lock_py_attached(py).stage == Stage::Gone
            || self.link.try_for(self.header.request, cancelled).is_some()
    }

    /// How much the client has got, as `trivet.worker.failure` calls it.
    pub(crate) fn progress_word(&self, py: Python<'_>) -> &'static str {
        let progress = self.progress.lock_py_attached(py);
        match progress.stage {
            Stage::Ended => "whole",
            _ if progress.head_sent => "cut",
            _ => "unsent",
        }
    }

    pub(crate) fn has_sent_head(&self, py: Python<'_>) -> bool {
        self.progress.lock_py_attached(py).head_sent
    }

    /// PEP 3333 `start_response(status, headers, exc_info=None)`.
    pub(crate) fn start(
        &self,
        py: Python<'_>,
        head: Head,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut progress = self.progress.lock_py_attached(py);
        match exc_info {
            Some(info) if progress.head_sent => return Err(raised(info)),
            None if progress.head.is_some() || progress.head_sent => {
                return Err(PyAssertionError::new_err(
                    "start_response was called a second time without exc_info (PEP 3333)",
                ));
            }
            _ => progress.head = Some(head),
        }
        Ok(())
    }

    /// Send a piece of content that the app yielded or wrote, and the head before the first.
    pub(crate) fn put(
        &self,
        py: Python<'_>,
        piece: &Bound<'_, PyAny>,
        last: bool,
    ) -> Result<(), Stop> {
        let piece = piece
            .cast::<PyBytes>()
            .map_err(|_| not_bytes("the app's iterable must yield bytes", piece))?;
        self.put_bytes(py, piece.as_bytes(), last)
    }

    fn put_bytes(&self, py: Python<'_>, mut content: &[u8], mut last: bool) -> Result<(), Stop> {
        if content.is_empty() && !last {
            return Ok(());
        }
        let mut progress = self.progress.lock_py_attached(py);
        match progress.stage {
            Stage::Open => {}
            Stage::Gone => return Err(Stop::Gone),
            Stage::Ended if content.is_empty() => return Ok(()),
            Stage::Ended => return Err(self.excess(&progress)),
        }
        let Some(declared) = progress.head.as_ref().map(|head| head.declared_length) else {
            if self.is_upgrade && content.is_empty() {
                return Err(Stop::Gone);
            }
            return Err(PyAssertionError::new_err(
                "the app sent content before it called start_response (PEP 3333)",
            )
            .into());
        };
        let mut whole = Ok(());
        if !self.has_content(&progress) {
            // An endless stream must not be asked for more by a HEAD.
            whole = if last { Ok(()) } else { Err(Stop::Enough) };
            (content, last) = (&[], true);
        } else if declared != UNKNOWN_LENGTH {
            let room = declared - progress.sent;
            if content.len() as u64 > room {
                // What is too long is wrong altogether: the client must not take the
                // promised part of it for the whole.
                return Err(self.excess(&progress));
            } else if content.len() as u64 == room {
                last = true;
            } else if last {
                let sent = progress.sent + content.len() as u64;
                return Err(PyRuntimeError::new_err(format!(
                    "the app promised {declared} bytes by Content-Length and sent {sent} (PEP 3333)"
                ))
                .into());
            }
        }
        progress.sent += content.len() as u64;
        if last {
            progress.stage = Stage::Ended;
        }
        let result = self.send(py, &mut progress, content, last);
        if result.is_err() {
            progress.stage = Stage::Gone;
        }
        result.and(whole)
    }

    fn send(
        &self,
        py: Python<'_>,
        progress: &mut Progress,
        mut content: &[u8],
        last: bool,
    ) -> Result<(), Stop> {
        if !progress.head_sent {
            progress.head_sent = true;
            let whole = last && content.len() <= INITIAL_CREDIT_BYTES as usize;
            let first = content
                .len()
                .min(if whole { content.len() } else { MAX_DATA_BYTES });
            let (now, later) = content.split_at(first);
            let flags = if whole { Flags::END } else { Flags::default() };
            if !whole && !progress.streaming {
                self.link
                    .open_stream(self.header.request, u64::from(INITIAL_CREDIT_BYTES));
                progress.streaming = true;
            }
            if !whole {
                self.take_credit(py, now.len() as u64)?;
            }
            self.send_response(py, progress, flags, now)?;
            if whole || (later.is_empty() && !last) {
                return Ok(());
            }
            content = later;
        }
        loop {
            let (now, later) = content.split_at(content.len().min(MAX_DATA_BYTES));
            self.take_credit(py, now.len() as u64)?;
            let end = last && later.is_empty();
            self.send_data(py, if end { Flags::END } else { Flags::default() }, now)?;
            if later.is_empty() {
                return Ok(());
            }
            content = later;
        }
    }

    fn send_response(
        &self,
        py: Python<'_>,
        progress: &Progress,
        flags: Flags,
        content: &[u8],
    ) -> Result<(), Stop> {
        let Some(head) = &progress.head else {
            return Err(Stop::Gone);
        };
        let (copied, sent_apart) = if content.len() <= COPIED_BYTES {
            (content, &[][..])
        } else {
            (&[][..], content)
        };
        let mut frame = Vec::with_capacity(512 + copied.len());
        let app_us = now_us().saturating_sub(self.started_us);
        let fields = ResponseHead {
            status: head.status,
            app_us: u32::try_from(app_us).unwrap_or(u32::MAX),
            declared_length: head.declared_length,
            reason: head.reason(),
        };
        let address = (self.header.slot, self.header.request, flags);
        encode_response(&mut frame, address, &fields, head.fields(), copied);
        if !sent_apart.is_empty() {
            // The length in the frame header covers what is sent apart, too.
            let len =
                u32::try_from(frame.len() - HEADER_BYTES + sent_apart.len()).unwrap_or(u32::MAX);
            let header = Header {
                len,
                kind: Kind::Response,
                flags,
                ..self.header
            };
            frame[..HEADER_BYTES].copy_from_slice(&header.encode());
        }
        let may_wait = flags.has(Flags::END) && sent_apart.is_empty() && app_us < QUICK_US;
        if may_wait && self.link.gather(&frame) {
            return Ok(());
        }
        let gathered = self.link.take_gathered();
        let parts = [
            IoSlice::new(&gathered),
            IoSlice::new(&frame),
            IoSlice::new(sent_apart),
        ];
        self.send_parts(py, &parts, None)
    }

    /// Send early hints, before the head.
    pub(crate) fn hint(&self, py: Python<'_>, head: &Head) -> Result<(), Stop> {
        let mut frame = Vec::with_capacity(256);
        let parts = ResponseHead {
            status: head.status,
            app_us: 0,
            declared_length: UNKNOWN_LENGTH,
            reason: b"",
        };
        let address = (self.header.slot, self.header.request, Flags::default());
        encode_response(&mut frame, address, &parts, head.fields(), b"");
        self.send_parts(py, &[IoSlice::new(&frame)], None)
    }

    fn send_data(&self, py: Python<'_>, flags: Flags, content: &[u8]) -> Result<(), Stop> {
        let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let header = Header {
            len,
            kind: Kind::Data,
            flags,
            ..self.header
        }
        .encode();
        self.send_parts(py, &[IoSlice::new(&header), IoSlice::new(content)], None)
    }

    fn send_parts(
        &self,
        py: Python<'_>,
        parts: &[IoSlice<'_>],
        descriptor: Option<&OwnedFd>,
    ) -> Result<(), Stop> {
        let large = parts.iter().map(|part| part.len()).sum::<usize>() > 64 << 10;
        if large {
            return py
                .detach(|| {
                    let sending = self.link.try_send(parts, descriptor)?;
                    if sending.is_done() {
                        Ok(())
                    } else {
                        self.link.send_rest(parts, descriptor, sending)
                    }
                })
                .map_err(Stop::from);
        }
        let sending = self.link.try_send(parts, descriptor)?;
        if sending.is_done() {
            return Ok(());
        }
        py.detach(|| self.link.send_rest(parts, descriptor, sending))
            .map_err(Stop::from)
    }

    /// Wait until the client's side has room for `bytes` more.
    fn take_credit(&self, py: Python<'_>, bytes: u64) -> Result<(), Stop> {
        let take = |stream: &mut Stream| {
            if stream.cancelled {
                return Some(false);
            }
            (stream.credit >= bytes).then(|| {
                stream.credit -= bytes;
                true
            })
        };
        let request = self.header.request;
        let granted = match self.link.try_for(request, take) {
            Some(granted) => granted,
            None => py.detach(|| self.link.wait_for(request, take))?,
        };
        if granted { Ok(()) } else { Err(Stop::Gone) }
    }

    /// Hand the rest of an open file to the edge as the whole content.
    pub(crate) fn put_file(
        &self,
        py: Python<'_>,
        file: &OwnedFd,
        offset: u64,
        available: u64,
    ) -> Result<(), Stop> {
        let mut progress = self.progress.lock_py_attached(py);
        let has_content = self.has_content(&progress);
        let Some(head) = progress.head.as_mut() else {
            return Err(PyAssertionError::new_err(
                "the app returned a file before it called start_response (PEP 3333)",
            )
            .into());
        };
        if head.declared_length == UNKNOWN_LENGTH {
            head.declared_length = available;
        }
        let length = head.declared_length;
        if !has_content || length == 0 {
            drop(progress);
            return self.put_bytes(py, &[], true);
        }
        if length > available {
            return Err(PyRuntimeError::new_err(format!(
                "the app promised {length} bytes by Content-Length and its file has {available} (PEP 3333)"
            ))
            .into());
        }
        progress.head_sent = true;
        progress.stage = Stage::Ended;
        progress.sent = length;
        self.send_response(py, &progress, Flags::default(), &[])?;
        let mut payload = offset.to_le_bytes().to_vec();
        payload.extend_from_slice(&length.to_le_bytes());
        let flags = Flags::END.with(Flags::DESCRIPTOR);
        let header = Header {
            len: 16,
            kind: Kind::File,
            flags,
            ..self.header
        }
        .encode();
        self.send_parts(
            py,
            &[IoSlice::new(&header), IoSlice::new(&payload)],
            Some(file),
        )
    }

    /// End the content. An app that never yielded still has a head to send.
    pub(crate) fn finish(&self, py: Python<'_>) -> Result<(), Stop> {
        self.put_bytes(py, &[], true)
    }

    /// Tell the edge that no more comes, because the app broke or the client left.
    ///
    /// Nothing happens where the answer was whole already. Without this frame
    /// the edge would count the request as running for ever.
    pub(crate) fn fail(&self, py: Python<'_>, error: &str, place: &str, trace: &str) {
        let mut frame = Vec::new();
        let address = (self.header.slot, self.header.request);
        let raised = trivet_wire::frames::RaisedView {
            error: error.as_bytes(),
            place: place.as_bytes(),
            trace: trace.as_bytes(),
        };
        trivet_wire::frames::put_failed(&mut frame, address, &raised);
        self.progress.lock_py_attached(py).stage = Stage::Ended;
        let _ = self.send_parts(py, &[IoSlice::new(&frame)], None);
    }

    /// Forget the stream; the answer is over.
    pub(crate) fn close(&self, py: Python<'_>) {
        if self.progress.lock_py_attached(py).streaming {
            self.link.close_stream(self.header.request);
        }
    }

    /// A stream is registered: by the request's own content, or by a long answer.
    pub(crate) fn mark_streaming(&self, py: Python<'_>) {
        self.progress.lock_py_attached(py).streaming = true;
    }
}

/// What an app gets that sends anything but bytes.
pub(super) fn not_bytes(rule: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let name = value.get_type().name();
    let name = name.map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{rule}, not {name} (PEP 3333)"))
}

/// The exception of an `exc_info` tuple, to be raised again.
fn raised(info: &Bound<'_, PyAny>) -> PyErr {
    let value = info
        .cast::<PyTuple>()
        .ok()
        .and_then(|info| info.get_item(1).ok());
    match value {
        Some(value) => PyErr::from_value(value),
        None => {
            PyTypeError::new_err("start_response: exc_info must be a tuple as of sys.exc_info()")
        }
    }
}
