//! Running the requests of an ASGI app, on as few tasks as may be.
//!
//! Strategy: a request that never waits for anything needs no task of its own.
//! A *run* is a task that calls the app for one waiting request after the
//! other. The first that waits makes it its own: the run drives this request
//! to its end, as a task would that was made for it, and another run takes the
//! rest. What an app can see of its task is as if there was one for each: a
//! run ends where a request has left a trace on it (somebody holds it, its
//! name, a callback, a cancellation). Each request has a context of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use trivet_edge::clock::now_us;

use super::exchange::{AsgiExchange, Thrown};
use super::{Address, AsgiLink};

/// Answers wait at the most so long for those of requests behind them, µs.
const GATHER_US: u64 = 300;

/// A request that was read and not started.
pub(super) struct Ready {
    pub(super) address: Address,
    pub(super) scope: Py<PyDict>,
    pub(super) is_head: bool,
    pub(super) content: Py<PyAny>,
    /// Nobody waits for the answer any more.
    pub(super) is_cancelled: bool,
}

/// The requests of a process, and how they are run. Belongs to the event loop's thread.
#[pyclass(frozen, module = "trivet._trivet")]
pub(crate) struct AsgiWork {
    pub(super) link: Py<AsgiLink>,
    app: Py<PyAny>,
    copy_context: Py<PyAny>,
    count_weak: Py<PyAny>,
    step: Py<AsgiStep>,
    /// Requests that wait for something, by number: exchange, task, coroutine.
    running: Py<PyDict>,
    pub(super) resume: Py<PyAny>,
    finish: Py<PyAny>,
    flush: Py<PyAny>,
    flush_soon: Py<PyAny>,
    start: Py<PyAny>,
    ready: Mutex<VecDeque<Ready>>,
    /// The future that an idle run waits for.
    parked: Mutex<Option<Py<PyAny>>>,
    /// Answers are flushed by the run that is under way.
    is_gathering: AtomicBool,
    is_stopping: AtomicBool,
    is_child: AtomicBool,
}

#[pymethods]
impl AsgiWork {
    /// `adapt` makes a coroutine of whatever else an app returns. `resume` makes the
    /// exchange of `trivet.worker.exchange`; `finish` is called with it, the scope and
    /// the exception, where one has not come to its end by itself; `flush` and
    /// `flush_soon` write what was sent; `start` makes a task for `begin()`.
    #[new]
    #[pyo3(signature = (*, link, app, adapt, running, resume, finish, flush, flush_soon, start))]
    #[allow(
        clippy::too_many_arguments,
        reason = "keyword arguments, each named at the one call"
    )]
    fn new(
        py: Python<'_>,
        link: Py<AsgiLink>,
        app: Py<PyAny>,
        adapt: Py<PyAny>,
        running: Py<PyDict>,
        resume: Py<PyAny>,
        finish: Py<PyAny>,
        flush: Py<PyAny>,
        flush_soon: Py<PyAny>,
        start: Py<PyAny>,
    ) -> PyResult<Self> {
        let step = AsgiStep {
            adapt,
            coroutine_type: py.import("types")?.getattr("CoroutineType")?.unbind(),
            job: Mutex::new(None),
        };
        Ok(Self {
            link,
            app,
            copy_context: py.import("contextvars")?.getattr("copy_context")?.unbind(),
            count_weak: py.import("weakref")?.getattr("getweakrefcount")?.unbind(),
            step: Py::new(py, step)?,
            running,
            resume,
            finish,
            flush,
            flush_soon,
            start,
            ready: Mutex::default(),
            parked: Mutex::new(None),
            is_gathering: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            is_child: AtomicBool::new(false),
        })
    }

    /// What a new run awaits to the end.
    fn begin(slf: &Bound<'_, Self>) -> AsgiRun {
        AsgiRun {
            work: slf.clone().unbind(),
            stage: Mutex::new(Stage::Between),
        }
    }

    /// Take over the requests that the link has read. Returns whether a new run is
    /// needed for them: no idle one was there.
    fn take(&self, py: Python<'_>) -> PyResult<bool> {
        self.link.get().take_ready(&mut self.ready.lock());
        Ok(!self.ready.lock().is_empty() && !self.wake(py)?)
    }

    /// Nobody waits any more for the answer to a request that has not been started here.
    fn cancel(&self, number: u64) {
        let mut ready = self.ready.lock();
        if let Some(request) = ready.iter_mut().find(|each| each.address.number == number) {
            request.is_cancelled = true;
        }
    }

    /// Have the idle run end, and all others with their request.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.ready.lock().clear();
        self.wake(py).map(|_| ())
    }

    /// This process is a child that the app has forked: it runs its request to the end,
    /// and nothing else.
    fn abandon(&self) {
        self.is_child.store(true, Ordering::Relaxed);
    }
}

