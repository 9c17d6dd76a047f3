//! The `Request` frame: all that an `environ` or a `scope` is made of.

use std::cmp::Ordering;

use super::{
    Flags, FrameError, HEADER_BYTES, Header, Kind, Reader, put_bytes8, put_bytes16, put_counted,
};

/// Where a request's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Content {
    /// There is none.
    None = 0,
    /// Behind the fields, in the same frame.
    Inline = 1,
    /// In the attached file, from its start, `content_length` bytes.
    File = 2,
    /// In `Body` frames that follow, as the worker grants by `Read` frames.
    Stream = 3,
    /// None, and the request is the handshake of a WebSocket that ends at the edge.
    WebSocket = 4,
    /// None, and the request is the handshake of a WebSocket that ends at the app: the
    /// attached socket leads to the client, once a complete `101` was written into it.
    Upgrade = 5,
}

/// The parts of a request, but for its fields and content.
///
/// All strings are bytes as they came in, checked by the request gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// How many workers had this request before, 0 for the first.
    pub attempt: u8,
    /// Whether the client came over TLS (`https`).
    pub secure: bool,
    /// HTTP version: 10, 11, 20 or 30.
    pub version: u8,
    /// Where the content is.
    pub content: Content,
    /// Arrival of the head's last byte, µs of `CLOCK_MONOTONIC`.
    pub received_us: u64,
    /// When the answer is due, µs of `CLOCK_MONOTONIC`; 0 for never.
    pub deadline_us: u64,
    /// Bytes of content, 0 for none; [`super::UNKNOWN_LENGTH`] for a stream of unknown length.
    pub content_length: u64,
    /// The client's port, 0 where there is none.
    pub client_port: u16,
    /// The port that the client addressed.
    pub server_port: u16,
    /// The method token.
    pub method: &'a [u8],
    /// The path below `mount`, percent-decoded once, dot segments removed.
    pub path: &'a [u8],
    /// The request target as the client sent it.
    pub target: &'a [u8],
    /// The query, without its `?`, not decoded.
    pub query: &'a [u8],
    /// `SCRIPT_NAME` / `root_path`: no slash at its end.
    pub mount: &'a [u8],
    /// The client's address as text; empty for a Unix socket.
    pub client: &'a [u8],
    /// The host that the client addressed, without port.
    pub server_name: &'a [u8],
    /// The id that log lines and error pages of this request carry.
    pub request_id: &'a [u8],
}

/// A field of a request: a known name's number, or the name in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldView<'a> {
    /// Discriminant of `trivet_core`'s `KnownField`; 0 for any other name.
    pub known: u8,
    /// The lower-case name where `known` is 0, else empty.
    pub name: &'a [u8],
    /// The value, without surrounding white space.
    pub value: &'a [u8],
}

/// Append a `Request` frame.
///
/// `flags` say whether a descriptor belongs to it. `inline` is the content
/// where `head.content` is [`Content::Inline`], else empty. The name of a
/// field may be in any case; it is sent in lower case.
pub fn encode_request<'a>(
    out: &mut Vec<u8>,
    (slot, request, flags): (u16, u64, Flags),
    head: &RequestHead<'_>,
    fields: impl Iterator<Item = FieldView<'a>>,
    inline: &[u8],
) {
    let start = Header::reserve(out);
    out.extend_from_slice(&[
        head.attempt,
        u8::from(head.secure),
        head.version,
        head.content as u8,
    ]);
    out.extend_from_slice(&head.received_us.to_le_bytes());
    out.extend_from_slice(&head.deadline_us.to_le_bytes());
    out.extend_from_slice(&head.content_length.to_le_bytes());
    out.extend_from_slice(&head.client_port.to_le_bytes());
    out.extend_from_slice(&head.server_port.to_le_bytes());
    let count_at = out.len();
    out.extend_from_slice(&[0; 2]);
    for part in [
        head.method,
        head.path,
        head.target,
        head.query,
        head.mount,
        head.client,
        head.server_name,
        head.request_id,
    ] {
        put_bytes16(out, part);
    }
    put_counted(out, count_at, fields, |out, field| {
        out.push(field.known);
        if field.known == 0 {
            let name_at = out.len() + 1;
            put_bytes8(out, field.name);
            if let Some(name) = out.get_mut(name_at..) {
                name.make_ascii_lowercase();
            }
        }
        put_bytes16(out, field.value);
    });
    out.extend_from_slice(inline);
    Header::fill(out, start, (Kind::Request, flags, slot, request));
}

