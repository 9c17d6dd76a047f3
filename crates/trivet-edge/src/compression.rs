//! What the configuration says about compression, made ready, and the memory of all streams.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trivet_core::content_coding::{
    Coding, CompressionPolicy, Encoder, EncoderFailed, Levels, MediaRange, stream_bytes,
};
use trivet_wire::edge_config;

/// What is compressed, and how.
#[derive(Debug)]
pub(crate) struct Compression {
    /// Whether an app's responses are, where no route says otherwise.
    pub(crate) is_enabled: bool,
    /// The preferred first.
    pub(crate) codings: Vec<Coding>,
    pub(crate) levels: Levels,
    types: Vec<MediaRange>,
    min_bytes: u64,
    /// Of all streams together.
    memory_bytes: u64,
}

impl Compression {
    /// Make the configuration ready.
    ///
    /// # Errors
    /// With the media type that is none.
    pub(crate) fn new(config: &edge_config::Compression) -> Result<Self, String> {
        let types = config.types.iter().map(|text| {
            let range = MediaRange::parse(text);
            range.ok_or_else(|| text.clone())
        });
        let coding = |coding: &edge_config::Coding| match coding {
            edge_config::Coding::Br => Coding::Br,
            edge_config::Coding::Gzip => Coding::Gzip,
            edge_config::Coding::Zstd => Coding::Zstd,
        };
        Ok(Self {
            is_enabled: config.enabled,
            codings: config.codings.iter().map(coding).collect(),
            levels: Levels {
                br: config.br_level,
                gzip: config.gzip_level,
                zstd: config.zstd_level,
            },
            types: types.collect::<Result<_, _>>()?,
            min_bytes: u64::from(config.min_bytes),
            memory_bytes: config.memory_bytes,
        })
    }

    pub(crate) fn policy(&self) -> CompressionPolicy<'_> {
        CompressionPolicy {
            types: &self.types,
            min_bytes: self.min_bytes,
        }
    }

    /// Code `content` at once, with a coder that this thread keeps. `None` where that does not
    /// make it smaller, or fails.
    pub(crate) fn code_whole(&self, coding: Coding, content: &[u8]) -> Option<Vec<u8>> {
        thread_local! {
            static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
        }
        KEPT.with_borrow_mut(|kept| {
            let is_it = |kept: &Kept| kept.coding == coding;
            let at = kept.iter().position(is_it);
            // Other levels came with a reload.
            let mut one = match at.map(|at| kept.swap_remove(at)) {
                Some(one) if one.levels == self.levels => one,
                _ => Kept::new(coding, self.levels).ok()?,
            };
            let coded = one.code(content).ok()?;
            // One that failed is not kept.
            kept.push(one);
            (coded.len() < content.len()).then_some(coded)
        })
    }

    /// Begin a stream in `coding`, of `length` where that is known. `None` where there is no
    /// memory for it among `streams`.
    pub(crate) fn stream(
        &self,
        coding: Coding,
        length: Option<u64>,
        streams: &Arc<AtomicU64>,
    ) -> Option<CodedStream> {
        let share = Share::take(
            streams,
            stream_bytes(coding, &self.levels),
            self.memory_bytes,
        )?;
        Some(CodedStream {
            encoder: Encoder::new(coding, &self.levels, length).ok()?,
            _share: share,
        })
    }
}

/// A coder that is used again.
struct Kept {
    coding: Coding,
    levels: Levels,
    encoder: Encoder,
}

impl Kept {
    fn new(coding: Coding, levels: Levels) -> Result<Self, EncoderFailed> {
        Ok(Self {
            coding,
            levels,
            encoder: Encoder::new(coding, &levels, None)?,
        })
    }

    fn code(&mut self, content: &[u8]) -> Result<Vec<u8>, EncoderFailed> {
        let mut out = Vec::with_capacity(content.len() / 3);
        self.encoder.restart(Some(content.len() as u64))?;
        self.encoder.push(content, &mut out)?;
        self.encoder.finish(&mut out)?;
        Ok(out)
    }
}

/// Content that is coded as it comes.
#[derive(Debug)]
pub(crate) struct CodedStream {
    pub(crate) encoder: Encoder,
    _share: Share,
}

/// A part of the memory of all streams, until it is dropped.
#[derive(Debug)]
struct Share {
    streams: Arc<AtomicU64>,
    bytes: u64,
}

impl Share {
    fn take(streams: &Arc<AtomicU64>, bytes: u64, most: u64) -> Option<Self> {
        let more = |held: u64| held.checked_add(bytes).filter(|&held| held <= most);
        streams
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Self {
            streams: Arc::clone(streams),
            bytes,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.streams.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn config() -> edge_config::Compression {
        crate::shared::tests::config().compression
    }

    #[test]
    fn streams_share_their_memory() {
        let mut config = config();
        config.memory_bytes = 1 << 20;
        let compression = Compression::new(&config).unwrap();
        let streams = Arc::default();
        let begin = |coding| compression.stream(coding, None, &streams);
        let first = begin(Coding::Gzip).unwrap();
        assert!(begin(Coding::Zstd).is_none());
        let second = begin(Coding::Gzip).unwrap();
        assert!(begin(Coding::Gzip).is_none());
        drop(first);
        assert!(begin(Coding::Gzip).is_some());
        drop(second);
        assert_eq!(streams.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_coder_that_is_kept_goes_by_the_levels_that_hold_now() {
        let words: Vec<_> = (0..3000).map(|at| (at * 31 % 997).to_string()).collect();
        let text = words.join(" ");
        let length_at = |level| {
            let mut config = config();
            config.gzip_level = level;
            let compression = Compression::new(&config).unwrap();
            let coded = compression
                .code_whole(Coding::Gzip, text.as_bytes())
                .unwrap();
            let mut read = String::new();
            let mut decoder = flate2::read::GzDecoder::new(coded.as_slice());
            decoder.read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
            coded.len()
        };
        let (fast, small) = (length_at(1), length_at(9));
        assert!(small < fast);
        assert_eq!(
            [length_at(1), length_at(1), length_at(9)],
            [fast, fast, small]
        );
    }

    #[test]
    fn what_gets_no_smaller_stays_as_it_is() {
        let compression = Compression::new(&config()).unwrap();
        for coding in [Coding::Br, Coding::Gzip, Coding::Zstd] {
            assert!(compression.code_whole(coding, b"abc").is_none());
            assert!(compression.code_whole(coding, &[b'a'; 100]).is_some());
        }
    }

    #[test]
    fn a_media_type_that_is_none_is_named() {
        let mut config = config();
        config.types.push("text".to_owned());
        assert_eq!(Compression::new(&config).unwrap_err(), "text");
    }
}