impl AsgiWork {
    fn wake(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(parked) = self.parked.lock().take() else {
            return Ok(false);
        };
        let parked = parked.bind(py);
        if parked.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(false);
        }
        parked.call_method1(intern!(py, "set_result"), (py.None(),))?;
        Ok(true)
    }

    pub(super) fn flush_soon(&self, py: Python<'_>) -> PyResult<()> {
        if !self.is_gathering.load(Ordering::Relaxed) {
            self.flush_soon.bind(py).call0()?;
        }
        Ok(())
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        // Where that is not all, or the edge is gone, the event loop has to do something.
        if !matches!(self.link.get().flush(), Ok(true)) {
            self.flush.bind(py).call0()?;
        }
        Ok(())
    }

    /// Let another run take the requests that wait.
    fn pass_on(&self, py: Python<'_>) -> PyResult<()> {
        if !self.ready.lock().is_empty() && !self.wake(py)? {
            self.start.bind(py).call0()?;
        }
        Ok(())
    }

    /// Take the next request that is still ours to be run.
    fn next(&self, py: Python<'_>) -> Option<(Ready, u64)> {
        loop {
            let ready = self.ready.lock().pop_front()?;
            let started = now_us();
            if self.link.get().claim(ready.address, started) {
                return Some((ready, started));
            }
            // The edge took it back and gave it to somebody else.
            drop_content(py, &ready.content);
        }
    }

    /// Let the app run until it waits for something, returns or raises.
    fn advance(&self, context: &Bound<'_, PyAny>, job: Job) -> PyResult<Outcome> {
        let py = context.py();
        let step = self.step.get();
        // An app may run an event loop within its own: what is below waits meanwhile.
        let below = step.job.lock().replace(job);
        let called = context.call_method1(intern!(py, "run"), (&self.step,));
        let done = std::mem::replace(&mut *step.job.lock(), below);
        match (called, done) {
            (Ok(_), Some(Job::Done(outcome))) => Ok(outcome),
            (Err(error), _) => Ok(Outcome::Raised(error)),
            (Ok(_), _) => Err(PyRuntimeError::new_err("the app was not called")),
        }
    }
}

/// Close the file that nobody will read.
fn drop_content(py: Python<'_>, content: &Py<PyAny>) {
    if let Ok((descriptor, _)) = content.extract::<(std::os::fd::RawFd, u64)>(py) {
        drop(crate::wsgi::owned(descriptor));
    }
}

/// What a call of [`AsgiStep`] is to do, and then what came of it.
enum Job {
    /// Call the app with these.
    Start(Py<PyAny>, Py<PyTuple>),
    /// Go on with this coroutine.
    Resume(Py<PyAny>),
    /// Raise an exception in it: the arguments of its `throw`.
    Throw(Py<PyAny>, Py<PyTuple>),
    Done(Outcome),
}

/// What came of a step.
enum Outcome {
    /// The coroutine waits for what it yielded.
    Waits(Py<PyAny>, Py<PyAny>),
    Returned,
    Raised(PyErr),
}

/// Does a job in the context that it is called in.
#[pyclass(frozen, module = "trivet._trivet")]
struct AsgiStep {
    adapt: Py<PyAny>,
    coroutine_type: Py<PyAny>,
    job: Mutex<Option<Job>>,
}

