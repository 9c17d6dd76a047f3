//! WebSocket messages between frames and Python values.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use trivet_core::websocket::{MAX_REASON_BYTES, can_be_sent};
use trivet_wire::frames::{
    Flags, FrameError, Header, Kind, NO_SLOT, message_cost, put_frame, read_close,
};

use super::{State, broken, event};

/// The event for a message whose last piece is here.
///
/// Pieces before the last are gathered, and their credit is given back at once: the
/// app cannot take half a message, and the edge limits how large it gets.
pub(super) fn message<'py>(
    py: Python<'py>,
    state: &mut State,
    header: &Header,
    payload: &[u8],
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let number = header.request;
    let cost = message_cost(payload.len());
    if !header.flags.has(Flags::END) {
        let gathered = state.unfinished.entry(number).or_default();
        gathered.extend_from_slice(payload);
        let flags = Flags::default();
        put_frame(
            state.out(),
            Kind::Read,
            flags,
            NO_SLOT,
            number,
            &cost.to_le_bytes(),
        );
        return Ok(Some((event::PIECE, number).into_pyobject(py)?));
    }
    let whole = if state.unfinished.is_empty() {
        None
    } else {
        state.unfinished.remove(&number)
    };
    let whole = whole.map(|mut whole| {
        whole.extend_from_slice(payload);
        whole
    });
    let data = whole.as_deref().unwrap_or(payload);
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "websocket.receive"))?;
    if header.flags.has(Flags::TEXT) {
        let text = std::str::from_utf8(data).map_err(|_| broken(FrameError::Value("text")))?;
        message.set_item(intern!(py, "text"), PyString::new(py, text))?;
    } else {
        message.set_item(intern!(py, "bytes"), PyBytes::new(py, data))?;
    }
    Ok(Some(
        (event::MESSAGE, number, message, cost).into_pyobject(py)?,
    ))
}

/// The event for the end of a WebSocket.
pub(super) fn close<'py>(
    py: Python<'py>,
    state: &mut State,
    header: &Header,
    payload: &[u8],
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let (code, reason) = read_close(payload).map_err(broken)?;
    state.unfinished.remove(&header.request);
    let reason = String::from_utf8_lossy(reason);
    Ok(Some(
        (event::CLOSE, header.request, code, reason).into_pyobject(py)?,
    ))
}

/// Append a message, or a piece of one; returns what it costs.
pub(super) fn put_message(
    out: &mut Vec<u8>,
    number: u64,
    data: &Bound<'_, PyAny>,
    ended: bool,
) -> PyResult<u32> {
    if let Ok(text) = data.cast::<PyString>() {
        let text = text.to_cow()?;
        return Ok(put_piece(out, number, text.as_bytes(), (true, ended)));
    }
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(put_piece(out, number, bytes.as_bytes(), (false, ended)));
    }
    let bytes: Vec<u8> = data.extract().map_err(|_| {
        PyTypeError::new_err(
            "websocket.send: `text` must be a str, and `bytes` a bytes-like object",
        )
    })?;
    Ok(put_piece(out, number, &bytes, (false, ended)))
}

/// Append a piece of a message; returns what it costs.
pub(super) fn put_piece(
    out: &mut Vec<u8>,
    number: u64,
    data: &[u8],
    (is_text, ended): (bool, bool),
) -> u32 {
    let mut flags = super::end_flag(ended);
    if is_text {
        flags = flags.with(Flags::TEXT);
    }
    put_frame(out, Kind::Message, flags, NO_SLOT, number, data);
    message_cost(data.len())
}

/// Append the end of a WebSocket.
pub(super) fn put_close(out: &mut Vec<u8>, number: u64, code: u16, reason: &str) -> PyResult<()> {
    if !can_be_sent(code) {
        return Err(PyValueError::new_err(format!(
            "websocket.close: code {code} cannot be sent (RFC 6455 section 7.4)"
        )));
    }
    if reason.len() > MAX_REASON_BYTES {
        return Err(PyValueError::new_err(format!(
            "websocket.close: the reason has {} bytes in UTF-8, and at most {MAX_REASON_BYTES} can be sent (RFC 6455 section 5.5)",
            reason.len()
        )));
    }
    trivet_wire::frames::put_close(out, (NO_SLOT, number), code, reason.as_bytes());
    Ok(())
}
