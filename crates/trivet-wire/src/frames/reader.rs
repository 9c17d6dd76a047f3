//! Reading the parts of a payload, never past its end; and writing them.

use super::FrameError;

/// A cursor over a payload.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Start at the first byte of `payload`.
    pub fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`FrameError::Short`] where fewer are left; so for all that follow.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], FrameError> {
        let (part, rest) = self.0.split_at_checked(len).ok_or(FrameError::Short)?;
        self.0 = rest;
        Ok(part)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (part, rest) = self.0.split_first_chunk::<N>().ok_or(FrameError::Short)?;
        self.0 = rest;
        Ok(*part)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`FrameError::Short`].
    #[inline]
    pub fn u8(&mut self) -> Result<u8, FrameError> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    /// Two bytes, little endian.
    ///
    /// # Errors
    /// [`FrameError::Short`].
    #[inline]
    pub fn u16(&mut self) -> Result<u16, FrameError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, little endian.
    ///
    /// # Errors
    /// [`FrameError::Short`].
    #[inline]
    pub fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, little endian.
    ///
    /// # Errors
    /// [`FrameError::Short`].
    #[inline]
    pub fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A byte string behind its one-byte length.
    ///
    /// # Errors
    /// [`FrameError::Short`].
    #[inline]
    pub fn bytes8(&mut self) -> Result<&'a [u8], FrameError> {
        let len = self.u8()?;
        self.bytes(usize::from(len))
    }

    /// A byte string behind its two-byte length.
    ///
    /// # Errors
    /// [`FrameError::Short`].
    #[inline]
    pub fn bytes16(&mut self) -> Result<&'a [u8], FrameError> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    /// What has not been read.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Check that all has been read.
    ///
    /// # Errors
    /// [`FrameError::Long`] where bytes are left.
    pub fn end(self) -> Result<(), FrameError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(FrameError::Long)
        }
    }
}

/// Append a byte string behind its one-byte length.
///
/// Longer than 255 bytes is cut, so that the frame stays whole. That never happens:
/// `trivet_core`'s `HeadLimits::MOST_NAME_BYTES` and the worker's check of what the
/// app says are the same number.
pub(super) fn put_bytes8(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(..255).unwrap_or(bytes);
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

/// Append a byte string behind its two-byte length.
///
/// Longer than 65535 bytes is cut, so that the frame stays whole. That happens to the
/// texts of a `Failed` frame only: `trivet_core`'s `HeadLimits::MOST_PART_BYTES` and the
/// worker's check of what the app says are the same number.
pub(super) fn put_bytes16(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(..65535).unwrap_or(bytes);
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Append each item by `put`, and write their number at `count_at`, where two bytes
/// were left for it. Items beyond 65535 are left out, so that the frame stays whole.
pub(super) fn put_counted<T>(
    out: &mut Vec<u8>,
    count_at: usize,
    items: impl Iterator<Item = T>,
    put: impl Fn(&mut Vec<u8>, T),
) {
    let mut count = 0u16;
    for item in items.take(usize::from(u16::MAX)) {
        put(out, item);
        count += 1;
    }
    if let Some(place) = out.get_mut(count_at..count_at + 2) {
        place.copy_from_slice(&count.to_le_bytes());
    }
}