#[pymethods]
impl AsgiStep {
    fn __call__(&self, py: Python<'_>) {
        let job = self.job.lock().take();
        let outcome = match job {
            Some(Job::Start(app, arguments)) => match self.call(&app, arguments.bind(py)) {
                Ok(coroutine) => go_on(&coroutine),
                Err(error) => Outcome::Raised(error),
            },
            Some(Job::Resume(coroutine)) => go_on(coroutine.bind(py)),
            Some(Job::Throw(coroutine, arguments)) => throw(coroutine.bind(py), arguments.bind(py)),
            Some(Job::Done(_)) | None => return,
        };
        *self.job.lock() = Some(Job::Done(outcome));
    }
}

impl AsgiStep {
    fn call<'py>(
        &self,
        app: &Py<PyAny>,
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = arguments.py();
        let returned = app.bind(py).call1(arguments)?;
        if returned.get_type().is(&self.coroutine_type) {
            return Ok(returned);
        }
        self.adapt.bind(py).call1((returned,))
    }
}

#[allow(unsafe_code, reason = "PyO3 has no safe form of this call")]
fn go_on(coroutine: &Bound<'_, PyAny>) -> Outcome {
    let py = coroutine.py();
    let mut result = std::ptr::null_mut();
    // SAFETY: both arguments are alive; the call sets `result` to a new reference, or
    // to null with an exception set, as its status says.
    let (status, value) = unsafe {
        let status =
            pyo3::ffi::PyIter_Send(coroutine.as_ptr(), py.None().as_ptr(), &raw mut result);
        (status, Bound::from_owned_ptr_or_opt(py, result))
    };
    match (status, value) {
        (pyo3::ffi::PySendResult::PYGEN_RETURN, _) => Outcome::Returned,
        (pyo3::ffi::PySendResult::PYGEN_NEXT, Some(yielded)) => {
            Outcome::Waits(coroutine.clone().unbind(), yielded.unbind())
        }
        _ => Outcome::Raised(PyErr::fetch(py)),
    }
}

fn throw(coroutine: &Bound<'_, PyAny>, arguments: &Bound<'_, PyTuple>) -> Outcome {
    let py = coroutine.py();
    match coroutine.call_method1(intern!(py, "throw"), arguments) {
        Ok(yielded) => Outcome::Waits(coroutine.clone().unbind(), yielded.unbind()),
        Err(error) if error.is_instance_of::<PyStopIteration>(py) => Outcome::Returned,
        Err(error) => Outcome::Raised(error),
    }
}

/// A request that a run has made its own, or is about to end.
struct Request {
    exchange: Py<AsgiExchange>,
    scope: Py<PyDict>,
    context: Py<PyAny>,
}

enum Stage {
    /// It looks for requests, as soon as there are some.
    Between,
    /// It belongs to a request, whose coroutine waits.
    Bound(Request, Py<PyAny>),
    /// It has ended, or is under way.
    Over,
}

/// One run. Awaited by a task of its own.
#[pyclass(frozen, module = "trivet._trivet")]
pub(crate) struct AsgiRun {
    work: Py<AsgiWork>,
    stage: Mutex<Stage>,
}

#[pymethods]
impl AsgiRun {
    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.take_stage() {
            Stage::Between => self.look(py),
            Stage::Bound(request, coroutine) => self.drive(py, request, Job::Resume(coroutine)),
            Stage::Over => Err(PyRuntimeError::new_err("the run is over")),
        }
    }

    fn send(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        // What a task sends in is always `None`.
        let _ = value;
        let yielded = self.__next__(py)?;
        yielded.ok_or_else(|| PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw<'py>(
        &self,
        kind: &Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let thrown = Thrown::new(kind, value, traceback)?;
        match self.take_stage() {
            Stage::Bound(request, coroutine) => {
                let job = Job::Throw(coroutine, thrown.arguments().clone().unbind());
                let yielded = self.drive(kind.py(), request, job)?;
                yielded.ok_or_else(|| PyStopIteration::new_err(()))
            }
            Stage::Between => {
                // Whoever comes next makes a new one.
                self.work.get().parked.lock().take();
                Err(thrown.error())
            }
            Stage::Over => Err(thrown.error()),
        }
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if let Stage::Bound(request, coroutine) = self.take_stage() {
            let close = coroutine.bind(py).getattr(intern!(py, "close"))?;
            request
                .context
                .bind(py)
                .call_method1(intern!(py, "run"), (close,))?;
        }
        Ok(())
    }

    /// What it waits for, as a coroutine tells: the app's coroutine.
    #[getter]
    fn cr_await(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &*self.stage.lock() {
            Stage::Bound(_, coroutine) => Some(coroutine.clone_ref(py)),
            _ => None,
        }
    }
}

