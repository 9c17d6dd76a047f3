//! The parts of `http.response.start`, checked (ASGI, HTTP, "Response Start").

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyList, PyTuple};
use trivet_core::field::{is_token, is_value, trim_ows};
use trivet_wire::frames::UNKNOWN_LENGTH;

/// Size of a response head: as for WSGI, above what any client takes.
const HEAD_BYTES: usize = 256 << 10;
/// What a field costs on the wire beside its text (`name: value\r\n`).
const FIELD_BYTES: usize = 4;

/// The message that heads are checked for most.
const RESPONSE: &str = "http.response.start";

/// A response head. Names and values lie in `text`, one behind the other.
#[pyclass(frozen, module = "trivet._trivet")]
#[derive(Debug)]
pub(crate) struct AsgiHead {
    pub(super) status: u16,
    pub(super) declared_length: u64,
    text: Vec<u8>,
    spans: Vec<(usize, usize)>,
}

#[pymethods]
impl AsgiHead {
    /// Check status and headers: an iterable of `(name, value)` byte strings.
    ///
    /// Raises `TypeError` or `ValueError` that names the rule broken.
    #[new]
    fn new(status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::of_fields(RESPONSE, checked_status(status)?, headers)
    }

    /// The app's `content-length`, or -1 where it set none.
    fn length(&self) -> i64 {
        i64::try_from(self.declared_length).unwrap_or(-1)
    }
}

impl AsgiHead {
    /// The head of a response where all is as usual: a list or tuple of headers, and
    /// no rule broken.
    pub(super) fn simple(status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> Option<Self> {
        // What can be read once only must not be read here and in vain.
        let can_be_read_again =
            headers.is_exact_instance_of::<PyList>() || headers.is_exact_instance_of::<PyTuple>();
        if !can_be_read_again {
            return None;
        }
        Self::of_fields(RESPONSE, checked_status(status).ok()?, headers).ok()
    }

    /// Check the headers of `message`: an iterable of `(name, value)` byte strings.
    ///
    /// # Errors
    /// `TypeError` or `ValueError` that names the rule broken.
    pub(super) fn of_fields(
        message: &str,
        status: u16,
        headers: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let mut head = Self {
            status,
            declared_length: UNKNOWN_LENGTH,
            text: Vec::with_capacity(128),
            spans: Vec::with_capacity(8),
        };
        let fields = headers.try_iter().map_err(|_| {
            PyTypeError::new_err(format!(
                "{message}: `headers` must be an iterable, not {} (ASGI, HTTP)",
                kind(headers)
            ))
        })?;
        for field in fields {
            head.take(message, &field?)?;
            if head.text.len() + FIELD_BYTES * head.spans.len() > HEAD_BYTES {
                return Err(PyValueError::new_err(format!(
                    "{message}: headers are larger than {HEAD_BYTES} bytes together"
                )));
            }
        }
        Ok(head)
    }

    /// Check the headers and the subprotocol of `websocket.accept`.
    ///
    /// # Errors
    /// As [`AsgiHead::of_fields`]; also for fields of the handshake, which are the edge's.
    pub(super) fn of_accept(
        headers: &Bound<'_, PyAny>,
        subprotocol: Option<&str>,
    ) -> PyResult<Self> {
        let mut head = Self::of_fields("websocket.accept", 101, headers)?;
        let ours = head
            .fields()
            .map(|(name, _)| name.to_ascii_lowercase())
            .find(|name| name.starts_with(b"sec-websocket-"));
        if let Some(name) = ours {
            return Err(PyValueError::new_err(format!(
                "websocket.accept: header {} is the server's; `subprotocol` names a subprotocol (ASGI, WebSocket)",
                String::from_utf8_lossy(&name)
            )));
        }
        if let Some(subprotocol) = subprotocol {
            head.push(b"Sec-WebSocket-Protocol", subprotocol.as_bytes());
        }
        Ok(head)
    }

    fn take(&mut self, message: &str, header: &Bound<'_, PyAny>) -> PyResult<()> {
        let wrong = || {
            PyTypeError::new_err(format!(
                "{message}: each header must be a pair of byte strings, not {} (ASGI, HTTP)",
                shown(header)
            ))
        };
        let pair = match header.cast_exact::<PyTuple>() {
            Ok(pair) if pair.len() == 2 => (pair.get_item(0), pair.get_item(1)),
            _ if header.len().map_err(|_| wrong())? == 2 => {
                (header.get_item(0), header.get_item(1))
            }
            _ => return Err(wrong()),
        };
        let (name, value) = (pair.0.map_err(|_| wrong())?, pair.1.map_err(|_| wrong())?);
        let name = name.cast::<PyBytes>().map_err(|_| wrong())?.as_bytes();
        let value = value.cast::<PyBytes>().map_err(|_| wrong())?.as_bytes();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !is_token(name) || name.len() > 255 {
            return Err(PyValueError::new_err(format!(
                "{message}: {:?} is not a header name (RFC 9110 section 5.1)",
                text(name)
            )));
        }
        let value = trim_ows(value);
        if !is_value(value) {
            return Err(PyValueError::new_err(format!(
                "{message}: header {} has a control character in its value {:?} (RFC 9110 section 5.5)",
                text(name),
                text(value)
            )));
        }
        if value.len() > 65535 {
            return Err(PyValueError::new_err(format!(
                "{message}: header {} is longer than 65535 bytes",
                text(name)
            )));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            self.take_length(value)?;
        }
        self.push(name, value);
        Ok(())
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.spans.push((name.len(), value.len()));
    }

    fn take_length(&mut self, value: &[u8]) -> PyResult<()> {
        let digits = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        // More than the largest file that there can be is no number of bytes either.
        let length = digits
            .and_then(|digits| digits.parse().ok())
            .filter(|&length| i64::try_from(length).is_ok());
        let length: u64 = length.ok_or_else(|| {
            PyValueError::new_err(format!(
                "http.response.start: content-length {:?} is not a number of bytes (RFC 9110 section 8.6)",
                String::from_utf8_lossy(value)
            ))
        })?;
        if self.declared_length != UNKNOWN_LENGTH && self.declared_length != length {
            return Err(PyValueError::new_err(
                "http.response.start: two different content-length headers (RFC 9110 section 8.6)",
            ));
        }
        self.declared_length = length;
        Ok(())
    }

    /// Name and value of each header.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.text.as_slice();
        self.spans.iter().map(move |&(name, value)| {
            let (name, behind) = rest.split_at(name);
            let (value, behind) = behind.split_at(value);
            rest = behind;
            (name, value)
        })
    }
}

/// An integer from 200 to 599; `http.HTTPStatus` is one, `True` is not.
fn checked_status(status: &Bound<'_, PyAny>) -> PyResult<u16> {
    if !status.is_instance_of::<PyInt>() || status.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err(format!(
            "http.response.start: `status` must be an int, not {} (ASGI, HTTP)",
            kind(status)
        )));
    }
    status
        .extract()
        .ok()
        .filter(|status| (200..=599).contains(status))
        .ok_or_else(|| {
            PyValueError::new_err(format!(
                "http.response.start: status {} is not from 200 to 599 (RFC 9110 section 15)",
                shown(status)
            ))
        })
}

fn kind(value: &Bound<'_, PyAny>) -> String {
    value
        .get_type()
        .name()
        .map_or_else(|_| "?".into(), |name| name.to_string())
}

fn shown(value: &Bound<'_, PyAny>) -> String {
    value.repr().map_or_else(
        |_| kind(value),
        |text| text.to_string().chars().take(80).collect(),
    )
}
