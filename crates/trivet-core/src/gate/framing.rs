//! Where the content of a request ends (RFC 9112 sections 6.1 to 6.3).

use super::{Framing, Seen};
use crate::{Problem, field::list_elements, http1::Version};

/// Decide from the framing fields; any doubt is a refusal.
pub(super) fn decide(seen: &Seen<'_>, version: Version) -> Result<Framing, Problem> {
    match (seen.transfer_encoding, seen.content_length) {
        (None, None) => Ok(Framing::None),
        (None, Some(length)) => content_length(length).map(Framing::Length),
        (Some(_), Some(_)) => Err(Problem::BadRequest(
            "The request has both Content-Length and Transfer-Encoding.",
        )),
        (Some(_), None) if version == Version::Http10 => {
            Err(Problem::BadRequest("HTTP/1.0 has no Transfer-Encoding."))
        }
        (Some(codings), None) => transfer_encoding(codings).map(|()| Framing::Chunked),
    }
}

/// `1*DIGIT`, nothing else: no sign, no list, no space (RFC 9110 section 8.6).
pub(crate) fn content_length(value: &[u8]) -> Result<u64, Problem> {
    let bad = Problem::BadRequest("The Content-Length is not a number.");
    if value.is_empty() {
        return Err(bad);
    }
    value.iter().try_fold(0u64, |length, byte| {
        if !byte.is_ascii_digit() {
            return Err(bad);
        }
        length
            .checked_mul(10)
            .and_then(|length| length.checked_add(u64::from(byte - b'0')))
            .ok_or(Problem::BadRequest("The Content-Length is out of range."))
    })
}

/// `chunked`, exactly once and alone.
fn transfer_encoding(value: &[u8]) -> Result<(), Problem> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut unknown = false;
    for coding in list_elements(value) {
        if coding.is_empty() {
            return Err(Problem::BadRequest("The Transfer-Encoding is malformed."));
        }
        unknown |= !coding.eq_ignore_ascii_case(b"chunked");
    }
    Err(if unknown {
        Problem::NotImplemented("The transfer coding is not implemented; only chunked is.")
    } else {
        Problem::BadRequest("The request is chunked more than once.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_length_is_digits_only() {
        assert_eq!(content_length(b"0"), Ok(0));
        assert_eq!(content_length(b"007"), Ok(7));
        assert_eq!(content_length(b"18446744073709551615"), Ok(u64::MAX));
        for bad in [
            "",
            "+1",
            "-1",
            "1 ",
            "1,1",
            "5, 5",
            "0x5",
            "1_0",
            "18446744073709551616",
            "\u{661}",
        ] {
            assert!(content_length(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_single_chunked_is_a_known_transfer_encoding() {
        assert_eq!(transfer_encoding(b"CHUNKED"), Ok(()));
        let cases = [
            ("", 400),
            ("chunked,", 400),
            (",chunked", 400),
            ("chunked, chunked", 400),
            ("gzip", 501),
            ("gzip, chunked", 501),
            ("identity", 501),
            ("xchunked", 501),
            ("chunked;q=1", 501),
            ("\"chunked\"", 501),
        ];
        for (value, status) in cases {
            let problem = transfer_encoding(value.as_bytes()).unwrap_err();
            assert_eq!(problem.status(), status, "{value}");
        }
    }
}
