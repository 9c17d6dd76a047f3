//! Whether content may be compressed on its way, and is worth it.

use std::fmt;

use crate::field::{is_token, trim_ows};

/// What an operator has chosen to compress.
#[derive(Clone, Copy, Debug)]
pub struct CompressionPolicy<'a> {
    /// The media types worth it.
    pub types: &'a [MediaRange],
    /// Content shorter than this is left alone, in bytes.
    pub min_bytes: u64,
}

/// What is known of a response before its content is sent. All values are those of the
/// response's fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// How many bytes will come, if that is known.
    pub length: Option<u64>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// Whether `Cache-Control` forbids it: see [`forbids_transform`].
    pub forbids_transform: bool,
    /// Whether the response has `Content-Range`.
    pub has_content_range: bool,
    /// Whether a field holds a digest of the bytes that are sent (RFC 9530).
    pub has_digest: bool,
}

/// Why a response is sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCompressed {
    /// It is coded already, or its app says `identity` and wants it to stay so.
    Coded,
    /// A digest of its bytes comes with it, which would be wrong then.
    Digest,
    /// `Cache-Control: no-transform` (RFC 9111 section 5.2.2.6).
    NoTransform,
    /// It is a part: of compressed content, the same range would be other bytes.
    Partial,
    /// A status without content, or one whose content says nothing of a representation.
    Status,
    /// It is shorter than the policy asks for: the coding would cost more than it saves.
    TooSmall,
    /// Its media type is not listed, malformed, or missing.
    Type,
}

/// Whether content is worth compressing and may be.
///
/// The same for GET and HEAD, so that both get the same fields. The answer must not
/// depend on what the client accepts: then the response varies by `Accept-Encoding`
/// exactly where this is `Ok`, for every client alike.
///
/// # Errors
/// With the reason, for the operator who wonders.
pub fn judge(content: &Content<'_>, policy: &CompressionPolicy<'_>) -> Result<(), NotCompressed> {
    if matches!(content.status, 100..=199 | 204 | 205 | 304) {
        return Err(NotCompressed::Status);
    }
    if content.status == 206 || content.has_content_range {
        return Err(NotCompressed::Partial);
    }
    if content
        .content_encoding
        .is_some_and(|coding| !trim_ows(coding).is_empty())
    {
        return Err(NotCompressed::Coded);
    }
    if content.forbids_transform {
        return Err(NotCompressed::NoTransform);
    }
    if content.has_digest {
        return Err(NotCompressed::Digest);
    }
    if content
        .length
        .is_some_and(|length| length < policy.min_bytes)
    {
        return Err(NotCompressed::TooSmall);
    }
    let media_type = content.content_type.unwrap_or_default();
    if policy.types.iter().any(|range| range.holds(media_type)) {
        Ok(())
    } else {
        Err(NotCompressed::Type)
    }
}

/// Whether `no-transform` is among the directives of all `Cache-Control` lines, of a
/// request or of a response (RFC 9111 sections 5.2.1.6 and 5.2.2.6).
///
/// A comma within quotes ends no directive: `private="no-transform"` is not it. A quote
/// that is left open is read to the end of its line.
pub fn forbids_transform<'a>(cache_control: impl IntoIterator<Item = &'a [u8]>) -> bool {
    cache_control
        .into_iter()
        .any(|line| has_directive(line, b"no-transform"))
}

fn has_directive(line: &[u8], directive: &[u8]) -> bool {
    let mut rest = line;
    loop {
        let end = directive_end(rest);
        let (element, tail) = rest.split_at(end);
        // It has no argument, and one that is there says nothing.
        let name = element
            .split(|&byte| byte == b'=')
            .next()
            .unwrap_or_default();
        if trim_ows(name).eq_ignore_ascii_case(directive) {
            return true;
        }
        match tail.split_first() {
            Some((_, tail)) => rest = tail,
            None => return false,
        }
    }
}

