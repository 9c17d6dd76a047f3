//! Questions about files of addresses for Python, answered by the code that the edge runs.

use std::path::Path;

use pyo3::prelude::*;
use trivet_edge::lists::read_file;

/// What is wrong with a file of addresses, and in which line; 0 for none of them.
#[pyfunction]
pub(crate) fn check_address_file(py: Python<'_>, path: &str) -> Option<(usize, String)> {
    let error = py.detach(|| read_file(Path::new(path))).err()?;
    Some((error.line().unwrap_or(0), error.problem()))
}
