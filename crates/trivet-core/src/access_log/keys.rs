//! Keys and values: JSON and logfmt.
//!
//! The keys are those structlog users have in their apps, so that app and access
//! lines sort together. What is unknown has no key.

use super::{
    AccessRecord,
    escape::{escape_json, escape_logfmt},
    number,
    redact::redact,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Json,
    Logfmt,
}

pub(super) fn write(record: &AccessRecord<'_>, style: Style, out: &mut Vec<u8>) {
    let target = redact(record.target);
    let mark = memchr::memchr(b'?', &target).unwrap_or(target.len());
    let (path, query) = target.split_at(mark);

    let mut keys = Keys {
        out,
        style,
        is_first: true,
    };
    keys.raw_text("timestamp", |out| {
        number::write_rfc3339(record.unix_us, out);
    });
    keys.text("level", record.level().as_bytes());
    keys.text("event", b"request");
    keys.text("method", record.method);
    keys.text("path", path);
    keys.known("query", query.get(1..).unwrap_or_default());
    keys.number("status", u64::from(record.status));
    keys.millis("duration_ms", Some(record.duration_us));
    keys.millis("queue_ms", record.queue_us);
    keys.millis("app_ms", record.app_us);
    keys.number("bytes_in", record.bytes_in);
    keys.number("bytes_out", record.bytes_out);
    keys.text("client_ip", record.client.as_bytes());
    if record.client_port != 0 {
        keys.number("client_port", u64::from(record.client_port));
    }
    keys.known("host", record.host);
    keys.text("scheme", record.scheme.as_bytes());
    keys.text("proto", record.version.as_bytes());
    keys.known("user_agent", record.user_agent);
    keys.known("referer", &redact(record.referer));
    keys.known("request_id", record.request_id.as_bytes());
    if let Some(worker) = record.worker {
        keys.number("worker", u64::from(worker));
    }
    keys.known("error", record.error.unwrap_or_default().as_bytes());
    if record.aborted {
        keys.bare("aborted", |out| out.extend_from_slice(b"true"));
    }
    if style == Style::Json {
        out.push(b'}');
    }
}

struct Keys<'o> {
    out: &'o mut Vec<u8>,
    style: Style,
    is_first: bool,
}

impl Keys<'_> {
    /// A key and a value that both styles write alike.
    fn bare(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let is_first = std::mem::take(&mut self.is_first);
        let (before, after) = match (self.style, is_first) {
            (Style::Json, true) => ("{\"", "\":"),
            (Style::Json, false) => (",\"", "\":"),
            (Style::Logfmt, true) => ("", "="),
            (Style::Logfmt, false) => (" ", "="),
        };
        self.out.extend_from_slice(before.as_bytes());
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(after.as_bytes());
        write(self.out);
    }

    fn number(&mut self, key: &str, value: u64) {
        self.bare(key, |out| number::write(value, out));
    }

    fn millis(&mut self, key: &str, value_us: Option<u64>) {
        if let Some(value_us) = value_us {
            self.bare(key, |out| number::write_millis(value_us, out));
        }
    }

    fn text(&mut self, key: &str, value: &[u8]) {
        let style = self.style;
        self.bare(key, |out| match style {
            Style::Json => {
                out.push(b'"');
                escape_json(value, out);
                out.push(b'"');
            }
            Style::Logfmt => escape_logfmt(value, out),
        });
    }

    /// Text that needs no escape in either style.
    fn raw_text(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let quote: &[u8] = if self.style == Style::Json {
            b"\""
        } else {
            b""
        };
        self.bare(key, |out| {
            out.extend_from_slice(quote);
            write(out);
            out.extend_from_slice(quote);
        });
    }

    /// Text, if there is any.
    fn known(&mut self, key: &str, value: &[u8]) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }
}
