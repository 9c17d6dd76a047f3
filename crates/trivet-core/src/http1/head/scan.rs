//! The scanner: where the head's lines are, and what can never become a head.

use memchr::{memchr, memchr3};

use super::{HeadLimits, Span, Version};
use crate::{Problem, field::is_tchar};

/// Longest method. The longest registered one, `UPDATEREDIRECTREF`, has 17 letters.
const METHOD_BYTES: usize = 32;

pub(super) const TOO_MANY_FIELDS: Problem =
    Problem::FieldsTooLarge("The request has too many header fields.");
pub(super) const NAME_TOO_LONG: Problem =
    Problem::FieldsTooLarge("A field name in the request is too long.");
pub(super) const VALUE_TOO_LONG: Problem =
    Problem::FieldsTooLarge("A field value in the request is too long.");
const HEAD_TOO_LARGE: Problem = Problem::FieldsTooLarge("The request head is too large.");
const NO_CRLF: Problem = Problem::BadRequest("A line of the request does not end in CRLF.");
const BAD_METHOD: Problem = Problem::BadRequest("The request method is malformed.");
const BAD_LINE: Problem = Problem::BadRequest("The request line is malformed.");

/// What the scanner knows so far. `position` only grows while one head arrives.
#[derive(Debug, Default)]
pub(super) struct Scan {
    stage: Stage,
    /// Everything before it has been judged.
    pub(super) position: usize,
    /// Where the request line starts, after an empty line if one came first.
    pub(super) request_line: usize,
    pub(super) method: Span,
    pub(super) target: Span,
    pub(super) version: Version,
    /// Where the part of the current stage starts: the target, the version, a line.
    start: usize,
    fields: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Start,
    Method,
    Target,
    Version,
    Fields,
}

impl Scan {
    /// Look at what is new in `buf`; true once the head ends at `position`.
    ///
    /// It never looks past the longest head allowed: so the answer does not
    /// depend on how many bytes happened to arrive at once.
    pub(super) fn advance(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<bool, Problem> {
        if self.stage == Stage::Start && !self.skip_empty_line(buf)? {
            return Ok(false);
        }
        let longest = self.request_line.saturating_add(limits.head_bytes);
        let done = self.walk(buf.get(..longest).unwrap_or(buf), limits)?;
        if !done && buf.len() > longest {
            return Err(HEAD_TOO_LARGE);
        }
        Ok(done)
    }

    fn walk(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<bool, Problem> {
        if self.stage == Stage::Method && !self.read_method(buf)? {
            return Ok(false);
        }
        if self.stage == Stage::Target && !self.read_target(buf, limits)? {
            return Ok(false);
        }
        if self.stage == Stage::Version && !self.read_version(buf)? {
            return Ok(false);
        }
        self.read_lines(buf, limits)
    }

    fn enter(&mut self, stage: Stage, start: usize) {
        self.stage = stage;
        self.start = start;
        self.position = start;
    }

    /// At most one empty line may come first (RFC 9112 section 2.2).
    fn skip_empty_line(&mut self, buf: &[u8]) -> Result<bool, Problem> {
        match buf {
            [] | [b'\r'] => return Ok(false),
            [b'\r', b'\n', ..] => self.request_line = 2,
            [0x16, ..] => {
                return Err(Problem::BadRequest(
                    "TLS spoken to a clear-text listener: use http:// here, or the port for https://.",
                ));
            }
            _ => {}
        }
        self.enter(Stage::Method, self.request_line);
        Ok(true)
    }

    fn read_method(&mut self, buf: &[u8]) -> Result<bool, Problem> {
        for &byte in buf.get(self.position..).unwrap_or_default() {
            let length = self.position - self.start;
            if byte == b' ' && length > 0 {
                self.method = Span::new(self.start, self.position);
                self.enter(Stage::Target, self.position + 1);
                return Ok(true);
            }
            if !is_tchar(byte) {
                return Err(BAD_METHOD);
            }
            if length == METHOD_BYTES {
                return Err(Problem::NotImplemented(
                    "The request method is not implemented.",
                ));
            }
            self.position += 1;
        }
        Ok(false)
    }

    fn read_target(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<bool, Problem> {
        let new = buf.get(self.position..).unwrap_or_default();
        let found = memchr3(b' ', b'\r', b'\n', new);
        let end = self.position + found.unwrap_or(new.len());
        if end - self.start > limits.target_bytes.min(HeadLimits::MOST_PART_BYTES) {
            return Err(Problem::UriTooLong);
        }
        self.position = end;
        match buf.get(end) {
            None => Ok(false),
            Some(b' ') if end > self.start => {
                self.target = Span::new(self.start, end);
                self.enter(Stage::Version, end + 1);
                Ok(true)
            }
            // A line break here is HTTP/0.9, or nothing at all.
            Some(_) => Err(BAD_LINE),
        }
    }

    /// `HTTP/1.1` and CRLF, ten bytes, compared as they come (RFC 9112 section 2.3).
    fn read_version(&mut self, buf: &[u8]) -> Result<bool, Problem> {
        let seen = buf.get(self.start..).unwrap_or_default();
        let seen = seen.get(..10).unwrap_or(seen);
        for (&byte, &form) in seen.iter().zip(b"HTTP/0.0\r\n") {
            let fits = if form == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == form
            };
            if !fits {
                return Err(if form == b'\r' && byte == b'\n' {
                    NO_CRLF
                } else {
                    BAD_LINE
                });
            }
        }
        if seen.len() < 10 {
            return Ok(false);
        }
        self.version = match seen {
            [.., b'1', b'.', b'1', _, _] => Version::Http11,
            [.., b'1', b'.', b'0', _, _] => Version::Http10,
            _ => return Err(Problem::VersionNotSupported),
        };
        self.enter(Stage::Fields, self.start + 10);
        Ok(true)
    }

    /// Field lines up to the empty one. `start` is where the current line starts.
    fn read_lines(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<bool, Problem> {
        loop {
            if self.position == self.start && matches!(buf.get(self.start), Some(b' ' | b'\t')) {
                // Folding, or whitespace before the first field (RFC 9112 sections 5.2, 2.2).
                return Err(Problem::BadRequest("A header line starts with whitespace."));
            }
            let new = buf.get(self.position..).unwrap_or_default();
            let Some(offset) = memchr(b'\n', new) else {
                self.position = buf.len();
                return Ok(false);
            };
            let line_feed = self.position + offset;
            let line = buf.get(self.start..line_feed).unwrap_or_default();
            let [content @ .., b'\r'] = line else {
                return Err(NO_CRLF);
            };
            self.position = line_feed + 1;
            self.start = self.position;
            if content.is_empty() {
                return Ok(true);
            }
            self.fields += 1;
            if self.fields > limits.fields.min(HeadLimits::MOST_FIELDS) {
                return Err(TOO_MANY_FIELDS);
            }
        }
    }
}
