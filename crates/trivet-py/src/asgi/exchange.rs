//! One HTTP request of an ASGI app: its `receive` and `send`, as far as they are simple.
//!
//! Strategy: most requests ask for their content once and answer in two
//! messages. That is done here, without a line of Python. At the first thing
//! that is anything else, the exchange hands over to `trivet.worker.exchange`,
//! as far as it has come, and from then on only passes calls on. So a rule of
//! the specification stands in one place, there: what breaks one is never
//! simple, and nothing of it has happened before it is handed over.

use parking_lot::Mutex;
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use trivet_edge::clock::now_us;
use trivet_wire::frames::{
    INITIAL_CREDIT_BYTES, Kind, MAX_DATA_BYTES, ResponseHead, UNKNOWN_LENGTH, encode_response,
    put_frame,
};

use super::head::AsgiHead;
use super::work::AsgiWork;
use super::{Address, end_flag};

/// How far the exchange has come.
struct Progress {
    was_read: bool,
    head: Option<AsgiHead>,
    sent: u64,
    credit: u64,
    has_started: bool,
    has_ended: bool,
    /// Who has it from here on.
    python: Option<Py<PyAny>>,
}

/// A request and its response. Belongs to the event loop's thread.
#[pyclass(frozen, module = "trivet._trivet")]
pub(crate) struct AsgiExchange {
    work: Py<AsgiWork>,
    pub(super) address: Address,
    started: u64,
    is_head: bool,
    /// Bytes, or what `trivet.worker.exchange` knows to read.
    content: Py<PyAny>,
    progress: Mutex<Progress>,
}

#[pymethods]
impl AsgiExchange {
    /// ASGI's `receive`.
    fn receive(slf: &Bound<'_, Self>) -> AsgiCall {
        AsgiCall::new(slf, None)
    }

    /// ASGI's `send`.
    fn send(slf: &Bound<'_, Self>, message: Py<PyAny>) -> AsgiCall {
        AsgiCall::new(slf, Some(message))
    }

    /// The exchange as `trivet.worker.exchange` has it, from now on.
    pub(super) fn python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(python) = &self.progress.lock().python {
            return Ok(python.bind(py).clone());
        }
        let (head, progress) = {
            let mut progress = self.progress.lock();
            let rest = (
                progress.sent,
                progress.credit,
                progress.was_read,
                progress.has_started,
                progress.has_ended,
            );
            (progress.head.take(), rest)
        };
        let head = head.map(|head| Bound::new(py, head)).transpose()?;
        let (sent, credit, was_read, has_started, has_ended) = progress;
        let Address { number, slot } = self.address;
        let python = self.work.get().resume.bind(py).call1((
            (number, slot, self.started, &self.content, self.is_head),
            (head, sent, credit, was_read, has_started, has_ended),
        ))?;
        self.progress.lock().python = Some(python.clone().unbind());
        Ok(python)
    }
}

impl AsgiExchange {
    pub(super) fn new(
        work: Py<AsgiWork>,
        address: Address,
        started: u64,
        is_head: bool,
        content: Py<PyAny>,
    ) -> Self {
        Self {
            work,
            address,
            started,
            is_head,
            content,
            progress: Mutex::new(Progress {
                was_read: false,
                head: None,
                sent: 0,
                credit: u64::from(INITIAL_CREDIT_BYTES),
                has_started: false,
                has_ended: false,
                python: None,
            }),
        }
    }

    /// Whether it was simple to its end: there is nothing left to do.
    pub(super) fn is_done(&self, py: Python<'_>) -> bool {
        let progress = self.progress.lock();
        progress.has_ended && progress.python.is_none() && self.has_bytes(py)
    }

    fn has_bytes(&self, py: Python<'_>) -> bool {
        self.content.bind(py).is_exact_instance_of::<PyBytes>()
    }

