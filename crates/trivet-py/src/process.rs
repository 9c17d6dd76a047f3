//! What a worker asks of the kernel for its own process.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rustix::process::{Signal, set_parent_process_death_signal};

/// Let the kernel kill this process when its parent is gone (prctl(2)).
///
/// A worker whose interpreter lock is held for ever, or that imports for ever,
/// could not see for itself that nobody is left to tell it anything. A new
/// user clears this, and so does a fork, for the child.
#[pyfunction]
pub(crate) fn die_with_parent() -> PyResult<()> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| PyOSError::new_err(error.raw_os_error()))
}
