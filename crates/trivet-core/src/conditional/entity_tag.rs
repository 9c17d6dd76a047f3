//! Entity tags (RFC 9110 section 8.8.3).

use crate::field::trim_ows;

/// An entity tag: one name of one state of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag<'a> {
    /// What stands between the quotes.
    pub opaque: &'a [u8],
    /// Whether it is marked `W/`: states that mean the same may share it, so it says
    /// nothing about bytes.
    pub is_weak: bool,
}

impl<'a> EntityTag<'a> {
    /// Read `"opaque"` or `W/"opaque"`; `None` for anything else, such as a tag
    /// without quotes, a lower-case `w/`, or a space between the quotes.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        match Self::split_first(value)? {
            (tag, []) => Some(tag),
            _ => None,
        }
    }

    /// Read the tag that `text` starts with; the rest follows its closing quote.
    fn split_first(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (is_weak, quoted) = match text {
            [b'W', b'/', quoted @ ..] => (true, quoted),
            quoted => (false, quoted),
        };
        let (b'"', text) = quoted.split_first()? else {
            return None;
        };
        let length = text.iter().position(|&byte| !is_etagc(byte))?;
        let (opaque, [b'"', rest @ ..]) = text.split_at(length) else {
            return None;
        };
        Some((Self { opaque, is_weak }, rest))
    }

    /// Strong comparison: the same bytes, and neither is weak (section 8.8.3.2).
    pub fn is_strongly(self, other: EntityTag<'_>) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }

    /// Weak comparison: the same name, weak or not (section 8.8.3.2).
    pub fn is_weakly(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// The same tag marked as weak, for content that is coded on its way: the bytes
    /// that a coder makes may differ from one response to the next.
    #[must_use]
    pub const fn weakened(self) -> Self {
        Self {
            opaque: self.opaque,
            is_weak: true,
        }
    }

    /// Append the tag as a field value.
    pub fn write(self, out: &mut Vec<u8>) {
        self.write_with_suffix("", out);
    }

    /// Append the tag with `-suffix` inside the quotes, as a field value; without a
    /// hyphen if the suffix is empty.
    ///
    /// For each coding of a file that lies on disk a strong tag of its own, as
    /// section 8.8.3.3 wants it: `"63c1-br"` beside `"63c1"`.
    pub fn write_with_suffix(self, suffix: &str, out: &mut Vec<u8>) {
        if self.is_weak {
            out.extend_from_slice(b"W/");
        }
        out.push(b'"');
        out.extend_from_slice(self.opaque);
        if !suffix.is_empty() {
            out.push(b'-');
            out.extend_from_slice(suffix.as_bytes());
        }
        out.push(b'"');
    }
}

/// What may stand between the quotes (RFC 9110 section 8.8.3): a comma may, a space
/// or a quote may not, and there are no escapes.
const fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff)
}

/// What a list of tags says about one (`If-Match`, `If-None-Match`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// It is in the list, or the list is `*`.
    Yes,
    /// It is not.
    No,
    /// The list breaks the grammar.
    Malformed,
}

