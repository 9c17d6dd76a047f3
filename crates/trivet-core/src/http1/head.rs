//! The head of a request: request line and field section (RFC 9112 sections 2 to 5).
//!
//! Strategy: a scanner of our own walks the bytes once, however they arrive. It
//! splits the request line, insists on CRLF, and refuses early what can never
//! become a request. Only when the empty line has come does httparse read the
//! head as a whole and judge each name and value; it must agree with the scanner.

mod scan;

use std::mem::MaybeUninit;

use super::KnownField;
use crate::{Problem, field::trim_ows};
use scan::Scan;

/// A range of the buffer given to [`Head::parse`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Where it starts.
    pub start: u32,
    /// Where it ends, exclusive.
    pub end: u32,
}

impl Span {
    /// From offsets. What lies beyond 4 GiB becomes an empty span.
    pub fn new(start: usize, end: usize) -> Self {
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::default(),
        }
    }

    /// Its bytes in `buf`; empty if `buf` does not hold them.
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// Whether it holds no byte.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// How many bytes it holds.
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Where `part`, a slice of `buf`, stands in it.
    pub(crate) fn within(buf: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(buf.as_ptr().addr());
        match start.checked_add(part.len()) {
            Some(end) if end <= buf.len() => Self::new(start, end),
            _ => Self::default(),
        }
    }
}

/// What a request head may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Longest head in bytes, from the request line to the empty line.
    pub head_bytes: usize,
    /// Most field lines; never more than [`HeadLimits::MOST_FIELDS`].
    pub fields: usize,
    /// Longest request target in bytes; never more than [`HeadLimits::MOST_PART_BYTES`].
    pub target_bytes: usize,
}

impl HeadLimits {
    /// The parser's own bound on field lines: it keeps them on the stack.
    pub const MOST_FIELDS: usize = 256;
    /// Longest field name, whatever the operator allows: what crosses to a worker
    /// has a length of one byte, and a cut name would be another field's.
    pub const MOST_NAME_BYTES: usize = 255;
    /// Longest target and longest field value, whatever the operator allows: these
    /// cross with a length of two bytes, and a cut path would be another path.
    pub const MOST_PART_BYTES: usize = 65_535;
}

impl Default for HeadLimits {
    /// For tests and tools. The edge gets its limits from the config.
    fn default() -> Self {
        Self {
            head_bytes: 32 * 1024,
            fields: 100,
            target_bytes: 8 * 1024,
        }
    }
}

/// The HTTP versions this codec speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

impl Version {
    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// Whether a head has come in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse {
    /// The head ends at [`Head::len`]; all its parts are set.
    Complete,
    /// More bytes are needed; no part is set.
    Partial,
}

/// One field line.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Which field it is.
    pub known: KnownField,
    /// The name as sent.
    pub name: Span,
    /// The value without surrounding whitespace.
    pub value: Span,
}

/// A request head. Made once per connection and filled again for each request.
#[derive(Debug, Default)]
pub struct Head {
    /// The method, a token of at most 32 bytes.
    pub method: Span,
    /// The request target as sent.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// The field lines in order.
    pub fields: Vec<Field>,
    /// Bytes of the head, with an empty line before it and the one that ends it.
    pub len: usize,
    scan: Scan,
}

impl Head {
    /// Read a head from the start of `buf`.
    ///
    /// While it answers [`Parse::Partial`], call it again with the same bytes and
    /// more behind them; what was looked at is not looked at again. Afterwards, or
    /// after an error, the next call starts a new head.
    ///
    /// On completion every field name is a token and no value holds a control
    /// other than the tab.
    ///
    /// # Errors
    ///
    /// With the answer due, as soon as the bytes can no longer become a request
    /// within the limits. The connection must be closed.
    pub fn parse(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Parse, Problem> {
        let result = self.parse_or_stop(buf, limits);
        if result != Ok(Parse::Partial) {
            self.scan = Scan::default();
        }
        result
    }

    /// Forget a half-read head, as when its connection is given a new buffer.
    pub fn reset(&mut self) {
        *self = Self {
            fields: std::mem::take(&mut self.fields),
            ..Self::default()
        };
        self.fields.clear();
    }

    /// The values of all field lines of one name, in order.
    pub fn values<'a>(
        &'a self,
        buf: &'a [u8],
        known: KnownField,
    ) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |field| field.known == known)
            .map(|field| field.value.of(buf))
    }

    fn parse_or_stop(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Parse, Problem> {
        if !self.scan.advance(buf, limits)? {
            return Ok(Parse::Partial);
        }
        let head = buf
            .get(self.scan.request_line..self.scan.position)
            .unwrap_or_default();
        self.read_fields(head, buf, limits)?;
        self.method = self.scan.method;
        self.target = self.scan.target;
        self.version = self.scan.version;
        self.len = self.scan.position;
        Ok(Parse::Complete)
    }

    fn read_fields(&mut self, head: &[u8], buf: &[u8], limits: &HeadLimits) -> Result<(), Problem> {
        let mut lines = [const { MaybeUninit::uninit() }; HeadLimits::MOST_FIELDS];
        let most = limits.fields.min(HeadLimits::MOST_FIELDS);
        let mut request = httparse::Request::new(&mut []);
        let parsed =
            request.parse_with_uninit_headers(head, lines.get_mut(..most).unwrap_or_default());
        match parsed {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(Problem::BadRequest("The request head is malformed.")),
            Err(error) => return Err(refusal(error)),
        }
        self.fields.clear();
        for line in request.headers.iter() {
            let (name, value) = (line.name.as_bytes(), trim_ows(line.value));
            if name.len() > HeadLimits::MOST_NAME_BYTES {
                return Err(scan::NAME_TOO_LONG);
            }
            if value.len() > HeadLimits::MOST_PART_BYTES {
                return Err(scan::VALUE_TOO_LONG);
            }
            self.fields.push(Field {
                known: KnownField::of(name),
                name: Span::within(buf, name),
                value: Span::within(buf, value),
            });
        }
        Ok(())
    }
}

const fn refusal(error: httparse::Error) -> Problem {
    match error {
        httparse::Error::HeaderName => {
            Problem::BadRequest("A field name in the request is malformed.")
        }
        httparse::Error::HeaderValue => {
            Problem::BadRequest("A field value in the request holds a control character.")
        }
        httparse::Error::NewLine => {
            Problem::BadRequest("A line of the request does not end in CRLF.")
        }
        httparse::Error::TooManyHeaders => scan::TOO_MANY_FIELDS,
        httparse::Error::Status | httparse::Error::Token | httparse::Error::Version => {
            Problem::BadRequest("The request line is malformed.")
        }
    }
}

#[cfg(test)]
mod tests;
