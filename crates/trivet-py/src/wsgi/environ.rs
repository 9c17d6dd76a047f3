//! From a `Request` frame to an `environ` (PEP 3333).
//!
//! Strategy: the entries that never change are copied with the template's
//! dict; names are interned once; only values are made per request.

use std::collections::HashMap;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use trivet_core::http1::KnownField;
use trivet_wire::frames::{Content, FieldView, RequestView};

/// Names outside the known ones that are kept interned: enough for every
/// proxy's and browser's own fields, bounded against clients that invent some.
const INTERNED_NAMES: usize = 256;

/// How a field with this name joins the environ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    /// `a, b` (RFC 9110 section 5.3).
    Comma,
    /// `a; b` (RFC 6265 section 5.4, RFC 9113 section 8.2.3).
    Semicolon,
}

/// Makes environs for one app.
pub(crate) struct EnvironMaker {
    template: Py<PyDict>,
    keys: Keys,
    known: Vec<Option<Py<PyString>>>,
    others: Mutex<HashMap<Vec<u8>, Py<PyString>>>,
}

struct Keys {
    method: Py<PyString>,
    path: Py<PyString>,
    query: Py<PyString>,
    protocol: Py<PyString>,
    scheme: Py<PyString>,
    client: Py<PyString>,
    client_port: Py<PyString>,
    server_name: Py<PyString>,
    server_port: Py<PyString>,
    target: Py<PyString>,
    raw_target: Py<PyString>,
    mount: Py<PyString>,
    input: Py<PyString>,
    request_id: Py<PyString>,
    deadline: Py<PyString>,
    content_length: Py<PyString>,
    http10: Py<PyString>,
    http11: Py<PyString>,
    http2: Py<PyString>,
    http3: Py<PyString>,
    plain: Py<PyString>,
    secure: Py<PyString>,
    get: Py<PyString>,
    empty: Py<PyString>,
}

fn intern(py: Python<'_>, text: &str) -> Py<PyString> {
    PyString::intern(py, text).unbind()
}

/// A `str` with one character per byte (PEP 3333: "bytes as unicode").
#[allow(unsafe_code, reason = "PyO3 has no safe form of this call")]
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let len = isize::try_from(bytes.len())?;
    // SAFETY: pointer and length are those of `bytes`; the call returns a new
    // reference to a str, or null with an exception set.
    unsafe {
        let made = pyo3::ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), len, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked())
    }
}

/// µs of the monotonic clock as `time.monotonic()` has them.
#[allow(
    clippy::cast_precision_loss,
    reason = "µs since boot fit 52 bits for 140 years"
)]
pub(crate) fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// The CGI name of a request field (RFC 3875 section 4.1.18).
fn cgi_name(name: &[u8]) -> String {
    match name {
        b"content-type" => "CONTENT_TYPE".into(),
        b"content-length" => "CONTENT_LENGTH".into(),
        _ => {
            let mut key = String::with_capacity(5 + name.len());
            key.push_str("HTTP_");
            key.extend(name.iter().map(|&byte| match byte {
                b'-' => '_',
                other => char::from(other.to_ascii_uppercase()),
            }));
            key
        }
    }
}

impl EnvironMaker {
    /// `template` has the entries that are the same for every request.
    pub(crate) fn new(template: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = template.py();
        let mut known: Vec<Option<Py<PyString>>> = Vec::new();
        for field in KnownField::ALL {
            let at = usize::from(field as u8);
            if known.len() <= at {
                known.resize_with(at + 1, || None);
            }
            if at != 0 {
                known[at] = Some(intern(py, &cgi_name(field.name().as_bytes())));
            }
        }
        let keys = Keys {
            method: intern(py, "REQUEST_METHOD"),
            path: intern(py, "PATH_INFO"),
            query: intern(py, "QUERY_STRING"),
            protocol: intern(py, "SERVER_PROTOCOL"),
            scheme: intern(py, "wsgi.url_scheme"),
            client: intern(py, "REMOTE_ADDR"),
            client_port: intern(py, "REMOTE_PORT"),
            server_name: intern(py, "SERVER_NAME"),
            server_port: intern(py, "SERVER_PORT"),
            target: intern(py, "REQUEST_URI"),
            raw_target: intern(py, "RAW_URI"),
            mount: intern(py, "SCRIPT_NAME"),
            input: intern(py, "wsgi.input"),
            request_id: intern(py, "trivet.request_id"),
            deadline: intern(py, "trivet.deadline"),
            content_length: intern(py, "CONTENT_LENGTH"),
            http10: intern(py, "HTTP/1.0"),
            http11: intern(py, "HTTP/1.1"),
            http2: intern(py, "HTTP/2"),
            http3: intern(py, "HTTP/3"),
            plain: intern(py, "http"),
            secure: intern(py, "https"),
            get: intern(py, "GET"),
            empty: intern(py, ""),
        };
        // Entries that every request has lie in the template already: a copy of it is made
        // in one piece, and grows no more for these.
        let always = [
            &keys.method,
            &keys.path,
            &keys.query,
            &keys.protocol,
            &keys.scheme,
            &keys.client,
            &keys.server_name,
            &keys.server_port,
            &keys.target,
            &keys.raw_target,
            &keys.request_id,
            &keys.input,
            &intern(py, "wsgi.early_hints"),
        ];
        for key in always {
            template.set_item(key, py.None())?;
        }
        Ok(Self {
            template: template.clone().unbind(),
            keys,
            known,
            others: Mutex::default(),
        })
    }

