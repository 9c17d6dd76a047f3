//! Writing access log lines without ever waiting for the disk or a pipe.
//!
//! Lines are formatted by the connection's thread into one buffer; a thread of
//! its own writes the buffer out. A reader that does not keep up costs lines,
//! never requests: their number is written down when there is room again.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use trivet_core::access_log::{AccessFormat, AccessRecord, write_line};

/// Lines that wait for a slow disk or pipe, at the most.
const MOST_BYTES: usize = 8 << 20;

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    dropped: u64,
    reopen: bool,
    ended: bool,
}

#[derive(Debug)]
struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

/// The access log.
#[derive(Debug)]
pub struct AccessLog {
    format: AccessFormat,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl AccessLog {
    /// Write to the file at `path`, or to standard output.
    ///
    /// # Errors
    /// The system's, where the file cannot be opened or a thread not started.
    pub fn open(format: AccessFormat, path: Option<&str>) -> std::io::Result<Self> {
        let path = path.map(str::to_owned);
        let mut file = open(path.as_deref())?;
        let shared = Arc::new(Shared {
            buffer: Mutex::default(),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                write_out(&theirs, &mut file, path.as_deref());
            })?;
        Ok(Self {
            format,
            shared,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Write one request down.
    pub fn record(&self, record: &AccessRecord<'_>) {
        let mut buffer = self.shared.buffer.lock();
        if buffer.lines.len() > MOST_BYTES {
            buffer.dropped += 1;
            return;
        }
        let was_empty = buffer.lines.is_empty();
        write_line(self.format, record, &mut buffer.lines);
        drop(buffer);
        if was_empty {
            self.shared.changed.notify_one();
        }
    }

    /// Open the file anew, after it was renamed.
    pub fn reopen(&self) {
        self.shared.buffer.lock().reopen = true;
        self.shared.changed.notify_one();
    }

    /// Write out what is left. Lines recorded afterwards are lost.
    pub fn close(&self) {
        self.shared.buffer.lock().ended = true;
        self.shared.changed.notify_one();
        if let Some(writer) = self.writer.lock().take() {
            let _ = writer.join();
        }
    }
}

fn open(path: Option<&str>) -> std::io::Result<File> {
    match path {
        Some(path) => OpenOptions::new().create(true).append(true).open(path),
        None => Ok(File::from(rustix::io::fcntl_dupfd_cloexec(
            rustix::stdio::stdout(),
            3,
        )?)),
    }
}

fn write_out(shared: &Shared, file: &mut File, path: Option<&str>) {
    let mut lines = Vec::new();
    loop {
        let mut buffer = shared.buffer.lock();
        while buffer.lines.is_empty() && !buffer.ended && !buffer.reopen {
            shared.changed.wait(&mut buffer);
        }
        std::mem::swap(&mut lines, &mut buffer.lines);
        let dropped = std::mem::take(&mut buffer.dropped);
        let reopen = std::mem::take(&mut buffer.reopen);
        let ended = buffer.ended;
        drop(buffer);
        // A log that cannot be written must not stop the server: the lines are lost.
        let _ = file.write_all(&lines);
        if dropped > 0 {
            let _ = writeln!(
                file,
                "# {dropped} access log lines were dropped: the reader is too slow"
            );
        }
        lines.clear();
        if reopen && let Ok(opened) = open(path) {
            *file = opened;
        }
        if ended {
            return;
        }
    }
}
