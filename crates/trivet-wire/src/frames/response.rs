//! The `Response` frame: status, fields, and content as far as it is there.

use super::{
    Flags, FrameError, HEADER_BYTES, Header, Kind, Reader, put_bytes8, put_bytes16, put_frame,
};

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
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    out.extend_from_slice(&head.status.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&head.app_us.to_le_bytes());
    out.extend_from_slice(&head.declared_length.to_le_bytes());
    put_bytes8(out, head.reason);
    let mut count = 0u16;
    for (name, value) in fields {
        put_bytes8(out, name);
        put_bytes16(out, value);
        count = count.saturating_add(1);
    }
    let count_at = start + HEADER_BYTES + 2;
    if let Some(place) = out.get_mut(count_at..count_at + 2) {
        place.copy_from_slice(&count.to_le_bytes());
    }
    out.extend_from_slice(content);
    let len = u32::try_from(out.len() - start - HEADER_BYTES).unwrap_or(u32::MAX);
    let header = Header {
        len,
        kind: Kind::Response,
        flags,
        slot,
        request,
    };
    if let Some(place) = out.get_mut(start..start + HEADER_BYTES) {
        place.copy_from_slice(&header.encode());
    }
}

/// Append a `Failed` frame: what the app raised, and where.
pub fn put_failed(out: &mut Vec<u8>, (slot, request): (u16, u64), error: &[u8], place: &[u8]) {
    let mut payload = Vec::with_capacity(error.len() + place.len() + 4);
    put_bytes16(&mut payload, error);
    put_bytes16(&mut payload, place);
    put_frame(out, Kind::Failed, Flags::default(), slot, request, &payload);
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
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut reader = self.fields;
        (0..self.field_count).map_while(move |_| next_field(&mut reader).ok())
    }
}

#[inline]
fn next_field<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), FrameError> {
    Ok((reader.bytes8()?, reader.bytes16()?))
}
