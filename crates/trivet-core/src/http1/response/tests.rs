use proptest::prelude::*;

use super::*;

const FACTS: ResponseFacts<'_> = ResponseFacts {
    version: Version::Http11,
    head_request: false,
    keep_alive: true,
    date: b"Sun, 06 Nov 1994 08:49:37 GMT",
    server: Some(b"trivet"),
};

type Fields<'a> = &'a [(&'a str, &'a str)];

fn encode(
    status: u16,
    fields: Fields<'_>,
    framing: BodyFraming,
    facts: &ResponseFacts<'_>,
) -> Result<(String, bool), BadField> {
    let mut out = b"before".to_vec();
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let written = encode_head(&mut out, status, b"", fields, framing, facts);
    match written {
        Ok(written) => {
            let head = String::from_utf8(out.split_off(6)).unwrap();
            Ok((head, written.keep_alive))
        }
        Err(error) => {
            assert_eq!(out, b"before");
            Err(error)
        }
    }
}

#[test]
fn framing_follows_method_status_and_version() {
    let http10 = ResponseFacts {
        version: Version::Http10,
        ..FACTS
    };
    let head = ResponseFacts {
        head_request: true,
        ..FACTS
    };
    let cases = [
        (200, FACTS, None, Some(5), BodyFraming::Length(5)),
        (200, FACTS, Some(7), None, BodyFraming::Length(7)),
        (200, FACTS, Some(7), Some(5), BodyFraming::Length(5)),
        (200, FACTS, None, None, BodyFraming::Chunked),
        (200, http10, None, None, BodyFraming::UntilClose),
        (200, http10, None, Some(0), BodyFraming::Length(0)),
        (200, head, Some(7), Some(7), BodyFraming::NoBody),
        (103, FACTS, Some(7), None, BodyFraming::NoBody),
        (204, FACTS, Some(7), Some(7), BodyFraming::NoBody),
        (304, FACTS, Some(7), None, BodyFraming::NoBody),
        (205, FACTS, Some(7), None, BodyFraming::Length(0)),
    ];
    for (status, facts, declared, known, expected) in cases {
        assert_eq!(
            framing(status, &facts, declared, known),
            expected,
            "{status}"
        );
    }
}

#[test]
fn a_head_is_written_whole() {
    let fields = [("Content-Type", "text/plain"), ("X-A", " b ")];
    let (head, keep_alive) = encode(200, &fields, BodyFraming::Length(1205), &FACTS).unwrap();
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A: b\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: trivet\r\nContent-Length: 1205\r\n\r\n"
    );
    assert!(keep_alive);
}

#[test]
fn the_apps_own_date_and_server_stay() {
    let fields = [("date", "x"), ("SERVER", "y")];
    let (head, _) = encode(200, &fields, BodyFraming::Chunked, &FACTS).unwrap();
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\ndate: x\r\nSERVER: y\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
}

#[test]
fn framing_and_connection_fields_of_the_app_are_dropped() {
    let fields = [
        ("Content-Length", "99"),
        ("Transfer-Encoding", "gzip"),
        ("Keep-Alive", "timeout=5"),
        ("Connection", "keep-alive, X-A"),
        ("Proxy-Connection", "a"),
        ("TE", "a"),
        ("Trailer", "a"),
        ("Upgrade", "h2c"),
        ("Date", "x"),
        ("Server", "y"),
    ];
    let (head, keep_alive) = encode(200, &fields, BodyFraming::Length(3), &FACTS).unwrap();
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nDate: x\r\nServer: y\r\nContent-Length: 3\r\n\r\n"
    );
    assert!(keep_alive);
}

