//! Writing response heads and content framing (RFC 9112 sections 4 to 7).
//!
//! The app says what it wants; this module decides what HTTP allows. Framing and
//! connection fields are always ours: an app that could set them could cut one
//! response into two.

use super::{Version, reason_phrase};
use crate::field::{is_token, is_value, list_elements, trim_ows};

/// How the client learns where the content ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// No content follows the head.
    NoBody,
    /// This many bytes follow.
    Length(u64),
    /// Chunks follow.
    Chunked,
    /// The content ends with the connection.
    UntilClose,
}

/// What the edge knows about the exchange.
#[derive(Clone, Copy, Debug)]
pub struct ResponseFacts<'a> {
    /// The request's version.
    pub version: Version,
    /// Whether the method is HEAD.
    pub head_request: bool,
    /// Whether the connection may be kept.
    pub keep_alive: bool,
    /// The time now as an IMF-fixdate, 29 bytes.
    pub date: &'a [u8],
    /// The value for `Server`, if one is to be sent.
    pub server: Option<&'a [u8]>,
}

/// What became of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadWritten {
    /// Whether the connection may be kept after this response.
    pub keep_alive: bool,
}

/// Why the app's response head cannot be sent. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadField {
    /// A field name is not a token.
    #[error("the name of response field {index} is not a token")]
    Name {
        /// Its place among the app's fields, from 0.
        index: usize,
    },
    /// The reason phrase holds a control character.
    #[error("the reason phrase holds a control character")]
    Reason,
    /// The status is not a number from 100 to 599.
    #[error("the status {status} is not from 100 to 599")]
    Status {
        /// What the app sent.
        status: u16,
    },
    /// A field value holds a line break or another control character.
    #[error("the value of response field {index} holds a control character")]
    Value {
        /// Its place among the app's fields, from 0.
        index: usize,
    },
}

/// `100 Continue`, whole (RFC 9110 section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The end of content in chunks.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// What follows the data of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Write what precedes a chunk of `len` bytes, which must not be 0.
pub fn encode_chunk_prefix(out: &mut Vec<u8>, len: usize) {
    debug_assert!(len > 0, "an empty chunk would end the content");
    let significant = usize::BITS - len.leading_zeros();
    for nibble in (0..significant.div_ceil(4).max(1)).rev() {
        out.push(b"0123456789abcdef"[len >> (nibble * 4) & 0xf]);
    }
    out.extend_from_slice(CHUNK_END);
}

/// Append the end of content in chunks, with trailer fields (RFC 9112 section 7.1.2).
///
/// Left out are fields that no trailer may hold, because whoever reads them must know
/// them before the content (RFC 9110 section 6.5.1), and what is no field at all.
pub fn encode_trailers<'a>(out: &mut Vec<u8>, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in fields {
        if is_token(name) && is_value(value) && may_trail(name) {
            write_field(out, name, trim_ows(value));
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Fields of framing, routing, authentication, caching and content.
fn may_trail(name: &[u8]) -> bool {
    const NEVER: [&[u8]; 16] = [
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"expires",
        b"host",
        b"location",
        b"proxy-authenticate",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"vary",
        b"warning",
        b"www-authenticate",
    ];
    OwnField::of(name).is_none() && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
}

/// Choose the framing of a response.
///
/// `declared` is the app's `Content-Length`, `known` the length of the whole
/// content where it is in hand; `known` wins.
pub fn framing(
    status: u16,
    facts: &ResponseFacts<'_>,
    declared: Option<u64>,
    known: Option<u64>,
) -> BodyFraming {
    if facts.head_request || matches!(status, 100..=199 | 204 | 304) {
        return BodyFraming::NoBody;
    }
    if status == 205 {
        // RFC 9110 section 15.3.6: no content, but its end must be told.
        return BodyFraming::Length(0);
    }
    match (known.or(declared), facts.version) {
        (Some(length), _) => BodyFraming::Length(length),
        (None, Version::Http11) => BodyFraming::Chunked,
        (None, Version::Http10) => BodyFraming::UntilClose,
    }
}

/// Append a response head to `out`.
///
/// Of the app's fields, those of one connection only are dropped, but for a wish
/// to close; `Date` and `Server` are ours unless the app sent its own. An empty
/// `reason` becomes the registered phrase. With [`BodyFraming::NoBody`] the app's
/// `Content-Length` is kept for HEAD and 304, where it tells of the content that
/// is not sent (RFC 9110 section 8.6); else it is replaced.
///
/// # Errors
///
/// If the status, the reason or a field would break HTTP. `out` is as before.
pub fn encode_head<'a>(
    out: &mut Vec<u8>,
    status: u16,
    reason: &[u8],
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    framing: BodyFraming,
    facts: &ResponseFacts<'_>,
) -> Result<HeadWritten, BadField> {
    let before = out.len();
    let written = write_head(out, status, reason, fields, framing, facts);
    if written.is_err() {
        out.truncate(before);
    }
    written
}