/// Whether one field line, a list of tags or `*`, holds a tag that `is_same`.
///
/// Quotes may hold commas, so that nothing after the first fault can be trusted to
/// be a tag, and what was read before it may be part of one: a list with a fault
/// says nothing. Empty elements are skipped (section 5.6.1.2).
pub(super) fn listed(line: &[u8], mut is_same: impl FnMut(EntityTag<'_>) -> bool) -> Listed {
    let mut rest = trim_ows(line);
    if rest == b"*" {
        return Listed::Yes;
    }
    let mut found = Listed::No;
    loop {
        while let [b',' | b' ' | b'\t', tail @ ..] = rest {
            rest = tail;
        }
        if rest.is_empty() {
            return found;
        }
        let Some((tag, tail)) = EntityTag::split_first(rest) else {
            return Listed::Malformed;
        };
        rest = trim_ows(tail);
        if !rest.is_empty() && !rest.starts_with(b",") {
            return Listed::Malformed;
        }
        if is_same(tag) {
            found = Listed::Yes;
        }
    }
}

/// Whether `lines` of `If-None-Match` name the weak form of the strong tag `tag`, and not
/// that itself.
pub(crate) fn lists_weak_form<'a>(
    lines: impl IntoIterator<Item = &'a [u8]>,
    tag: EntityTag<'_>,
) -> bool {
    let (mut is_weak, mut is_strong) = (false, false);
    for line in lines {
        let is_listed = listed(line, |other| {
            is_strong |= other == tag;
            other == tag.weakened()
        });
        // `*` names none.
        is_weak |= is_listed == Listed::Yes && trim_ows(line) != b"*";
    }
    is_weak && !is_strong
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(text: &str) -> EntityTag<'_> {
        EntityTag::parse(text.as_bytes()).unwrap()
    }

    // RFC 9110 section 8.8.3.2, the table of examples.
    #[test]
    fn tags_compare_as_in_the_standard() {
        let cases = [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ];
        for (left, right, strongly, weakly) in cases {
            let (left, right) = (tag(left), tag(right));
            assert_eq!(left.is_strongly(right), strongly);
            assert_eq!(right.is_strongly(left), strongly);
            assert_eq!(left.is_weakly(right), weakly);
        }
    }

    #[test]
    fn a_tag_goes_by_the_grammar() {
        for good in [
            "\"\"",
            "\"xyzzy\"",
            "W/\"\"",
            "\"a,b\"",
            "\"\\\"",
            "\"\u{e9}\"",
        ] {
            assert!(EntityTag::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "",
            "*",
            "\"",
            "W/",
            "W/\"",
            "abc",
            "\"a",
            "a\"",
            "w/\"a\"",
            "W\"a\"",
            "W/ \"a\"",
            "\"a b\"",
            "\"a\"b\"",
            "\"a\" ",
            " \"a\"",
            "\"a\u{7f}\"",
            "\"a\u{0}\"",
            "'a'",
            "\"a\",\"b\"",
        ] {
            assert_eq!(EntityTag::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_list_holds_what_it_names() {
        let cases = [
            ("*", Listed::Yes),
            (" * ", Listed::Yes),
            ("", Listed::No),
            (",", Listed::No),
            ("\"a\"", Listed::Yes),
            ("W/\"a\"", Listed::Yes),
            ("\"b\"", Listed::No),
            ("\"b\",\"a\"", Listed::Yes),
            ("\"a\", \"b\"", Listed::Yes),
            ("\"b\" ,\t\"c\" , W/\"a\" ", Listed::Yes),
            (",, \"a\",,", Listed::Yes),
            ("\"a,b\"", Listed::No),
            ("\"b,\"a\"", Listed::Malformed),
            ("\"a\" \"b\"", Listed::Malformed),
            ("\"a\";\"b\"", Listed::Malformed),
            ("\"a\", *", Listed::Malformed),
            ("*, \"a\"", Listed::Malformed),
            ("\"a\", b", Listed::Malformed),
            ("a", Listed::Malformed),
            ("\"a", Listed::Malformed),
            ("\"a\", \"", Listed::Malformed),
            ("\"a\", W/", Listed::Malformed),
        ];
        for (line, expected) in cases {
            let found = listed(line.as_bytes(), |other| other.is_weakly(tag("\"a\"")));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn a_coding_gets_a_tag_of_its_own() {
        let written = |tag: EntityTag<'_>, suffix| {
            let mut out = Vec::new();
            tag.write_with_suffix(suffix, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(tag("\"63c1\""), ""), "\"63c1\"");
        assert_eq!(written(tag("\"63c1\""), "br"), "\"63c1-br\"");
        assert_eq!(written(tag("W/\"63c1\""), "gzip"), "W/\"63c1-gzip\"");
        assert_eq!(written(tag("\"63c1\"").weakened(), ""), "W/\"63c1\"");
        assert_eq!(written(tag("W/\"63c1\"").weakened(), ""), "W/\"63c1\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(opaque in "[!#-~\u{e9}]{0,20}", is_weak: bool) {
            let tag = EntityTag { opaque: opaque.as_bytes(), is_weak };
            let mut out = Vec::new();
            tag.write(&mut out);
            prop_assert_eq!(EntityTag::parse(&out), Some(tag));
            prop_assert_eq!(listed(&out, |other| other == tag), Listed::Yes);
        }

        #[test]
        fn a_list_of_tags_is_read_tag_by_tag(
            tags in prop::collection::vec(("[!#-~]{0,6}", any::<bool>()), 0..8),
            comma in "[ \t]{0,2},[ \t,]{0,3}",
        ) {
            let mut texts = Vec::new();
            for (opaque, is_weak) in &tags {
                let mut out = Vec::new();
                EntityTag { opaque: opaque.as_bytes(), is_weak: *is_weak }.write(&mut out);
                texts.push(out);
            }
            let mut read = Vec::new();
            let found = listed(&texts.join(comma.as_bytes()), |tag| {
                read.push((String::from_utf8_lossy(tag.opaque).into_owned(), tag.is_weak));
                false
            });
            prop_assert_eq!(found, Listed::No);
            prop_assert_eq!(read, tags);
        }
    }
}