#[test]
fn the_connection_field_is_sent_when_it_says_something() {
    let http10 = ResponseFacts {
        version: Version::Http10,
        ..FACTS
    };
    let closing = ResponseFacts {
        keep_alive: false,
        ..FACTS
    };
    let length = BodyFraming::Length(0);
    let close = [("Connection", "Close")];
    let cases: [(Fields<'_>, _, _, Option<&str>, bool); 6] = [
        (&[], length, FACTS, None, true),
        (&[], length, closing, Some("close"), false),
        (&close, length, FACTS, Some("close"), false),
        (&[], length, http10, Some("keep-alive"), true),
        (&close, length, http10, Some("close"), false),
        (&[], BodyFraming::UntilClose, http10, Some("close"), false),
    ];
    for (fields, framing, facts, expected, kept) in cases {
        let (head, keep_alive) = encode(200, fields, framing, &facts).unwrap();
        let connection = head
            .lines()
            .find_map(|line| line.strip_prefix("Connection: "));
        assert_eq!(
            (connection, keep_alive),
            (expected, kept),
            "{fields:?} {framing:?}"
        );
    }
}

#[test]
fn a_length_of_content_not_sent_is_told_for_head_and_304_only() {
    let head_request = ResponseFacts {
        head_request: true,
        ..FACTS
    };
    let tells = |status, facts: &ResponseFacts<'_>, value| {
        let fields = [("Content-Length", value), ("Content-Length", "8")];
        let (head, _) = encode(status, &fields, BodyFraming::NoBody, facts).unwrap();
        head.matches("Content-Length: 7\r\n").count() == 1 && !head.contains(": 8")
    };
    assert!(tells(200, &head_request, "7"));
    assert!(tells(304, &FACTS, "7"));
    assert!(!tells(204, &FACTS, "7"));
    assert!(!tells(200, &head_request, "7, 7"));
}

#[test]
fn an_interim_response_is_bare_and_101_upgrades() {
    let (head, _) = encode(103, &[("Link", "</a>")], BodyFraming::NoBody, &FACTS).unwrap();
    assert_eq!(head, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    let (head, _) = encode(
        101,
        &[("Upgrade", "websocket")],
        BodyFraming::NoBody,
        &FACTS,
    )
    .unwrap();
    assert_eq!(
        head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    );
}

#[test]
fn a_response_cannot_be_split() {
    let with = |name, value| {
        encode(
            200,
            &[("A", "b"), (name, value)],
            BodyFraming::Chunked,
            &FACTS,
        )
    };
    for value in ["a\r\nSet-Cookie: x", "a\n", "a\r", "a\0", "\x7f"] {
        assert_eq!(
            with("X", value),
            Err(BadField::Value { index: 1 }),
            "{value:?}"
        );
        assert_eq!(
            with("Connection", value),
            Err(BadField::Value { index: 1 }),
            "{value:?}"
        );
    }
    for name in ["", "a b", "a:", "a\r\n", "\u{e9}"] {
        assert_eq!(
            with(name, "x"),
            Err(BadField::Name { index: 1 }),
            "{name:?}"
        );
    }
    for status in [0, 99, 600, 1000] {
        assert_eq!(
            encode(status, &[], BodyFraming::NoBody, &FACTS),
            Err(BadField::Status { status })
        );
    }
    let mut out = Vec::new();
    let none = std::iter::empty();
    let result = encode_head(&mut out, 200, b"OK\r\n", none, BodyFraming::NoBody, &FACTS);
    assert_eq!((result, out.len()), (Err(BadField::Reason), 0));
}

#[test]
fn a_chunk_prefix_is_its_length_in_hexadecimal() {
    for (len, prefix) in [
        (1, "1\r\n"),
        (15, "f\r\n"),
        (16, "10\r\n"),
        (0x00ab_cdef, "abcdef\r\n"),
    ] {
        let mut out = Vec::new();
        encode_chunk_prefix(&mut out, len);
        assert_eq!(out, prefix.as_bytes());
    }
    let mut out = Vec::new();
    encode_chunk_prefix(&mut out, usize::MAX);
    assert_eq!(out, b"ffffffffffffffff\r\n");
}

proptest! {
    #[test]
    fn whatever_is_written_is_one_head(
        status in 0u16..700,
        reason: Vec<u8>,
        fields in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..4),
    ) {
        let mut out = Vec::new();
        let pairs = fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        let result = encode_head(&mut out, status, &reason, pairs, BodyFraming::Chunked, &FACTS);
        prop_assert_eq!(result.is_ok(), !out.is_empty());
        if result.is_ok() {
            let mut lines = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut lines);
            let parsed = response.parse(&out);
            prop_assert_eq!(parsed, Ok(httparse::Status::Complete(out.len())));
        }
    }
}

#[test]
fn trailers_hold_what_may_come_behind_the_content() {
    let mut out = Vec::new();
    let fields: [(&[u8], &[u8]); 6] = [
        (b"Server-Timing", b"app;dur=7"),
        (b"Content-Length", b"5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Set-Cookie", b"a=b"),
        (b"bad name", b"x"),
        (b"X-Split", b"a\r\nb"),
    ];
    encode_trailers(&mut out, fields.into_iter());
    assert_eq!(out, b"0\r\nServer-Timing: app;dur=7\r\n\r\n");
}
