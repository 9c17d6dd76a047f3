//! Exceptions into threads whose requests are overdue.
//!
//! Strategy: each thread says which request it runs before it calls the app,
//! and takes that back when the app has returned. All of it happens with the
//! interpreter lock held, so whoever looks for a request's thread and raises an
//! exception there does both at one moment. An exception that the thread has
//! not met by then is taken back before it can hit the next request.

use std::ffi::c_long;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};
use trivet_wire::claim::THREADS;

/// What each thread runs. Guarded by the interpreter lock.
#[derive(Debug)]
pub(super) struct Interrupts {
    threads: [Thread; THREADS],
}

#[derive(Debug, Default)]
struct Thread {
    /// As of `threading.get_ident()`.
    ident: AtomicU64,
    /// The number of its request, plus one; 0 for none.
    request: AtomicU64,
    /// An exception was sent to it for the sake of this request.
    is_interrupted: AtomicBool,
}

impl Default for Interrupts {
    fn default() -> Self {
        Self {
            threads: std::array::from_fn(|_| Thread::default()),
        }
    }
}

impl Interrupts {
    /// The calling thread is number `index` from now on.
    pub(super) fn enter(&self, py: Python<'_>, index: usize) -> PyResult<()> {
        let ident: u64 = py
            .import("threading")?
            .call_method0("get_ident")?
            .extract()?;
        if let Some(thread) = self.threads.get(index) {
            thread.ident.store(ident, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Thread number `index` runs `request`.
    #[inline]
    pub(super) fn begin(&self, index: usize, request: u64) {
        if let Some(thread) = self.threads.get(index) {
            thread.request.store(request + 1, Ordering::Relaxed);
        }
    }

    /// The app has returned in thread number `index`, the calling one.
    #[inline]
    pub(super) fn end(&self, py: Python<'_>, index: usize) {
        let Some(thread) = self.threads.get(index) else {
            return;
        };
        thread.request.store(0, Ordering::Relaxed);
        if thread.is_interrupted.load(Ordering::Relaxed) {
            thread.is_interrupted.store(false, Ordering::Relaxed);
            raise(py, thread.ident.load(Ordering::Relaxed), None);
        }
    }

    pub(super) fn thread_of(&self, request: u64) -> Option<u64> {
        self.find(request)
            .map(|thread| thread.ident.load(Ordering::Relaxed))
    }

    pub(super) fn interrupt(
        &self,
        py: Python<'_>,
        request: u64,
        exception: &Bound<'_, PyType>,
    ) -> bool {
        let Some(thread) = self.find(request) else {
            return false;
        };
        if thread.is_interrupted.swap(true, Ordering::Relaxed) {
            return false;
        }
        raise(py, thread.ident.load(Ordering::Relaxed), Some(exception))
    }

    fn find(&self, request: u64) -> Option<&Thread> {
        self.threads
            .iter()
            .find(|thread| thread.request.load(Ordering::Relaxed) == request + 1)
    }
}

/// Raise `exception` in a thread, unless the list `unless` has items.
///
/// Returns whether that was done. Both are one moment under the interpreter
/// lock: what the thread itself would put into the list cannot come between.
#[pyfunction]
pub(crate) fn interrupt_thread(
    py: Python<'_>,
    thread: u64,
    exception: &Bound<'_, PyType>,
    unless: &Bound<'_, PyList>,
) -> bool {
    unless.is_empty() && raise(py, thread, Some(exception))
}

/// Raise an exception in a thread at its next bytecode, or take back one that it has not met.
#[allow(unsafe_code, reason = "PyO3 has no safe form of this call")]
#[allow(
    clippy::cast_possible_wrap,
    reason = "PyO3 declares C's `unsigned long` as signed"
)]
fn raise(_: Python<'_>, thread: u64, exception: Option<&Bound<'_, PyType>>) -> bool {
    let exception = exception.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: the interpreter lock is held; the call takes a reference of its own to the
    // class, null is its way to say "none", and an unknown thread is a result of 0.
    unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(thread as c_long, exception) == 1 }
}
