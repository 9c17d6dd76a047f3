use proptest::prelude::*;

use super::*;
use crate::http1::{HeadLimits, Parse};

struct Judged {
    buf: Vec<u8>,
    head: Head,
    admitted: Admitted,
}

impl Judged {
    fn visible(&self) -> Vec<&str> {
        let fields = self
            .admitted
            .forward
            .iter()
            .map(|&index| self.head.fields[usize::from(index)]);
        fields
            .map(|field| str::from_utf8(field.name.of(&self.buf)).unwrap())
            .collect()
    }
}

fn judge_with(bytes: &[u8], policy: GatePolicy) -> Result<Judged, Problem> {
    let mut head = Head::default();
    match head.parse(bytes, &HeadLimits::default())? {
        Parse::Complete => {}
        Parse::Partial => return Err(Problem::RequestTimeout),
    }
    let mut admitted = Admitted::default();
    admit(&head, bytes, &policy, &mut admitted)?;
    Ok(Judged {
        buf: bytes.to_vec(),
        head,
        admitted,
    })
}

fn judge(request: &str) -> Result<Judged, Problem> {
    judge_with(request.as_bytes(), GatePolicy::default())
}

fn refusal(request: &str) -> u16 {
    judge(request).map_or_else(|problem| problem.status(), |_| 0)
}

#[test]
fn a_plain_request_passes() {
    let judged = judge("GET /a%20b/../c?d=%zz HTTP/1.1\r\nHost: x.test:80\r\n\r\n").unwrap();
    let Judged { buf, admitted, .. } = &judged;
    assert_eq!(admitted.path, b"/c");
    assert_eq!(admitted.raw_path.of(buf), b"/a%20b/../c");
    assert_eq!(admitted.query.of(buf), b"d=%zz");
    assert_eq!(admitted.host.of(buf), b"x.test:80");
    assert_eq!(
        (admitted.framing, admitted.form),
        (Framing::None, TargetForm::Origin)
    );
    assert!(admitted.keep_alive && !admitted.upgrade && !admitted.expects_continue);
}

#[test]
fn a_target_has_three_forms() {
    let cases = [
        ("OPTIONS *", TargetForm::Asterisk, "*", ""),
        ("GET http://x/a?b", TargetForm::Absolute, "/a", "b"),
        ("GET HTTPS://X:443", TargetForm::Absolute, "/", ""),
        ("GET http://x?b", TargetForm::Absolute, "/", "b"),
        ("OPTIONS http://x", TargetForm::Absolute, "*", ""),
        ("OPTIONS http://x?b", TargetForm::Absolute, "/", "b"),
        ("GET /http://y/", TargetForm::Origin, "/http://y/", ""),
        ("GET /?a?b", TargetForm::Origin, "/", "a?b"),
    ];
    for (line, form, path, query) in cases {
        let judged = judge(&format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap();
        assert_eq!(judged.admitted.form, form, "{line}");
        assert_eq!(judged.admitted.path, path.as_bytes(), "{line}");
        assert_eq!(
            judged.admitted.query.of(&judged.buf),
            query.as_bytes(),
            "{line}"
        );
    }
}

#[test]
fn the_authority_must_be_one_and_the_same() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\n\r\n", 0),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
        ("GET http://x/ HTTP/1.1\r\n\r\n", 400),
        ("GET http://x/ HTTP/1.0\r\n\r\n", 0),
        ("GET http://u@x/ HTTP/1.0\r\n\r\n", 400),
        ("GET http:/// HTTP/1.0\r\n\r\n", 400),
        ("GET http://x/ HTTP/1.1\r\nHost: y\r\n\r\n", 400),
        ("GET http://x/ HTTP/1.1\r\nHost: X:80\r\n\r\n", 0),
        ("GET https://x/ HTTP/1.1\r\nHost: x:80\r\n\r\n", 400),
    ];
    for (request, status) in cases {
        assert_eq!(refusal(request), status, "{request}");
    }
}