impl AsgiRun {
    fn take_stage(&self) -> Stage {
        std::mem::replace(&mut *self.stage.lock(), Stage::Over)
    }

    /// Run waiting requests until one has to wait, or none is left.
    fn look(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let work = self.work.get();
        let trace = Trace::of_this_task(py, work)?;
        work.is_gathering.store(true, Ordering::Relaxed);
        let end = self.run_all(py, &trace);
        work.is_gathering.store(false, Ordering::Relaxed);
        work.flush(py)?;
        match end? {
            End::Waits(request, coroutine, yielded) => {
                work.pass_on(py)?;
                let number = request.exchange.get().address.number;
                let entry = (&request.exchange, &trace.task, &coroutine);
                work.running.bind(py).set_item(number, entry)?;
                *self.stage.lock() = Stage::Bound(request, coroutine);
                Ok(Some(yielded))
            }
            End::Leave => {
                work.pass_on(py)?;
                Ok(None)
            }
            End::Empty if work.is_stopping.load(Ordering::Relaxed) => Ok(None),
            End::Empty => self.park(py, &trace).map(Some),
        }
    }

    fn run_all(&self, py: Python<'_>, trace: &Trace<'_>) -> PyResult<End> {
        let work = self.work.get();
        let mut since = 0;
        while let Some((ready, started)) = work.next(py) {
            if since == 0 {
                since = started;
            } else if started.saturating_sub(since) > GATHER_US {
                work.flush(py)?;
                since = started;
            }
            let Ready {
                address,
                scope,
                is_head,
                content,
                is_cancelled,
            } = ready;
            let exchange =
                AsgiExchange::new(self.work.clone_ref(py), address, started, is_head, content);
            let exchange = Bound::new(py, exchange)?;
            if is_cancelled {
                let python = exchange.get().python(py)?;
                python.call_method0(intern!(py, "cancel"))?;
            }
            let arguments = PyTuple::new(
                py,
                [
                    scope.bind(py).as_any(),
                    &exchange.getattr(intern!(py, "receive"))?,
                    &exchange.getattr(intern!(py, "send"))?,
                ],
            )?;
            let context = work.copy_context.bind(py).call0()?;
            let job = Job::Start(work.app.clone_ref(py), arguments.unbind());
            let outcome = work.advance(&context, job)?;
            let request = Request {
                exchange: exchange.unbind(),
                scope,
                context: context.unbind(),
            };
            match outcome {
                Outcome::Waits(coroutine, yielded) => {
                    return Ok(End::Waits(request, coroutine, yielded));
                }
                Outcome::Returned => self.end(py, &request, None)?,
                Outcome::Raised(error) => {
                    self.end(py, &request, Some(&error))?;
                    return Ok(End::Leave);
                }
            }
            if trace.was_left()? {
                return Ok(End::Leave);
            }
        }
        Ok(End::Empty)
    }

    /// Go on with the request that this run belongs to.
    fn drive(&self, py: Python<'_>, request: Request, job: Job) -> PyResult<Option<Py<PyAny>>> {
        let work = self.work.get();
        let outcome = work.advance(request.context.bind(py), job)?;
        let error = match outcome {
            Outcome::Waits(coroutine, yielded) => {
                *self.stage.lock() = Stage::Bound(request, coroutine);
                return Ok(Some(yielded));
            }
            Outcome::Returned => None,
            Outcome::Raised(error) => Some(error),
        };
        let number = request.exchange.get().address.number;
        let ended = self.end(py, &request, error.as_ref());
        work.running.bind(py).del_item(number)?;
        ended.map(|()| None)
    }

