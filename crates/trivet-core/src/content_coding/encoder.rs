//! Making a content coding, piece by piece or at once.
//!
//! Strategy: one [`Encoder`] for all codings, which appends to a buffer of its caller's and
//! knows nothing of where the content comes from. Its memory is bounded by the windows chosen
//! here, which are smaller than the codings allow: a stream may live for hours, and a server
//! has thousands of them. [`stream_bytes`] states the bound.

use std::io::Write;

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::{Compress, Compression, FlushCompress};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

use super::Coding;

/// The largest window of gzip, and the usual one: 32 KiB (RFC 1951 section 2).
const GZIP_WINDOW_BITS: u8 = 15;
/// 256 KiB: more finds little in the pages and documents of an app.
const BR_WINDOW_BITS: i32 = 18;
/// As for brotli. RFC 9659 allows 8 MiB, which is 23 bits.
const ZSTD_WINDOW_BITS: u32 = 18;
/// Room that the output grows by at the least.
const GROWTH: usize = 4 << 10;

/// The coder refused its input: it has no memory, or is at its end already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {} coder failed", .0.name())]
pub struct EncoderFailed(pub Coding);

/// How hard a coder tries. Each level counts only for its coding and is brought into its
/// range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Brotli's quality, 0 to 11.
    pub br: u8,
    /// Of gzip, 1 to 9.
    pub gzip: u8,
    /// Of Zstandard, 1 to 19.
    pub zstd: u8,
}

impl Levels {
    /// The levels for content of `bytes` that is coded once and sent many times.
    ///
    /// The budget is about half a second of one core for each file: the best levels cost about
    /// a second per MiB, so that they are for small files. What is larger gets the best level
    /// that is still about ten times as fast.
    pub const fn for_stored(bytes: u64) -> Self {
        const BEST_BYTES: u64 = 512 << 10;
        if bytes <= BEST_BYTES {
            Self {
                br: 11,
                gzip: 9,
                zstd: 19,
            }
        } else {
            Self {
                br: 7,
                gzip: 7,
                zstd: 9,
            }
        }
    }
}

/// Bytes of memory that a stream in this coding holds at the most, at levels that are for
/// streams: up to 6, and up to 9 for gzip.
///
/// Measured with a MiB in each, and rounded up; a stream of small events holds a half or less.
pub const fn stream_bytes(coding: Coding, levels: &Levels) -> u64 {
    let kibibytes = match (coding, levels) {
        (Coding::Identity, _) => 0,
        (Coding::Zstd, Levels { zstd: 0..=3, .. }) => 1792,
        (Coding::Br, Levels { br: 0..=4, .. }) => 2048,
        (Coding::Zstd | Coding::Br, _) => 4096,
        (Coding::Gzip, _) => 512,
    };
    kibibytes << 10
}

/// Codes content, however its pieces come.
///
/// What has been [`push`](Self::push)ed may stay inside until it is [`flush`](Self::flush)ed:
/// then all of it can be decoded from what has been written. After an error it must not be
/// used again, but for [`restart`](Self::restart).
pub struct Encoder {
    coding: Coding,
    level: u8,
    inner: Inner,
    /// Whether something was pushed and not flushed.
    is_behind: bool,
}

enum Inner {
    Br(Box<CompressorWriter<Vec<u8>>>),
    Gzip(Compress),
    Identity,
    Zstd(CCtx<'static>),
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Encoder")
            .field("coding", &self.coding)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// An encoder for one content; `length` is how much will come, if that is known.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub fn new(
        coding: Coding,
        levels: &Levels,
        length: Option<u64>,
    ) -> Result<Self, EncoderFailed> {
        let level = match coding {
            Coding::Identity => 0,
            Coding::Zstd => levels.zstd.clamp(1, 19),
            Coding::Br => levels.br.min(11),
            Coding::Gzip => levels.gzip.clamp(1, 9),
        };
        let inner = match coding {
            Coding::Identity => Inner::Identity,
            Coding::Zstd => Inner::Zstd(zstd(level, length).ok_or(EncoderFailed(coding))?),
            Coding::Br => Inner::Br(brotli(level, length)),
            Coding::Gzip => {
                let level = Compression::new(u32::from(level));
                Inner::Gzip(Compress::new_gzip(level, GZIP_WINDOW_BITS))
            }
        };
        Ok(Self {
            coding,
            level,
            inner,
            is_behind: false,
        })
    }

