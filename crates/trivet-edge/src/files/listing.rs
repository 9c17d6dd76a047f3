//! The names in a folder.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};

use trivet_core::listing::{Entry, page};
use trivet_core::problem::PageFormat;

use super::open::Refused;

/// Names that are shown at the most; a page with more helps nobody.
const MOST_NAMES: usize = 10_000;

/// The names in a folder: folders first, then files, each in the order of their letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    entries: Vec<Entry>,
    /// Whether there are more than are shown.
    is_cut: bool,
}

impl Listing {
    /// The content type and content of a page for the folder at `path`, as it was asked for.
    pub(crate) fn page(&self, path: &[u8], format: PageFormat) -> (&'static str, Vec<u8>) {
        page(path, &self.entries, self.is_cut, format)
    }

    /// Read the names, off the runtime thread.
    pub(super) async fn read(folder: OwnedFd) -> Result<Self, Refused> {
        tokio::task::spawn_blocking(move || read(&folder))
            .await
            .map_err(|_| Refused::Failed)?
    }
}

fn read(folder: &OwnedFd) -> Result<Listing, Refused> {
    let mut listing = Listing::default();
    for entry in Dir::read_from(folder).map_err(|_| Refused::Failed)? {
        let entry = entry.map_err(|_| Refused::Failed)?;
        if let Some(entry) = describe(folder, entry.file_name()) {
            if listing.entries.len() == MOST_NAMES {
                listing.is_cut = true;
                break;
            }
            listing.entries.push(entry);
        }
    }
    let order = |entry: &Entry| {
        (
            !entry.is_folder,
            entry.name.to_lowercase(),
            entry.name.clone(),
        )
    };
    listing.entries.sort_by_cached_key(order);
    Ok(listing)
}

/// What would be served under a name; `None` where nothing would be.
fn describe(folder: &OwnedFd, name: &CStr) -> Option<Entry> {
    let text = name.to_str().ok()?;
    if text.starts_with('.') || text.contains(['\\', '\n', '\r']) {
        return None;
    }
    // A symbolic link is listed if it leads to something below this very folder; another may
    // lead out of the root, and then not even its length is told.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let opened = openat2(folder, name, flags, Mode::empty(), how).ok()?;
    let stat = fstat(&opened).ok()?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let is_folder = kind == FileType::Directory;
    if !is_folder && kind != FileType::RegularFile {
        return None;
    }
    Some(Entry {
        name: text.to_owned(),
        is_folder,
        length: if is_folder {
            0
        } else {
            u64::try_from(stat.st_size).unwrap_or(0)
        },
        modified_s: u64::try_from(stat.st_mtime).unwrap_or(0),
    })
}