/// Address an encoded `Request` frame anew, for another worker or another try.
///
/// Changes slot, request number and attempt, and nothing else. Leaves bytes that do
/// not start with a frame header alone.
pub fn address_request(frame: &mut [u8], slot: u16, request: u64, attempt: u8) {
    let Ok(Some(header)) = Header::decode(frame) else {
        return;
    };
    if let Some((head, payload)) = frame.split_first_chunk_mut::<HEADER_BYTES>() {
        *head = Header {
            slot,
            request,
            ..header
        }
        .encode();
        if let Some(place) = payload.first_mut() {
            *place = attempt;
        }
    }
}

/// A decoded `Request` payload, borrowing from it.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// The parts but for fields and content.
    pub head: RequestHead<'a>,
    /// Inline content, empty unless [`Content::Inline`].
    pub inline: &'a [u8],
    field_count: u16,
    fields: Reader<'a>,
}

impl<'a> RequestView<'a> {
    /// Decode `payload` and check all of it.
    ///
    /// # Errors
    /// [`FrameError`] where a part is missing, unknown or left over.
    pub fn parse(payload: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(payload);
        let attempt = reader.u8()?;
        let secure = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(FrameError::Value("scheme")),
        };
        let version = reader.u8()?;
        if !matches!(version, 10 | 11 | 20 | 30) {
            return Err(FrameError::Value("version"));
        }
        let content = match reader.u8()? {
            0 => Content::None,
            1 => Content::Inline,
            2 => Content::File,
            3 => Content::Stream,
            4 => Content::WebSocket,
            5 => Content::Upgrade,
            _ => return Err(FrameError::Value("content")),
        };
        let received_us = reader.u64()?;
        let deadline_us = reader.u64()?;
        let content_length = reader.u64()?;
        let client_port = reader.u16()?;
        let server_port = reader.u16()?;
        let field_count = reader.u16()?;
        let head = RequestHead {
            attempt,
            secure,
            version,
            content,
            received_us,
            deadline_us,
            content_length,
            client_port,
            server_port,
            method: reader.bytes16()?,
            path: reader.bytes16()?,
            target: reader.bytes16()?,
            query: reader.bytes16()?,
            mount: reader.bytes16()?,
            client: reader.bytes16()?,
            server_name: reader.bytes16()?,
            request_id: reader.bytes16()?,
        };
        let fields = reader;
        for _ in 0..field_count {
            next_field(&mut reader)?;
        }
        let inline = reader.rest();
        let expected = match content {
            Content::Inline => content_length,
            Content::None | Content::WebSocket | Content::Upgrade if content_length != 0 => {
                return Err(FrameError::Value("content_length"));
            }
            Content::None
            | Content::File
            | Content::Stream
            | Content::WebSocket
            | Content::Upgrade => 0,
        };
        match (inline.len() as u64).cmp(&expected) {
            Ordering::Less => Err(FrameError::Short),
            Ordering::Greater => Err(FrameError::Long),
            Ordering::Equal => Ok(Self {
                head,
                inline,
                field_count,
                fields,
            }),
        }
    }

    /// The fields in the order in which the client sent them.
    pub fn fields(&self) -> impl Iterator<Item = FieldView<'a>> + use<'a> {
        let mut reader = self.fields;
        (0..self.field_count).map_while(move |_| next_field(&mut reader).ok())
    }
}

#[inline]
fn next_field<'a>(reader: &mut Reader<'a>) -> Result<FieldView<'a>, FrameError> {
    let known = reader.u8()?;
    let name = if known == 0 { reader.bytes8()? } else { &[] };
    let value = reader.bytes16()?;
    Ok(FieldView { known, name, value })
}
