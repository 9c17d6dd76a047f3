//! Claim pages for Python.

use std::os::fd::{BorrowedFd, RawFd};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use trivet_edge::claim_map::ClaimMap;

/// Write a claim page's header into the zeroed memory behind `fd`.
#[pyfunction]
#[allow(unsafe_code, reason = "Python hands over plain descriptor numbers")]
pub(crate) fn init_claim_page(fd: RawFd) -> PyResult<()> {
    if fd < 0 {
        return Err(PyValueError::new_err("not a descriptor"));
    }
    // SAFETY: the caller keeps the descriptor open during this call.
    let memory = unsafe { BorrowedFd::borrow_raw(fd) };
    ClaimMap::init(memory)
        .map(|_| ())
        .map_err(|error| PyValueError::new_err(error.to_string()))
}