    /// Receive, if that is simple.
    fn receive_now<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        {
            let mut progress = self.progress.lock();
            if progress.was_read || progress.python.is_some() || !self.has_bytes(py) {
                return Ok(None);
            }
            progress.was_read = true;
        }
        let event = PyDict::new(py);
        event.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
        event.set_item(intern!(py, "body"), &self.content)?;
        event.set_item(intern!(py, "more_body"), false)?;
        Ok(Some(event))
    }

    /// Send, if that is simple; returns whether it was.
    fn send_now(&self, message: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = message.py();
        let Ok(message) = message.cast_exact::<PyDict>() else {
            return Ok(false);
        };
        let Some(kind) = message.get_item(intern!(py, "type"))? else {
            return Ok(false);
        };
        let Ok(kind) = kind.cast_exact::<PyString>() else {
            return Ok(false);
        };
        match kind.to_str() {
            Ok("http.response.start") => self.start_now(message),
            Ok("http.response.body") => self.put_now(message),
            _ => Ok(false),
        }
    }

    fn start_now(&self, message: &Bound<'_, PyDict>) -> PyResult<bool> {
        let py = message.py();
        {
            let progress = self.progress.lock();
            if progress.head.is_some() || progress.has_ended || progress.python.is_some() {
                return Ok(false);
            }
        }
        let (Some(status), Some(headers)) = (
            message.get_item(intern!(py, "status"))?,
            message.get_item(intern!(py, "headers"))?,
        ) else {
            return Ok(false);
        };
        if self.is_head || message.contains(intern!(py, "trailers"))? {
            return Ok(false);
        }
        // Not simple where it is wrong: the traceback is to have the app's line.
        let Some(head) = AsgiHead::simple(&status, &headers) else {
            return Ok(false);
        };
        if matches!(head.status, 204 | 205 | 304) {
            return Ok(false);
        }
        self.progress.lock().head = Some(head);
        Ok(true)
    }

    fn put_now(&self, message: &Bound<'_, PyDict>) -> PyResult<bool> {
        let py = message.py();
        let body = message.get_item(intern!(py, "body"))?;
        let more = message.get_item(intern!(py, "more_body"))?;
        let ended = match &more {
            Some(more) => !more.is_truthy()?,
            None => true,
        };
        let body = match &body {
            Some(body) => match body.cast_exact::<PyBytes>() {
                Ok(body) => body.as_bytes(),
                Err(_) => return Ok(false),
            },
            None => b"",
        };
        let mut progress = self.progress.lock();
        let Progress {
            head: Some(head),
            sent,
            credit,
            has_started,
            has_ended: has_ended @ false,
            python: None,
            ..
        } = &mut *progress
        else {
            return Ok(false);
        };
        let length = body.len() as u64;
        let together = *sent + length;
        let promised = head.declared_length;
        let keeps_promise =
            promised == UNKNOWN_LENGTH || together == promised || (together < promised && !ended);
        if !keeps_promise || body.len() > MAX_DATA_BYTES || length > *credit {
            return Ok(false);
        }
        let Address { number, slot } = self.address;
        let work = self.work.get();
        work.link.get().write(|out| {
            if *has_started {
                put_frame(out, Kind::Data, end_flag(ended), slot, number, body);
                return;
            }
            let app_us = now_us().saturating_sub(self.started);
            let parts = ResponseHead {
                status: head.status,
                app_us: u32::try_from(app_us).unwrap_or(u32::MAX),
                declared_length: promised,
                reason: b"",
            };
            let address = (slot, number, end_flag(ended));
            encode_response(out, address, &parts, head.fields(), body);
        });
        *has_started = true;
        *has_ended = ended;
        *sent = together;
        *credit -= length;
        drop(progress);
        work.flush_soon(py)?;
        Ok(true)
    }
}

/// A call of `receive` or `send`: a coroutine that does it when it is awaited.
#[pyclass(frozen, module = "trivet._trivet")]
pub(crate) struct AsgiCall {
    exchange: Py<AsgiExchange>,
    /// What is to be sent; `None` to receive.
    message: Option<Py<PyAny>>,
    state: Mutex<CallState>,
}

enum CallState {
    /// Not awaited yet.
    New,
    /// It is this coroutine's from here on.
    Python(Py<PyAny>),
    /// It has returned or raised.
    Over,
}

