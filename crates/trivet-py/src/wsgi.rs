//! The WSGI loop: threads of a worker process that run the app (PEP 3333).

mod answer;
mod content;
mod environ;
mod head;
mod interrupt;
mod link;

use std::io::IoSlice;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use pyo3::exceptions::{
    PyConnectionError, PyOSError, PyRuntimeError, PyStopIteration, PyTypeError, PyValueError,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};
use rustix::fs::{FileType, SeekFrom, fstat, seek};
use trivet_edge::claim_map::ClaimMap;
use trivet_edge::clock::now_us;
use trivet_edge::scheduling::Scheduling;
use trivet_wire::claim::{THREADS, ThreadState};
use trivet_wire::frames::{Content, INITIAL_CREDIT_BYTES, RequestView};

use answer::{Answer, Stop, not_bytes};
use content::InputMaker;
pub(crate) use content::StreamedContent;
use environ::EnvironMaker;
pub(crate) use environ::{latin1, seconds};
use head::Head;
use interrupt::Interrupts;
pub(crate) use interrupt::interrupt_thread;
use link::{Job, Link, Turn};

/// The callable `start_response` of one request.
#[pyclass(frozen, module = "trivet._trivet")]
struct StartResponse {
    answer: Arc<Answer>,
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let head = Head::parse(status, headers)?;
        slf.get().answer.start(slf.py(), head, exc_info)?;
        slf.getattr(intern!(slf.py(), "write"))
    }

    /// `wsgi.early_hints`, as in gunicorn: send `103 Early Hints` with these headers, a
    /// list of pairs of texts; nothing happens once the answer has begun.
    fn early_hints(&self, py: Python<'_>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let head = Head::of_hints(headers)?;
        if self.answer.has_sent_head(py) {
            return Ok(());
        }
        match self.answer.hint(py, &head) {
            // A client that has left needs no hints.
            Ok(()) | Err(Stop::Enough | Stop::Gone) => Ok(()),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// PEP 3333's `write` callable: sends at once.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.answer.put(py, data, false) {
            Ok(()) | Err(Stop::Enough) => Ok(()),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Gone) => Err(pyo3::exceptions::PyBrokenPipeError::new_err(
                "the client has gone away",
            )),
        }
    }
}

/// One worker process's side of the conversation with the edge.
#[pyclass(frozen, module = "trivet._trivet")]
pub(crate) struct WsgiWorker {
    link: Arc<Link>,
    app: Py<PyAny>,
    environs: EnvironMaker,
    inputs: InputMaker,
    file_wrapper: Py<PyType>,
    open_socket: Py<PyAny>,
    close_socket: Py<PyAny>,
    locate: Py<PyAny>,
    on_error: Py<PyAny>,
    interrupts: Interrupts,
}

