//! The parts of `http.response.start`, checked.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use trivet_core::field::{is_token, is_value, trim_ows};
use trivet_wire::frames::UNKNOWN_LENGTH;

/// A response head. Names and values lie in `text`, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) declared_length: u64,
    text: Vec<u8>,
    spans: Vec<(usize, usize)>,
}

impl Head {
    /// Check status and headers: an iterable of `(name, value)` byte strings.
    ///
    /// # Errors
    /// `TypeError` or `ValueError` that names the rule broken.
    pub(crate) fn parse(status: u16, headers: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !(200..=599).contains(&status) {
            return Err(PyValueError::new_err(format!(
                "http.response.start: status {status} is not from 200 to 599"
            )));
        }
        let mut head = Self {
            declared_length: UNKNOWN_LENGTH,
            ..Self::default()
        };
        for header in headers.try_iter()? {
            head.take(&header?)?;
        }
        Ok(head)
    }

    fn take(&mut self, header: &Bound<'_, PyAny>) -> PyResult<()> {
        let wrong = || {
            PyTypeError::new_err("http.response.start: each header must be a pair of byte strings")
        };
        let (name, value) = (header.get_item(0)?, header.get_item(1)?);
        let name = name.cast::<PyBytes>().map_err(|_| wrong())?.as_bytes();
        let value = trim_ows(value.cast::<PyBytes>().map_err(|_| wrong())?.as_bytes());
        let shown = || String::from_utf8_lossy(name).into_owned();
        if !is_token(name) || name.len() > 255 {
            return Err(PyValueError::new_err(format!(
                "http.response.start: {:?} is not a header name (RFC 9110 section 5.1)",
                shown()
            )));
        }
        if !is_value(value) || value.len() > 65535 {
            return Err(PyValueError::new_err(format!(
                "http.response.start: header {} has a value with a control character, or one longer than 65535 bytes",
                shown()
            )));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = std::str::from_utf8(value)
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            self.declared_length =
                digits
                    .and_then(|digits| digits.parse().ok())
                    .ok_or_else(|| {
                        PyValueError::new_err(
                            "http.response.start: content-length is not a number of bytes",
                        )
                    })?;
        }
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.spans.push((name.len(), value.len()));
        Ok(())
    }

    /// Name and value of each header.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.text.as_slice();
        self.spans.iter().map(move |&(name, value)| {
            let (name, behind) = rest.split_at(name);
            let (value, behind) = behind.split_at(value);
            rest = behind;
            (name, value)
        })
    }
}
