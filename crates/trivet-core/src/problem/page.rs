//! The body of an answer the edge gives by itself.

use super::Problem;
use crate::field::{list_elements, trim_ows};

/// What the client can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageFormat {
    /// A small page for people.
    #[default]
    Html,
    /// Problem details (RFC 9457).
    Json,
}

impl PageFormat {
    /// Choose by an `Accept` value (RFC 9110 section 12.5.1).
    ///
    /// JSON only if it is preferred to HTML; an absent, empty or unreadable
    /// value means HTML. Each type takes the weight of its most specific range.
    pub fn from_accept(accept: &[u8]) -> Self {
        let (mut html, mut json) = (Weight::default(), Weight::default());
        for range in list_elements(accept) {
            let mut parts = range.split(|&byte| byte == b';').map(trim_ows);
            let media = parts.next().unwrap_or_default();
            let q = parts.find_map(quality).unwrap_or(1000);
            let is = |name: &str| media.eq_ignore_ascii_case(name.as_bytes());
            if is("application/json") || is("application/problem+json") {
                json.offer(3, q);
            } else if is("text/html") || is("application/xhtml+xml") {
                html.offer(3, q);
            } else if is("application/*") {
                json.offer(2, q);
            } else if is("text/*") {
                html.offer(2, q);
            } else if is("*/*") {
                json.offer(1, q);
                html.offer(1, q);
            }
        }
        // At equal weight the type that was named wins over one that a wildcard let in:
        // programs send `application/json, */*`.
        let prefers_json = (json.q, json.specificity) > (html.q, html.specificity);
        if prefers_json && json.q > 0 {
            Self::Json
        } else {
            Self::Html
        }
    }
}

/// The weight of a type so far, in thousandths, and how specific its range was.
#[derive(Default)]
struct Weight {
    specificity: u8,
    q: u16,
}

impl Weight {
    fn offer(&mut self, specificity: u8, q: u16) {
        if specificity > self.specificity || (specificity == self.specificity && q > self.q) {
            *self = Self { specificity, q };
        }
    }
}

/// `q=0.8` as 800; `None` for any other parameter (RFC 9110 section 12.4.2).
fn quality(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', digits @ ..] = parameter else {
        return None;
    };
    let (whole, fraction) = match digits {
        [whole @ (b'0' | b'1')] | [whole @ (b'0' | b'1'), b'.'] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] => (whole, fraction),
        _ => return Some(0),
    };
    let mut q = u16::from(whole - b'0') * 1000;
    for (digit, unit) in fraction.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return Some(0);
        }
        q += u16::from(digit - b'0') * unit;
    }
    Some(q.min(1000))
}

/// What a page says.
#[derive(Clone, Copy, Debug)]
struct Said<'a> {
    status: u16,
    title: &'a str,
    detail: &'a str,
    code: &'a str,
}

/// The content type and body that tell a visitor about `problem`.
///
/// `request_id` is shown so that it can be quoted; it is escaped, whatever it holds.
pub fn page(problem: &Problem, request_id: &str, format: PageFormat) -> (&'static str, Vec<u8>) {
    let said = Said {
        status: problem.status(),
        title: problem.title(),
        detail: problem.detail(),
        code: problem.code(),
    };
    write(said, request_id, format)
}

/// As [`page`], for a status that the configuration gives to a request.
pub fn status_page(status: u16, request_id: &str, format: PageFormat) -> (&'static str, Vec<u8>) {
    let detail = match status {
        403 => "This address is not for everybody.",
        404 => "There is nothing at this address.",
        410 => "What was at this address is gone for good.",
        451 => "This address must not be shown for legal reasons.",
        503 => "This address is not served at the moment.",
        400..=499 => "This request is not answered.",
        _ => "This request cannot be answered.",
    };
    let title = crate::http1::reason_phrase(status);
    let said = Said {
        status,
        title,
        detail,
        code: "edge.by_route",
    };
    write(said, request_id, format)
}

fn write(said: Said<'_>, request_id: &str, format: PageFormat) -> (&'static str, Vec<u8>) {
    let mut body = String::with_capacity(1024);
    match format {
        PageFormat::Html => {
            write_html(said, request_id, &mut body);
            ("text/html; charset=utf-8", body.into_bytes())
        }
        PageFormat::Json => {
            write_json(said, request_id, &mut body);
            ("application/problem+json", body.into_bytes())
        }
    }
}

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:16vh auto;padding:0 1.5rem}\
h1{font-size:1.4rem;font-weight:600;margin:0}\
p{margin:.6rem 0}\
small{opacity:.7}code{font-family:ui-monospace,monospace}";

