//! Names that hold a hash of their content, so that content under such a name never
//! changes: what build tools make, and what may be cached for ever (`immutable`, RFC
//! 8246).
//!
//! Strategy: a name that is taken for one and is none keeps browsers from seeing its next
//! content for a year; one that is not recognised costs a request that is answered with
//! 304. So only what can hardly be a word, a date or a number counts, and some hashes
//! that look like one are missed: about 1 of 10 of webpack's with 8 digits, hardly
//! any with 16 or more, a third of esbuild's and a half of Vite's.

/// Whether the name at the end of `path` holds a hash of its content:
///
/// | tool | example |
/// | --- | --- |
/// | webpack, Parcel, Nuxt, Next.js | `main.073c9b0a.chunk.js`, `2.8ab3c9d1e2f3a4b5.css` |
/// | Django's `ManifestStaticFilesStorage` | `base.27e20196a850.css` |
/// | Rails (Propshaft, Sprockets), Gatsby | `application-6d58c9e6.js` |
/// | Vite, Rollup, `SvelteKit` | `index-DVoHNO1Y.js`, `entry.CzYk0x1B.js` |
/// | esbuild, Angular | `chunk-VM2K4OQ5.js` |
pub fn is_fingerprinted(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((mut stem, mut extension)) = name.rsplit_once('.') else {
        return false;
    };
    if extension == "map" {
        // A source map is named after what it maps.
        let Some(mapped) = stem.rsplit_once('.') else {
            return false;
        };
        (stem, extension) = mapped;
    }
    for decoration in [".min", ".chunk", ".bundle", ".module"] {
        stem = stem.strip_suffix(decoration).unwrap_or(stem);
    }
    let after = |separator| {
        stem.rsplit_once(separator)
            .filter(|(before, _): &(&str, &str)| !before.is_empty())
            .map(|(_, hash)| hash)
    };
    let is_hash = |hash: &str| is_hex_hash(hash) || is_script(extension) && is_base32_hash(hash);
    let is_page = matches!(extension, "html" | "htm" | "xhtml");
    after('.').is_some_and(|hash| !is_page && is_hash(hash))
        || is_asset(extension)
            && (after('-').is_some_and(|hash| is_hash(hash) && !ends_in_uuid(stem))
                || ends_in_base64url_hash(stem))
}

/// What build tools make, or copy under a new name. Not documents: people give those
/// names with dates and numbers in them.
fn is_asset(extension: &str) -> bool {
    const ASSETS: &[&str] = &[
        "avif", "eot", "gif", "ico", "jpeg", "jpg", "mp3", "mp4", "otf", "png", "svg", "ttf",
        "webm", "webp", "woff", "woff2",
    ];
    is_script(extension) || ASSETS.contains(&extension)
}

fn is_script(extension: &str) -> bool {
    matches!(extension, "cjs" | "css" | "js" | "mjs" | "wasm")
}

/// Hexadecimal in lower case, of a length that tools use, and no number, date or word:
/// `20241231`, `31dec2024` and `decade90` are hexadecimal too.
fn is_hex_hash(hash: &str) -> bool {
    let is_usual = matches!(
        hash.len(),
        8 | 10 | 12 | 16 | 20 | 24 | 32 | 40 | 48 | 56 | 64 | 96 | 128
    );
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !is_usual || !hash.bytes().all(is_hex) {
        return false;
    }
    let changes = digit_changes(hash);
    let is_long = hash.len() >= 16;
    changes >= 2 && (is_long || !hash.contains("dec") && !hash.contains("feb"))
        || is_long && changes == 1
}

/// Eight of `A` to `Z` and `2` to `7`, changing between letters and digits at least
/// twice: `CHAPTER2` does not.
fn is_base32_hash(hash: &str) -> bool {
    hash.len() == 8
        && hash
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
        && digit_changes(hash) >= 2
}

/// How often a digit stands beside something else.
fn digit_changes(text: &str) -> usize {
    let bytes = text.as_bytes();
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    pairs
        .filter(|(left, right)| left.is_ascii_digit() != right.is_ascii_digit())
        .count()
}

/// `NAME-` or `NAME.`, then eight characters of base64url: letters of both cases and
/// digits, in five pieces or more. A word in camel case with a number has fewer:
/// `Web3Auth` is `Web`, `3`, `Auth`.
fn ends_in_base64url_hash(stem: &str) -> bool {
    let Some((before, hash)) = stem.as_bytes().split_last_chunk::<8>() else {
        return false;
    };
    let is_apart = matches!(before, [_, .., b'-' | b'.']);
    let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    is_apart
        && hash.iter().all(is_base64url)
        && hash.iter().any(u8::is_ascii_uppercase)
        && hash.iter().any(u8::is_ascii_lowercase)
        && hash.iter().any(u8::is_ascii_digit)
        && pieces(hash) >= 5
}

/// How many words with or without a capital, runs of capitals, numbers and signs.
fn pieces(text: &[u8]) -> usize {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Capital,
        Digit,
        Sign,
        Small,
    }
    let mut count = 0;
    let mut before = None;
    // Whether the piece is one capital so far: small letters may follow in it.
    let mut is_initial = false;
    for &byte in text {
        let kind = match byte {
            b'A'..=b'Z' => Kind::Capital,
            b'a'..=b'z' => Kind::Small,
            b'0'..=b'9' => Kind::Digit,
            _ => Kind::Sign,
        };
        let goes_on = match kind {
            Kind::Small => before == Some(Kind::Small) || is_initial,
            Kind::Sign => false,
            Kind::Capital | Kind::Digit => before == Some(kind),
        };
        count += usize::from(!goes_on);
        is_initial = kind == Kind::Capital && !goes_on;
        before = Some(kind);
    }
    count
}

