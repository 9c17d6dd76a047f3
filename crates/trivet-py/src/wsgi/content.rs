//! `wsgi.input`: the request's content as a binary file object.
//!
//! Content in memory is a `BytesIO`, content in a spooled file an ordinary
//! buffered file: both have every method that PEP 3333 asks for, in C. Only
//! streamed content needs a raw stream of our own below `BufferedReader`.

use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict};
use trivet_wire::frames::{Content, Header, Kind, MAX_DATA_BYTES, RequestView};

use super::link::{Link, Stream};

/// The Python callables that make file objects.
pub(crate) struct InputMaker {
    bytes_io: Py<PyAny>,
    open: Py<PyAny>,
    buffered: Py<PyAny>,
    streamed: Py<PyAny>,
}

impl InputMaker {
    /// `streamed` makes the raw stream of Python's side from a [`StreamedContent`].
    pub(crate) fn new(py: Python<'_>, streamed: Py<PyAny>) -> PyResult<Self> {
        let io = py.import("io")?;
        Ok(Self {
            bytes_io: io.getattr("BytesIO")?.unbind(),
            open: io.getattr("open")?.unbind(),
            buffered: io.getattr("BufferedReader")?.unbind(),
            streamed,
        })
    }

    /// The input of `request`, whose spooled content is in `file`; taken only then.
    pub(crate) fn make<'py>(
        &self,
        py: Python<'py>,
        link: &Arc<Link>,
        header: Header,
        request: &RequestView<'_>,
        file: &mut Option<OwnedFd>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let file = if request.head.content == Content::File {
            file.take()
        } else {
            None
        };
        match (request.head.content, file) {
            (Content::None | Content::WebSocket | Content::Upgrade, _) => {
                self.bytes_io.bind(py).call0()
            }
            (Content::Inline, _) => self
                .bytes_io
                .bind(py)
                .call1((PyBytes::new(py, request.inline),)),
            (Content::File, Some(file)) => {
                let options = PyDict::new(py);
                options.set_item("buffering", 64 << 10)?;
                self.open
                    .bind(py)
                    .call((file.into_raw_fd(), "rb"), Some(&options))
            }
            (Content::File, None) => Err(PyValueError::new_err("the content's file is missing")),
            (Content::Stream, _) => {
                let content = StreamedContent {
                    link: Arc::clone(link),
                    header,
                    rest: Mutex::default(),
                };
                let raw = self.streamed.bind(py).call1((Bound::new(py, content)?,))?;
                self.buffered.bind(py).call1((raw, 64 << 10))
            }
        }
    }
}

#[derive(Debug, Default)]
struct Rest {
    piece: Vec<u8>,
    at: usize,
    /// Bytes asked for and not yet received.
    asked: u64,
    ended: bool,
}

/// Content that comes while the app reads it.
#[pyclass(frozen, module = "trivet._trivet")]
#[derive(Debug)]
pub(crate) struct StreamedContent {
    link: Arc<Link>,
    header: Header,
    rest: Mutex<Rest>,
}

#[pymethods]
impl StreamedContent {
    /// At most `size` bytes, as soon as there are some; `b""` at the end.
    ///
    /// Raises `OSError` where the client went away before the end.
    fn read<'py>(&self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut rest = self.rest.lock_py_attached(py);
        if rest.at == rest.piece.len() && !rest.ended {
            self.fetch(py, &mut rest)?;
        }
        let count = size.min(rest.piece.len() - rest.at);
        let piece = PyBytes::new(py, &rest.piece[rest.at..rest.at + count]);
        rest.at += count;
        Ok(piece)
    }
}

impl StreamedContent {
    fn fetch(&self, py: Python<'_>, rest: &mut Rest) -> PyResult<()> {
        let gone = || {
            PyOSError::new_err(
                "the client went away before it had sent all of the request's content",
            )
        };
        if rest.asked == 0 {
            let grant = u32::try_from(2 * MAX_DATA_BYTES).unwrap_or(u32::MAX);
            py.detach(|| {
                self.link
                    .send_frame(Kind::Read, &self.header, &grant.to_le_bytes())
            })
            .map_err(|_| gone())?;
            rest.asked = u64::from(grant);
        }
        let take = |stream: &mut Stream| {
            if let Some(piece) = stream.content.pop_front() {
                return Some(Some(piece));
            }
            if stream.cancelled && !stream.content_ended {
                return Some(None);
            }
            stream.content_ended.then(|| Some(Vec::new()))
        };
        let got = py
            .detach(|| self.link.wait_for(self.header.request, take))
            .map_err(|_| gone())?;
        let piece = got.ok_or_else(gone)?;
        rest.ended = piece.is_empty();
        rest.asked = rest.asked.saturating_sub(piece.len() as u64);
        rest.piece = piece;
        rest.at = 0;
        Ok(())
    }
}
