//! Content in unlinked files: nothing is left behind, whatever happens.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};

/// Where unlinked files are made.
#[derive(Clone, Debug)]
pub struct SpoolFolder(Option<PathBuf>);

impl SpoolFolder {
    /// Files in `folder`, or nowhere.
    pub fn new(folder: Option<&str>) -> Self {
        Self(folder.map(PathBuf::from))
    }

    /// Whether there is a folder for files.
    pub fn has_folder(&self) -> bool {
        self.0.is_some()
    }

    /// Make a file for one message's content.
    ///
    /// # Errors
    /// The system's: there is no folder, or its file system is full.
    pub fn create(&self) -> io::Result<File> {
        let Some(folder) = &self.0 else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match open(folder, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(File::from(file)),
            // A file system that cannot make nameless files (overlay on old
            // kernels, NFS): make a named one and remove the name at once.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => named(folder),
            Err(error) => Err(error.into()),
        }
    }
}

fn named(folder: &Path) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let unique = format!(
        ".trivet-spool-{}-{}",
        std::process::id(),
        crate::clock::now_us()
    );
    let path = folder.join(unique);
    let file = open(&path, flags, Mode::RUSR | Mode::WUSR)?;
    std::fs::remove_file(&path)?;
    Ok(File::from(file))
}

/// A file that is being filled.
#[derive(Debug)]
pub struct Spool {
    file: Arc<File>,
    length: u64,
}

impl Spool {
    /// Make an empty one.
    ///
    /// # Errors
    /// As [`SpoolFolder::create`].
    pub async fn create(folder: &SpoolFolder) -> io::Result<Self> {
        let folder = folder.clone();
        let file = blocking(move || folder.create()).await?;
        Ok(Self {
            file: Arc::new(file),
            length: 0,
        })
    }

    /// Append `data` off the runtime thread, and give the buffer back, emptied.
    ///
    /// # Errors
    /// The system's: the file system is full.
    pub async fn append(&mut self, mut data: Vec<u8>) -> io::Result<Vec<u8>> {
        let file = Arc::clone(&self.file);
        let offset = self.length;
        let (data, written) = blocking(move || {
            file.write_all_at(&data, offset)?;
            let written = data.len() as u64;
            data.clear();
            Ok((data, written))
        })
        .await?;
        self.length += written;
        Ok(data)
    }

    /// Bytes in it.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file, to be read by position.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// The file opened anew for reading only, with a position of its own.
    ///
    /// A passed descriptor shares its position with ours, and the app could
    /// write through it: both would break sending the content again.
    ///
    /// # Errors
    /// The system's, where `/proc` is not mounted.
    pub fn reopen(&self) -> io::Result<File> {
        reopen(&self.file)
    }
}

/// Open a file anew for reading only.
///
/// # Errors
/// The system's, where `/proc` is not mounted.
pub fn reopen(file: &File) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    Ok(File::from(open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?))
}

/// Read up to `length` bytes at `offset` off the runtime thread.
///
/// Returns fewer where the file ends.
///
/// # Errors
/// The system's.
pub async fn read_at(file: Arc<File>, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    blocking(move || {
        let mut data = vec![0; length];
        let mut filled = 0;
        while let Some(space) = data.get_mut(filled..).filter(|space| !space.is_empty()) {
            match file.read_at(space, offset + filled as u64) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        data.truncate(filled);
        Ok(data)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn temporary() -> Spool {
        Spool::create(&SpoolFolder(Some(std::env::temp_dir())))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn without_a_folder_there_are_no_files() {
        let error = Spool::create(&SpoolFolder(None)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn spooled_content_is_read_back_from_its_start_by_a_reopened_file() {
        let mut spool = temporary().await;
        let buffer = spool.append(b"hello ".to_vec()).await.unwrap();
        assert!(buffer.is_empty());
        spool.append(b"world".to_vec()).await.unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut spool.reopen().unwrap(), &mut text).unwrap();
        assert_eq!((text.as_str(), spool.length()), ("hello world", 11));
    }

    #[tokio::test]
    async fn a_reopened_file_cannot_be_written() {
        let spool = temporary().await;
        let error = spool.reopen().unwrap().write_at(b"x", 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }

    #[tokio::test]
    async fn reading_past_the_end_gives_what_is_there() {
        let mut spool = temporary().await;
        spool.append(b"abc".to_vec()).await.unwrap();
        assert_eq!(read_at(spool.file(), 1, 10).await.unwrap(), b"bc");
    }
}
