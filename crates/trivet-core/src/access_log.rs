//! One line per request, in four formats.
//!
//! A line is always one line and cannot be forged: whatever the client sent is
//! escaped by the rules of the format it goes into. Values of query parameters
//! that look like secrets are replaced, in the target and in the referrer.

mod combined;
mod escape;
mod keys;
pub(crate) mod number;
mod redact;
mod text;

use crate::http_date::DateTime;
use keys::Style;

pub use redact::redact;

/// What is known about a finished request.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When the request head had come, in microseconds since 1970.
    pub unix_us: u64,
    /// The client's address, `unix` without one.
    pub client: &'a str,
    /// The client's port, 0 if unknown.
    pub client_port: u16,
    /// The method as sent.
    pub method: &'a [u8],
    /// The request target as sent.
    pub target: &'a [u8],
    /// The version, as `HTTP/1.1`.
    pub version: &'a str,
    /// The status answered.
    pub status: u16,
    /// Bytes of request content.
    pub bytes_in: u64,
    /// Bytes of response content.
    pub bytes_out: u64,
    /// From the request head to the last byte of the answer, in microseconds.
    pub duration_us: u64,
    /// Of these, in the app's queue.
    pub queue_us: Option<u64>,
    /// Of these, in the app.
    pub app_us: Option<u64>,
    /// The authority asked for.
    pub host: &'a [u8],
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The `Referer` value.
    pub referer: &'a [u8],
    /// The `User-Agent` value.
    pub user_agent: &'a [u8],
    /// The id told to the client and the app.
    pub request_id: &'a str,
    /// The worker that answered; `None` if the edge did.
    pub worker: Option<u32>,
    /// [`crate::Problem::code`] or the app's error.
    pub error: Option<&'a str>,
    /// Whether the client left before the end of the answer.
    pub aborted: bool,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// Apache's combined format, then microseconds in all, in the queue and in the
    /// app, and the request id.
    Combined,
    /// An object with the keys structlog uses.
    Json,
    /// The same keys as `key=value`.
    Logfmt,
    /// Columns for people; times are UTC.
    Text {
        /// Whether the status is coloured for a terminal.
        colour: bool,
    },
}

/// Append the line of `record`, with its line feed, to `out`.
pub fn write_line(format: AccessFormat, record: &AccessRecord<'_>, out: &mut Vec<u8>) {
    match format {
        AccessFormat::Combined => combined::write(record, out),
        AccessFormat::Json => keys::write(record, Style::Json, out),
        AccessFormat::Logfmt => keys::write(record, Style::Logfmt, out),
        AccessFormat::Text { colour } => text::write(record, colour, out),
    }
    out.push(b'\n');
}

impl AccessRecord<'_> {
    fn time(&self) -> DateTime {
        DateTime::of(self.unix_us / 1_000_000)
    }

    /// The level of the line in the words of structlog.
    const fn level(&self) -> &'static str {
        match (self.status, self.aborted, self.error) {
            // A good status with an error: the answer broke off behind its head.
            (500.., _, _) | (..400, _, Some(_)) => "error",
            (_, true, _) => "warning",
            _ => "info",
        }
    }
}

#[cfg(test)]
mod tests;
