//! Columns for people: `12:04:11  GET   /cart       200      4 ms    1.2 KB`.

use super::{AccessRecord, escape::escape_text, number, redact::redact};

/// Widths that hold most methods and targets; longer ones push the rest aside.
const METHOD_WIDTH: usize = 6;
const TARGET_WIDTH: usize = 28;

pub(super) fn write(record: &AccessRecord<'_>, colour: bool, out: &mut Vec<u8>) {
    let time = record.time();
    number::write_clock(&time, out);
    out.extend_from_slice(b"  ");
    left(out, METHOD_WIDTH, |out| escape_text(record.method, out));
    left(out, TARGET_WIDTH, |out| {
        escape_text(&redact(record.target), out);
    });
    let (paint, plain) = if colour {
        (colour_of(record.status), "\x1b[0m")
    } else {
        ("", "")
    };
    out.extend_from_slice(paint.as_bytes());
    number::write(u64::from(record.status), out);
    out.extend_from_slice(plain.as_bytes());
    right(out, 9, |out| write_duration(record.duration_us, out));
    right(out, 10, |out| write_size(record.bytes_out, out));
    if record.worker.is_none() {
        out.extend_from_slice(b"  edge");
    }
    if record.aborted {
        out.extend_from_slice(b"  client left");
    }
    if let Some(error) = record.error {
        out.extend_from_slice(b"  ");
        escape_text(error.as_bytes(), out);
        out.extend_from_slice(b"  id ");
        escape_text(record.request_id.as_bytes(), out);
    }
}

const fn colour_of(status: u16) -> &'static str {
    match status {
        500.. => "\x1b[31m",
        400.. => "\x1b[33m",
        300.. => "\x1b[36m",
        _ => "\x1b[32m",
    }
}

/// Write a left-aligned column and at least one space.
fn left(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let end = out.len() + width;
    write(out);
    out.resize(end.max(out.len() + 1), b' ');
}

/// Write a right-aligned column, with at least two spaces before it.
fn right(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let length = out.len() - start;
    out.resize(start + width.max(length + 2), b' ');
    if let Some(column) = out.get_mut(start..) {
        let padding = column.len() - length;
        column.rotate_right(padding);
    }
}

/// Milliseconds below ten seconds, then seconds.
fn write_duration(duration_us: u64, out: &mut Vec<u8>) {
    if duration_us < 10_000_000 {
        number::write((duration_us + 500) / 1000, out);
        out.extend_from_slice(b" ms");
    } else {
        number::write(duration_us / 1_000_000, out);
        out.extend_from_slice(b" s");
    }
}

/// Decimal units with one place, as in `1.2 KB`.
fn write_size(bytes: u64, out: &mut Vec<u8>) {
    let (unit, name) = match bytes {
        0..1_000 => {
            number::write(bytes, out);
            out.extend_from_slice(b" B");
            return;
        }
        1_000..1_000_000 => (1_000, b" KB"),
        1_000_000..1_000_000_000 => (1_000_000, b" MB"),
        _ => (1_000_000_000, b" GB"),
    };
    number::write(bytes / unit, out);
    out.push(b'.');
    number::write(bytes % unit * 10 / unit, out);
    out.extend_from_slice(name);
}