#[pymethods]
impl WsgiWorker {
    /// Takes over the three descriptors. `environ` has the entries that are
    /// the same for every request.
    #[new]
    #[pyo3(signature = (*, link_fd, claim_fd, doorbell_fd, app, environ, file_wrapper, raw_stream, open_socket, close_socket, locate, on_error))]
    #[allow(
        clippy::too_many_arguments,
        reason = "keyword arguments, each named at the one call"
    )]
    fn new(
        py: Python<'_>,
        link_fd: RawFd,
        claim_fd: RawFd,
        doorbell_fd: RawFd,
        app: Py<PyAny>,
        environ: &Bound<'_, PyDict>,
        file_wrapper: Py<PyType>,
        raw_stream: Py<PyAny>,
        open_socket: Py<PyAny>,
        close_socket: Py<PyAny>,
        locate: Py<PyAny>,
        on_error: Py<PyAny>,
    ) -> PyResult<Self> {
        let (link_fd, claim_fd, doorbell_fd) =
            (owned(link_fd)?, owned(claim_fd)?, owned(doorbell_fd)?);
        let claim = ClaimMap::open(claim_fd.as_fd())
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let link = Arc::new(Link::new(link_fd, doorbell_fd, claim));
        link.say_hello()
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        Ok(Self {
            link,
            app,
            environs: EnvironMaker::new(environ)?,
            inputs: InputMaker::new(py, raw_stream)?,
            file_wrapper,
            open_socket,
            close_socket,
            locate,
            on_error,
            interrupts: Interrupts::default(),
        })
    }

    /// Run requests as thread number `index` until the edge is gone or `stop` was called.
    ///
    /// Calls `grow` when nobody is left to take over from this thread, so that
    /// threads are made as they are needed, one ahead; it returns whether one
    /// more is coming.
    fn run(&self, py: Python<'_>, index: usize, grow: &Bound<'_, PyAny>) -> PyResult<()> {
        if index >= THREADS {
            return Err(PyTypeError::new_err(format!(
                "a worker has at most {THREADS} threads"
            )));
        }
        self.interrupts.enter(py, index)?;
        let page = self.link.claim().page();
        self.link.enter();
        let mut scheduling = Scheduling::of_this_thread();
        let mut handled = 0;
        loop {
            let (turn, grows) = self.link.turn();
            if grows && !grow.call0()?.extract::<bool>()? {
                self.link.cannot_grow();
            }
            if !matches!(turn, Turn::Run(_)) {
                self.send_gathered(py);
            }
            match turn {
                Turn::Run(job) => {
                    handled += 1;
                    self.handle(py, index, job);
                    // Signal handlers and pending calls run between requests, too.
                    py.check_signals()?;
                }
                Turn::Read => {
                    if !self.link.read(false) {
                        let since = now_us();
                        scheduling.wake(std::mem::take(&mut handled), since);
                        page.set_thread(index, ThreadState::Reading, since);
                        py.detach(|| {
                            self.link.read(true);
                            page.set_thread(index, ThreadState::WaitingForGil, now_us());
                        });
                    }
                }
                Turn::Wait => {
                    page.set_thread(index, ThreadState::Idle, now_us());
                    py.detach(|| {
                        self.link.wait_for_doorbell();
                        page.set_thread(index, ThreadState::WaitingForGil, now_us());
                    });
                }
                Turn::Leave => return Ok(()),
            }
        }
    }

    /// Let each thread leave `run` when its request is done. Never blocks.
    fn stop(&self) {
        self.link.stop();
    }

    /// Send, take and claim nothing any more: for a child that the app has forked.
    fn abandon(&self) {
        self.link.abandon();
    }

    /// The thread that runs request `number`, as of `threading.get_ident()`.
    fn thread_of(&self, number: u64) -> Option<u64> {
        self.interrupts.thread_of(number)
    }

    /// Raise `exception` in the thread that runs request `number`, once.
    ///
    /// Returns false where it has ended, or was interrupted before.
    fn interrupt(&self, py: Python<'_>, number: u64, exception: &Bound<'_, PyType>) -> bool {
        self.interrupts.interrupt(py, number, exception)
    }
}

impl WsgiWorker {
    /// Send what was gathered, before this thread blocks.
    fn send_gathered(&self, py: Python<'_>) {
        let bytes = self.link.take_gathered();
        if bytes.is_empty() {
            return;
        }
        let parts = [IoSlice::new(&bytes)];
        // Where the connection is gone, so is everybody who waits for these.
        if let Ok(sending) = self.link.try_send(&parts, None)
            && !sending.is_done()
        {
            let _ = py.detach(|| self.link.send_rest(&parts, None, sending));
        }
    }

    fn handle(&self, py: Python<'_>, index: usize, job: Job) {
        let page = self.link.claim().page();
        let started = now_us();
        let Job {
            header,
            payload,
            mut descriptor,
        } = job;
        if !page.start(header.slot, header.request, started) {
            return; // The edge took it back and gave it to somebody else.
        }
        page.set_thread(index, ThreadState::Running, started);
        let parsed = RequestView::parse(&payload);
        let is_head = matches!(&parsed, Ok(request) if request.head.method == b"HEAD");
        let is_upgrade = matches!(&parsed, Ok(request) if request.head.content == Content::Upgrade);
        let answer = Arc::new(Answer::new(
            Arc::clone(&self.link),
            header,
            started,
            (is_head, is_upgrade),
        ));
        let request = match parsed {
            Ok(request) => request,
            Err(error) => return answer.fail(py, &error.to_string(), "", ""),
        };
        self.interrupts.begin(index, header.request);
        // A tunnel has no such content, but its app, too, is told when the client has left.
        if is_upgrade || request.head.content == Content::Stream {
            self.link
                .open_stream(header.request, u64::from(INITIAL_CREDIT_BYTES));
            answer.mark_streaming(py);
        }
        let mut socket = None;
        let result = self
            .inputs
            .make(py, &self.link, header, &request, &mut descriptor)
            .and_then(|input| {
                let environ = self.environs.make(py, &request, &input)?;
                if is_upgrade {
                    socket = Some(self.put_socket(&environ, descriptor)?);
                }
                Ok((environ, input))
            });
        let mut source = None;
        let outcome = match result {
            Ok((environ, input)) => {
                let outcome = self.answer(py, &answer, environ, &mut source);
                self.interrupts.end(py, index);
                if request.head.content == Content::File {
                    // The spooled file's descriptor must not wait for the collector.
                    let _ = input.call_method0(intern!(py, "close"));
                }
                outcome
            }
            Err(error) => {
                self.interrupts.end(py, index);
                Err(Stop::Error(error))
            }
        };
        match outcome {
            Err(Stop::Error(error)) if is_upgrade && ends_tunnel(py, &error) => {
                answer.fail(py, "", "", "");
            }
            // What fails because the client left is no news: its log line says that it did.
            Err(Stop::Error(error))
                if !answer.is_gone(py) || !error.is_instance_of::<PyOSError>(py) =>
            {
                self.report(py, &request, &answer, &error, source.as_ref());
            }
            Err(Stop::Error(_) | Stop::Gone) => answer.fail(py, "", "", ""),
            Ok(()) | Err(Stop::Enough) => {}
        }
        if let Some(socket) = socket
            && let Err(error) = self.close_socket.bind(py).call1((&socket,))
        {
            error.write_unraisable(py, Some(&socket));
        }
        answer.close(py);
    }

