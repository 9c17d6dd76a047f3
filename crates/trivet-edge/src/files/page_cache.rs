//! Reading files without waiting for a disk on the runtime thread.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags};

/// What Linux reads ahead at once, at least on ordinary disks: where its first byte is in
/// memory, the rest of such a stretch is, or is on its way.
const STRETCH: u64 = 128 << 10;

/// Read up to `length` bytes at `offset` if they are in memory; `None` where a disk is needed.
///
/// # Errors
/// The system's.
pub(crate) fn read_now(file: &File, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut data = vec![0; length];
    let mut buffers = [io::IoSliceMut::new(&mut data)];
    match rustix::io::preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => {
            data.truncate(read);
            Ok(Some(data))
        }
        // NOSYS and OPNOTSUPP: this file system cannot tell.
        Err(Errno::AGAIN | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Read up to `length` bytes at `offset`; fewer where the file ends.
///
/// # Errors
/// The system's.
///
/// # Cancel safety
/// Safe: nothing is kept.
pub(crate) async fn read(file: &Arc<File>, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    match read_now(file, offset, length)? {
        // A short read may be the end of the file, or of what is in memory: the thread may wait.
        Some(data) if data.len() == length => Ok(data),
        _ => crate::spool::read_at(Arc::clone(file), offset, length).await,
    }
}

/// Have the next `length` bytes at `offset` in memory, so that `sendfile` does not wait.
///
/// # Errors
/// The system's.
pub(crate) async fn warm(file: &Arc<File>, offset: u64, length: u64) -> io::Result<()> {
    if is_warm(file, offset, length)? {
        return Ok(());
    }
    let file = Arc::clone(file);
    let work = move || {
        let mut at = offset;
        let mut byte = [0];
        // Reading one byte of a stretch makes the kernel read the stretch, and beyond.
        while at < offset + length {
            std::os::unix::fs::FileExt::read_at(&*file, &mut byte, at)?;
            at += STRETCH;
        }
        Ok(())
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn is_warm(file: &File, offset: u64, length: u64) -> io::Result<bool> {
    let mut at = offset;
    while at < offset + length {
        if read_now(file, at, 1)?.is_none() {
            return Ok(false);
        }
        at += STRETCH;
    }
    Ok(true)
}