/// Names of uploads are often UUIDs, of which some are hashes of nothing.
fn ends_in_uuid(stem: &str) -> bool {
    let Some(start) = stem.len().checked_sub(36) else {
        return false;
    };
    stem.as_bytes()
        .iter()
        .skip(start)
        .enumerate()
        .all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_build_tools_make_is_recognised() {
        for name in [
            // webpack, Create React App, Parcel, Vue CLI, Nuxt 2
            "main.073c9b0a.js",
            "static/js/main.073c9b0a.chunk.js",
            "2.8ab3c9d1.chunk.js.map",
            "main.8e3f1b2c9d0a7f6e5d4c.css",
            "chunk-vendors.1f4b7c2a.js",
            "logo.6ce24c58023cc2f8fd88fe9d219db6c6.svg",
            // Next.js, Gatsby
            "main-5d7f8a9b0c1e2f3a.js",
            "app-1c2d3e4f5a6b7c8d9e0f.js",
            // Django
            "admin/css/base.27e20196a850.css",
            "report.27e20196a850.pdf",
            "img/icon-yes.d2f9f035226a.svg",
            "data.27e20196a850.json",
            // Rails
            "application-6d58c9e6.js",
            "application-2a7cd3f1c8b94e0d6f5a1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c2d3e4f5a6.css",
            // Vite, Rollup, SvelteKit
            "assets/index-DVoHNO1Y.js",
            "assets/index-BfP3_x-Q.css",
            "assets/vendor-q-3Xy_Z9.js",
            "entry.CzYk0x1B.js",
            "index-DVoHNO1Y.js.map",
            // esbuild, Angular
            "chunk-VM2K4OQ5.js",
            "main-5K7Q2WXA.js",
            // Old Vite
            "index.4f3a2b1c.js",
            "Inter-roman.b1c0a4f2.woff2",
        ] {
            assert!(is_fingerprinted(name), "{name}");
        }
    }

    #[test]
    fn a_name_that_people_give_is_not_taken_for_one() {
        for name in [
            "",
            "app.js",
            "app.min.js",
            "app.bundle.js",
            ".js",
            "a.",
            "README",
            "index.html",
            "jquery-3.7.1.min.js",
            "bootstrap.bundle.min.js",
            "app.v2.js",
            "main.12345678.js",
            "photo-20240131.jpg",
            "report.20240131.pdf",
            "report-dec312024.pdf",
            "a-31dec202.png",
            "a-1dec2024.png",
            "a-12feb202.png",
            "img-20240131.png",
            "IMG-20240131-WA0001.jpg",
            "backup.20240131120000.js",
            "menu-cafe2024.png",
            "music-decade90.jpg",
            "the-facade.png",
            "name-deadbeef.js",
            "name-effaced1.js",
            "a.defaced.js",
            "logo-1920x1080.png",
            "logo-1a2b3c4.png",
            "app-1a2b3c4.js",
            "app-1a2b3c4d5.js",
            // Capitals, words in camel case, versions.
            "lib-CHAPTER2.js",
            "lib-DOWNLOAD.js",
            "lib-Version2.js",
            "lib-Web3Auth.js",
            "lib-H264Main.js",
            "lib-I18nUtil.js",
            "lib-MyWidge2.js",
            "index-MyWidget.js",
            "index-component.js",
            "my-camelCase.js",
            "lib.Chapter1.js",
            "font-ExtraBold.woff2",
            "img-PHOTO2A5.jpg",
            "app-6D58C9E6.png",
            // No name before the hash, or the hash is the extension.
            "073c9b0a.js",
            ".073c9b0a.js",
            "-073c9b0a.js",
            "DVoHNO1Y.js",
            "a.073c9b0a",
            "main.073c9b0a.map",
            "073c9b0a.map",
            // Documents with numbers, pages, identifiers.
            "page.073c9b0a.html",
            "order-073c9b0a.pdf",
            "order-073c9b0a.html",
            "x-DVoHNO1Y.pdf",
            "photo-550e8400-e29b-41d4-a716-44a5b4c0d1e2.jpg",
            "550e8400-e29b-41d4-a716-44a5b4c0d1e2.jpg",
            "main.073c9b0a/app.js",
            "a.073c9b0ag.js",
            "a-\u{e9}73c9b0a.js",
        ] {
            assert!(!is_fingerprinted(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_long_hash_is_recognised(
            hash in "[0-9a-f]{16}|[0-9a-f]{20}|[0-9a-f]{32}|[0-9a-f]{64}",
            separator in "[.-]",
        ) {
            prop_assume!(digit_changes(&hash) > 0);
            let name = format!("main{separator}{hash}.js");
            prop_assert!(is_fingerprinted(&name));
        }

        #[test]
        fn numbers_and_words_are_not(name in "[a-z]{1,9}[.-]([0-9]{1,20}|[a-z]{1,20}|[A-Z][a-z]{1,9}[A-Z][a-z]{1,9})\\.(js|css|png)") {
            prop_assert!(!is_fingerprinted(&name));
        }

        #[test]
        fn any_name_is_survived(path: String) {
            let _ = is_fingerprinted(&path);
        }
    }
}
