//! The `Response` frame: status, fields, and content as far as it is there; and the
//! `Trailers` frame, which ends a response with further fields.

use super::{Flags, FrameError, Header, Kind, Reader, put_bytes8, put_bytes16, put_counted};

/// The parts of a response head, but for its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Wall time in the app until this frame, µs.
    pub app_us: u32,
    /// The app's `Content-Length`; [`super::UNKNOWN_LENGTH`] where it set none.
    pub declared_length: u64,
    /// The reason phrase, without the code.
    pub reason: &'a [u8],
}

/// Append a `Response` frame with `content` behind the head.
///
/// `flags` has [`Flags::END`] where `content` is all of it.
pub fn encode_response<'a>(
    out: &mut Vec<u8>,
    (slot, request, flags): (u16, u64, Flags),
    head: &ResponseHead<'_>,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    content: &[u8],
) {
    let start = Header::reserve(out);
    out.extend_from_slice(&head.status.to_le_bytes());
    let count_at = out.len();
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&head.app_us.to_le_bytes());
    out.extend_from_slice(&head.declared_length.to_le_bytes());
    put_bytes8(out, head.reason);
    put_counted(out, count_at, fields, |out, (name, value)| {
        put_bytes8(out, name);
        put_bytes16(out, value);
    });
    out.extend_from_slice(content);
    Header::fill(out, start, (Kind::Response, flags, slot, request));
}

/// A decoded `Response` payload, borrowing from it.
#[derive(Clone, Copy, Debug)]
pub struct ResponseView<'a> {
    /// The parts but for the fields.
    pub head: ResponseHead<'a>,
    /// Content that came with the head.
    pub content: &'a [u8],
    field_count: u16,
    fields: Reader<'a>,
}

impl<'a> ResponseView<'a> {
    /// Decode `payload` and check all of it.
    ///
    /// # Errors
    /// [`FrameError`] where a part is missing or the status is out of range.
    pub fn parse(payload: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(payload);
        let status = reader.u16()?;
        if !(100..=999).contains(&status) {
            return Err(FrameError::Value("status"));
        }
        let field_count = reader.u16()?;
        let app_us = reader.u32()?;
        let declared_length = reader.u64()?;
        let reason = reader.bytes8()?;
        let fields = reader;
        for _ in 0..field_count {
            next_field(&mut reader)?;
        }
        Ok(Self {
            head: ResponseHead {
                status,
                app_us,
                declared_length,
                reason,
            },
            content: reader.rest(),
            field_count,
            fields,
        })
    }

    /// The fields in the app's order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        let mut reader = self.fields;
        (0..self.field_count).map_while(move |_| next_field(&mut reader).ok())
    }
}

/// Append a `Trailers` frame, the last of its response.
pub fn encode_trailers<'a>(
    out: &mut Vec<u8>,
    (slot, request): (u16, u64),
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) {
    let start = Header::reserve(out);
    let count_at = out.len();
    out.extend_from_slice(&[0; 2]);
    put_counted(out, count_at, fields, |out, (name, value)| {
        put_bytes8(out, name);
        put_bytes16(out, value);
    });
    Header::fill(out, start, (Kind::Trailers, Flags::END, slot, request));
}

/// A decoded `Trailers` payload, borrowing from it.
#[derive(Clone, Copy, Debug)]
pub struct TrailersView<'a> {
    field_count: u16,
    fields: Reader<'a>,
}

impl<'a> TrailersView<'a> {
    /// Decode `payload` and check all of it.
    ///
    /// # Errors
    /// [`FrameError`] where a part is missing or left over.
    pub fn parse(payload: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(payload);
        let field_count = reader.u16()?;
        let fields = reader;
        for _ in 0..field_count {
            next_field(&mut reader)?;
        }
        reader.end()?;
        Ok(Self {
            field_count,
            fields,
        })
    }

    /// The fields in the app's order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut reader = self.fields;
        (0..self.field_count).map_while(move |_| next_field(&mut reader).ok())
    }
}

#[inline]
fn next_field<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), FrameError> {
    Ok((reader.bytes8()?, reader.bytes16()?))
}
