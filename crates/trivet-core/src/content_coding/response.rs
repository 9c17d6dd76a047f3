//! What compression makes of a response: whether its content is coded, and what its head
//! says then.

use super::{Coding, CompressionPolicy, Content, forbids_transform, judge, negotiate, write_vary};
use crate::conditional::{EntityTag, lists_weak_form};

const ACCEPT_ENCODING: &str = "Accept-Encoding";

/// What becomes of a response's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is sent as it is, to every client.
    AsIs,
    /// It is sent as it is to this client; others would get it coded.
    Varies,
    /// It is sent in this coding.
    Coded(Coding),
}

impl<'a> Content<'a> {
    /// What the fields of a response say, by name and value. `length` is how much content
    /// will come, where that is known.
    pub fn of_response(
        status: u16,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        length: Option<u64>,
    ) -> Self {
        let mut content = Self {
            status,
            length,
            ..Self::default()
        };
        for (name, value) in fields {
            match Touched::of(name) {
                Some(Touched::CacheControl) => {
                    content.forbids_transform |= forbids_transform([value]);
                }
                Some(Touched::ContentEncoding) if !value.is_empty() => {
                    content.content_encoding = Some(value);
                }
                Some(Touched::ContentRange) => content.has_content_range = true,
                Some(Touched::ContentType) => {
                    content.content_type.get_or_insert(value);
                }
                Some(Touched::Digest) => content.has_digest = true,
                _ => {}
            }
        }
        content
    }
}

/// Decide what becomes of content.
///
/// `accept_encoding` are the request's field lines of that name, `codings` those that can be
/// made, the preferred first. A client that refuses every coding and the content as it is gets
/// it all the same: the app has done its work, and a 406 would hide it (RFC 9110 section
/// 12.5.3 leaves both to the server).
pub fn plan<'a>(
    content: &Content<'_>,
    policy: &CompressionPolicy<'_>,
    codings: &[Coding],
    accept_encoding: impl IntoIterator<Item = &'a [u8]>,
) -> Plan {
    if codings.is_empty() || judge(content, policy).is_err() {
        return Plan::AsIs;
    }
    match negotiate(accept_encoding, codings) {
        None | Some(Coding::Identity) => Plan::Varies,
        Some(coding) => Plan::Coded(coding),
    }
}

/// How the fields of a response change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadChange {
    /// In place of all `Vary` lines.
    vary: Option<Vec<u8>>,
    /// In place of `ETag`.
    etag: Option<Vec<u8>>,
    coding: Option<Coding>,
}

impl HeadChange {
    /// What `plan` means for a response with these `fields`.
    pub fn by_plan<'a>(
        plan: Plan,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    ) -> Self {
        match plan {
            Plan::AsIs => Self::default(),
            Plan::Varies => Self {
                vary: Some(vary(fields)),
                ..Self::default()
            },
            Plan::Coded(coding) => Self {
                vary: Some(vary(fields.clone())),
                etag: etag(fields).map(|tag| written(tag.weakened())),
                coding: Some(coding),
            },
        }
    }

    /// What a 304 (Not Modified) with these `fields` has to say to a client whose request has
    /// `if_none_match`.
    ///
    /// The client that names the app's tag in its weak form holds the content coded: that form
    /// goes back to it. With the strong form, no cache would find what it stored (RFC 9111
    /// section 4.3.4).
    pub fn of_not_modified<'a, 'b>(
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
        if_none_match: impl IntoIterator<Item = &'b [u8]>,
    ) -> Self {
        match etag(fields.clone()) {
            Some(tag) if !tag.is_weak && lists_weak_form(if_none_match, tag) => Self {
                vary: Some(vary(fields)),
                etag: Some(written(tag.weakened())),
                coding: None,
            },
            _ => Self::default(),
        }
    }

    /// The fields that are sent in place of `fields`. When the content is coded its length is
    /// not among them, nor is that byte ranges of it are to be had: those were of the content
    /// as it was.
    pub fn apply<'s>(
        &'s self,
        fields: impl Iterator<Item = (&'s [u8], &'s [u8])>,
    ) -> impl Iterator<Item = (&'s [u8], &'s [u8])> {
        let is_coded = self.coding.is_some();
        let stays = move |&(name, _): &(&[u8], &[u8])| {
            if self.vary.is_none() {
                return true;
            }
            match Touched::of(name) {
                Some(Touched::Vary) => false,
                Some(Touched::Etag) => !is_coded && self.etag.is_none(),
                Some(Touched::AcceptRanges | Touched::ContentEncoding | Touched::ContentLength) => {
                    !is_coded
                }
                _ => true,
            }
        };
        let new = |name: &'static str, value: Option<&'s [u8]>| {
            value.map(|value| (name.as_bytes(), value))
        };
        let coding = self.coding.map(|coding| coding.name().as_bytes());
        fields
            .filter(stays)
            .chain(new("Content-Encoding", coding))
            .chain(new("ETag", self.etag.as_deref()))
            .chain(new("Vary", self.vary.as_deref()))
    }
}