    /// Give the app its own way to the client, under the names that libraries look for.
    fn put_socket<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        descriptor: Option<OwnedFd>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = environ.py();
        let descriptor =
            descriptor.ok_or_else(|| PyValueError::new_err("the tunnel's socket is missing"))?;
        let socket = self
            .open_socket
            .bind(py)
            .call1((descriptor.into_raw_fd(),))?;
        environ.set_item(intern!(py, "werkzeug.socket"), &socket)?;
        environ.set_item(intern!(py, "gunicorn.socket"), &socket)?;
        Ok(socket)
    }

    /// Call the app and send what it answers.
    fn answer<'py>(
        &self,
        py: Python<'py>,
        answer: &Arc<Answer>,
        environ: Bound<'py, PyDict>,
        source: &mut Option<Bound<'py, PyAny>>,
    ) -> Result<(), Stop> {
        let start_response = Bound::new(
            py,
            StartResponse {
                answer: Arc::clone(answer),
            },
        )?;
        environ.set_item(
            intern!(py, "wsgi.early_hints"),
            start_response.getattr(intern!(py, "early_hints"))?,
        )?;
        let iterable = self.app.bind(py).call1((environ, start_response))?;
        if let Some(piece) = only_piece(&iterable) {
            let outcome = answer.put(py, &piece, true);
            self.locate(&outcome, &iterable, source);
            return outcome;
        }
        let outcome = if iterable.is_instance(self.file_wrapper.bind(py))? {
            send_file(py, answer, &iterable)
        } else {
            send_pieces(py, answer, &iterable)
        };
        // Before it is closed: a generator knows its line only until then.
        self.locate(&outcome, &iterable, source);
        // Always, also after an error or a client that left (PEP 3333).
        let closed = match iterable.getattr_opt(intern!(py, "close")) {
            Ok(Some(close)) => close.call0().map(|_| ()),
            _ => Ok(()),
        };
        match (outcome, closed) {
            (Err(Stop::Error(error)), Err(second)) => {
                second.write_unraisable(py, Some(&iterable));
                Err(Stop::Error(error))
            }
            (_, Err(error)) => Err(Stop::Error(error)),
            (outcome, Ok(())) => outcome,
        }
    }

    /// Find the app's line for a rule that it broke by what it returned: an error of
    /// ours has no traceback.
    fn locate<'py>(
        &self,
        outcome: &Result<(), Stop>,
        returned: &Bound<'py, PyAny>,
        source: &mut Option<Bound<'py, PyAny>>,
    ) {
        let py = returned.py();
        if let Err(Stop::Error(error)) = outcome
            && error.traceback(py).is_none()
        {
            *source = self.locate.bind(py).call1((returned,)).ok();
        }
    }

    fn report(
        &self,
        py: Python<'_>,
        request: &RequestView<'_>,
        answer: &Answer,
        error: &PyErr,
        source: Option<&Bound<'_, PyAny>>,
    ) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let head = &request.head;
        let arguments = (
            text(head.request_id),
            text(head.method),
            text(head.path),
            // Not `value()`: before Python 3.12 that has no traceback.
            error.clone_ref(py).into_value(py),
            answer.progress_word(py),
            source,
        );
        let told = self
            .on_error
            .bind(py)
            .call1(arguments)
            .and_then(|told| told.extract::<(String, String, String)>());
        let (summary, place, trace) = told.unwrap_or_else(|second| {
            // The log cannot be written, or the app's own objects raise when they are shown.
            second.write_unraisable(py, Some(self.on_error.bind(py)));
            (error.to_string(), String::new(), String::new())
        });
        answer.fail(py, &summary, &place, &trace);
    }
}