    /// The environ of `request`, whose content the app reads from `input`.
    pub(crate) fn make<'py>(
        &self,
        py: Python<'py>,
        request: &RequestView<'_>,
        input: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.template.bind(py).copy()?;
        let keys = &self.keys;
        let head = &request.head;
        let text = |bytes: &[u8]| latin1(py, bytes);
        let method = match head.method {
            b"GET" => keys.get.bind(py).clone(),
            other => text(other)?,
        };
        environ.set_item(&keys.method, method)?;
        environ.set_item(&keys.path, text(head.path)?)?;
        let query = if head.query.is_empty() {
            keys.empty.bind(py).clone()
        } else {
            text(head.query)?
        };
        environ.set_item(&keys.query, query)?;
        let protocol = match head.version {
            10 => &keys.http10,
            20 => &keys.http2,
            30 => &keys.http3,
            _ => &keys.http11,
        };
        environ.set_item(&keys.protocol, protocol)?;
        environ.set_item(
            &keys.scheme,
            if head.secure {
                &keys.secure
            } else {
                &keys.plain
            },
        )?;
        environ.set_item(&keys.client, text(head.client)?)?;
        if head.client_port != 0 {
            environ.set_item(&keys.client_port, decimal(py, head.client_port)?)?;
        }
        environ.set_item(&keys.server_name, text(head.server_name)?)?;
        environ.set_item(&keys.server_port, decimal(py, head.server_port)?)?;
        let target = text(head.target)?;
        environ.set_item(&keys.target, &target)?;
        environ.set_item(&keys.raw_target, target)?;
        if !head.mount.is_empty() {
            environ.set_item(&keys.mount, text(head.mount)?)?;
        }
        environ.set_item(&keys.request_id, text(head.request_id)?)?;
        if head.deadline_us != 0 {
            environ.set_item(&keys.deadline, seconds(head.deadline_us))?;
        }
        for field in request.fields() {
            self.put_field(&environ, &field)?;
        }
        if head.content == Content::Upgrade {
            // What the edge has judged, in the form that libraries look for: `Connection`
            // and whatever else `Upgrade` offered are no affair of the app.
            environ.set_item("HTTP_CONNECTION", "Upgrade")?;
            environ.set_item("HTTP_UPGRADE", "websocket")?;
        }
        let length = head.content_length;
        if !matches!(head.content, Content::None | Content::Upgrade)
            && length != trivet_wire::frames::UNKNOWN_LENGTH
        {
            // The content may have come in chunks: the edge has counted it.
            environ.set_item(&keys.content_length, length.to_string())?;
        }
        environ.set_item(&keys.input, input)?;
        Ok(environ)
    }

    fn put_field(&self, environ: &Bound<'_, PyDict>, field: &FieldView<'_>) -> PyResult<()> {
        let py = environ.py();
        let value = latin1(py, field.value)?;
        let Some(Some(key)) = self.known.get(usize::from(field.known)) else {
            return self.put_other(environ, field, value);
        };
        put_joined(environ, key.bind(py), value, join_of(field))
    }

    fn put_other(
        &self,
        environ: &Bound<'_, PyDict>,
        field: &FieldView<'_>,
        value: Bound<'_, PyString>,
    ) -> PyResult<()> {
        let py = environ.py();
        let mut others = self.others.lock();
        let key = if let Some(key) = others.get(field.name) {
            key.clone_ref(py)
        } else {
            let key = intern(py, &cgi_name(field.name));
            if others.len() < INTERNED_NAMES {
                others.insert(field.name.to_vec(), key.clone_ref(py));
            }
            key
        };
        drop(others);
        put_joined(environ, key.bind(py), value, Join::Comma)
    }
}

fn join_of(field: &FieldView<'_>) -> Join {
    if field.known == KnownField::Cookie as u8 {
        Join::Semicolon
    } else {
        Join::Comma
    }
}

fn put_joined(
    environ: &Bound<'_, PyDict>,
    key: &Bound<'_, PyString>,
    value: Bound<'_, PyString>,
    join: Join,
) -> PyResult<()> {
    let Some(first) = environ.get_item(key)? else {
        return environ.set_item(key, value);
    };
    let separator = if join == Join::Semicolon { "; " } else { ", " };
    environ.set_item(key, first.add(separator)?.add(value)?)
}

fn decimal(py: Python<'_>, number: u16) -> PyResult<Bound<'_, PyString>> {
    let mut digits = [0; 5];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10)?;
        rest /= 10;
        if rest == 0 {
            return latin1(py, &digits[at..]);
        }
    }
}
