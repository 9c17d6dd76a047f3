//! Keeping secrets out of logs.

use std::borrow::Cow;

use memchr::memchr;

const HIDDEN: &[u8] = b"***";

/// `target` with the values of query parameters that look like secrets replaced.
///
/// A fragment, which only a referrer by mistake may have, counts as a query:
/// OAuth's implicit flow puts tokens there.
pub fn redact(target: &[u8]) -> Cow<'_, [u8]> {
    let Some(mark) = target.iter().position(|byte| b"?#".contains(byte)) else {
        return Cow::Borrowed(target);
    };
    let (path, query) = target.split_at(mark + 1);
    if !parameters(query).any(hides) {
        return Cow::Borrowed(target);
    }
    let mut out = path.to_vec();
    for parameter in parameters(query) {
        let name_end = memchr(b'=', parameter).map_or(parameter.len(), |equals| equals + 1);
        let (name, value) = parameter.split_at(name_end);
        out.extend_from_slice(name);
        if hides(parameter) {
            out.extend_from_slice(HIDDEN);
            out.extend(value.last().filter(|&&byte| is_separator(byte)));
        } else {
            out.extend_from_slice(value);
        }
    }
    Cow::Owned(out)
}

/// The parameters, each with the separator behind it.
fn parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split_inclusive(|&byte| is_separator(byte))
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'&' | b';' | b'#' | b'?')
}

/// Whether a parameter has a value to hide.
fn hides(parameter: &[u8]) -> bool {
    memchr(b'=', parameter)
        .and_then(|equals| parameter.get(..equals))
        .is_some_and(is_secret)
}

/// `token`, `access_token`, `accessToken`, `api-key`, `apikey`; but not `monkey`
/// or `zipcode`: the short words only count alone or as the last of several.
fn is_secret(name: &[u8]) -> bool {
    let name = name.strip_suffix(b"[]").unwrap_or(name);
    let ends_with = |word: &str| {
        let start = name.len().checked_sub(word.len());
        start
            .and_then(|start| name.get(start..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(word.as_bytes()))
    };
    let last_word = name
        .rsplit(|byte| !byte.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default();
    ["token", "password", "secret", "apikey"]
        .into_iter()
        .any(ends_with)
        || ["key", "code"]
            .iter()
            .any(|word| last_word.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        let cases = [
            ("/a", "/a"),
            ("/token=1", "/token=1"),
            ("/a?b=1&c", "/a?b=1&c"),
            ("/a?token=1", "/a?token=***"),
            ("/a?b=1&Access_Token=x=y&c=2", "/a?b=1&Access_Token=***&c=2"),
            (
                "/a?accessToken=1;api-key=2",
                "/a?accessToken=***;api-key=***",
            ),
            (
                "/a?code=1&zipcode=2&monkey=3",
                "/a?code=***&zipcode=2&monkey=3",
            ),
            ("/a?password=&key", "/a?password=***&key"),
            ("/a?password[]=1", "/a?password[]=***"),
            ("http://x/a#client_secret=1", "http://x/a#client_secret=***"),
            ("/a?a=1#token=2", "/a?a=1#token=***"),
        ];
        for (target, expected) in cases {
            assert_eq!(redact(target.as_bytes()), expected.as_bytes(), "{target}");
        }
    }
}
