//! Writing access log lines without ever waiting for the disk or a pipe.
//!
//! Lines are formatted by the connection's thread into one buffer; a thread of
//! its own writes the buffer out. A reader that does not keep up costs lines,
//! never requests: their number is written down when there is room again.
//! Other processes may write to the same pipe, so lines go there in pieces that
//! the system keeps whole.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use trivet_core::access_log::{AccessFormat, AccessRecord, write_line};

/// Lines that wait for a slow disk or pipe, at the most.
const MOST_BYTES: usize = 8 << 20;
/// What a pipe takes at once, unmixed with what others write (`PIPE_BUF`).
const PIPE_BYTES: usize = 4096;
/// How long the last lines may take at the end, if nobody reads them.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    dropped: u64,
    reopen: bool,
    ended: bool,
    /// The writer has written the last line.
    written: bool,
}

#[derive(Debug)]
struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

/// An access log. When it is dropped, the lines that it has are still written.
#[derive(Debug)]
pub struct AccessLog {
    format: AccessFormat,
    shared: Arc<Shared>,
}

/// Every access log that is written: after a reload, more than one while requests that began
/// before it are running.
#[derive(Debug, Default)]
pub(crate) struct Logs(Mutex<Vec<Weak<Shared>>>);

impl Logs {
    /// Open one more, as [`AccessLog::open`] does.
    pub(crate) fn open(
        &self,
        format: AccessFormat,
        path: Option<&str>,
    ) -> std::io::Result<AccessLog> {
        let log = AccessLog::open(format, path)?;
        let mut all = self.0.lock();
        all.retain(|shared| shared.strong_count() > 0);
        all.push(Arc::downgrade(&log.shared));
        Ok(log)
    }

    /// Open their files anew, after they were renamed.
    pub(crate) fn reopen(&self) {
        for shared in self.written() {
            shared.buffer.lock().reopen = true;
            shared.changed.notify_one();
        }
    }

    /// Write out what is left, unless nobody reads it. Lines recorded
    /// afterwards are lost.
    pub(crate) fn close(&self) {
        let all = self.written();
        for shared in &all {
            shared.end();
        }
        let deadline = Instant::now() + CLOSE_WAIT;
        for shared in all {
            shared.wait_until_written(deadline);
        }
    }

    fn written(&self) -> Vec<Arc<Shared>> {
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Shared {
    fn end(&self) {
        self.buffer.lock().ended = true;
        self.changed.notify_all();
    }

    fn wait_until_written(&self, deadline: Instant) {
        let mut buffer = self.buffer.lock();
        while !buffer.written && !self.changed.wait_until(&mut buffer, deadline).timed_out() {}
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl AccessLog {
    /// Write to the file at `path`, or to standard output.
    ///
    /// # Errors
    /// The system's, where the file cannot be opened or a thread not started.
    pub fn open(format: AccessFormat, path: Option<&str>) -> std::io::Result<Self> {
        let path = path.map(str::to_owned);
        let file = open(path.as_deref())?;
        let shared = Arc::new(Shared {
            buffer: Mutex::default(),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_out(&theirs, file, path.as_deref(), format))?;
        Ok(Self { format, shared })
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

fn write_out(shared: &Shared, mut file: File, path: Option<&str>, format: AccessFormat) {
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
        if dropped > 0 {
            lines.extend_from_slice(lost_lines(format, dropped).as_bytes());
        }
        // A log that cannot be written must not stop the server: the lines are lost.
        let _ = write_lines(&file, &lines);
        lines.clear();
        if reopen && let Ok(opened) = open(path) {
            file = opened;
        }
        if ended {
            break;
        }
    }
    shared.buffer.lock().written = true;
    shared.changed.notify_all();
}

/// Write whole lines, to a pipe in pieces that nothing else gets in between.
fn write_lines(mut file: &File, lines: &[u8]) -> std::io::Result<()> {
    if !file
        .metadata()
        .is_ok_and(|metadata| metadata.file_type().is_fifo())
    {
        return file.write_all(lines);
    }
    let mut rest = lines;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_length(rest));
        file.write_all(piece)?;
        rest = after;
    }
    Ok(())
}

/// As many whole lines as a pipe takes at once; one, if that is longer.
fn piece_length(lines: &[u8]) -> usize {
    let is_end = |&byte: &u8| byte == b'\n';
    let (within, beyond) = lines.split_at(lines.len().min(PIPE_BYTES));
    let whole = within.iter().rposition(is_end).map(|at| at + 1);
    whole.unwrap_or_else(|| {
        let rest = beyond.iter().position(is_end).map(|at| at + 1);
        within.len() + rest.unwrap_or(beyond.len())
    })
}

/// The line that stands for those that were dropped.
fn lost_lines(format: AccessFormat, dropped: u64) -> String {
    const EVENT: &str = "access log lines were dropped: the reader is too slow";
    match format {
        AccessFormat::Json => {
            format!("{{\"level\":\"warning\",\"event\":\"{EVENT}\",\"dropped\":{dropped}}}\n")
        }
        AccessFormat::Logfmt => format!("level=warning event=\"{EVENT}\" dropped={dropped}\n"),
        AccessFormat::Combined | AccessFormat::Text { .. } => format!("# {dropped} {EVENT}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: AccessRecord<'_> = AccessRecord {
        unix_us: 0,
        client: "127.0.0.1",
        client_port: 1,
        method: b"GET",
        target: b"/",
        version: "HTTP/1.1",
        status: 200,
        bytes_in: 0,
        bytes_out: 0,
        duration_us: 0,
        queue_us: None,
        app_us: None,
        host: b"",
        scheme: "http",
        referer: b"",
        user_agent: b"",
        request_id: "id",
        worker: None,
        error: None,
        aborted: false,
    };

    #[test]
    fn what_a_dropped_log_has_is_written_before_the_end() {
        let path = std::env::temp_dir().join(format!("trivet-log-{}", std::process::id()));
        let logs = Logs::default();
        let log = logs.open(AccessFormat::Combined, path.to_str()).unwrap();
        log.record(&RECORD);
        drop(log);
        logs.close();
        let lines = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(lines.starts_with("127.0.0.1 "), "{lines}");
    }

    #[test]
    fn a_pipe_gets_whole_lines() {
        let line = [b"x".repeat(999), b"\n".to_vec()].concat();
        assert_eq!(piece_length(&line.repeat(10)), 4000);
        assert_eq!(piece_length(&line), 1000);
        let long = [b"x".repeat(5000), b"\n".to_vec()].concat();
        assert_eq!(piece_length(&[long, line].concat()), 5001);
    }

    #[test]
    fn a_line_about_lost_lines_keeps_the_format() {
        let json = lost_lines(AccessFormat::Json, 7);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["dropped"], 7);
        let logfmt = lost_lines(AccessFormat::Logfmt, 7);
        assert!(
            logfmt.starts_with("level=warning event=\"access"),
            "{logfmt}"
        );
        assert!(lost_lines(AccessFormat::Combined, 7).starts_with("# 7 access log lines"));
    }
}