fn vary<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    write_vary(values(fields, Touched::Vary), ACCEPT_ENCODING, &mut out);
    out
}

/// The response's tag; none where it breaks the grammar, or where there are several.
fn etag<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Option<EntityTag<'a>> {
    let mut lines = values(fields, Touched::Etag);
    let tag = EntityTag::parse(crate::field::trim_ows(lines.next()?))?;
    lines.next().is_none().then_some(tag)
}

fn values<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    wanted: Touched,
) -> impl Iterator<Item = &'a [u8]> + Clone {
    fields.filter_map(move |(name, value)| (Touched::of(name) == Some(wanted)).then_some(value))
}

fn written(tag: EntityTag<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(tag.opaque.len() + 4);
    tag.write(&mut out);
    out
}

/// Response fields that a coding has to do with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touched {
    AcceptRanges,
    CacheControl,
    ContentEncoding,
    ContentLength,
    ContentRange,
    ContentType,
    /// A digest of the bytes that are sent (RFC 9530, and what was before it).
    Digest,
    Etag,
    Vary,
}

impl Touched {
    fn of(name: &[u8]) -> Option<Self> {
        let candidates: &[(&[u8], Self)] = match name.len() {
            4 => &[(b"etag", Self::Etag), (b"vary", Self::Vary)],
            6 => &[(b"digest", Self::Digest)],
            11 => &[
                (b"content-md5", Self::Digest),
                (b"repr-digest", Self::Digest),
            ],
            12 => &[(b"content-type", Self::ContentType)],
            13 => &[
                (b"cache-control", Self::CacheControl),
                (b"accept-ranges", Self::AcceptRanges),
                (b"content-range", Self::ContentRange),
            ],
            14 => &[
                (b"content-length", Self::ContentLength),
                (b"content-digest", Self::Digest),
            ],
            16 => &[(b"content-encoding", Self::ContentEncoding)],
            _ => &[],
        };
        candidates
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map(|&(_, touched)| touched)
    }
}

