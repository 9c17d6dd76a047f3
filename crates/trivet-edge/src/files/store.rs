//! Files that were asked for lately: small ones with their content, large ones open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use trivet_core::content_coding::Coding;

use super::open::Facts;

/// A representation of a file: as it is, or as a precompressed sibling has it.
#[derive(Debug)]
pub(crate) struct Representation {
    /// Its coding.
    pub(crate) coding: Coding,
    pub(crate) facts: Facts,
    /// Its entity tag, quoted.
    pub(crate) etag: String,
    /// Where its bytes are.
    pub(crate) content: Content,
}

/// Where the bytes of a representation are.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// In a file.
    File(Arc<std::fs::File>),
    /// In memory.
    Memory(Bytes),
}

/// A file, as it was when it was looked at last.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Below the folder.
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) cache_control: Option<String>,
    /// As it is, and then its siblings, the preferred first.
    pub(crate) representations: Vec<Representation>,
    /// When names of its folder had changed last; `None` where that is not known.
    names_changed: Option<(i64, u32)>,
    checked_us: AtomicU64,
}

impl Stored {
    pub(super) fn new(
        name: String,
        (content_type, cache_control): (String, Option<String>),
        representations: Vec<Representation>,
        names_changed: Option<(i64, u32)>,
        now_us: u64,
    ) -> Self {
        Self {
            name,
            content_type,
            cache_control,
            representations,
            names_changed,
            checked_us: AtomicU64::new(now_us),
        }
    }

    /// Whether it was compared with the disk lately enough.
    pub(super) fn is_fresh(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.checked_us.load(Ordering::Relaxed)) < FRESH_US
    }

    /// Whether its folder has the names that it had, if `names_changed` is when these changed.
    pub(super) fn has_the_same_siblings(&self, names_changed: Option<(i64, u32)>) -> bool {
        names_changed.is_some() && names_changed == self.names_changed
    }

    /// Whether it was compared with the disk not too long ago for the kernel to have its name at
    /// hand.
    pub(super) fn is_warm(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.checked_us.load(Ordering::Relaxed)) < WARM_US
    }

    /// It is as it was.
    pub(super) fn refresh(&self, now_us: u64) {
        self.checked_us.store(now_us, Ordering::Relaxed);
    }

    /// What is known of the file with this coding.
    pub(super) fn facts(&self, coding: Coding) -> Option<Facts> {
        let found = self
            .representations
            .iter()
            .find(|each| each.coding == coding);
        found.map(|each| each.facts)
    }

    fn is_in_memory(&self) -> bool {
        let mut contents = self.representations.iter().map(|each| &each.content);
        contents.all(|content| matches!(content, Content::Memory(_)))
    }
}

/// How long what was read is believed: what nginx's `open_file_cache_valid` has as a minute,
/// in the second that people take to reload a page after a change.
const FRESH_US: u64 = 1_000_000;
/// How long the kernel is trusted to keep a name in its cache.
const WARM_US: u64 = 60_000_000;
/// Files that are kept open: more would use up descriptors that connections need.
const MOST_OPEN: usize = 256;
/// What a file takes in memory beside its content, roughly.
const OVERHEAD_BYTES: u64 = 512;

#[derive(Clone, Debug)]
struct Size;

impl Weighter<String, Arc<Stored>> for Size {
    fn weight(&self, name: &String, stored: &Arc<Stored>) -> u64 {
        let content = stored.representations.iter().map(|each| each.facts.length);
        OVERHEAD_BYTES + name.len() as u64 + content.sum::<u64>()
    }
}

/// The files of a folder that were asked for lately.
#[derive(Debug)]
pub(crate) struct Store {
    small: Cache<String, Arc<Stored>, Size>,
    open: Cache<String, Arc<Stored>>,
}

impl Store {
    /// One that keeps `memory_bytes` of content.
    pub(crate) fn new(memory_bytes: u64) -> Self {
        let expected = usize::try_from(memory_bytes / 8192).unwrap_or(usize::MAX);
        Self {
            small: Cache::with_weighter(expected.clamp(16, 1 << 16), memory_bytes, Size),
            open: Cache::new(MOST_OPEN),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Stored>> {
        self.small.get(name).or_else(|| self.open.get(name))
    }

    pub(super) fn put(&self, stored: &Arc<Stored>) {
        let name = stored.name.clone();
        if stored.is_in_memory() {
            self.open.remove(&name);
            self.small.insert(name, Arc::clone(stored));
        } else {
            self.small.remove(&name);
            self.open.insert(name, Arc::clone(stored));
        }
    }

    pub(super) fn forget(&self, name: &str) {
        self.small.remove(name);
        self.open.remove(name);
    }

    pub(super) fn clear(&self) {
        self.small.clear();
        self.open.clear();
    }
}