    /// Begin with another content of `length`, whatever became of the one before. Cheaper
    /// than a new one where the coding lets its memory be used again.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn restart(&mut self, length: Option<u64>) -> Result<(), EncoderFailed> {
        self.is_behind = false;
        match &mut self.inner {
            Inner::Identity => {}
            Inner::Br(inner) => *inner = brotli(self.level, length),
            Inner::Gzip(inner) => inner.reset(),
            Inner::Zstd(inner) => {
                let is_ready = inner.reset(ResetDirective::SessionOnly).is_ok()
                    && inner.set_pledged_src_size(length).is_ok();
                if !is_ready {
                    return Err(EncoderFailed(self.coding));
                }
            }
        }
        Ok(())
    }

    /// Code `piece`, and append to `out` what is ready.
    ///
    /// # Errors
    /// [`EncoderFailed`]; `out` may have grown.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), EncoderFailed> {
        if piece.is_empty() {
            return Ok(());
        }
        self.is_behind = true;
        let is_done = match &mut self.inner {
            Inner::Identity => {
                out.extend_from_slice(piece);
                true
            }
            Inner::Br(inner) => inner.write_all(piece).is_ok() && take(inner, out),
            Inner::Gzip(inner) => gzip(inner, piece, FlushCompress::None, out),
            Inner::Zstd(inner) => run(inner, piece, ZSTD_EndDirective::ZSTD_e_continue, out),
        };
        self.judge(is_done)
    }

    /// Append to `out` all that is still inside, so that whoever reads gets it. Costs some
    /// bytes, and nothing where nothing was pushed.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), EncoderFailed> {
        if !std::mem::take(&mut self.is_behind) {
            return Ok(());
        }
        let is_done = match &mut self.inner {
            Inner::Identity => true,
            Inner::Br(inner) => inner.flush().is_ok() && take(inner, out),
            Inner::Gzip(inner) => gzip(inner, &[], FlushCompress::Sync, out),
            Inner::Zstd(inner) => run(inner, &[], ZSTD_EndDirective::ZSTD_e_flush, out),
        };
        self.judge(is_done)
    }

    /// Append the end. Nothing may be pushed until it is restarted.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncoderFailed> {
        self.is_behind = false;
        let is_done = match &mut self.inner {
            Inner::Identity => true,
            Inner::Br(inner) => {
                let ended = std::mem::replace(inner, brotli(0, Some(0)));
                out.extend_from_slice(&ended.into_inner());
                true
            }
            Inner::Gzip(inner) => gzip(inner, &[], FlushCompress::Finish, out),
            Inner::Zstd(inner) => run(inner, &[], ZSTD_EndDirective::ZSTD_e_end, out),
        };
        self.judge(is_done)
    }

    const fn judge(&self, is_done: bool) -> Result<(), EncoderFailed> {
        if is_done {
            Ok(())
        } else {
            Err(EncoderFailed(self.coding))
        }
    }
}

fn brotli(level: u8, length: Option<u64>) -> Box<CompressorWriter<Vec<u8>>> {
    let params = BrotliEncoderParams {
        quality: i32::from(level),
        lgwin: BR_WINDOW_BITS,
        size_hint: length.map_or(0, |length| usize::try_from(length).unwrap_or(0)),
        ..BrotliEncoderParams::default()
    };
    Box::new(CompressorWriter::with_params(Vec::new(), GROWTH, &params))
}

fn take(inner: &mut CompressorWriter<Vec<u8>>, out: &mut Vec<u8>) -> bool {
    out.append(inner.get_mut());
    true
}

fn gzip(inner: &mut Compress, mut piece: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> bool {
    loop {
        out.reserve(GROWTH.max(piece.len() / 4));
        let (before, room) = (inner.total_in(), out.capacity() - out.len());
        let (status, written) = {
            let length = out.len();
            let status = inner.compress_vec(piece, out, flush);
            (status, out.len() - length)
        };
        let taken = usize::try_from(inner.total_in() - before).unwrap_or(usize::MAX);
        piece = piece.get(taken..).unwrap_or_default();
        match status {
            Err(_) => return false,
            Ok(flate2::Status::StreamEnd) => return piece.is_empty(),
            // Room that is left says that nothing is inside that could come out.
            Ok(_) if piece.is_empty() && written < room => {
                return !matches!(flush, FlushCompress::Finish);
            }
            Ok(_) if taken == 0 && written == 0 => return false,
            Ok(_) => {}
        }
    }
}

fn zstd(level: u8, length: Option<u64>) -> Option<CCtx<'static>> {
    let mut inner = CCtx::try_create()?;
    for parameter in [
        CParameter::CompressionLevel(i32::from(level)),
        CParameter::WindowLog(ZSTD_WINDOW_BITS),
        // A client that got it wrong would notice: 4 bytes for that.
        CParameter::ChecksumFlag(true),
    ] {
        inner.set_parameter(parameter).ok()?;
    }
    inner.set_pledged_src_size(length).ok()?;
    Some(inner)
}

fn run(inner: &mut CCtx<'_>, piece: &[u8], end: ZSTD_EndDirective, out: &mut Vec<u8>) -> bool {
    let is_continued = matches!(end, ZSTD_EndDirective::ZSTD_e_continue);
    let mut input = InBuffer::around(piece);
    loop {
        out.reserve(GROWTH.max(piece.len() / 4));
        let at = out.len();
        let left = {
            let mut output = OutBuffer::around_pos(out, at);
            inner.compress_stream2(&mut output, &mut input, end)
        };
        let Ok(left) = left else { return false };
        let is_taken = input.pos() == piece.len();
        // It is done with what it got; a flush, when nothing is left inside either.
        if is_taken && (is_continued || left == 0) {
            return true;
        }
    }
}

#[cfg(test)]
mod tests;
