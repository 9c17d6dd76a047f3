//! The request fields that Trivet knows by number.
//!
//! The numbers are stable: they may cross a process boundary. A new field takes
//! the next free number; a number is never used again.

/// Define the enum, its names and its list from one table.
macro_rules! known_fields {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal,)*) => {
        /// A field name the engine or an app's environment asks for often.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum KnownField {
            /// Any other name.
            #[default]
            Other = 0,
            $(#[doc = concat!("`", $name, "`")] $variant = $number,)*
        }

        impl KnownField {
            /// Every variant, at the place of its number.
            pub const ALL: [Self; COUNT] = [Self::Other, $(Self::$variant,)*];

            /// The name in lower case; empty for [`KnownField::Other`].
            pub const fn name(self) -> &'static str {
                NAMES[self as usize]
            }
        }

        const NAMES: [&str; COUNT] = ["", $($name,)*];
        const COUNT: usize = 1 $(+ { let _: u8 = $number; 1 })*;
    };
}

known_fields! {
    Accept = 1 "accept",
    AcceptEncoding = 2 "accept-encoding",
    AcceptLanguage = 3 "accept-language",
    Authorization = 4 "authorization",
    CacheControl = 5 "cache-control",
    Connection = 6 "connection",
    ContentEncoding = 7 "content-encoding",
    ContentLength = 8 "content-length",
    ContentType = 9 "content-type",
    Cookie = 10 "cookie",
    Date = 11 "date",
    Expect = 12 "expect",
    Forwarded = 13 "forwarded",
    Host = 14 "host",
    Http2Settings = 15 "http2-settings",
    IfMatch = 16 "if-match",
    IfModifiedSince = 17 "if-modified-since",
    IfNoneMatch = 18 "if-none-match",
    IfRange = 19 "if-range",
    IfUnmodifiedSince = 20 "if-unmodified-since",
    KeepAlive = 21 "keep-alive",
    Origin = 22 "origin",
    Pragma = 23 "pragma",
    Priority = 24 "priority",
    Proxy = 25 "proxy",
    ProxyAuthorization = 26 "proxy-authorization",
    ProxyConnection = 27 "proxy-connection",
    Range = 28 "range",
    Referer = 29 "referer",
    SecChUa = 30 "sec-ch-ua",
    SecChUaMobile = 31 "sec-ch-ua-mobile",
    SecChUaPlatform = 32 "sec-ch-ua-platform",
    SecFetchDest = 33 "sec-fetch-dest",
    SecFetchMode = 34 "sec-fetch-mode",
    SecFetchSite = 35 "sec-fetch-site",
    SecFetchUser = 36 "sec-fetch-user",
    SecWebSocketExtensions = 37 "sec-websocket-extensions",
    SecWebSocketKey = 38 "sec-websocket-key",
    SecWebSocketProtocol = 39 "sec-websocket-protocol",
    SecWebSocketVersion = 40 "sec-websocket-version",
    Te = 41 "te",
    Traceparent = 42 "traceparent",
    Tracestate = 43 "tracestate",
    Trailer = 44 "trailer",
    TransferEncoding = 45 "transfer-encoding",
    Upgrade = 46 "upgrade",
    UpgradeInsecureRequests = 47 "upgrade-insecure-requests",
    UserAgent = 48 "user-agent",
    Via = 49 "via",
    XForwardedFor = 50 "x-forwarded-for",
    XForwardedHost = 51 "x-forwarded-host",
    XForwardedPort = 52 "x-forwarded-port",
    XForwardedPrefix = 53 "x-forwarded-prefix",
    XForwardedProto = 54 "x-forwarded-proto",
    XRealIp = 55 "x-real-ip",
    XRequestId = 56 "x-request-id",
    XRequestStart = 57 "x-request-start",
    XRequestedWith = 58 "x-requested-with",
}

impl KnownField {
    /// The field called `name`, in any case.
    pub fn of(name: &[u8]) -> Self {
        let mut candidate = FIRST[slot(name)];
        while candidate != 0 {
            let index = usize::from(candidate);
            if NAMES[index].as_bytes().eq_ignore_ascii_case(name) {
                return Self::ALL[index];
            }
            candidate = NEXT[index];
        }
        Self::Other
    }
}

/// The bucket of a name, by its length and its first and last letters.
const fn slot(name: &[u8]) -> usize {
    match name {
        [first, .., last] => {
            (name.len() * 7 + (*first | 0x20) as usize * 5 + (*last | 0x20) as usize * 13) % SLOTS
        }
        _ => 0,
    }
}

const SLOTS: usize = 256;

/// Per bucket its first field's number, and per field the next one's in the same
/// bucket; 0 ends. Built when compiled, so that a name costs one or two compares.
const BUCKETS: ([u8; SLOTS], [u8; COUNT]) = {
    let mut first = [0; SLOTS];
    let mut next = [0; COUNT];
    let mut number = COUNT - 1;
    while number > 0 {
        let slot = slot(NAMES[number].as_bytes());
        next[number] = first[slot];
        #[expect(
            clippy::cast_possible_truncation,
            reason = "there are fewer than 256 known fields"
        )]
        {
            first[slot] = number as u8;
        }
        number -= 1;
    }
    (first, next)
};
static FIRST: [u8; SLOTS] = BUCKETS.0;
static NEXT: [u8; COUNT] = BUCKETS.1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_field_is_found_by_its_name_in_any_case() {
        for field in KnownField::ALL.into_iter().skip(1) {
            assert_eq!(KnownField::of(field.name().as_bytes()), field);
            assert_eq!(
                KnownField::of(field.name().to_uppercase().as_bytes()),
                field
            );
        }
    }

    #[test]
    fn every_field_stands_at_its_number() {
        for (index, field) in KnownField::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
        }
    }

    #[test]
    fn names_that_are_nearly_known_are_other() {
        for name in [
            "",
            "h",
            "hos",
            "hostt",
            "content_length",
            "x-forwarded-fox",
            "\u{212a}eep",
        ] {
            assert_eq!(KnownField::of(name.as_bytes()), KnownField::Other, "{name}");
        }
    }

    #[test]
    fn no_bucket_is_long() {
        for bucket in FIRST {
            let (mut length, mut number) = (0, bucket);
            while number != 0 {
                length += 1;
                number = NEXT[usize::from(number)];
            }
            assert!(length <= 3, "{length} fields in one bucket");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(name: Vec<u8>) {
            let field = KnownField::of(&name);
            prop_assert!(field == KnownField::Other || name.eq_ignore_ascii_case(field.name().as_bytes()));
        }
    }
}
