//! Opening files below a folder, and nowhere else.
//!
//! `openat2` with `RESOLVE_BENEATH` lets the kernel keep every name inside: `..`,
//! absolute names and symbolic links that lead out fail, also when somebody changes
//! a folder at the same moment. Names that the kernel does not have in its cache
//! are looked up off the runtime thread, for a disk or a network may be slow.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, makedev, openat2, statx,
};
use rustix::io::Errno;

/// A folder whose files are served, whatever stands at its path by now.
///
/// A release is often a symbolic link that is turned to another folder: so the path is
/// looked at anew now and then, and not only when the configuration is.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    present: RwLock<Arc<OwnedFd>>,
    looked_us: AtomicU64,
}

/// What a name stands for.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file, opened for reading.
    File(File, Facts),
    /// A folder, opened for reading its names.
    Folder(OwnedFd),
}

/// What is known of a file without its content: if it is the same as before, so is the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Bytes.
    pub(crate) length: u64,
    /// Seconds of the last change since 1970, and ns within the second.
    pub(crate) modified: (i64, u32),
    device: u64,
    inode: u64,
}

/// Why a name cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is nothing, or nothing that may be served: clients cannot tell these apart.
    Missing,
    /// This process has no descriptors left.
    Busy,
    /// The system failed.
    Failed,
}

impl Root {
    /// Open a folder.
    ///
    /// # Errors
    /// The system's: it is not there, is no folder, or may not be entered.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            present: RwLock::new(Arc::new(open_folder(path, ResolveFlags::empty())?)),
            looked_us: AtomicU64::new(0),
        })
    }

    /// Look at the path again; true where another folder is there now, which is the root from
    /// now on. Where there is none at all, the one before stays.
    pub(crate) async fn look(&self, now_us: u64) -> bool {
        let last_us = self.looked_us.load(Ordering::Relaxed);
        if now_us.saturating_sub(last_us) < LOOK_US {
            return false;
        }
        self.looked_us.store(now_us, Ordering::Relaxed);
        let opened = match open_folder(&self.path, ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => {
                let path = self.path.clone();
                let work = move || open_folder(&path, ResolveFlags::empty()).ok();
                tokio::task::spawn_blocking(work).await.ok().flatten()
            }
            opened => opened.ok(),
        };
        let Some(opened) = opened else { return false };
        let is_same = match (identity(&self.present()), identity(&opened)) {
            (Some(before), Some(now)) => before == now,
            _ => false,
        };
        if !is_same {
            *self.present.write() = Arc::new(opened);
        }
        !is_same
    }

    fn present(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.present.read())
    }

    /// Open what `name` stands for below the folder, without ever waiting for a disk on the
    /// runtime thread. An empty name is the folder itself.
    pub(crate) async fn find(&self, name: &[u8]) -> Result<Found, Refused> {
        let root = self.present();
        match find_at(&root, name, ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => {
                let name = name.to_vec();
                tokio::task::spawn_blocking(move || {
                    find_at(&root, &name, ResolveFlags::empty()).map_err(refused)
                })
                .await
                .map_err(|_| Refused::Failed)?
            }
            found => found.map_err(refused),
        }
    }

    /// As [`Root::find`] for several names, of which most may be missing: what the kernel does not
    /// know about them is asked in one go.
    pub(crate) async fn find_all(&self, names: Vec<Vec<u8>>) -> Vec<Option<Found>> {
        let root = self.present();
        let mut found = Vec::with_capacity(names.len());
        for name in &names {
            match find_at(&root, name, ResolveFlags::CACHED) {
                Err(Errno::AGAIN) => break,
                each => found.push(each.ok()),
            }
        }
        if found.len() == names.len() {
            return found;
        }
        let known = found.len();
        let work = move || {
            let rest = names.iter().skip(known);
            rest.map(|name| find_at(&root, name, ResolveFlags::empty()).ok())
                .collect::<Vec<_>>()
        };
        found.extend(tokio::task::spawn_blocking(work).await.unwrap_or_default());
        found
    }

    /// Whether `name` certainly leads to the same file as it did when these `facts` were found.
    ///
    /// Names are not confined here: all that is learned is whether it is the file that was
    /// opened before, by its inode. What was asked for lately is in the kernel's cache.
    pub(crate) fn is_same(&self, name: &[u8], facts: &Facts) -> bool {
        let found = glance_at(&self.present(), name);
        found.is_ok_and(|found| found == (FileType::RegularFile, *facts))
    }

    /// When names were last added to or taken from a folder; `None` where it is no folder.
    pub(crate) fn names_changed(&self, folder: &[u8]) -> Option<(i64, u32)> {
        let (kind, facts) = glance_at(&self.present(), folder).ok()?;
        (kind == FileType::Directory).then_some(facts.modified)
    }

    /// What is known of a file now; `None` where the name stands for no file any more.
    ///
    /// Off the runtime thread where the kernel does not have it in its cache.
    pub(crate) async fn facts(&self, name: &[u8]) -> Option<Facts> {
        let root = self.present();
        match facts_at(&root, name, ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => {
                let name = name.to_vec();
                tokio::task::spawn_blocking(move || {
                    facts_at(&root, &name, ResolveFlags::empty()).ok()
                })
                .await
                .ok()?
            }
            facts => facts.ok(),
        }
    }
}

/// How often a root's path is looked at.
const LOOK_US: u64 = 1_000_000;

fn open_folder(path: &Path, how: ResolveFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(rustix::fs::CWD, path, flags, Mode::empty(), how)
}