#[cfg(test)]
mod tests {
    use super::super::MediaRange;
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn bytes<'a>(fields: Pairs<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
        let of = |&(name, value): &(&'a str, &'a str)| (name.as_bytes(), value.as_bytes());
        fields.iter().map(of)
    }

    fn planned(fields: Pairs<'_>, accept: &str) -> Plan {
        let types = [MediaRange::parse("text/*").unwrap()];
        let policy = CompressionPolicy {
            types: &types,
            min_bytes: 100,
        };
        let content = Content::of_response(200, bytes(fields), Some(100));
        let codings = [Coding::Zstd, Coding::Gzip];
        plan(&content, &policy, &codings, [accept.as_bytes()])
    }

    fn changed(change: &HeadChange, fields: Pairs<'_>) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        change
            .apply(bytes(fields))
            .map(|(name, value)| format!("{}: {}", text(name), text(value)))
            .collect()
    }

    const TEXT: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");

    #[test]
    fn the_clients_wish_and_the_apps_fields_decide() {
        let cases: [(Pairs<'_>, &str, Plan); 16] = [
            (&[TEXT], "gzip", Plan::Coded(Coding::Gzip)),
            (&[TEXT], "gzip, zstd", Plan::Coded(Coding::Zstd)),
            (&[TEXT], "zstd;q=0.5, gzip", Plan::Coded(Coding::Gzip)),
            (&[TEXT], "br", Plan::Varies),
            (&[TEXT], "", Plan::Varies),
            (&[TEXT], "gzip;q=0, *;q=0", Plan::Varies),
            (&[("content-type", "image/png")], "gzip", Plan::AsIs),
            (&[], "gzip", Plan::AsIs),
            (
                &[TEXT, ("Content-Type", "image/png")],
                "gzip",
                Plan::Coded(Coding::Gzip),
            ),
            (&[TEXT, ("CONTENT-ENCODING", "br")], "gzip", Plan::AsIs),
            (
                &[TEXT, ("Content-Encoding", "")],
                "gzip",
                Plan::Coded(Coding::Gzip),
            ),
            (
                &[
                    TEXT,
                    ("Cache-Control", "a"),
                    ("cache-control", "no-transform"),
                ],
                "gzip",
                Plan::AsIs,
            ),
            (
                &[TEXT, ("Content-Range", "bytes 0-1/3")],
                "gzip",
                Plan::AsIs,
            ),
            (
                &[TEXT, ("Content-Digest", "sha-256=:x:")],
                "gzip",
                Plan::AsIs,
            ),
            (&[TEXT, ("Repr-Digest", "sha-256=:x:")], "gzip", Plan::AsIs),
            (&[TEXT, ("Content-MD5", "x")], "gzip", Plan::AsIs),
        ];
        for (fields, accept, expected) in cases {
            assert_eq!(planned(fields, accept), expected, "{fields:?} {accept}");
        }
        let content = Content::of_response(200, bytes(&[TEXT]), None);
        let policy = CompressionPolicy {
            types: &[],
            min_bytes: 0,
        };
        assert_eq!(plan(&content, &policy, &[], [&b"*"[..]]), Plan::AsIs);
    }

    #[test]
    fn a_head_says_what_became_of_its_content() {
        let fields: Pairs<'_> = &[
            ("Vary", "Cookie"),
            TEXT,
            ("Accept-Ranges", "bytes"),
            ("Content-Length", "100"),
            ("etag", "\"a\""),
            ("Content-Encoding", ""),
            ("vary", "Origin"),
            ("X", "y"),
        ];
        let change = |plan| HeadChange::by_plan(plan, bytes(fields));
        let same: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(changed(&change(Plan::AsIs), fields), same);
        let mut varies = same.clone();
        varies.retain(|line| !line.to_lowercase().starts_with("vary"));
        varies.push("Vary: Cookie, Origin, Accept-Encoding".to_owned());
        assert_eq!(changed(&change(Plan::Varies), fields), varies);
        assert_eq!(
            changed(&change(Plan::Coded(Coding::Br)), fields),
            [
                "Content-Type: text/html; charset=utf-8",
                "X: y",
                "Content-Encoding: br",
                "ETag: W/\"a\"",
                "Vary: Cookie, Origin, Accept-Encoding",
            ]
        );
    }

    // Kept as it is, it would name the coded bytes and the others alike.
    #[test]
    fn a_tag_that_is_none_does_not_stay_on_coded_content() {
        for fields in [
            &[("ETag", "abc")] as Pairs<'_>,
            &[("ETag", "\"a\""), ("ETag", "\"b\"")],
        ] {
            let change = HeadChange::by_plan(Plan::Coded(Coding::Gzip), bytes(fields));
            let lines = changed(&change, fields);
            assert_eq!(lines, ["Content-Encoding: gzip", "Vary: Accept-Encoding"]);
        }
    }

    #[test]
    fn a_304_gives_back_the_tag_that_the_client_holds() {
        let cases = [
            ("\"a\"", "W/\"a\"", "W/\"a\""),
            ("\"a\"", "\"x\", W/\"a\"", "W/\"a\""),
            ("\"a\"", "\"a\"", "\"a\""),
            ("\"a\"", "\"a\", W/\"a\"", "\"a\""),
            ("\"a\"", "W/\"b\"", "\"a\""),
            ("\"a\"", "*", "\"a\""),
            ("\"a\"", "", "\"a\""),
            ("W/\"a\"", "W/\"a\"", "W/\"a\""),
            ("a", "W/\"a\"", "a"),
        ];
        for (tag, wanted, expected) in cases {
            let fields: Pairs<'_> = &[("ETag", tag)];
            let change = HeadChange::of_not_modified(bytes(fields), [wanted.as_bytes()]);
            let lines = changed(&change, fields);
            assert_eq!(
                lines.first().unwrap(),
                &format!("ETag: {expected}"),
                "{wanted}"
            );
            // A tag of ours says that the content varies.
            assert_eq!(lines.len() == 2, tag != expected, "{lines:?}");
        }
    }
}
