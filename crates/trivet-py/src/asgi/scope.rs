//! From a `Request` frame to an HTTP connection scope (ASGI "HTTP" spec 2.5).

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use trivet_core::field::list_elements;
use trivet_core::http1::KnownField;
use trivet_wire::frames::RequestView;

use crate::wsgi::seconds;

/// Makes scopes for one app.
pub(crate) struct ScopeMaker {
    template: Py<PyDict>,
    known: Vec<Option<Py<PyBytes>>>,
}

impl ScopeMaker {
    /// `template` has the entries that are the same for every request; a
    /// `state` among them is copied for each (ASGI "Lifespan State").
    pub(crate) fn new(template: Bound<'_, PyDict>) -> PyResult<Self> {
        let py = template.py();
        // Entries that every request has lie in the template already: a copy of it is made
        // in one piece, and grows no more for these.
        let always = [
            intern!(py, "http_version"),
            intern!(py, "path"),
            intern!(py, "raw_path"),
            intern!(py, "query_string"),
            intern!(py, "headers"),
            intern!(py, "client"),
            intern!(py, "server"),
            intern!(py, "scheme"),
        ];
        for key in always {
            template.set_item(key, py.None())?;
        }
        let mut known: Vec<Option<Py<PyBytes>>> = Vec::new();
        for field in KnownField::ALL {
            let at = usize::from(field as u8);
            if known.len() <= at {
                known.resize_with(at + 1, || None);
            }
            if at != 0 {
                known[at] = Some(PyBytes::new(py, field.name().as_bytes()).unbind());
            }
        }
        Ok(Self {
            template: template.unbind(),
            known,
        })
    }

    /// The scope of an HTTP `request`.
    pub(crate) fn make<'py>(
        &self,
        py: Python<'py>,
        request: &RequestView<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let scope = self.make_common(py, request)?;
        let head = &request.head;
        scope.set_item(intern!(py, "method"), method(py, head.method)?)?;
        scope.set_item(
            intern!(py, "scheme"),
            if head.secure {
                intern!(py, "https")
            } else {
                intern!(py, "http")
            },
        )?;
        Ok(scope)
    }

    /// The scope of a WebSocket whose handshake is `request` (ASGI "WebSocket" spec 2.5).
    pub(crate) fn make_websocket<'py>(
        &self,
        py: Python<'py>,
        request: &RequestView<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let scope = self.make_common(py, request)?;
        scope.set_item(
            intern!(py, "scheme"),
            if request.head.secure {
                intern!(py, "wss")
            } else {
                intern!(py, "ws")
            },
        )?;
        let subprotocols = PyList::empty(py);
        let offered = request
            .fields()
            .filter(|field| field.known == KnownField::SecWebSocketProtocol as u8)
            .flat_map(|field| list_elements(field.value))
            .filter(|name| !name.is_empty());
        for subprotocol in offered {
            subprotocols.append(crate::wsgi::latin1(py, subprotocol)?)?;
        }
        scope.set_item(intern!(py, "subprotocols"), subprotocols)?;
        Ok(scope)
    }

    /// What every scope of a request has.
    fn make_common<'py>(
        &self,
        py: Python<'py>,
        request: &RequestView<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let scope = self.template.bind(py).copy()?;
        let head = &request.head;
        if let Some(state) = scope.get_item(intern!(py, "state"))? {
            scope.set_item(
                intern!(py, "state"),
                state.call_method0(intern!(py, "copy"))?,
            )?;
        }
        if let Some(known) = scope.get_item(intern!(py, "extensions"))? {
            let extensions = known.cast::<PyDict>()?.copy()?;
            let ours = PyDict::new(py);
            ours.set_item(intern!(py, "request_id"), utf8(py, head.request_id))?;
            if head.deadline_us != 0 {
                ours.set_item(intern!(py, "deadline"), seconds(head.deadline_us))?;
            }
            extensions.set_item(intern!(py, "trivet"), ours)?;
            scope.set_item(intern!(py, "extensions"), extensions)?;
        }
        let version = match head.version {
            10 => intern!(py, "1.0"),
            20 => intern!(py, "2"),
            30 => intern!(py, "3"),
            _ => intern!(py, "1.1"),
        };
        scope.set_item(intern!(py, "http_version"), version)?;
        // The full path: `root_path` is a part of it (ASGI "HTTP", `path`).
        let path = if head.mount.is_empty() {
            utf8(py, head.path)
        } else {
            utf8(py, &[head.mount, head.path].concat())
        };
        scope.set_item(intern!(py, "path"), path)?;
        scope.set_item(
            intern!(py, "raw_path"),
            PyBytes::new(py, raw_path(head.target)),
        )?;
        scope.set_item(intern!(py, "query_string"), PyBytes::new(py, head.query))?;
        let headers = PyList::empty(py);
        for field in request.fields() {
            let name = match self.known.get(usize::from(field.known)) {
                Some(Some(name)) => name.bind(py).clone(),
                _ => PyBytes::new(py, field.name),
            };
            headers.append((name, PyBytes::new(py, field.value)))?;
        }
        scope.set_item(intern!(py, "headers"), headers)?;
        let client = (!head.client.is_empty()).then(|| (utf8(py, head.client), head.client_port));
        scope.set_item(intern!(py, "client"), client)?;
        scope.set_item(
            intern!(py, "server"),
            (utf8(py, head.server_name), head.server_port),
        )?;
        Ok(scope)
    }
}

fn method<'py>(py: Python<'py>, method: &[u8]) -> PyResult<Bound<'py, PyString>> {
    match method {
        b"GET" => Ok(intern!(py, "GET").clone()),
        // ASGI wants it in upper case.
        other => crate::wsgi::latin1(py, &other.to_ascii_uppercase()),
    }
}

fn utf8<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    PyString::new(py, &String::from_utf8_lossy(bytes))
}

/// The path of a request target as it was sent, without the query.
fn raw_path(target: &[u8]) -> &[u8] {
    let end = target
        .iter()
        .position(|&byte| byte == b'?')
        .unwrap_or(target.len());
    let path = target.split_at(end).0;
    if path.starts_with(b"/") || path == b"*" {
        return path;
    }
    // Absolute form: behind scheme and authority.
    let authority = path
        .windows(3)
        .position(|window| window == b"://")
        .map_or(0, |at| at + 3);
    let slash = path.iter().skip(authority).position(|&byte| byte == b'/');
    slash.map_or(b"/", |at| path.split_at(authority + at).1)
}

#[cfg(test)]
mod tests {
    use super::raw_path;

    #[test]
    fn a_raw_path_has_no_query_and_no_authority() {
        assert_eq!(raw_path(b"/a%2Fb?c=d"), b"/a%2Fb");
        assert_eq!(raw_path(b"http://host/a?b"), b"/a");
        assert_eq!(raw_path(b"http://host"), b"/");
        assert_eq!(raw_path(b"*"), b"*");
    }
}