fn write_html(said: Said<'_>, request_id: &str, out: &mut String) {
    let status = said.status.to_string();
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    out.push_str("<meta name=\"robots\" content=\"noindex\"><title>");
    out.push_str(&status);
    out.push(' ');
    escape_html(said.title, out);
    out.push_str("</title><style>");
    out.push_str(STYLE);
    out.push_str("</style></head><body><main><h1>");
    out.push_str(&status);
    out.push(' ');
    escape_html(said.title, out);
    out.push_str("</h1><p>");
    escape_html(said.detail, out);
    out.push_str("</p>");
    if !request_id.is_empty() {
        out.push_str("<p><small>If you report this, please quote <code>");
        escape_html(request_id, out);
        out.push_str("</code></small></p>");
    }
    out.push_str("</main></body></html>\n");
}

fn write_json(said: Said<'_>, request_id: &str, out: &mut String) {
    // `about:blank` says that the title is the status's own (RFC 9457 section 4.2.1);
    // `code` is an extension member for programs.
    out.push_str("{\"type\":\"about:blank\",\"title\":\"");
    escape_json(said.title, out);
    out.push_str("\",\"status\":");
    out.push_str(&said.status.to_string());
    out.push_str(",\"detail\":\"");
    escape_json(said.detail, out);
    out.push_str("\",\"code\":\"");
    escape_json(said.code, out);
    out.push('"');
    if !request_id.is_empty() {
        out.push_str(",\"instance\":\"");
        escape_json(request_id, out);
        out.push('"');
    }
    out.push_str("}\n");
}

pub(crate) fn escape_html(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
}

pub(crate) fn escape_json(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn browsers_get_html_and_programs_json() {
        let cases: [(&[u8], PageFormat); 12] = [
            (b"", PageFormat::Html),
            (b"*/*", PageFormat::Html),
            (
                b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                PageFormat::Html,
            ),
            (b"application/json", PageFormat::Json),
            (b"application/problem+json", PageFormat::Json),
            (b"application/json, text/plain, */*", PageFormat::Json),
            (b"text/html;q=0.5, application/json;q=0.6", PageFormat::Json),
            (b"text/html, application/json;q=0.9", PageFormat::Html),
            (b"application/json;q=0, */*;q=0.1", PageFormat::Html),
            (b"APPLICATION/JSON;Q=1.000", PageFormat::Json),
            (b"text/html, application/json", PageFormat::Html),
            (b"application/json;q=nonsense", PageFormat::Html),
        ];
        for (accept, format) in cases {
            assert_eq!(
                PageFormat::from_accept(accept),
                format,
                "{}",
                accept.escape_ascii()
            );
        }
    }

    #[test]
    fn the_html_page_shows_status_sentence_and_id() {
        let (content_type, body) = page(&Problem::AppTimeout, "01932b", PageFormat::Html);
        let body = String::from_utf8(body).unwrap();
        assert_eq!(content_type, "text/html; charset=utf-8");
        assert!(body.contains("<h1>504 Gateway Timeout</h1>"));
        assert!(body.contains("took too long to answer."));
        assert!(body.contains("<code>01932b</code>"));
    }

    #[test]
    fn the_json_page_is_problem_details() {
        let (content_type, body) = page(&Problem::QueueFull, "a\"b\\\n", PageFormat::Json);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(content_type, "application/problem+json");
        assert_eq!(value["status"], 503);
        assert_eq!(value["title"], "Service Unavailable");
        assert_eq!(value["type"], "about:blank");
        assert_eq!(value["instance"], "a\"b\\\u{fffd}");
    }

    proptest! {
        #[test]
        fn no_request_id_can_add_markup(id in ".*") {
            let (_, html) = page(&Problem::Internal, &id, PageFormat::Html);
            let (_, plain) = page(&Problem::Internal, "x", PageFormat::Html);
            let angles = |body: &[u8]| body.split(|&byte| byte == b'<').count();
            prop_assert!(angles(&html) <= angles(&plain));
            let (_, json) = page(&Problem::Internal, &id, PageFormat::Json);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        }

        #[test]
        fn any_accept_value_is_survived(accept: Vec<u8>) {
            PageFormat::from_accept(&accept);
        }
    }
}