fn write_head<'a>(
    out: &mut Vec<u8>,
    status: u16,
    reason: &[u8],
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    framing: BodyFraming,
    facts: &ResponseFacts<'_>,
) -> Result<HeadWritten, BadField> {
    write_status_line(out, status, reason)?;
    let app = write_app_fields(out, status, fields, framing, facts)?;
    write_own_fields(out, status, framing, facts, &app);
    let keep_alive = facts.keep_alive && !app.close && framing != BodyFraming::UntilClose;
    if status == 101 {
        out.extend_from_slice(b"Connection: upgrade\r\n");
    } else if status >= 200 {
        match (keep_alive, facts.version) {
            // Also to HTTP/1.0, where closing is the rule: our answer says HTTP/1.1,
            // where it is not (RFC 9112 section 9.6).
            (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
            (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
            _ => {}
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(HeadWritten { keep_alive })
}

/// Judge the app's fields and write those that may pass.
fn write_app_fields<'a>(
    out: &mut Vec<u8>,
    status: u16,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    framing: BodyFraming,
    facts: &ResponseFacts<'_>,
) -> Result<AppFields, BadField> {
    let tells_length = framing == BodyFraming::NoBody && (facts.head_request || status == 304);
    let mut app = AppFields::default();
    for (index, (name, value)) in fields.enumerate() {
        if !is_token(name) {
            return Err(BadField::Name { index });
        }
        if !is_value(value) {
            return Err(BadField::Value { index });
        }
        let may_pass = match OwnField::of(name) {
            None => true,
            Some(OwnField::Connection) => {
                app.close |= list_elements(value).any(|o| o.eq_ignore_ascii_case(b"close"));
                false
            }
            Some(OwnField::ContentLength) => {
                let is_first = !std::mem::replace(&mut app.length, true);
                tells_length && is_first && is_length(value)
            }
            Some(OwnField::Date) => !std::mem::replace(&mut app.date, true),
            Some(OwnField::HopByHop) => false,
            Some(OwnField::Server) => !std::mem::replace(&mut app.server, true),
            Some(OwnField::Upgrade) => status == 101,
        };
        if may_pass {
            write_field(out, name, trim_ows(value));
        }
    }
    Ok(app)
}

/// Which of our fields the app's have already settled.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one per field, each independent"
)]
struct AppFields {
    close: bool,
    date: bool,
    length: bool,
    server: bool,
}

/// The status line. The version is the highest we speak in the request's major
/// version, also towards HTTP/1.0 (RFC 9110 section 6.2).
fn write_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) -> Result<(), BadField> {
    if !(100..=599).contains(&status) {
        return Err(BadField::Status { status });
    }
    if !is_value(reason) {
        return Err(BadField::Reason);
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(if reason.is_empty() {
        reason_phrase(status).as_bytes()
    } else {
        reason
    });
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn write_own_fields(
    out: &mut Vec<u8>,
    status: u16,
    framing: BodyFraming,
    facts: &ResponseFacts<'_>,
    app: &AppFields,
) {
    if status >= 200 && !app.date {
        write_field(out, b"Date", facts.date);
    }
    if let Some(server) = facts.server.filter(|_| status >= 200 && !app.server) {
        write_field(out, b"Server", server);
    }
    match framing {
        BodyFraming::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            write_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        BodyFraming::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyFraming::NoBody | BodyFraming::UntilClose => {}
    }
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_decimal(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

fn is_length(value: &[u8]) -> bool {
    let value = trim_ows(value);
    !value.is_empty() && value.len() < 20 && value.iter().all(u8::is_ascii_digit)
}

/// Response fields that are not simply passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnField {
    Connection,
    ContentLength,
    Date,
    HopByHop,
    Server,
    Upgrade,
}

impl OwnField {
    fn of(name: &[u8]) -> Option<Self> {
        let (known, field): (&[u8], _) = match name.len() {
            2 => (b"te", Self::HopByHop),
            4 => (b"date", Self::Date),
            6 => (b"server", Self::Server),
            7 if matches!(name.first(), Some(b't' | b'T')) => (b"trailer", Self::HopByHop),
            7 => (b"upgrade", Self::Upgrade),
            10 if matches!(name.first(), Some(b'c' | b'C')) => (b"connection", Self::Connection),
            10 => (b"keep-alive", Self::HopByHop),
            14 => (b"content-length", Self::ContentLength),
            16 => (b"proxy-connection", Self::HopByHop),
            17 => (b"transfer-encoding", Self::HopByHop),
            _ => return None,
        };
        name.eq_ignore_ascii_case(known).then_some(field)
    }
}

#[cfg(test)]
mod tests;