#[test]
fn a_target_that_could_mislead_is_refused() {
    for target in [
        "*", "x", "x/y", "/#f", "/\u{7f}", "/\u{e9}", "ftp://x/", "://x/", "/%0", "/%00", "/..",
        "http:/x",
    ] {
        assert_eq!(
            refusal(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")),
            400,
            "{target}"
        );
    }
    assert_eq!(
        refusal("CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"),
        501
    );
    assert_eq!(refusal("BREW / HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
}

#[test]
fn framing_is_never_guessed() {
    let cases = [
        ("", Ok(Framing::None)),
        ("Content-Length: 0", Ok(Framing::Length(0))),
        ("Content-Length: 5", Ok(Framing::Length(5))),
        ("Transfer-Encoding: Chunked", Ok(Framing::Chunked)),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", Err(400)),
        ("Content-Length: 5\r\nContent-Length: 5", Err(400)),
        ("Content-Length: 5, 5", Err(400)),
        ("Content-Length:", Err(400)),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            Err(400),
        ),
        ("Transfer-Encoding: gzip", Err(501)),
    ];
    for (fields, expected) in cases {
        let separator = if fields.is_empty() { "" } else { "\r\n" };
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}{separator}\r\n");
        let framing = judge(&request).map(|judged| judged.admitted.framing);
        assert_eq!(
            framing.map_err(|problem| problem.status()),
            expected,
            "{fields}"
        );
    }
    assert_eq!(
        refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        400
    );
}

#[test]
fn the_connection_is_kept_as_the_version_says() {
    let cases = [
        ("1.1", "X: y", true),
        ("1.1", "Connection: close", false),
        ("1.1", "Connection: keep-alive, CLOSE", false),
        ("1.1", "Connection: x-close", true),
        ("1.1", "Connection: a\r\nConnection: close", false),
        ("1.0", "X: y", false),
        ("1.0", "Connection: Keep-Alive", true),
        ("1.0", "Connection: keep-alive,close", false),
    ];
    for (version, field, kept) in cases {
        let judged = judge(&format!(
            "GET / HTTP/{version}\r\nHost: x\r\n{field}\r\n\r\n"
        ))
        .unwrap();
        assert_eq!(judged.admitted.keep_alive, kept, "{version} {field}");
    }
}

#[test]
fn only_100_continue_may_be_expected() {
    let with = |version: &str, fields: &str| {
        let request = format!("POST / HTTP/{version}\r\nHost: x\r\n{fields}\r\n\r\n");
        judge(&request).map(|judged| judged.admitted.expects_continue)
    };
    assert_eq!(
        with("1.1", "Content-Length: 1\r\nExpect: 100-Continue"),
        Ok(true)
    );
    assert_eq!(with("1.1", "Expect: 100-continue"), Ok(false));
    assert_eq!(
        with("1.0", "Content-Length: 1\r\nExpect: 100-continue"),
        Ok(false)
    );
    assert_eq!(
        with("1.0", "Content-Length: 1\r\nExpect: 200-ok"),
        Ok(false)
    );
    assert_eq!(
        with("1.1", "Expect: 200-ok"),
        Err(Problem::ExpectationFailed)
    );
    assert_eq!(with("1.1", "Expect:"), Err(Problem::ExpectationFailed));
}

#[test]
fn an_upgrade_needs_both_the_option_and_the_field() {
    let with = |version: &str, fields: &str| {
        let request = format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n\r\n");
        let judged = judge(&request).unwrap();
        (
            judged.admitted.upgrade,
            judged.visible().contains(&"Upgrade"),
        )
    };
    assert_eq!(
        with(
            "1.1",
            "Connection: keep-alive, Upgrade\r\nUpgrade: websocket"
        ),
        (true, true)
    );
    assert_eq!(with("1.1", "Upgrade: websocket"), (false, false));
    assert_eq!(with("1.1", "Connection: upgrade"), (false, false));
    assert_eq!(
        with("1.0", "Connection: upgrade\r\nUpgrade: websocket"),
        (false, false)
    );
}

#[test]
fn the_app_sees_no_hop_by_hop_fields() {
    let judged = judge(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Hop, Host, X-Forwarded-For\r\n\
         Keep-Alive: 5\r\nProxy-Connection: a\r\nTE: trailers\r\nTrailer: a\r\nUpgrade: h2c\r\n\
         Proxy: http://evil\r\nx-hop: 1\r\nX-Forwarded-For: 1.1.1.1\r\nX_Real_Ip: 1\r\nCookie: a\r\n\r\n",
    );
    assert_eq!(
        judged.unwrap().visible(),
        ["Host", "X-Forwarded-For", "Cookie"]
    );
}

#[test]
fn underscores_are_the_operators_choice() {
    let request =
        b"GET / HTTP/1.1\r\nHost: x\r\nA_b: 1\r\nContent_Length: 9\r\nX_Forwarded-For: 1\r\n\r\n";
    let visible = |underscores| {
        let judged = judge_with(request, GatePolicy { underscores });
        judged.map(|judged| judged.visible().join(" "))
    };
    assert_eq!(visible(UnderscorePolicy::Drop), Ok("Host".to_owned()));
    assert_eq!(visible(UnderscorePolicy::Allow), Ok("Host A_b".to_owned()));
    assert_eq!(
        visible(UnderscorePolicy::Refuse).map_err(|p| p.status()),
        Err(400)
    );
}

#[test]
fn nothing_of_the_last_request_remains() {
    let mut head = Head::default();
    let mut admitted = Admitted::default();
    let first = b"POST http://x/a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n";
    let second = b"GET / HTTP/1.0\r\n\r\n";
    for buf in [&first[..], second] {
        head.parse(buf, &HeadLimits::default()).unwrap();
        admit(&head, buf, &GatePolicy::default(), &mut admitted).unwrap();
    }
    assert_eq!(
        (admitted.path.as_slice(), admitted.forward.len()),
        (&b"/"[..], 0)
    );
    assert!(admitted.query.is_empty() && admitted.host.is_empty());
    assert_eq!(
        (admitted.framing, admitted.form),
        (Framing::None, TargetForm::Origin)
    );
    assert!(!admitted.keep_alive && !admitted.expects_continue && !admitted.upgrade);
}

proptest! {
    #[test]
    fn any_request_is_survived_and_no_path_escapes(
        target in "[!-~]{0,24}",
        fields in prop::collection::vec(("(Host|Connection|Content-Length|Transfer-Encoding|Expect|[a-z_]{1,6})", "[ -~]{0,12}"), 0..6),
    ) {
        let mut request = format!("GET /{target} HTTP/1.1\r\nHost: x\r\n").into_bytes();
        for (name, value) in &fields {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        if let Ok(judged) = judge_with(&request, GatePolicy::default()) {
            let path = &judged.admitted.path;
            prop_assert!(path.starts_with(b"/") && !path.contains(&0));
            prop_assert!(!path.split(|&byte| byte == b'/').any(|s| s == b".." || s == b"."));
            prop_assert!(judged.visible().iter().all(|name| !name.contains('_') && *name != "Connection"));
        }
    }
}
