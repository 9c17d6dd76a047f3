//! `Vary` (RFC 9110 section 12.5.5): which request fields an answer depends on.

use crate::field::{is_token, list_elements};

/// Whether the `Vary` lines of a response say already that it depends on `field`,
/// because they name it, in any case, or hold `*`.
pub fn varies_by<'a>(lines: impl IntoIterator<Item = &'a [u8]>, field: &str) -> bool {
    lines
        .into_iter()
        .flat_map(list_elements)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(field.as_bytes()))
}

/// Append one value that stands for all `Vary` lines of a response and names `field`
/// too.
///
/// The names keep their order and case; what comes twice is written once, and what is
/// no field name is left out. With `*` anywhere, the value is `*` alone: it means
/// everything, and caches know it only by itself.
pub fn write_vary<'a, Lines>(lines: Lines, field: &'a str, out: &mut Vec<u8>)
where
    Lines: IntoIterator<Item = &'a [u8]>,
    Lines::IntoIter: Clone,
{
    let lines = lines.into_iter();
    let names = || lines.clone().flat_map(list_elements);
    if names().any(|name| name == b"*") {
        out.push(b'*');
        return;
    }
    let start = out.len();
    for name in names().chain([field.as_bytes()]) {
        let written = out.get(start..).unwrap_or_default();
        let is_there = list_elements(written).any(|other| other.eq_ignore_ascii_case(name));
        if !is_token(name) || is_there {
            continue;
        }
        if out.len() > start {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn merged(lines: &[&str]) -> String {
        let mut out = b"before".to_vec();
        let lines = lines.iter().map(|line| line.as_bytes());
        write_vary(lines, "Accept-Encoding", &mut out);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    #[test]
    fn a_name_is_added_once() {
        let cases: [(&[&str], _); 10] = [
            (&[], "Accept-Encoding"),
            (&[""], "Accept-Encoding"),
            (&["Cookie"], "Cookie, Accept-Encoding"),
            (&["accept-encoding"], "accept-encoding"),
            (
                &["Origin,Accept-Encoding , Cookie"],
                "Origin, Accept-Encoding, Cookie",
            ),
            (
                &["Origin", "Cookie, origin"],
                "Origin, Cookie, Accept-Encoding",
            ),
            (&["*"], "*"),
            (&["Cookie, *"], "*"),
            (&["Cookie", " * "], "*"),
            (&["a b, Cookie,,(x)"], "Cookie, Accept-Encoding"),
        ];
        for (lines, expected) in cases {
            assert_eq!(merged(lines), expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_merged_says_all_that_was_said(
            lines in prop::collection::vec("[a-cA-C*, ]{0,12}", 0..4),
        ) {
            let bytes = || lines.iter().map(String::as_bytes);
            let mut out = Vec::new();
            write_vary(bytes(), "b", &mut out);
            prop_assert!(varies_by([out.as_slice()], "b"));
            for name in ["a", "b", "c", "aa", "x"] {
                if varies_by(bytes(), name) {
                    prop_assert!(varies_by([out.as_slice()], name));
                }
            }
            let names: Vec<_> = list_elements(&out).map(<[u8]>::to_ascii_lowercase).collect();
            let mut once = names.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(names.len(), once.len());
        }
    }
}