    /// A request's app has returned or raised.
    ///
    /// # Errors
    /// The exception, where it says that the task was cancelled.
    fn end(&self, py: Python<'_>, request: &Request, error: Option<&PyErr>) -> PyResult<()> {
        let work = self.work.get();
        let exchange = request.exchange.get();
        let is_child = work.is_child.load(Ordering::Relaxed);
        if error.is_none() && exchange.is_done(py) && !is_child {
            return Ok(());
        }
        let value = error.map(|error| error.clone_ref(py).into_value(py));
        let arguments = (
            exchange.python(py)?,
            exchange.address.number,
            &request.scope,
            value,
        );
        work.finish.bind(py).call1(arguments).map(|_| ())
    }

    /// Wait until there are requests.
    fn park(&self, py: Python<'_>, trace: &Trace<'_>) -> PyResult<Py<PyAny>> {
        let work = self.work.get();
        let parked = trace
            .event_loop
            .call_method0(intern!(py, "create_future"))?;
        let waiter = parked.call_method0(intern!(py, "__await__"))?;
        let yielded = waiter.call_method0(intern!(py, "__next__"))?;
        *work.parked.lock() = Some(parked.unbind());
        *self.stage.lock() = Stage::Between;
        Ok(yielded.unbind())
    }
}

/// Why a run stops looking for requests.
enum End {
    /// This one waits for something: the run is its own.
    Waits(Request, Py<PyAny>, Py<PyAny>),
    /// The task must not be used for another request.
    Leave,
    /// There are none.
    Empty,
}

/// What a task looked like before the app saw it.
struct Trace<'py> {
    task: Bound<'py, PyAny>,
    event_loop: Bound<'py, PyAny>,
    count_weak: &'py Bound<'py, PyAny>,
    references: isize,
    weak: usize,
    name: Bound<'py, PyAny>,
}

impl<'py> Trace<'py> {
    /// Of the task that calls.
    fn of_this_task(py: Python<'py>, work: &'py AsgiWork) -> PyResult<Self> {
        let asyncio = py.import(intern!(py, "asyncio"))?;
        let task = asyncio.call_method0(intern!(py, "current_task"))?;
        let event_loop = asyncio.call_method0(intern!(py, "get_running_loop"))?;
        let name = task.call_method0(intern!(py, "get_name"))?;
        let count_weak = work.count_weak.bind(py);
        let weak = count_weak.call1((&task,))?.extract()?;
        Ok(Self {
            references: references(&task),
            task,
            event_loop,
            count_weak,
            weak,
            name,
        })
    }

    /// Whether the app has left something on the task that the next request would find.
    fn was_left(&self) -> PyResult<bool> {
        let (task, py) = (&self.task, self.task.py());
        if references(task) != self.references
            || !task.call_method0(intern!(py, "get_name"))?.is(&self.name)
            || self.count_weak.call1((task,))?.extract::<usize>()? != self.weak
        {
            return Ok(true);
        }
        // A task of an app's own making may not tell.
        let tells = |name| task.getattr_opt(name);
        let callbacks = tells(intern!(py, "_callbacks"))?;
        let cancelled = tells(intern!(py, "_must_cancel"))?;
        let (Some(callbacks), Some(cancelled)) = (callbacks, cancelled) else {
            return Ok(true);
        };
        Ok(callbacks.is_truthy()? || cancelled.is_truthy()?)
    }
}

#[allow(unsafe_code, reason = "PyO3 has no safe form of this call")]
fn references(object: &Bound<'_, PyAny>) -> isize {
    // SAFETY: the object is alive.
    unsafe { pyo3::ffi::Py_REFCNT(object.as_ptr()) }
}
