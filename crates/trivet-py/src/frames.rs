//! Frames as JSON, for vectors and for reading by people.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use trivet_wire::frames::Frame;

/// The first frame of `data` as JSON, and how many bytes it took.
///
/// `None` while the frame is not complete. Raises `ValueError` for bytes that
/// are not a frame.
#[pyfunction]
pub(crate) fn decode_frame(data: &[u8]) -> PyResult<Option<(String, usize)>> {
    let decoded = Frame::decode(data).map_err(|error| PyValueError::new_err(error.to_string()))?;
    decoded
        .map(|(frame, taken)| Ok((json(&frame)?, taken)))
        .transpose()
}

fn json(frame: &Frame) -> PyResult<String> {
    serde_json::to_string(frame).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The bytes of a frame given as JSON.
///
/// Raises `ValueError` for anything but a frame.
#[pyfunction]
pub(crate) fn encode_frame<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyBytes>> {
    let frame: Frame =
        serde_json::from_str(json).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &frame.encode()))
}
