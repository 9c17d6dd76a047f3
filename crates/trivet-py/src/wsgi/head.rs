//! What an app said by `start_response`, checked as PEP 3333 demands.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use trivet_wire::frames::UNKNOWN_LENGTH;

/// Size of a response head: above what any client takes (curl: 300 KB, Node:
/// 16 KiB), and below what one frame carries.
const HEAD_BYTES: usize = 256 << 10;
/// What a field costs on the wire beside its text (`name: value\r\n`).
const FIELD_BYTES: usize = 4;

/// A response head. Strings lie in `text`, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) declared_length: u64,
    text: Vec<u8>,
    reason_end: usize,
    spans: Vec<(u32, u32)>,
}

impl Head {
    /// Check and take over the arguments of `start_response`.
    ///
    /// # Errors
    /// `TypeError` or `ValueError` that names the rule broken.
    pub(crate) fn parse(status: &Bound<'_, PyAny>, fields: &Bound<'_, PyAny>) -> PyResult<Self> {
        let status = status.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err(format!(
                "start_response: status must be str, not {}",
                kind(status)
            ))
        })?;
        let mut head = Self {
            declared_length: UNKNOWN_LENGTH,
            ..Self::default()
        };
        head.text.reserve(512);
        head.take_status(status.to_str()?)?;
        head.take_fields(fields)?;
        Ok(head)
    }

    /// Check the headers of early hints (RFC 8297), which are those of no response.
    ///
    /// # Errors
    /// As [`Head::parse`].
    pub(crate) fn of_hints(fields: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut head = Self {
            status: 103,
            declared_length: UNKNOWN_LENGTH,
            ..Self::default()
        };
        head.take_fields(fields)?;
        Ok(head)
    }

    fn take_fields(&mut self, fields: &Bound<'_, PyAny>) -> PyResult<()> {
        let fields = fields.cast::<PyList>().map_err(|_| {
            PyTypeError::new_err(format!(
                "start_response: headers must be a list, not {}",
                kind(fields)
            ))
        })?;
        self.spans.reserve(fields.len());
        for field in fields.iter() {
            self.take_field(&field)?;
            if self.text.len() + FIELD_BYTES * self.spans.len() > HEAD_BYTES {
                return Err(PyValueError::new_err(format!(
                    "start_response: headers are larger than {HEAD_BYTES} bytes together"
                )));
            }
        }
        Ok(())
    }

    fn take_status(&mut self, status: &str) -> PyResult<()> {
        let wrong = || {
            PyValueError::new_err(format!(
                "start_response: status must look like \"200 OK\", not {status:?}"
            ))
        };
        let (code, reason) = status.split_once(' ').unwrap_or((status, ""));
        if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        self.status = code.parse().map_err(|_| wrong())?;
        if self.status > 599 {
            return Err(PyValueError::new_err(format!(
                "start_response: status {code} is not from 200 to 599 (RFC 9110 section 15)"
            )));
        }
        if self.status < 200 {
            return Err(PyValueError::new_err(format!(
                "start_response: status {code} is not a final response (RFC 9110 section 15.2)"
            )));
        }
        let reason = reason.trim_matches(' ');
        put_latin1(&mut self.text, reason).map_err(|_| wrong())?;
        self.reason_end = self.text.len();
        if self.reason_end > 255 || self.text.iter().any(|&byte| is_control(byte)) {
            return Err(wrong());
        }
        Ok(())
    }

    fn take_field(&mut self, field: &Bound<'_, PyAny>) -> PyResult<()> {
        let wrong = || {
            PyTypeError::new_err(format!(
                "start_response: each header must be a tuple of two str, not {}",
                shown(field)
            ))
        };
        let pair = field.cast::<PyTuple>().map_err(|_| wrong())?;
        if pair.len() != 2 {
            return Err(wrong());
        }
        let (name, value) = (pair.get_item(0)?, pair.get_item(1)?);
        let name = name.cast::<PyString>().map_err(|_| wrong())?.to_str()?;
        let value = value.cast::<PyString>().map_err(|_| wrong())?.to_str()?;
        let start = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        if name.is_empty() || name.len() > 255 || !name.bytes().all(is_token) {
            return Err(PyValueError::new_err(format!(
                "start_response: {name:?} is not a header name (RFC 9110 section 5.1)"
            )));
        }
        let middle = self.text.len();
        let value = value.trim_matches([' ', '\t']);
        put_latin1(&mut self.text, value).map_err(|c| {
            PyValueError::new_err(format!("start_response: header {name} has the character {c:?}, which is not in latin-1 (PEP 3333)"))
        })?;
        if self.text[middle..].iter().any(|&byte| is_control(byte)) {
            return Err(PyValueError::new_err(format!(
                "start_response: header {name} has a control character in its value {value:?} (RFC 9110 section 5.5)"
            )));
        }
        if self.text.len() - middle > 65535 {
            return Err(PyValueError::new_err(format!(
                "start_response: header {name} is longer than 65535 bytes"
            )));
        }
        if name.eq_ignore_ascii_case("content-length") {
            self.take_length(value)?;
        }
        self.spans.push((
            u32::try_from(middle - start)?,
            u32::try_from(self.text.len() - middle)?,
        ));
        Ok(())
    }

    fn take_length(&mut self, value: &str) -> PyResult<()> {
        let wrong = || {
            PyValueError::new_err(format!(
                "start_response: Content-Length {value:?} is not a number of bytes"
            ))
        };
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let length: u64 = value.parse().map_err(|_| wrong())?;
        if self.declared_length != UNKNOWN_LENGTH && self.declared_length != length {
            return Err(PyValueError::new_err(
                "start_response: two different Content-Length headers",
            ));
        }
        self.declared_length = length;
        Ok(())
    }

    pub(crate) fn reason(&self) -> &[u8] {
        &self.text[..self.reason_end]
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut at = self.reason_end;
        self.spans.iter().map(move |&(name, value)| {
            let middle = at + name as usize;
            let end = middle + value as usize;
            let field = (&self.text[at..middle], &self.text[middle..end]);
            at = end;
            field
        })
    }
}

/// Append text of latin-1 characters as bytes; the first other one is the error.
fn put_latin1(out: &mut Vec<u8>, text: &str) -> Result<(), char> {
    if text.is_ascii() {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    for c in text.chars() {
        out.push(u8::try_from(u32::from(c)).map_err(|_| c)?);
    }
    Ok(())
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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