fn identity(folder: &OwnedFd) -> Option<(u64, u64)> {
    let facts = facts(&rustix::fs::fstat(folder).ok()?);
    Some((facts.device, facts.inode))
}

/// What is known of what `name` leads to, in one call; without asking a server of files again.
fn glance_at(root: &OwnedFd, name: &[u8]) -> Result<(FileType, Facts), Errno> {
    let name = if name.is_empty() { b"." } else { name };
    let wanted = StatxFlags::TYPE | StatxFlags::SIZE | StatxFlags::MTIME | StatxFlags::INO;
    let stat = statx(root, name, AtFlags::STATX_DONT_SYNC, wanted)?;
    let facts = Facts {
        length: stat.stx_size,
        modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
    };
    Ok((FileType::from_raw_mode(stat.stx_mode.into()), facts))
}

/// Names stay below the folder, and never lead through `/proc/…/fd`.
const CONFINED: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

fn open_at(
    root: &OwnedFd,
    name: &[u8],
    flags: OFlags,
    how: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let name = if name.is_empty() { b"." } else { name };
    let flags = flags | OFlags::CLOEXEC;
    openat2(root, name, flags, Mode::empty(), CONFINED | how)
}

fn find_at(root: &OwnedFd, name: &[u8], how: ResolveFlags) -> Result<Found, Errno> {
    // Seen first, opened then: opening a FIFO or a device may have effects. A FIFO that takes
    // the file's place in between does not hold us up either.
    match kind(&open_at(root, name, OFlags::PATH, how)?)? {
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            Ok(Found::Folder(open_at(root, name, flags, how)?))
        }
        FileType::RegularFile => {
            let file = open_at(
                root,
                name,
                OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
                how,
            )?;
            let stat = rustix::fs::fstat(&file)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(Errno::NOENT);
            }
            Ok(Found::File(File::from(file), facts(&stat)))
        }
        _ => Err(Errno::NOENT),
    }
}

fn facts_at(root: &OwnedFd, name: &[u8], how: ResolveFlags) -> Result<Facts, Errno> {
    let stat = rustix::fs::fstat(open_at(root, name, OFlags::PATH, how)?)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        Ok(facts(&stat))
    } else {
        Err(Errno::NOENT)
    }
}

fn kind(file: &OwnedFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode))
}

#[expect(
    clippy::unnecessary_cast,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the fields' types differ between machines; no size is negative"
)]
fn facts(stat: &rustix::fs::Stat) -> Facts {
    Facts {
        length: stat.st_size as u64,
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
    }
}

fn refused(error: Errno) -> Refused {
    match error {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Refused::Busy,
        Errno::IO | Errno::STALE | Errno::TIMEDOUT => Refused::Failed,
        // XDEV is a name that leads out; LOOP, NAMETOOLONG, ACCESS and the like are as good as
        // nothing to clients.
        _ => Refused::Missing,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with a file, a way out, and something that is no file.
    fn folder(name: &str) -> PathBuf {
        let base = std::env::temp_dir().join(format!("trivet-open-{}-{name}", std::process::id()));
        let folder = base.join("root");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::write(folder.join("a.txt"), "a").unwrap();
        std::fs::write(base.join("secret.txt"), "s").unwrap();
        symlink("../secret.txt", folder.join("out.txt")).unwrap();
        symlink(base.join("secret.txt"), folder.join("absolute.txt")).unwrap();
        symlink("a.txt", folder.join("in.txt")).unwrap();
        symlink("/proc/self/fd/0", folder.join("magic")).unwrap();
        folder
    }

    fn remove(folder: &Path) {
        std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn names_below_the_folder_are_found_and_no_others() {
        let folder = folder("found");
        let root = Root::open(&folder).unwrap();
        for name in ["a.txt", "in.txt"] {
            let found = root.find(name.as_bytes()).await;
            assert!(
                matches!(found, Ok(Found::File(_, facts)) if facts.length == 1),
                "{name}"
            );
        }
        for name in ["", "sub"] {
            assert!(
                matches!(root.find(name.as_bytes()).await, Ok(Found::Folder(_))),
                "{name}"
            );
        }
        for name in [
            "b.txt",
            "out.txt",
            "absolute.txt",
            "magic",
            "../secret.txt",
            "sub/../../secret.txt",
            "/etc/passwd",
            "a.txt/b",
            "a\0b",
        ] {
            let found = root.find(name.as_bytes()).await;
            assert_eq!(found.err(), Some(Refused::Missing), "{name}");
            assert_eq!(root.facts(name.as_bytes()).await, None, "{name}");
        }
        remove(&folder);
    }

    #[tokio::test]
    async fn another_folder_at_the_path_becomes_the_root() {
        let folder = folder("turned");
        let root = Root::open(&folder).unwrap();
        assert!(!root.look(LOOK_US).await);
        std::fs::rename(&folder, folder.with_file_name("old")).unwrap();
        assert!(
            !root.look(2 * LOOK_US).await,
            "none there: the one before stays"
        );
        assert!(matches!(root.find(b"a.txt").await, Ok(Found::File(..))));
        std::fs::create_dir(&folder).unwrap();
        assert!(!root.look(2 * LOOK_US + 1).await, "looked at just now");
        assert!(root.look(3 * LOOK_US).await);
        assert_eq!(root.find(b"a.txt").await.err(), Some(Refused::Missing));
        remove(&folder);
    }
}
