//! Numbers and times as text, without the cost of `format!`.

use crate::http_date::{DateTime, MONTHS};

/// Append `number` in decimal.
pub(crate) fn write(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    while start > 0 {
        start -= 1;
        digits[start] = digit(number % 10);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Write the last `width` digits, with leading zeros.
fn write_padded(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    for place in digits.iter_mut().rev().take(width) {
        *place = digit(number % 10);
        number /= 10;
    }
    out.extend_from_slice(digits.get(digits.len() - width..).unwrap_or_default());
}

/// `number` is below ten.
#[expect(clippy::cast_possible_truncation, reason = "one digit")]
const fn digit(number: u64) -> u8 {
    b'0' + number as u8
}

/// Microseconds as milliseconds with three places: `41.800`.
pub(super) fn write_millis(micros: u64, out: &mut Vec<u8>) {
    write(micros / 1000, out);
    out.push(b'.');
    write_padded(micros % 1000, 3, out);
}

/// `2026-11-22T12:04:11.000123Z` (RFC 3339).
pub(super) fn write_rfc3339(unix_us: u64, out: &mut Vec<u8>) {
    let time = DateTime::of(unix_us / 1_000_000);
    write_padded(time.year as u64, 4, out);
    out.push(b'-');
    write_padded(time.month as u64, 2, out);
    out.push(b'-');
    write_padded(time.day as u64, 2, out);
    out.push(b'T');
    write_clock(&time, out);
    out.push(b'.');
    write_padded(unix_us % 1_000_000, 6, out);
    out.push(b'Z');
}

/// `22/Nov/2026:12:04:11 +0000`, the common log format's time.
pub(super) fn write_clf_time(time: &DateTime, out: &mut Vec<u8>) {
    write_padded(time.day as u64, 2, out);
    out.push(b'/');
    out.extend_from_slice(MONTHS.get(time.month - 1).map_or(b"???", |name| name));
    out.push(b'/');
    write_padded(time.year as u64, 4, out);
    out.push(b':');
    write_clock(time, out);
    out.extend_from_slice(b" +0000");
}

/// `12:04:11`.
pub(super) fn write_clock(time: &DateTime, out: &mut Vec<u8>) {
    write_padded(time.hour as u64, 2, out);
    out.push(b':');
    write_padded(time.minute as u64, 2, out);
    out.push(b':');
    write_padded(time.second as u64, 2, out);
}
