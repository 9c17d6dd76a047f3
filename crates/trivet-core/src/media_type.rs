//! The media type of a file, by its name (RFC 9110 section 8.3).
//!
//! By the name alone: content is never looked at, so that nobody who may upload an
//! image can make it a script. Names without a known extension get the fallback.

mod table;

use thiserror::Error;

use crate::field::{is_token, is_value, list_elements, trim_ows};
use table::TABLE;

/// The longest extension that is looked at, in bytes.
pub const MOST_EXTENSION_BYTES: usize = 24;

/// What files are, by extension, with an operator's own types before the known ones.
#[derive(Clone, Debug)]
pub struct MediaTypes {
    /// In the order of the extensions, which are in lower case.
    own: Box<[(Box<str>, Box<str>)]>,
    charset: Box<str>,
    fallback: Box<str>,
}

/// Why a setting for media types is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MediaTypeError {
    /// Not `type/subtype`, perhaps with parameters.
    #[error("`{0}` is not a media type like `text/html`")]
    Type(String),
    /// An extension with a dot, a slash, white space or too many bytes, or none.
    #[error("`{0}` is not a file extension like `html`")]
    Extension(String),
    /// An extension that has a type already, in whatever case.
    #[error("the extension `{0}` has two media types")]
    Twice(String),
    /// Not a token.
    #[error("`{0}` is not a charset like `utf-8`")]
    Charset(String),
}

/// A value of `Content-Type`, in parts that live as long as the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// The media type, with the parameters that an operator gave it.
    pub media_type: &'a str,
    /// The charset to add, if there is one to add.
    pub charset: Option<&'a str>,
}

impl ContentType<'_> {
    /// Append the field value: `text/html; charset=utf-8`.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.media_type.as_bytes());
        if let Some(charset) = self.charset {
            out.extend_from_slice(b"; charset=");
            out.extend_from_slice(charset.as_bytes());
        }
    }
}

impl MediaTypes {
    /// Take an operator's settings.
    ///
    /// `own` are pairs of an extension, without its dot and in any case, and a media
    /// type. `charset` is added to each `text/*` that names none; if empty, to none.
    /// `fallback` is the type of all other names.
    ///
    /// # Errors
    /// With the first setting that is wrong.
    pub fn new<'a>(
        own: impl IntoIterator<Item = (&'a str, &'a str)>,
        charset: &str,
        fallback: &str,
    ) -> Result<Self, MediaTypeError> {
        if !charset.is_empty() && !is_token(charset.as_bytes()) {
            return Err(MediaTypeError::Charset(charset.to_owned()));
        }
        let mut sorted: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (extension, media_type) in own {
            let extension = checked_extension(extension)?;
            match sorted.binary_search_by(|(other, _)| other.cmp(&extension)) {
                Ok(_) => return Err(MediaTypeError::Twice(extension.into())),
                Err(place) => sorted.insert(place, (extension, checked_type(media_type)?)),
            }
        }
        Ok(Self {
            own: sorted.into(),
            charset: charset.into(),
            fallback: checked_type(fallback)?,
        })
    }

    /// What a file is. `path` is a name, or a path whose last segment is one.
    pub fn of(&self, path: &str) -> ContentType<'_> {
        let mut buffer = [0; MOST_EXTENSION_BYTES];
        let media_type = extension(path)
            .and_then(|extension| in_lower_case(extension, &mut buffer))
            .and_then(|extension| self.by_extension(extension))
            .unwrap_or(&self.fallback);
        ContentType {
            media_type,
            charset: Some(&*self.charset)
                .filter(|charset| !charset.is_empty() && takes_charset(media_type)),
        }
    }

    /// `extension` is in lower case.
    fn by_extension(&self, extension: &str) -> Option<&str> {
        if let Ok(found) = self.own.binary_search_by(|row| (*row.0).cmp(extension)) {
            return self.own.get(found).map(|row| &*row.1);
        }
        let found = TABLE.binary_search_by(|row| row.0.cmp(extension)).ok()?;
        TABLE.get(found).map(|row| row.1)
    }
}

/// What stands behind the last dot of the last segment, unless the name starts there:
/// `.profile` has no extension, nor has `a.`.
fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then_some(extension)
}

fn in_lower_case<'a>(
    extension: &str,
    buffer: &'a mut [u8; MOST_EXTENSION_BYTES],
) -> Option<&'a str> {
    let lower = buffer.get_mut(..extension.len())?;
    lower.copy_from_slice(extension.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

/// Text types alone: JSON is UTF-8 by its standard, XML and SVG say it themselves, and
/// a charset here would overrule them (RFC 8259 section 11, RFC 7303 section 3).
fn takes_charset(media_type: &str) -> bool {
    let (essence, parameters) = media_type.split_once(';').unwrap_or((media_type, ""));
    let has_charset = || {
        parameters.split(';').any(|parameter| {
            let name = parameter.split('=').next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case("charset")
        })
    };
    let is_text = essence
        .get(..5)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("text/"));
    is_text && !essence.trim_end().eq_ignore_ascii_case("text/xml") && !has_charset()
}

fn checked_extension(extension: &str) -> Result<Box<str>, MediaTypeError> {
    let is_fine = (1..=MOST_EXTENSION_BYTES).contains(&extension.len())
        && !extension
            .bytes()
            .any(|byte| byte <= b' ' || matches!(byte, b'.' | b'/' | b'\\' | 0x7f));
    if is_fine {
        Ok(extension.to_ascii_lowercase().into())
    } else {
        Err(MediaTypeError::Extension(extension.to_owned()))
    }
}