#[pymethods]
impl AsgiCall {
    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.step(py, py.None().bind(py))
    }

    fn send(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let yielded = self.step(py, value)?;
        yielded.ok_or_else(|| PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw<'py>(
        &self,
        kind: &Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = kind.py();
        let thrown = Thrown::new(kind, value, traceback)?;
        let state = std::mem::replace(&mut *self.state.lock(), CallState::Over);
        let CallState::Python(coroutine) = state else {
            return Err(thrown.error());
        };
        let result = coroutine
            .bind(py)
            .call_method1(intern!(py, "throw"), thrown.arguments());
        if result.is_ok() {
            *self.state.lock() = CallState::Python(coroutine);
        }
        result
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let state = std::mem::replace(&mut *self.state.lock(), CallState::Over);
        if let CallState::Python(coroutine) = state {
            coroutine.bind(py).call_method0(intern!(py, "close"))?;
        }
        Ok(())
    }

    /// What it waits for, as a coroutine tells: `trivet.worker.overdue.stacks` follows it.
    #[getter]
    fn cr_await(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &*self.state.lock() {
            CallState::Python(coroutine) => Some(coroutine.clone_ref(py)),
            _ => None,
        }
    }
}

impl AsgiCall {
    fn new(exchange: &Bound<'_, AsgiExchange>, message: Option<Py<PyAny>>) -> Self {
        Self {
            exchange: exchange.clone().unbind(),
            message,
            state: Mutex::new(CallState::New),
        }
    }

    fn step(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let state = std::mem::replace(&mut *self.state.lock(), CallState::Over);
        let coroutine = match state {
            CallState::New => match self.begin(py)? {
                Some(coroutine) => coroutine,
                None => return Ok(None),
            },
            CallState::Python(coroutine) => coroutine,
            CallState::Over => {
                return Err(PyRuntimeError::new_err(
                    "cannot reuse already awaited coroutine",
                ));
            }
        };
        let sent = coroutine
            .bind(py)
            .call_method1(intern!(py, "send"), (value,));
        if sent.is_ok() {
            *self.state.lock() = CallState::Python(coroutine);
        }
        sent.map(|yielded| Some(yielded.unbind()))
    }

    /// Do it, if it is simple; else returns who does it.
    fn begin(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let exchange = self.exchange.get();
        if let Some(message) = &self.message {
            if exchange.send_now(message.bind(py))? {
                return Ok(None);
            }
            let python = exchange.python(py)?;
            let coroutine = python.call_method1(intern!(py, "send"), (message,))?;
            return Ok(Some(coroutine.unbind()));
        }
        if let Some(event) = exchange.receive_now(py)? {
            return Err(PyStopIteration::new_err((event.unbind(),)));
        }
        let python = exchange.python(py)?;
        Ok(Some(python.call_method0(intern!(py, "receive"))?.unbind()))
    }
}

/// What `throw` was called with: an exception, or as before Python 3.12 a class, an
/// instance and a traceback.
pub(super) struct Thrown<'py> {
    arguments: Bound<'py, PyTuple>,
}

impl<'py> Thrown<'py> {
    pub(super) fn new(
        kind: &Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let py = kind.py();
        let arguments = if value.is_none() && traceback.is_none() {
            PyTuple::new(py, [kind])?
        } else {
            (kind, value, traceback).into_pyobject(py)?
        };
        Ok(Self { arguments })
    }

    /// The same, for a coroutine's `throw`.
    pub(super) fn arguments(&self) -> &Bound<'py, PyTuple> {
        &self.arguments
    }

    /// The exception, where no coroutine takes it.
    pub(super) fn error(&self) -> PyErr {
        let value = self.arguments.get_item(1).ok();
        let value = value.filter(PyAnyMethods::is_instance_of::<PyBaseException>);
        match (value, self.arguments.get_item(0)) {
            (Some(value), _) | (None, Ok(value)) => PyErr::from_value(value),
            (None, Err(error)) => error,
        }
    }
}
