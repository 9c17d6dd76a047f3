//! Decoding and normalising the path (RFC 3986 sections 2.1, 5.2.4 and 6.2.2).
//!
//! Percent-decoding happens once, and dot segments are removed after it: so
//! `/%2e%2e/x`, `/..%2fx` and `/../x` are all the same path, and no later stage
//! that joins paths can be led out of its folder.

use memchr::{memchr, memmem};

use super::{TargetForm, target::Target};
use crate::Problem;

/// Write the path of `target` to the empty `out`.
pub(super) fn decode(
    target: &Target,
    method: &[u8],
    buf: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let raw = target.path.of(buf);
    match target.form {
        TargetForm::Asterisk => out.push(b'*'),
        // An absent path is `/` (RFC 9110 section 4.2.3), but for OPTIONS it is the
        // server as a whole (RFC 9112 section 3.2.4).
        TargetForm::Absolute if raw.is_empty() => {
            out.push(if method == b"OPTIONS" && !target.has_query {
                b'*'
            } else {
                b'/'
            });
        }
        TargetForm::Absolute | TargetForm::Origin => {
            percent_decode(raw, out)?;
            remove_dot_segments(out)?;
        }
    }
    Ok(())
}

fn percent_decode(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut rest = raw;
    while let Some(percent) = memchr(b'%', rest) {
        let (plain, encoded) = rest.split_at(percent);
        out.extend_from_slice(plain);
        let [_, high, low, tail @ ..] = encoded else {
            return Err(BAD_ESCAPE);
        };
        let byte = hex(*high)? << 4 | hex(*low)?;
        if byte == 0 {
            return Err(Problem::BadRequest("The request path holds a NUL."));
        }
        out.push(byte);
        rest = tail;
    }
    out.extend_from_slice(rest);
    Ok(())
}

const BAD_ESCAPE: Problem =
    Problem::BadRequest("The request path has a malformed percent-encoding.");

const fn hex(digit: u8) -> Result<u8, Problem> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(BAD_ESCAPE),
    }
}

/// Remove `.` and `..` segments in place. `..` above the root is refused: no
/// honest client sends it, since clients resolve references themselves.
fn remove_dot_segments(path: &mut Vec<u8>) -> Result<(), Problem> {
    if memmem::find(path, b"/.").is_none() {
        return Ok(());
    }
    // Segments are copied down to `kept`, which never passes the one being read.
    let mut kept = 0;
    let mut read = 0;
    while read < path.len() {
        // Invariant: path[read] is the slash before a segment.
        let segment = path.get(read + 1..).unwrap_or_default();
        let length = memchr(b'/', segment).unwrap_or(segment.len());
        let next = read + 1 + length;
        let is_last = next == path.len();
        match segment.get(..length) {
            Some(b".") => {}
            Some(b"..") => {
                let parents = path.get(..kept).unwrap_or_default();
                kept = memchr::memrchr(b'/', parents).ok_or(Problem::BadRequest(
                    "The request path leads above the root.",
                ))?;
            }
            _ => {
                path.copy_within(read..next, kept);
                kept += next - read;
                read = next;
                continue;
            }
        }
        if is_last {
            // `/a/.` and `/a/b/..` name the folder `/a/`. There is room: a dot
            // segment has just been left out.
            if let Some(slash) = path.get_mut(kept) {
                *slash = b'/';
            }
            kept += 1;
        }
        read = next;
    }
    path.truncate(kept);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(raw: &[u8]) -> Result<Vec<u8>, Problem> {
        let mut out = Vec::new();
        percent_decode(raw, &mut out)?;
        remove_dot_segments(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_spelling_of_a_path_gives_the_same_path() {
        let cases = [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a%20b%C3%A9", "/a b\u{e9}"),
            ("/%252e", "/%2e"),
            ("/a/../b", "/b"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/%2E./b", "/b"),
            ("/a/..%2fb", "/b"),
            ("/a%2f..%2f..%2fb", ""),
            ("/a/b/%2e%2e%2fc", "/a/c"),
            ("/./a/./", "/a/"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a/..", "/"),
            ("/.", "/"),
            ("//a", "//a"),
            ("/a//../b", "/a/b"),
            ("/a//..//b", "/a//b"),
            ("/..", ""),
            ("/../a", ""),
            ("/a/../../b", ""),
            ("/...", "/..."),
            ("/..a/.b/c..", "/..a/.b/c.."),
            ("/..;/a", "/..;/a"),
            ("/a\\..\\b", "/a\\..\\b"),
            ("/%", ""),
            ("/%4", ""),
            ("/%zz", ""),
            ("/%+1", ""),
            ("/a%00b", ""),
        ];
        for (raw, expected) in cases {
            let path = normal(raw.as_bytes()).unwrap_or_default();
            assert_eq!(path, expected.as_bytes(), "{raw}");
        }
    }

    /// The plain reading of RFC 3986 section 5.2.4, as a second opinion.
    fn by_the_book(decoded: &[u8]) -> Option<Vec<u8>> {
        let segments: Vec<_> = decoded.get(1..)?.split(|&byte| byte == b'/').collect();
        let mut kept: Vec<&[u8]> = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            let is_last = index + 1 == segments.len();
            match *segment {
                b"." => {}
                b".." => {
                    kept.pop()?;
                }
                plain => {
                    kept.push(plain);
                    continue;
                }
            }
            if is_last {
                kept.push(b"");
            }
        }
        Some([b"/".as_slice(), &kept.join(&b'/')].concat())
    }

    proptest! {
        #[test]
        fn no_dot_segment_and_no_nul_survives(tail in "[./%2eEfF5cax\\\\]{0,24}") {
            if let Ok(path) = normal(format!("/{tail}").as_bytes()) {
                prop_assert!(path.starts_with(b"/"));
                let mut segments = path.split(|&byte| byte == b'/');
                prop_assert!(!segments.any(|segment| segment == b"." || segment == b".."));
                prop_assert!(!path.contains(&0));
            }
        }

        #[test]
        fn dot_segments_go_as_the_rfc_says(tail in "[./a]{0,16}") {
            let path = format!("/{tail}");
            prop_assert_eq!(normal(path.as_bytes()).ok(), by_the_book(path.as_bytes()));
        }
    }
}