/// Where the directive that `text` starts with ends: at a comma outside quotes.
fn directive_end(text: &[u8]) -> usize {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// Media types that an operator names: `text/html`, `text/*`, or all with a suffix
/// (RFC 6839), `application/*+json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRange {
    /// In lower case.
    kind: Box<str>,
    subtype: Subtype,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Subtype {
    Any,
    /// With its `+`.
    Suffix(Box<str>),
    Is(Box<str>),
}

impl MediaRange {
    /// Read one as it is written in a configuration, in any case. `None` if it is none:
    /// parameters, a `*` in another place, or no slash.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (kind, subtype) = text.split_once('/')?;
        let is_name = |name: &str| is_token(name.as_bytes()) && !name.contains('*');
        let subtype = match subtype.strip_prefix('*') {
            None if is_name(subtype) => Subtype::Is(subtype.into()),
            Some("") => Subtype::Any,
            Some(suffix) if suffix.len() > 1 && suffix.starts_with('+') && is_name(suffix) => {
                Subtype::Suffix(suffix.into())
            }
            _ => return None,
        };
        is_name(kind).then(|| Self {
            kind: kind.into(),
            subtype,
        })
    }

    /// Whether a value of `Content-Type` is of these types, whatever its parameters.
    pub fn holds(&self, content_type: &[u8]) -> bool {
        let essence = content_type.split(|&byte| byte == b';').next();
        let essence = trim_ows(essence.unwrap_or_default());
        let Some(slash) = essence.iter().position(|&byte| byte == b'/') else {
            return false;
        };
        let (kind, subtype) = essence.split_at(slash);
        let subtype = subtype.get(1..).unwrap_or_default();
        kind.eq_ignore_ascii_case(self.kind.as_bytes())
            && is_token(subtype)
            && match &self.subtype {
                Subtype::Any => true,
                Subtype::Is(name) => subtype.eq_ignore_ascii_case(name.as_bytes()),
                Subtype::Suffix(suffix) => subtype
                    .len()
                    .checked_sub(suffix.len())
                    .filter(|&start| start > 0)
                    .and_then(|start| subtype.get(start..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes())),
            }
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subtype {
            Subtype::Any => write!(f, "{}/*", self.kind),
            Subtype::Is(name) => write!(f, "{}/{name}", self.kind),
            Subtype::Suffix(suffix) => write!(f, "{}/*{suffix}", self.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_media_range_is_a_type_all_of_a_kind_or_all_with_a_suffix() {
        let cases: [(&str, &[&str], &[&str]); 4] = [
            (
                "text/html",
                &[
                    "text/html",
                    "TEXT/HTML; charset=utf-8",
                    " text/html ;x",
                    "text/html;",
                ],
                &[
                    "text/htm",
                    "text/html5",
                    "text",
                    "text/",
                    "",
                    "application/text/html",
                ],
            ),
            (
                "Text/*",
                &["text/plain", "text/x-y", "text/event-stream;a"],
                &[
                    "texts/plain",
                    "text/",
                    "text/ ",
                    "application/json",
                    "text/a b",
                ],
            ),
            (
                "application/*+json",
                &["application/ld+json", "application/problem+JSON; a=b"],
                &[
                    "application/json",
                    "application/+json",
                    "image/x+json",
                    "application/a+jso",
                ],
            ),
            (
                "image/svg+xml",
                &["image/svg+xml"],
                &["image/xml", "image/svg"],
            ),
        ];
        for (range, inside, outside) in cases {
            let range = MediaRange::parse(range).unwrap();
            for content_type in inside {
                assert!(
                    range.holds(content_type.as_bytes()),
                    "{range} {content_type}"
                );
            }
            for content_type in outside {
                assert!(
                    !range.holds(content_type.as_bytes()),
                    "{range} {content_type}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_media_range_is_refused() {
        for text in [
            "",
            "*",
            "text",
            "text/",
            "/html",
            "*/*",
            "*/html",
            "te*/html",
            "text/*x",
            "text/*+",
            "text/h*",
            "text/html; q=1",
            "text/html ",
            "text/a/b",
            "text/*+a*",
            "text/*+a b",
            "t\u{e9}xt/*",
        ] {
            assert_eq!(MediaRange::parse(text), None, "{text}");
        }
    }

    const FINE: Content<'_> = Content {
        status: 200,
        content_type: Some(b"text/css"),
        length: Some(1000),
        content_encoding: None,
        forbids_transform: false,
        has_content_range: false,
        has_digest: false,
    };

    #[test]
    fn content_is_compressed_unless_something_stands_against_it() {
        let types = [MediaRange::parse("text/*").unwrap()];
        let policy = CompressionPolicy {
            types: &types,
            min_bytes: 1000,
        };
        let judged = |content: Content<'_>| judge(&content, &policy);
        assert_eq!(judged(FINE), Ok(()));
        assert_eq!(
            judged(Content {
                status: 404,
                ..FINE
            }),
            Ok(())
        );
        assert_eq!(
            judged(Content {
                length: None,
                ..FINE
            }),
            Ok(())
        );
        assert_eq!(
            judged(Content {
                content_encoding: Some(b" "),
                ..FINE
            }),
            Ok(())
        );
        for status in [101, 204, 205, 304] {
            let refused = judged(Content { status, ..FINE });
            assert_eq!(refused, Err(NotCompressed::Status), "{status}");
        }
        let cases = [
            (
                Content {
                    status: 206,
                    ..FINE
                },
                NotCompressed::Partial,
            ),
            (
                Content {
                    has_content_range: true,
                    ..FINE
                },
                NotCompressed::Partial,
            ),
            (
                Content {
                    content_encoding: Some(b"br"),
                    ..FINE
                },
                NotCompressed::Coded,
            ),
            (
                Content {
                    content_encoding: Some(b"identity"),
                    ..FINE
                },
                NotCompressed::Coded,
            ),
            (
                Content {
                    forbids_transform: true,
                    ..FINE
                },
                NotCompressed::NoTransform,
            ),
            (
                Content {
                    length: Some(999),
                    ..FINE
                },
                NotCompressed::TooSmall,
            ),
            (
                Content {
                    length: Some(0),
                    ..FINE
                },
                NotCompressed::TooSmall,
            ),
            (
                Content {
                    content_type: Some(b"image/png"),
                    ..FINE
                },
                NotCompressed::Type,
            ),
            (
                Content {
                    content_type: Some(b"text"),
                    ..FINE
                },
                NotCompressed::Type,
            ),
            (
                Content {
                    content_type: None,
                    ..FINE
                },
                NotCompressed::Type,
            ),
        ];
        for (content, reason) in cases {
            assert_eq!(judged(content), Err(reason), "{content:?}");
        }
    }

    #[test]
    fn no_transform_is_a_directive_and_not_a_word() {
        let forbids = |lines: &[&str]| forbids_transform(lines.iter().map(|line| line.as_bytes()));
        for lines in [
            ["no-transform", ""],
            ["public, No-Transform", ""],
            ["max-age=1 ,no-transform , x", ""],
            ["public", "no-transform"],
            ["private=\"a, b\", no-transform", ""],
            ["x=\"\\\"\", no-transform", ""],
            ["no-transform=1", ""],
            [",,no-transform", ""],
        ] {
            assert!(forbids(&lines), "{lines:?}");
        }
        for lines in [
            ["", ""],
            ["no-transformer", "no-trans form"],
            ["private=\"no-transform\"", ""],
            ["private=\"a, no-transform, b\"", ""],
            ["x=\"\\\", no-transform\"", ""],
            ["x=no-transform", "\"no-transform\""],
            ["x=\"left open, no-transform", ""],
        ] {
            assert!(!forbids(&lines), "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn a_range_is_shown_as_it_is_read(text in "[a-z]{1,4}/([a-z+.-]{1,6}|\\*|\\*\\+[a-z]{1,4})") {
            let range = MediaRange::parse(&text).unwrap();
            prop_assert_eq!(range.to_string(), text);
        }

        #[test]
        fn any_bytes_are_survived(value: Vec<u8>) {
            let _ = forbids_transform([value.as_slice()]);
            let _ = MediaRange::parse("text/*").unwrap().holds(&value);
        }
    }
}
