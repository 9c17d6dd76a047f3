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
//! with the bytes (`SCM_RIGHTS`), in order.

mod reader;
mod request;
mod response;
mod value;

pub use reader::{Reader, put_bytes8, put_bytes16};
pub use request::{Content, FieldView, RequestHead, RequestView, address_request, encode_request};
pub use response::{ResponseHead, ResponseView, encode_response, put_failed};
pub use value::{Frame, FrameValue};

/// Bytes of a frame header.
pub const HEADER_BYTES: usize = 16;
/// Longest payload that a receiver accepts.
///
/// A request head with its inline content (64 KiB by default) and a response's
/// first piece both fit many times over; anything larger is a broken peer.
pub const MAX_PAYLOAD_BYTES: usize = 2 << 20;
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
}

impl Kind {
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
    const ALL: u8 = 3;

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
    /// A flag bit that this version does not know.
    #[error("unknown frame flags {0:#x}")]
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
    /// [`FrameError`] for an unknown kind or flag, or too long a payload.
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
        if flags & !Flags::ALL != 0 {
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
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(
        &Header {
            len,
            kind,
            flags,
            slot,
            request,
        }
        .encode(),
    );
    out.extend_from_slice(payload);
}

/// Append a `Hello` frame for the process `pid`.
pub fn put_hello(out: &mut Vec<u8>, pid: u32) {
    let mut payload = crate::WIRE_VERSION.to_le_bytes().to_vec();
    payload.extend_from_slice(&pid.to_le_bytes());
    put_frame(out, Kind::Hello, Flags::default(), 0, 0, &payload);
}

/// Check a `Hello` payload and return the other side's process id.
///
/// # Errors
/// [`FrameError::Version`] where the versions differ.
pub fn check_hello(payload: &[u8]) -> Result<u32, FrameError> {
    let mut reader = Reader::new(payload);
    let theirs = reader.u32()?;
    if theirs != crate::WIRE_VERSION {
        return Err(FrameError::Version {
            theirs,
            ours: crate::WIRE_VERSION,
        });
    }
    let pid = reader.u32()?;
    reader.end()?;
    Ok(pid)
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
    fn a_hello_of_another_version_names_both() {
        let payload = [9, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(
            check_hello(&payload),
            Err(FrameError::Version { theirs: 9, ours: 1 })
        );
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
