//! The claim page's memory, mapped into this process.

use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use trivet_wire::claim::{ClaimPage, NotAClaimPage, PAGE_BYTES};

/// A claim page's memory; unmapped when dropped.
#[derive(Debug)]
pub struct ClaimMap {
    words: &'static [AtomicU64],
}

/// The descriptor is not the memory of a claim page.
#[derive(Debug, thiserror::Error)]
pub enum ClaimMapError {
    /// It cannot be mapped.
    #[error("cannot map the claim page: {0}")]
    Map(#[from] rustix::io::Errno),
    /// It is smaller than a page.
    #[error("the claim page's memory has {0} bytes, not {PAGE_BYTES}")]
    Size(u64),
    /// It was not initialised by this version.
    #[error(transparent)]
    Content(#[from] NotAClaimPage),
}

impl ClaimMap {
    /// Map the initialised page behind `memory`.
    ///
    /// # Errors
    /// [`ClaimMapError`] for anything but the memory of a claim page.
    pub fn open(memory: impl AsFd) -> Result<Self, ClaimMapError> {
        let map = Self::map(memory)?;
        ClaimPage::open(map.words)?;
        Ok(map)
    }

    /// Map the zeroed memory behind `memory` and write the page's header.
    ///
    /// # Errors
    /// As [`ClaimMap::open`].
    pub fn init(memory: impl AsFd) -> Result<Self, ClaimMapError> {
        let map = Self::map(memory)?;
        ClaimPage::init(map.words)?;
        Ok(map)
    }

    /// The page.
    pub fn page(&self) -> ClaimPage<'_> {
        ClaimPage::trusted(self.words)
    }

    #[allow(unsafe_code, reason = "mapping memory has no safe form")]
    fn map(memory: impl AsFd) -> Result<Self, ClaimMapError> {
        let size = rustix::fs::fstat(&memory)?.st_size;
        let size = u64::try_from(size).unwrap_or(0);
        if size < PAGE_BYTES as u64 {
            return Err(ClaimMapError::Size(size));
        }
        // SAFETY: a fresh shared mapping at an address of the kernel's choice;
        // nothing else in this process refers to it.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                PAGE_BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                memory,
                0,
            )?
        };
        // SAFETY: the mapping is page-aligned, PAGE_BYTES long and stays until
        // `drop`; it is only ever accessed through atomics, which any bit
        // pattern is valid for, also while the other process writes. A memfd
        // is never truncated by its owner, so there is no fault.
        let words =
            unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>(), PAGE_BYTES / 8) };
        Ok(Self { words })
    }
}

impl Drop for ClaimMap {
    #[allow(unsafe_code, reason = "unmapping memory has no safe form")]
    fn drop(&mut self) {
        // SAFETY: the range is the one that `map` mapped, and `page` hands out
        // borrows of `self` only.
        let unmapped = unsafe { munmap(self.words.as_ptr().cast_mut().cast(), PAGE_BYTES) };
        debug_assert!(unmapped.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    #[test]
    fn two_maps_of_one_memory_share_their_words() {
        let memory = memfd_create("claim", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&memory, PAGE_BYTES as u64).unwrap();
        let edge = ClaimMap::init(&memory).unwrap();
        let worker = ClaimMap::open(&memory).unwrap();
        edge.page().hand_out(1, 9);
        assert!(worker.page().start(1, 9, 5));
        assert_eq!(edge.page().running_since(1, 9), Some(5));
    }

    #[test]
    fn too_small_a_memory_is_refused() {
        let memory = memfd_create("claim", MemfdFlags::CLOEXEC).unwrap();
        assert!(matches!(
            ClaimMap::open(&memory),
            Err(ClaimMapError::Size(0))
        ));
    }
}