fn checked_type(media_type: &str) -> Result<Box<str>, MediaTypeError> {
    let essence = media_type.split(';').next().unwrap_or_default().trim_end();
    let is_type = essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind.as_bytes()) && is_token(subtype.as_bytes()));
    // A comma would make it a list, unless quoted; none of the registered needs one.
    let is_one = list_elements(media_type.as_bytes()).count() == 1;
    let bytes = media_type.as_bytes();
    if is_type && is_one && media_type.is_ascii() && is_value(bytes) && trim_ows(bytes) == bytes {
        Ok(media_type.into())
    } else {
        Err(MediaTypeError::Type(media_type.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known() -> MediaTypes {
        MediaTypes::new([], "utf-8", "application/octet-stream").unwrap()
    }

    fn typed(types: &MediaTypes, path: &str) -> String {
        let mut out = Vec::new();
        types.of(path).write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_table_is_in_order_and_holds_media_types() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} {}", pair[0].0, pair[1].0);
        }
        for (extension, media_type) in TABLE {
            assert_eq!(checked_extension(extension).as_deref(), Ok(*extension));
            assert_eq!(checked_type(media_type).as_deref(), Ok(*media_type));
            assert!(!media_type.contains(';'), "{extension}");
        }
    }

    #[test]
    fn files_of_the_web_are_what_browsers_take_them_for() {
        let cases = [
            ("index.html", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.vtt", "text/vtt; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.js.map", "application/json"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.wasm", "application/wasm"),
            ("a.xml", "application/xml"),
            ("a.pdf", "application/pdf"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
            ("a.jxl", "image/jxl"),
            ("favicon.ico", "image/vnd.microsoft.icon"),
            ("a.woff", "font/woff"),
            ("a.woff2", "font/woff2"),
            ("a.ttf", "font/ttf"),
            ("a.otf", "font/otf"),
            ("a.eot", "application/vnd.ms-fontobject"),
            ("a.mp3", "audio/mpeg"),
            ("a.mp4", "video/mp4"),
            ("a.webm", "video/webm"),
            ("a.m3u8", "application/vnd.apple.mpegurl"),
            ("a.ts", "video/mp2t"),
            ("a.zip", "application/zip"),
            ("a.tar.gz", "application/gzip"),
            (
                "a.docx",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            ("a.glb", "model/gltf-binary"),
        ];
        for (path, expected) in cases {
            assert_eq!(typed(&known(), path), expected, "{path}");
        }
    }

    #[test]
    fn the_extension_is_that_of_the_last_segment_in_any_case() {
        for (path, expected) in [
            ("a/b.c/INDEX.HTML", "text/html; charset=utf-8"),
            ("a.html/b.Png", "image/png"),
            ("a.png.html", "text/html; charset=utf-8"),
            ("\u{e9}.css", "text/css; charset=utf-8"),
            ("a.html/b", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("a/.html", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("", "application/octet-stream"),
            ("a.html\u{0}", "application/octet-stream"),
            ("a.html ", "application/octet-stream"),
            ("a.\u{212a}", "application/octet-stream"),
            ("a.averyveryverylongextension", "application/octet-stream"),
        ] {
            assert_eq!(typed(&known(), path), expected, "{path}");
        }
    }

    #[test]
    fn an_operators_types_come_first() {
        let own = [
            ("JS", "application/javascript"),
            ("tex", "text/x-tex; charset=latin1"),
            ("foo", "Text/x-foo; a=b"),
            ("old", "text/xml"),
        ];
        let types = MediaTypes::new(own, "UTF-8", "text/plain").unwrap();
        for (path, expected) in [
            ("a.js", "application/javascript"),
            ("a.Tex", "text/x-tex; charset=latin1"),
            ("a.foo", "Text/x-foo; a=b; charset=UTF-8"),
            ("a.old", "text/xml"),
            ("a.css", "text/css; charset=UTF-8"),
            ("README", "text/plain; charset=UTF-8"),
        ] {
            assert_eq!(typed(&types, path), expected, "{path}");
        }
        let plain = MediaTypes::new([], "", "text/plain").unwrap();
        assert_eq!(typed(&plain, "a.html"), "text/html");
    }

    #[test]
    fn wrong_settings_are_refused() {
        let long = "a".repeat(MOST_EXTENSION_BYTES + 1);
        let refused = |extension, media_type| {
            MediaTypes::new([(extension, media_type)], "utf-8", "a/b").unwrap_err()
        };
        for extension in ["", ".js", "tar.gz", "a/b", "a b", "a\\b", "a\u{0}", &long] {
            let expected = MediaTypeError::Extension(extension.to_owned());
            assert_eq!(refused(extension, "a/b"), expected);
        }
        for media_type in [
            "",
            "text",
            "text/",
            "/html",
            "text/a/b",
            "te xt/html",
            "text/html\r\nA: b",
            "text/html, text/plain",
            "text/html; a=\u{e9}",
            " text/html",
            "text/html ",
            "text/a\u{0}",
        ] {
            let expected = MediaTypeError::Type(media_type.to_owned());
            assert_eq!(refused("a", media_type), expected);
            assert_eq!(MediaTypes::new([], "", media_type).unwrap_err(), expected);
        }
        let twice = MediaTypes::new([("a", "a/b"), ("A", "a/c")], "", "a/b");
        assert_eq!(twice.unwrap_err(), MediaTypeError::Twice("a".to_owned()));
        for charset in ["utf 8", "utf-8;", "\"utf-8\""] {
            let expected = MediaTypeError::Charset(charset.to_owned());
            assert_eq!(MediaTypes::new([], charset, "a/b").unwrap_err(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_name_has_a_type_that_is_one_value(path: String) {
            let value = typed(&known(), &path);
            prop_assert!(checked_type(&value).is_ok());
        }
    }
}
