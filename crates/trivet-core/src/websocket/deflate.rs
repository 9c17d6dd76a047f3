//! permessage-deflate (RFC 7692), without context from one message to the next.
//!
//! So no connection holds a window of 32 KiB or a compressor of a quarter of a
//! megabyte while it is idle: the compressor is one per thread, the inflater lives
//! as long as the message that it reads.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Violation;

/// What a sender takes off the end of each message (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Bytes that the output grows by at the least.
const GROWTH: usize = 4 << 10;

/// Inflates one message, however its pieces come.
pub struct Inflater {
    inflate: Decompress,
    out: Vec<u8>,
    limit: usize,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Inflater")
            .field("out", &self.out.len())
            .finish_non_exhaustive()
    }
}

impl Inflater {
    /// Inflate a message to at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            inflate: Decompress::new(false),
            out: Vec::new(),
            limit,
        }
    }

    /// Take in a piece.
    ///
    /// # Errors
    /// [`Violation::TooLarge`] before more than the limit is held, and
    /// [`Violation::Inflate`] for bytes that are no deflated data.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), Violation> {
        loop {
            // One byte of room beyond the limit tells "exactly full" from "too much".
            let most = self.limit.saturating_add(1).saturating_sub(self.out.len());
            self.out
                .reserve_exact(self.out.len().max(GROWTH).min(most).max(1));
            let (read, written) = (self.inflate.total_in(), self.out.len());
            let status = self
                .inflate
                .decompress_vec(piece, &mut self.out, FlushDecompress::None)
                .map_err(|_| Violation::Inflate)?;
            if self.out.len() > self.limit {
                return Err(Violation::TooLarge);
            }
            let taken = usize::try_from(self.inflate.total_in() - read).unwrap_or(usize::MAX);
            piece = piece.get(taken..).unwrap_or_default();
            if status == Status::StreamEnd {
                // A sender may mark its last block as final, and begin anew behind it.
                self.inflate.reset(false);
            }
            let is_full = self.out.len() == self.out.capacity();
            if piece.is_empty() && !is_full {
                return Ok(());
            }
            if taken == 0 && self.out.len() == written && !is_full {
                return Err(Violation::Inflate);
            }
        }
    }

    /// The message, now that its last piece has come.
    ///
    /// # Errors
    /// As [`Inflater::push`].
    pub fn finish(mut self) -> Result<Vec<u8>, Violation> {
        self.push(&TAIL)?;
        Ok(self.out)
    }
}

/// Deflates messages, each by itself.
pub struct Deflater(Compress);

impl std::fmt::Debug for Deflater {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Deflater").finish_non_exhaustive()
    }
}

impl Deflater {
    /// A deflater whose window has so many bits, from 9 to 15.
    pub fn new(window_bits: u8) -> Self {
        // The fastest level: the edge is one process for all connections.
        let level = Compression::fast();
        Self(Compress::new_with_window_bits(
            level,
            false,
            window_bits.clamp(9, 15),
        ))
    }

    /// Deflate a whole message into `out`, in place of what it held.
    ///
    /// False where it cannot be made smaller; `out` then holds nothing of use.
    pub fn deflate(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        self.0.reset();
        out.clear();
        // The room of the message itself: what needs more is not worth it.
        out.reserve_exact(message.len());
        let mut rest = message;
        while !rest.is_empty() {
            let before = self.0.total_in();
            let done = self.0.compress_vec(rest, out, FlushCompress::Sync);
            let taken = usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            if done.is_err() || out.len() >= message.len() || (taken == 0 && !rest.is_empty()) {
                return false;
            }
        }
        if !out.ends_with(&TAIL) {
            return false;
        }
        out.truncate(out.len() - TAIL.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inflate(data: &[u8], step: usize, limit: usize) -> Result<Vec<u8>, Violation> {
        let mut inflater = Inflater::new(limit);
        for piece in data.chunks(step) {
            inflater.push(piece)?;
        }
        inflater.finish()
    }

    // RFC 7692 section 7.2.3.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        for data in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            // Without compression, and with the bit that says "final".
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            // In two blocks.
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
        ] {
            for step in 1..=data.len() {
                assert_eq!(inflate(data, step, 5).unwrap(), b"Hello", "{data:x?}");
            }
        }
    }

    #[test]
    fn an_empty_message_is_one_byte() {
        assert_eq!(inflate(&[0x00], 1, 0).unwrap(), b"");
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let mut bomb = Vec::new();
        assert!(Deflater::new(15).deflate(&vec![0; 10 << 20], &mut bomb));
        assert!(bomb.len() < 200 << 10);
        let mut inflater = Inflater::new(1000);
        assert_eq!(inflater.push(&bomb), Err(Violation::TooLarge));
        assert!(inflater.out.capacity() <= 2 * 1001);
    }

    #[test]
    fn what_is_no_deflated_data_is_refused() {
        assert_eq!(inflate(&[0xff; 9], 9, 100), Err(Violation::Inflate));
    }

    #[test]
    fn what_cannot_be_made_smaller_is_left_alone() {
        assert!(!Deflater::new(15).deflate(b"x", &mut Vec::new()));
    }

    proptest! {
        #[test]
        fn a_message_survives_the_round_trip(
            words in prop::collection::vec("[a-c]{0,9}", 0..200), step in 1..99usize
        ) {
            let message = words.join(" ").into_bytes();
            let mut out = Vec::new();
            if Deflater::new(15).deflate(&message, &mut out) {
                prop_assert!(out.len() < message.len());
                prop_assert_eq!(inflate(&out, step, message.len()).unwrap(), message.clone());
                prop_assert_eq!(
                    inflate(&out, step, message.len() - 1), Err(Violation::TooLarge)
                );
            }
        }

        #[test]
        fn any_bytes_are_survived(data: Vec<u8>, step in 1..9usize) {
            if let Ok(message) = inflate(&data, step, 100) {
                prop_assert!(message.len() <= 100);
            }
        }
    }
}
