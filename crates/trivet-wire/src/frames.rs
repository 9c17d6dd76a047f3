//! The frames between edge and worker: layout, limits, and the frame header.
//!
//! One stream socket per worker process carries the frames of all its
//! requests. A frame is a 16-byte little-endian header and a payload:
//!
//! ```text
//! u32 payload length | u8 kind | u8 flags | u16 slot | u64 request id | payload
//! ```
//!
//! `slot` is the request's place on the [claim page](crate::claim). A frame
//! with [`Flags::DESCRIPTOR`] owns the next descriptor of those that arrived
//! with the bytes (`SCM_RIGHTS`), in order. `docs/internals/frames.md` has the
//! payloads and the conversation.

mod latin1;
mod reader;
mod request;
mod response;
mod small;
mod value;

use reader::{put_bytes8, put_bytes16, put_counted};

pub use latin1::Latin1;
pub use reader::Reader;
pub use request::{Content, FieldView, RequestHead, RequestView, address_request, encode_request};
pub use response::{ResponseHead, ResponseView, TrailersView, encode_response, encode_trailers};
pub use small::{
    RaisedView, check_hello, message_cost, put_close, put_failed, put_hello, read_amount,
    read_close, read_failed, read_file_part,
};
pub use value::{Frame, FrameValue};

/// Bytes of a frame header.
pub const HEADER_BYTES: usize = 16;
/// Longest request content that may be sent inline, and so the most that
/// `buffers.request_memory` may be set to (64 KiB by default).
pub const MAX_INLINE_BYTES: u32 = 16 << 20;
/// Longest request head that an edge may accept, and so the most that
/// `limits.request_head` may be set to (32 KiB by default).
pub const MAX_HEAD_BYTES: u32 = 1 << 20;
/// Longest payload that a receiver accepts; anything larger is a broken peer.
///
/// A request of the largest head and content that may be configured fits: the
/// target crosses three times (as it came, as path, as query) with at most
/// 64 KiB each, so a second MiB beside the head is room enough.
pub const MAX_PAYLOAD_BYTES: usize = (MAX_INLINE_BYTES + 2 * MAX_HEAD_BYTES) as usize;
/// Most content bytes that a sender puts into one `Data` or `Body` frame.
///
/// Large enough that the header costs nothing, small enough that frames of
/// other requests on the same connection do not wait long behind it.
pub const MAX_DATA_BYTES: usize = 128 << 10;
/// Most descriptors that one write may carry; receivers size their control
/// buffer by it, so that none is ever lost to truncation.
pub const MAX_DESCRIPTORS: usize = 16;
/// Content bytes that a worker may send of one response before the edge
/// grants more by a `Credit` frame.
pub const INITIAL_CREDIT_BYTES: u32 = 256 << 10;
/// What each side of a WebSocket may send of its messages before the other grants
/// more, in the units of [`message_cost`]: a few messages are always under way, and
/// a thousand sockets of which nobody reads hold 64 MiB at the most.
pub const INITIAL_MESSAGE_CREDIT: u32 = 64 << 10;
/// The slot of frames about a WebSocket that was accepted: it has no place on the
/// claim page any more, since it may live for days.
pub const NO_SLOT: u16 = u16::MAX;
/// A length that is not known yet.
pub const UNKNOWN_LENGTH: u64 = u64::MAX;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// First frame in both directions: the version and the sender's process.
    Hello = 1,
    /// Edge to worker: a request, with its content unless streamed.
    Request = 2,
    /// Edge to worker: a piece of a streamed request's content.
    Body = 3,
    /// Edge to worker: the worker may send this many more content bytes.
    Credit = 4,
    /// Edge to worker: nobody waits for this response any more.
    Cancel = 5,
    /// Worker to edge: response head, with content as far as it is there.
    Response = 16,
    /// Worker to edge: a piece of the response's content.
    Data = 17,
    /// Worker to edge: the rest of the content is a part of the attached file.
    File = 18,
    /// Worker to edge: the app broke; no further frame of this request comes.
    Failed = 19,
    /// Worker to edge: the edge may send this many bytes of streamed content.
    Read = 20,
    /// Worker to edge: the fields behind the content, and its end.
    Trailers = 21,
    /// Both: a piece of a WebSocket message.
    Message = 32,
    /// Both: the WebSocket is over; no further frame of it comes from this side.
    Close = 33,
}

impl Kind {
    /// The flags that the kind may have, and of these the ones that it must have.
    #[inline]
    const fn flags(self) -> (u8, u8) {
        const END: u8 = Flags::END.0;
        const DESCRIPTOR: u8 = Flags::DESCRIPTOR.0;
        const TEXT: u8 = Flags::TEXT.0;
        match self {
            Self::Body | Self::Response | Self::Data => (END, 0),
            Self::Trailers => (END, END),
            Self::Message => (END | TEXT, 0),
            Self::Request => (DESCRIPTOR, 0),
            Self::File => (END | DESCRIPTOR, DESCRIPTOR),
            Self::Hello | Self::Credit | Self::Cancel | Self::Failed | Self::Read | Self::Close => {
                (0, 0)
            }
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Request,
            3 => Self::Body,
            4 => Self::Credit,
            5 => Self::Cancel,
            16 => Self::Response,
            17 => Self::Data,
            18 => Self::File,
            19 => Self::Failed,
            20 => Self::Read,
            21 => Self::Trailers,
            32 => Self::Message,
            33 => Self::Close,
            _ => return None,
        })
    }
}

