//! The frames with small payloads: `Hello`, `Credit`, `Read`, `File`, `Failed`, `Close`.
//! (`Cancel` has none; `Body`, `Data` and `Message` are content and nothing else.)

use super::{Flags, FrameError, Kind, Reader, put_bytes8, put_bytes16, put_frame};

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

/// What the app raised, and where; the traceback is for the operator alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RaisedView<'a> {
    /// The exception in one line.
    pub error: &'a [u8],
    /// The app's line.
    pub place: &'a [u8],
    /// The traceback; empty where there is nothing to report.
    pub trace: &'a [u8],
}

/// Append a `Failed` frame.
pub fn put_failed(out: &mut Vec<u8>, (slot, request): (u16, u64), raised: &RaisedView<'_>) {
    let size = raised.error.len() + raised.place.len() + raised.trace.len();
    let mut payload = Vec::with_capacity(size + 6);
    put_bytes16(&mut payload, raised.error);
    put_bytes16(&mut payload, raised.place);
    put_bytes16(&mut payload, raised.trace);
    put_frame(out, Kind::Failed, Flags::default(), slot, request, &payload);
}

/// Append a `Close` frame: the close code, and the reason.
pub fn put_close(out: &mut Vec<u8>, (slot, request): (u16, u64), code: u16, reason: &[u8]) {
    let mut payload = code.to_le_bytes().to_vec();
    put_bytes8(&mut payload, reason);
    put_frame(out, Kind::Close, Flags::default(), slot, request, &payload);
}

/// The close code and the reason from a `Close` payload.
///
/// # Errors
/// [`FrameError`] where a part is missing or left over.
pub fn read_close(payload: &[u8]) -> Result<(u16, &[u8]), FrameError> {
    whole(payload, |reader| Ok((reader.u16()?, reader.bytes8()?)))
}

/// What a `Message` frame takes of its WebSocket's credit: its payload, and what
/// remembering it costs, so that a flood of empty messages is no way around.
pub const fn message_cost(payload_len: usize) -> u32 {
    const BESIDE: u32 = 128;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a payload is below 2^25 bytes"
    )]
    let len = payload_len as u32;
    len.saturating_add(BESIDE)
}

/// The number of bytes that a `Credit` or `Read` payload grants.
///
/// # Errors
/// [`FrameError`] for another length.
pub fn read_amount(payload: &[u8]) -> Result<u32, FrameError> {
    whole(payload, Reader::u32)
}

/// Offset and length of the part that a `File` payload names.
///
/// # Errors
/// [`FrameError`] for another length, or a part that no file can have.
pub fn read_file_part(payload: &[u8]) -> Result<(u64, u64), FrameError> {
    let (offset, length) = whole(payload, |reader| Ok((reader.u64()?, reader.u64()?)))?;
    match offset.checked_add(length) {
        Some(end) if i64::try_from(end).is_ok() => Ok((offset, length)),
        _ => Err(FrameError::Value("file part")),
    }
}

/// What the app raised, and where, from a `Failed` payload.
///
/// # Errors
/// [`FrameError`] where a part is missing or left over.
pub fn read_failed(payload: &[u8]) -> Result<RaisedView<'_>, FrameError> {
    whole(payload, |reader| {
        Ok(RaisedView {
            error: reader.bytes16()?,
            place: reader.bytes16()?,
            trace: reader.bytes16()?,
        })
    })
}

/// What `read` makes of a payload, all of which it has to use up.
pub(super) fn whole<'a, T>(
    payload: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, FrameError>,
) -> Result<T, FrameError> {
    let mut reader = Reader::new(payload);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_of_another_version_names_both() {
        let payload = [9, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(
            check_hello(&payload),
            Err(FrameError::Version { theirs: 9, ours: 1 })
        );
    }

    #[test]
    fn a_hello_of_another_version_may_have_another_layout() {
        assert_eq!(
            check_hello(&[2, 0, 0, 0]),
            Err(FrameError::Version { theirs: 2, ours: 1 })
        );
    }

    #[test]
    fn a_file_part_ends_where_files_end() {
        let part = |offset: u64, length: u64| {
            read_file_part(&[offset.to_le_bytes(), length.to_le_bytes()].concat())
        };
        let longest = i64::MAX.unsigned_abs();
        assert_eq!(part(1, longest - 1), Ok((1, longest - 1)));
        assert_eq!(part(1, longest), Err(FrameError::Value("file part")));
        assert_eq!(part(2, u64::MAX), Err(FrameError::Value("file part")));
    }
}