/// Whether the app says in this way that it has answered by its socket, as engineio does
/// (`ConnectionError()` in its own server of Werkzeug, `StopIteration()` in gunicorn). One
/// that means something says what.
fn ends_tunnel(py: Python<'_>, error: &PyErr) -> bool {
    let kind = error.get_type(py);
    let is_word =
        kind.is(py.get_type::<PyConnectionError>()) || kind.is(py.get_type::<PyStopIteration>());
    let args = error.value(py).getattr(intern!(py, "args"));
    is_word && args.and_then(|args| args.len()).is_ok_and(|len| len == 0)
}

/// Send a `wsgi.file_wrapper`'s file by its descriptor, where it has one.
fn send_file(py: Python<'_>, answer: &Answer, wrapper: &Bound<'_, PyAny>) -> Result<(), Stop> {
    match regular_file(wrapper) {
        // After `write()` the file is only the rest of the content. A size of
        // 0 may be a lie, as in /proc.
        Some((file, offset, available)) if available > 0 && !answer.has_sent_head(py) => {
            answer.put_file(py, &file, offset, available)
        }
        _ => send_pieces(py, answer, wrapper),
    }
}

/// The content of a list or tuple with one item, or none: it has no `close`.
fn only_piece<'py>(iterable: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    if let Ok(list) = iterable.cast_exact::<PyList>() {
        return match list.len() {
            0 => Some(PyBytes::new(list.py(), b"").into_any()),
            1 => list.get_item(0).ok(),
            _ => None,
        };
    }
    let tuple = iterable.cast_exact::<PyTuple>().ok()?;
    match tuple.len() {
        0 => Some(PyBytes::new(tuple.py(), b"").into_any()),
        1 => tuple.get_item(0).ok(),
        _ => None,
    }
}

fn send_pieces(py: Python<'_>, answer: &Answer, iterable: &Bound<'_, PyAny>) -> Result<(), Stop> {
    let rule = "the app must return an iterable of bytes";
    if iterable.is_instance_of::<PyBytes>() || iterable.is_instance_of::<PyString>() {
        // Iterable, but each item would be a byte or a character.
        return Err(not_bytes(rule, iterable).into());
    }
    if iterable.hasattr(intern!(py, "__await__"))? {
        let rule = "the app is asynchronous, which needs `interface = \"asgi\"`: it must return an iterable of bytes";
        return Err(not_bytes(rule, iterable).into());
    }
    let pieces = iterable.try_iter().map_err(|_| not_bytes(rule, iterable))?;
    for piece in pieces {
        answer.put(py, &piece?, false)?;
    }
    answer.finish(py)
}

/// Descriptor, position and rest of the file behind a wrapper.
fn regular_file(wrapper: &Bound<'_, PyAny>) -> Option<(OwnedFd, u64, u64)> {
    let py = wrapper.py();
    let file = wrapper.call_method0(intern!(py, "plain_file")).ok()?;
    let number: RawFd = file
        .call_method0(intern!(py, "fileno"))
        .ok()?
        .extract()
        .ok()?;
    let descriptor = duplicate(number)?;
    let stat = fstat(&descriptor).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let told: Option<u64> = file
        .call_method0(intern!(py, "tell"))
        .ok()
        .and_then(|at| at.extract().ok());
    let offset = told.or_else(|| seek(&descriptor, SeekFrom::Current(0)).ok())?;
    Some((
        descriptor,
        offset,
        u64::try_from(stat.st_size).ok()?.saturating_sub(offset),
    ))
}

#[allow(unsafe_code, reason = "Python hands over plain descriptor numbers")]
pub(crate) fn owned(number: RawFd) -> PyResult<OwnedFd> {
    if number < 0 {
        return Err(PyTypeError::new_err("not a descriptor"));
    }
    // SAFETY: the caller gives the descriptor away, as the class documents.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[allow(unsafe_code, reason = "Python hands over plain descriptor numbers")]
fn duplicate(number: RawFd) -> Option<OwnedFd> {
    if number < 0 {
        return None;
    }
    // SAFETY: the number is borrowed for the one call only; if the app's file
    // closes it meanwhile, the call fails.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_dupfd_cloexec(borrowed, 3).ok()
}