/// Flag bits of a frame header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The last frame of this message.
    pub const END: Self = Self(1);
    /// The frame owns the next attached descriptor.
    pub const DESCRIPTOR: Self = Self(2);
    /// The message is a text; on each of its pieces.
    pub const TEXT: Self = Self(4);

    /// Whether every bit of `other` is set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Why received bytes are not a frame; the connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The payload ends before one of its parts does.
    #[error("frame payload ends too early")]
    Short,
    /// Bytes are left over behind the last part.
    #[error("frame payload has bytes left over")]
    Long,
    /// The kind byte is not one of [`Kind`].
    #[error("unknown frame kind {0}")]
    Kind(u8),
    /// A flag bit that the kind does not take, or not the one that it needs.
    #[error("frame flags {0:#x} do not fit the frame's kind")]
    Flags(u8),
    /// Longer than [`MAX_PAYLOAD_BYTES`].
    #[error("frame payload of {0} bytes is over the limit")]
    TooLarge(u32),
    /// An enumeration byte has no meaning.
    #[error("frame part `{0}` has an unknown value")]
    Value(&'static str),
    /// The other side speaks another version.
    #[error(
        "the other process speaks wire version {theirs}, this one {ours}: two Trivet installations are mixed"
    )]
    Version {
        /// The version in the received frame.
        theirs: u32,
        /// This build's version.
        ours: u32,
    },
}

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the payload.
    pub len: u32,
    /// What the frame is.
    pub kind: Kind,
    /// Flag bits.
    pub flags: Flags,
    /// The request's place on the claim page.
    pub slot: u16,
    /// The request's number on this connection, never used twice.
    pub request: u64,
}

impl Header {
    /// Decode the header at the start of `buf`.
    ///
    /// Returns `None` while fewer than [`HEADER_BYTES`] bytes are there.
    ///
    /// # Errors
    /// [`FrameError`] for an unknown kind, a flag that does not fit it, or too long a payload.
    pub fn decode(buf: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some((head, _)) = buf.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let mut reader = Reader::new(head);
        let len = reader.u32()?;
        let kind = reader.u8()?;
        let flags = reader.u8()?;
        let slot = reader.u16()?;
        let request = reader.u64()?;
        let kind = Kind::from_byte(kind).ok_or(FrameError::Kind(kind))?;
        let (may, must) = kind.flags();
        if flags & !may != 0 || flags & must != must {
            return Err(FrameError::Flags(flags));
        }
        if len as usize > MAX_PAYLOAD_BYTES {
            return Err(FrameError::TooLarge(len));
        }
        Ok(Some(Self {
            len,
            kind,
            flags: Flags(flags),
            slot,
            request,
        }))
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let (len, rest) = out.split_at_mut(4);
        len.copy_from_slice(&self.len.to_le_bytes());
        let (marks, rest) = rest.split_at_mut(4);
        let [slot0, slot1] = self.slot.to_le_bytes();
        marks.copy_from_slice(&[self.kind as u8, self.flags.0, slot0, slot1]);
        rest.copy_from_slice(&self.request.to_le_bytes());
        out
    }

    /// Leave room for a header at the end of `out`; says where.
    fn reserve(out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        start
    }

    /// Write the header at `start`, now that the payload stands behind it.
    fn fill(out: &mut [u8], start: usize, (kind, flags, slot, request): (Kind, Flags, u16, u64)) {
        let payload = out.len().saturating_sub(start + HEADER_BYTES);
        let header = Self {
            len: u32::try_from(payload).unwrap_or(u32::MAX),
            kind,
            flags,
            slot,
            request,
        };
        if let Some(place) = out.get_mut(start..start + HEADER_BYTES) {
            place.copy_from_slice(&header.encode());
        }
    }
}

/// Append a frame whose payload is at hand.
pub fn put_frame(
    out: &mut Vec<u8>,
    kind: Kind,
    flags: Flags,
    slot: u16,
    request: u64,
    payload: &[u8],
) {
    let start = Header::reserve(out);
    out.extend_from_slice(payload);
    Header::fill(out, start, (kind, flags, slot, request));
}

/// The frame at the start of `buf`, with its payload, once all of it is there.
///
/// The caller drops `HEADER_BYTES + payload.len()` bytes from its buffer.
///
/// # Errors
/// As [`Header::decode`].
pub fn split_frame(buf: &[u8]) -> Result<Option<(Header, &[u8])>, FrameError> {
    let Some(header) = Header::decode(buf)? else {
        return Ok(None);
    };
    let payload = buf
        .get(HEADER_BYTES..)
        .and_then(|rest| rest.get(..header.len as usize));
    Ok(payload.map(|payload| (header, payload)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_the_round_trip() {
        let header = Header {
            len: 7,
            kind: Kind::Data,
            flags: Flags::END,
            slot: 513,
            request: 1 << 40,
        };
        assert_eq!(Header::decode(&header.encode()), Ok(Some(header)));
    }

    #[test]
    fn a_payload_over_the_limit_is_refused_from_its_header() {
        let mut bytes = Header {
            len: 0,
            kind: Kind::Data,
            flags: Flags::default(),
            slot: 0,
            request: 1,
        }
        .encode();
        bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(FrameError::TooLarge(u32::MAX)));
    }
}
