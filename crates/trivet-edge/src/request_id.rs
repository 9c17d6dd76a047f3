//! Ids of requests: UUID version 7 (RFC 9562 section 5.7).

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::clock::coarse_unix_us;

/// Longest id that is taken over from a trusted proxy.
const LONGEST: usize = 128;

thread_local! {
    static RANDOM: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish() | 1);
}

/// A new id. Not a secret: it can be guessed from another one.
pub(crate) fn fresh() -> String {
    let millis = coarse_unix_us() / 1000;
    let (high, low) = (random(), random());
    let bytes = [
        (millis << 16) | 0x7000 | (high & 0x0fff),
        (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000,
    ];
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().flat_map(|half| half.to_be_bytes()).enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for nibble in [byte >> 4, byte & 0xf] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
    }
    text
}

/// The id that a trusted proxy gave, if it is fit for logs and pages.
pub(crate) fn accepted(value: &[u8]) -> Option<String> {
    let fits = !value.is_empty()
        && value.len() <= LONGEST
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte));
    fits.then(|| String::from_utf8_lossy(value).into_owned())
}

/// xorshift64*: fast, and good enough where nothing depends on secrecy.
fn random() -> u64 {
    RANDOM.with(|state| {
        let mut x = state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_version_7_uuid_of_its_own() {
        let (one, two) = (fresh(), fresh());
        assert_ne!(one, two);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'7');
        assert!(b"89ab".contains(&one.as_bytes()[19]));
    }

    #[test]
    fn an_id_that_could_forge_a_log_line_is_not_accepted() {
        assert_eq!(accepted(b"abc-123").as_deref(), Some("abc-123"));
        assert_eq!(accepted(b"a b"), None);
        assert_eq!(accepted(b"a\"b"), None);
        assert_eq!(accepted(&[b'a'; 129]), None);
    }
}
