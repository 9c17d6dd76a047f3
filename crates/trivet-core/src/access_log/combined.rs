//! `%h - - %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %D queue app id`:
//! Apache's combined format, so that its log analysers and fail2ban read it, then
//! three times in microseconds (`-` if unknown) and the request id.

use super::{AccessRecord, escape::escape_combined, number, redact::redact};

pub(super) fn write(record: &AccessRecord<'_>, out: &mut Vec<u8>) {
    write_word(record.client.as_bytes(), out);
    out.extend_from_slice(b" - - [");
    number::write_clf_time(&record.time(), out);
    out.extend_from_slice(b"] \"");
    escape_combined(record.method, out);
    out.push(b' ');
    escape_combined(&redact(record.target), out);
    out.push(b' ');
    escape_combined(record.version.as_bytes(), out);
    out.extend_from_slice(b"\" ");
    number::write(u64::from(record.status), out);
    out.push(b' ');
    number::write(record.bytes_out, out);
    for value in [&*redact(record.referer), record.user_agent] {
        out.extend_from_slice(b" \"");
        escape_combined(if value.is_empty() { b"-" } else { value }, out);
        out.push(b'"');
    }
    for time_us in [Some(record.duration_us), record.queue_us, record.app_us] {
        out.push(b' ');
        match time_us {
            Some(time_us) => number::write(time_us, out),
            None => out.push(b'-'),
        }
    }
    out.push(b' ');
    write_word(record.request_id.as_bytes(), out);
}

/// A value without quotes around it: its spaces are escaped too.
fn write_word(word: &[u8], out: &mut Vec<u8>) {
    if word.is_empty() {
        out.push(b'-');
    }
    for part in word.split_inclusive(|&byte| byte == b' ') {
        let plain = part.strip_suffix(b" ").unwrap_or(part);
        escape_combined(plain, out);
        if plain.len() < part.len() {
            out.extend_from_slice(b"\\x20");
        }
    }
}
