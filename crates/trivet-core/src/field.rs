//! What field names and values are made of (RFC 9110 section 5).

/// Whether `byte` is a `tchar` (RFC 9110 section 5.6.2).
#[inline]
pub const fn is_tchar(byte: u8) -> bool {
    TCHAR[byte as usize]
}

/// Whether `bytes` is a `token`: one or more `tchar` (RFC 9110 section 5.6.2).
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_tchar(byte))
}

/// Whether `byte` may stand in a field value (RFC 9110 section 5.5).
///
/// `obs-text` (0x80 and above) is allowed as opaque data; CR, LF, NUL and all
/// other controls but the tab are not.
#[inline]
pub const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Whether every byte of `value` may stand in a field value.
pub fn is_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| is_value_byte(byte))
}

/// Strip optional whitespace from both ends (RFC 9110 section 5.6.3).
///
/// Narrower than `trim_ascii`, which would also eat form feeds.
pub const fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements of a comma-separated list of tokens (RFC 9110 section 5.6.1).
///
/// Empty elements are yielded too; most callers skip them, as the RFC asks of
/// recipients, but framing fields must not.
pub fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_ows)
}

const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 256")]
        let octet = byte as u8;
        table[byte] = octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_no_delimiters() {
        assert!(is_token(b"X-Custom_1~"));
        for bad in [
            &b""[..],
            b"a b",
            b"a:",
            b"a\t",
            b"(a)",
            b"\xe9",
            b"a\0",
            b"\"a\"",
        ] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_value_has_no_controls_but_the_tab() {
        assert!(is_value(b"a\tb \xff"));
        for bad in [0u8, b'\r', b'\n', 0x0b, 0x1f, 0x7f] {
            assert!(!is_value(&[b'a', bad]), "{bad:#x}");
        }
    }

    #[test]
    fn only_spaces_and_tabs_are_optional_whitespace() {
        assert_eq!(trim_ows(b" \t a b\t "), b"a b");
        assert_eq!(trim_ows(b" \x0ca"), b"\x0ca");
        assert_eq!(trim_ows(b" \t"), b"");
    }

    #[test]
    fn a_list_yields_its_empty_elements() {
        let elements: Vec<_> = list_elements(b"a, ,b,").collect();
        assert_eq!(elements, [&b"a"[..], b"", b"b", b""]);
    }
}
