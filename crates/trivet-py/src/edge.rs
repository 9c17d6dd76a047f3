//! The edge for Python.

use std::os::fd::RawFd;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use trivet_wire::edge_config::EdgeConfig;

/// Be the edge, until it is told to stop; returns the exit code.
///
/// Takes over `control_fd` and releases the interpreter lock for good.
#[pyfunction]
pub(crate) fn run_edge(py: Python<'_>, control_fd: RawFd) -> PyResult<i32> {
    let control = crate::wsgi::owned(control_fd)?;
    Ok(py.detach(|| trivet_edge::run(control)))
}

/// Check an edge configuration document.
///
/// Raises `ValueError` with what is wrong.
#[pyfunction]
pub(crate) fn check_edge_config(document: &[u8]) -> PyResult<()> {
    EdgeConfig::from_json(document)
        .map(|_| ())
        .map_err(|error| PyValueError::new_err(error.to_string()))
}
