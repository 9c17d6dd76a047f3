//! Several parts in one response: `multipart/byteranges` (RFC 9110 section 14.6, with
//! the framing of RFC 2046 section 5.1).

use super::{ByteRange, write_content_range};

/// How the parts of a representation are framed. The bytes between the heads come from
/// whoever holds the content:
///
/// ```text
/// --B CRLF Content-Type: T CRLF Content-Range: bytes 0-9/99 CRLF CRLF   part_head(0)
///     ten bytes
/// CRLF --B CRLF Content-Type: … CRLF CRLF                               part_head(1)
///     …
/// CRLF --B-- CRLF                                                      write_end
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Multipart<'a> {
    parts: &'a [ByteRange],
    length: u64,
    content_type: &'a [u8],
    boundary: &'a [u8],
    content_length: u64,
}

impl<'a> Multipart<'a> {
    /// Plan an answer of `parts` of a representation of `length` bytes.
    ///
    /// `content_type` is that of the whole, for each part; if empty, parts have none.
    /// `boundary` must be one by [`is_boundary`] and must not occur in the content:
    /// take enough random digits.
    ///
    /// `None` if the boundary is none, or if the answer would be of 2^64 bytes or more.
    pub fn new(
        parts: &'a [ByteRange],
        length: u64,
        content_type: &'a [u8],
        boundary: &'a [u8],
    ) -> Option<Self> {
        if !is_boundary(boundary) {
            return None;
        }
        let mut plan = Self {
            parts,
            length,
            content_type,
            boundary,
            content_length: 0,
        };
        // The heads are written once to be counted: no second rule that could differ.
        let mut head = Vec::with_capacity(2 * boundary.len() + content_type.len() + 128);
        let mut total = 0_u64;
        for (index, part) in parts.iter().enumerate() {
            head.clear();
            plan.write_part_head(index, &mut head);
            total = total
                .checked_add(head.len() as u64)?
                .checked_add(part.length())?;
        }
        head.clear();
        plan.write_end(&mut head);
        plan.content_length = total.checked_add(head.len() as u64)?;
        Some(plan)
    }

    /// The parts, in the order in which they are sent.
    pub const fn parts(&self) -> &'a [ByteRange] {
        self.parts
    }

    /// The exact length of the content of the response, framing and parts, in bytes.
    pub const fn content_length(&self) -> u64 {
        self.content_length
    }

    /// Append the value of `Content-Type` of the response.
    pub fn write_content_type(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"multipart/byteranges; boundary=");
        out.extend_from_slice(self.boundary);
    }

    /// Append what stands before the bytes of the part at `index`; nothing if there is
    /// no such part.
    pub fn write_part_head(&self, index: usize, out: &mut Vec<u8>) {
        let Some(&part) = self.parts.get(index) else {
            return;
        };
        if index > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--");
        out.extend_from_slice(self.boundary);
        if !self.content_type.is_empty() {
            out.extend_from_slice(b"\r\nContent-Type: ");
            out.extend_from_slice(self.content_type);
        }
        out.extend_from_slice(b"\r\nContent-Range: ");
        write_content_range(part, self.length, out);
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Append what stands behind the last part.
    pub fn write_end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(self.boundary);
        out.extend_from_slice(b"--\r\n");
    }
}

/// Whether `boundary` can stand in `Content-Type` without quotes and between parts: 1
/// to 70 letters, digits, and of the other characters of RFC 2046 section 5.1.1 those
/// that are fit for a token.
pub fn is_boundary(boundary: &[u8]) -> bool {
    (1..=70).contains(&boundary.len())
        && boundary.iter().all(|&byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'\'' | b'+' | b'-' | b'.' | b'_')
        })
}
