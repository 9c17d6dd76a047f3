//! The parsers of `trivet-core`: what clients, proxies and apps send.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use trivet_core::Problem;
use trivet_core::access_log::{AccessFormat, AccessRecord, write_line};
use trivet_core::forwarded::TrustedProxies;
use trivet_core::gate::{Admitted, Framing, GatePolicy, UnderscorePolicy, admit};
use trivet_core::http1::{
    BodyFraming, ChunkStep, ChunkedDecoder, ChunkedLimits, Head, HeadLimits, Parse, ResponseFacts,
    Version, encode_head,
};
use trivet_core::problem::{PageFormat, page};
use trivet_core::websocket::{Decoder, Inflater, Limits, MAX_ANSWER_BYTES, Step, read_answer};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this file.
pub const TARGETS: [Target; 10] = [
    ("accept", accept),
    ("access_log", access_log),
    ("chunked", chunked),
    ("forwarded", forwarded),
    ("head", head),
    ("response_head", response_head),
    ("target_path", target_path),
    ("trusted_proxies", trusted_proxies),
    ("upgrade_answer", upgrade_answer),
    ("websocket", websocket),
];

/// Split off a first byte that steers the run.
fn steered(data: &[u8]) -> (u8, &[u8]) {
    data.split_first()
        .map_or((0, data), |(&byte, rest)| (byte, rest))
}

/// `data` in as many parts as wanted, at line feeds; missing parts are empty.
fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |&byte| byte == b'\n');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// A request head, whole and in pieces: the same verdict, and what the gate lets
/// through keeps its promises.
pub fn head(data: &[u8]) {
    let (steer, buf) = steered(data);
    let limits = if steer & 1 == 0 {
        HeadLimits::default()
    } else {
        HeadLimits {
            head_bytes: 80,
            fields: 4,
            target_bytes: 16,
        }
    };
    let policy = GatePolicy {
        underscores: match steer >> 1 & 3 {
            0 => UnderscorePolicy::Allow,
            1 => UnderscorePolicy::Drop,
            _ => UnderscorePolicy::Refuse,
        },
    };
    let step = usize::from(steer >> 3).max(1);
    let whole = judge(buf, buf.len().max(1), &limits, policy);
    assert_eq!(whole, judge(buf, step, &limits, policy));
}

/// The verdict on a head that arrives in pieces, as text that can be compared.
fn judge(buf: &[u8], step: usize, limits: &HeadLimits, policy: GatePolicy) -> String {
    let mut head = Head::default();
    let mut arrived = 0;
    loop {
        arrived = (arrived + step).min(buf.len());
        match head.parse(&buf[..arrived], limits) {
            Err(problem) => return refused(&problem),
            Ok(Parse::Complete) => break,
            Ok(Parse::Partial) if arrived == buf.len() => return "partial".into(),
            Ok(Parse::Partial) => {}
        }
    }
    assert!(head.len <= buf.len() && head.fields.len() <= limits.fields);
    assert!(head.target.len() <= limits.target_bytes);
    let mut admitted = Admitted::default();
    if let Err(problem) = admit(&head, buf, &policy, &mut admitted) {
        return refused(&problem);
    }
    promises(&head, &admitted, buf);
    format!("{admitted:?} {}", head.len)
}

fn refused(problem: &Problem) -> String {
    assert!(
        problem.closes_connection(),
        "what is refused here has no known end"
    );
    format!("{problem:?}")
}

fn promises(head: &Head, admitted: &Admitted, buf: &[u8]) {
    let is_asterisk = admitted.path == b"*";
    assert!(is_asterisk || admitted.path.starts_with(b"/"));
    assert!(!admitted.path.contains(&0));
    let mut segments = admitted.path.split(|&byte| byte == b'/');
    assert!(!segments.any(|segment| segment == b"." || segment == b".."));
    let method = head.method.of(buf);
    assert!(!method.is_empty() && method.len() <= 32);
    for &index in &admitted.forward {
        let field = &head.fields[usize::from(index)];
        let (name, value) = (field.name.of(buf), field.value.of(buf));
        assert!(!name.is_empty() && name.len() <= HeadLimits::MOST_NAME_BYTES);
        assert!(!value.iter().any(|&byte| byte < b' ' && byte != b'\t'));
        let hidden: [&[u8]; 5] = [
            b"connection",
            b"keep-alive",
            b"proxy",
            b"te",
            b"transfer-encoding",
        ];
        assert!(!hidden.iter().any(|other| name.eq_ignore_ascii_case(other)));
    }
    if admitted.expects_continue {
        assert_ne!(admitted.framing, Framing::None);
    }
}

/// Chunked content, whole and in pieces: the same content, the same end.
pub fn chunked(data: &[u8]) {
    let (steer, buf) = steered(data);
    let step = usize::from(steer).max(1);
    let whole = dechunk(buf, buf.len().max(1));
    assert_eq!(whole, dechunk(buf, step));
    if let Ok((content, Some(used))) = whole {
        assert!(content.len() < used && used <= buf.len());
        assert!(buf[..used].ends_with(b"\r\n\r\n"));
    }
}

/// Content, and the bytes used up if it ended.
fn dechunk(buf: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), Problem> {
    let mut decoder = ChunkedDecoder::new(ChunkedLimits::default());
    let (mut content, mut used) = (Vec::new(), 0);
    loop {
        let input = &buf[used..(used + step).min(buf.len())];
        match decoder.step(input)? {
            ChunkStep::Data { skip, len } => {
                assert!(len > 0);
                content.extend_from_slice(&input[skip..skip + len]);
                used += skip + len;
            }
            ChunkStep::More { consumed } => {
                assert_eq!(consumed, input.len());
                used += consumed;
                if used == buf.len() {
                    return Ok((content, None));
                }
            }
            ChunkStep::Done { consumed } => return Ok((content, Some(used + consumed))),
        }
    }
}

/// A request target: a decoded path, encoded again, is the same path.
pub fn target_path(data: &[u8]) {
    let Some(path) = path_of(data) else { return };
    if path == b"*" {
        return;
    }
    let encoded: Vec<u8> = path
        .iter()
        .flat_map(|&byte| match byte {
            b'/' => vec![byte],
            _ => format!("%{byte:02X}").into_bytes(),
        })
        .collect();
    if encoded.len() <= HeadLimits::default().target_bytes {
        assert_eq!(path_of(&encoded), Some(path));
    }
}

fn path_of(target: &[u8]) -> Option<Vec<u8>> {
    let buf = [b"OPTIONS ", target, b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    let (mut head, mut admitted) = (Head::default(), Admitted::default());
    let parsed = head.parse(&buf, &HeadLimits::default()).ok()?;
    if parsed == Parse::Partial {
        return None;
    }
    admit(&head, &buf, &GatePolicy::default(), &mut admitted).ok()?;
    promises(&head, &admitted, &buf);
    Some(admitted.path)
}

/// An `Accept` value, and a page with an id that was not checked.
pub fn accept(data: &[u8]) {
    let [value, id] = parts(data);
    let format = PageFormat::from_accept(value);
    let id = String::from_utf8_lossy(id);
    let (_, body) = page(&Problem::AppFailed, &id, format);
    match format {
        PageFormat::Json => {
            serde_json::from_slice::<serde_json::Value>(&body).expect("problem details are JSON");
        }
        PageFormat::Html => {
            let (_, empty) = page(&Problem::AppFailed, "x", format);
            let tags = |page: &[u8]| page.split(|&byte| byte == b'<').count();
            assert!(id.is_empty() || tags(&body) == tags(&empty));
        }
    }
}

/// What proxies tell about the client, in the fields of a request.
pub fn forwarded(data: &[u8]) {
    let (steer, fields) = steered(data);
    let buf = [b"GET / HTTP/1.1\r\nHost: x\r\n", fields, b"\r\n\r\n"].concat();
    let mut head = Head::default();
    if head.parse(&buf, &HeadLimits::default()) != Ok(Parse::Complete) {
        return;
    }
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let nobody = TrustedProxies::default();
    let direct = nobody.resolve(Some(peer), 4000, "http", &head, &buf);
    assert_eq!(
        (direct.addr, direct.port, direct.scheme),
        (Some(peer), 4000, "http")
    );
    assert!(direct.host.is_none() && !direct.trusted);

    let words: [&[&str]; 4] = [
        &["*"],
        &["private"],
        &["10.0.0.1"],
        &["10.0.0.0/8", "2001:db8::/32"],
    ];
    let words: Vec<_> = words[usize::from(steer & 3)]
        .iter()
        .map(|&word| word.to_owned())
        .collect();
    let trusted = TrustedProxies::parse(&words).expect("these are right");
    let client = trusted.resolve(Some(peer), 4000, "http", &head, &buf);
    assert!(client.trusted && client.addr.is_some());
    assert!(matches!(client.scheme, "http" | "https"));
    if let Some(host) = client.host {
        let host = host.of(&buf);
        assert!(!host.is_empty() && host.iter().all(u8::is_ascii_graphic));
        assert!(!host.contains(&b'/') && !host.contains(&b'@') && !host.contains(&b','));
    }
}

/// Which proxies are trusted, as an operator writes it.
pub fn trusted_proxies(data: &[u8]) {
    let entries: Vec<_> = String::from_utf8_lossy(data)
        .lines()
        .map(str::to_owned)
        .collect();
    let Ok(trusted) = TrustedProxies::parse(&entries) else {
        return;
    };
    for last in [0, 1, 255] {
        let plain = Ipv4Addr::new(10, 0, 0, last);
        let mapped: Ipv6Addr = plain.to_ipv6_mapped();
        assert_eq!(trusted.trusts(plain.into()), trusted.trusts(mapped.into()));
    }
    let words = entries.iter().map(|entry| entry.trim());
    let trusts_unix = words.clone().any(|word| matches!(word, "*" | "unix"));
    assert_eq!(trusted.trusts_peer(None), trusts_unix);
    assert!(!entries.is_empty() || !trusted.trusts(Ipv4Addr::LOCALHOST.into()));
}

/// One line per request, whatever the request held, in every format.
pub fn access_log(data: &[u8]) {
    let (steer, rest) = steered(data);
    let [method, target, host, referer, user_agent, words] = parts(rest);
    let words = String::from_utf8_lossy(words);
    let record = AccessRecord {
        unix_us: u64::from(steer) << 45,
        client: &words,
        client_port: 0,
        method,
        target,
        version: "HTTP/1.1",
        status: 100 + u16::from(steer) * 2,
        bytes_in: u64::MAX,
        bytes_out: u64::from(steer),
        duration_us: u64::from(steer) << 50,
        queue_us: (steer & 1 == 0).then_some(u64::MAX),
        app_us: (steer & 2 == 0).then_some(7),
        host,
        scheme: "http",
        referer,
        user_agent,
        request_id: &words,
        worker: None,
        error: Some(&words),
        aborted: steer & 4 == 0,
    };
    let colour = steer & 8 == 0;
    for format in [
        AccessFormat::Combined,
        AccessFormat::Json,
        AccessFormat::Logfmt,
        AccessFormat::Text { colour },
    ] {
        let mut out = b"the line before\n".to_vec();
        write_line(format, &record, &mut out);
        let line = out.strip_prefix(b"the line before\n").expect("it stays");
        let line = line.strip_suffix(b"\n").expect("it ends");
        let text = std::str::from_utf8(line).expect("it is UTF-8");
        let escapes = if matches!(format, AccessFormat::Text { colour: true }) {
            text.replace("\x1b[", "")
        } else {
            text.to_owned()
        };
        assert!(!escapes.chars().any(char::is_control), "{text:?}");
        match format {
            AccessFormat::Json => {
                let value: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
                assert_eq!(value["event"], "request");
            }
            AccessFormat::Combined => {
                assert!(text.is_ascii());
                let quotes = text.bytes().filter(|&byte| byte == b'"').count();
                assert_eq!(quotes, 6, "{text}");
            }
            _ => {}
        }
    }
}

/// A response head of whatever an app said: a second parser reads one response.
pub fn response_head(data: &[u8]) {
    let (steer, rest) = steered(data);
    let [reason, fields] = parts(rest);
    let fields = fields.split(|&byte| byte == b'\n').map(|line| {
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(line.len());
        (&line[..colon], line.get(colon + 1..).unwrap_or_default())
    });
    let status = 200 + u16::from(steer);
    let facts = ResponseFacts {
        version: if steer & 1 == 0 {
            Version::Http11
        } else {
            Version::Http10
        },
        head_request: steer & 2 == 0,
        keep_alive: steer & 4 == 0,
        date: b"Sun, 06 Nov 1994 08:49:37 GMT",
        server: Some(b"Trivet"),
    };
    let framing = match steer >> 4 & 3 {
        0 => BodyFraming::NoBody,
        1 => BodyFraming::Length(5),
        2 => BodyFraming::Chunked,
        _ => BodyFraming::UntilClose,
    };
    let mut out = b"before".to_vec();
    if encode_head(&mut out, status, reason, fields.take(100), framing, &facts).is_err() {
        assert_eq!(out, b"before");
        return;
    }
    let head = &out[b"before".len()..];
    let mut lines = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut lines);
    let parsed = response.parse(head).expect("a second parser reads it");
    assert_eq!(parsed, httparse::Status::Complete(head.len()));
    assert_eq!(response.code, Some(status));
    let count = |name: &str| {
        let is = |line: &&httparse::Header<'_>| line.name.eq_ignore_ascii_case(name);
        response.headers.iter().filter(is).count()
    };
    let lengths = count("content-length");
    let codings = count("transfer-encoding");
    match framing {
        BodyFraming::Length(_) => assert_eq!((lengths, codings), (1, 0)),
        BodyFraming::Chunked => assert_eq!((lengths, codings), (0, 1)),
        BodyFraming::UntilClose => assert_eq!((lengths, codings), (0, 0)),
        BodyFraming::NoBody => assert!(lengths <= 1 && codings == 0),
    }
    assert!(count("connection") <= 1 && count("date") == 1 && count("server") <= 1);
}

/// A client's frames, whole and in pieces: the same messages and the same end, texts
/// that are UTF-8, and nothing over the limit.
pub fn websocket(data: &[u8]) {
    let (steer, stream) = steered(data);
    let limits = Limits {
        message_bytes: if steer & 1 == 0 { 40 } else { 1 << 20 },
        allows_compressed: steer & 2 != 0,
    };
    let step = usize::from(steer >> 2).max(1);
    let whole = read_frames(stream, stream.len().max(1), limits);
    assert_eq!(whole, read_frames(stream, step, limits));
}

/// What an app answers to a handshake by itself: the same verdict whatever follows and
/// however it comes, and what is taken can be written anew as one head.
pub fn upgrade_answer(data: &[u8]) {
    const KEY: &[u8; 24] = b"dGhlIHNhbXBsZSBub25jZQ==";
    let whole = read_answer(data, KEY);
    for end in 0..data.len() {
        match read_answer(&data[..end], KEY) {
            Ok(None) => {}
            // What is certain early stays so.
            early => assert!(early == whole || early.is_err() && whole.is_err()),
        }
    }
    let Ok(Some(answer)) = whole else { return };
    assert!(answer.len <= MAX_ANSWER_BYTES);
    let facts = ResponseFacts {
        version: Version::Http11,
        head_request: false,
        keep_alive: true,
        date: b"",
        server: None,
    };
    let own = [(&b"Upgrade"[..], &b"websocket"[..])];
    let fields = own.into_iter().chain(answer.fields);
    let mut out = Vec::new();
    if encode_head(&mut out, 101, b"", fields, BodyFraming::NoBody, &facts).is_ok() {
        let again = read_answer(&out, KEY).expect("it is an answer");
        assert_eq!(again.map(|answer| answer.len), Some(out.len()));
    }
}

/// What a client's frames say, as text that can be compared.
fn read_frames(stream: &[u8], step: usize, limits: Limits) -> String {
    let mut decoder = Decoder::new(limits);
    let (mut said, mut message, mut buf) = (String::new(), Vec::new(), Vec::new());
    for part in stream.chunks(step) {
        buf.extend_from_slice(part);
        loop {
            let (taken, told) = match decoder.step(&mut buf, step) {
                Ok(stepped) => stepped,
                Err(violation) => return said + &violation.to_string(),
            };
            match told {
                Step::More if taken == 0 => break,
                Step::More | Step::Pong => {}
                Step::Piece {
                    at,
                    is_text,
                    is_compressed,
                    is_last,
                } => {
                    message.extend_from_slice(&buf[at]);
                    assert!(message.len() as u64 <= limits.message_bytes);
                    if is_last {
                        let whole = std::mem::take(&mut message);
                        let inflated = if is_compressed {
                            inflate(&whole)
                        } else {
                            Some(whole)
                        };
                        if let Some(inflated) = inflated {
                            let is_utf8 = std::str::from_utf8(&inflated).is_ok();
                            assert!(is_utf8 || !is_text || is_compressed);
                            let _ = writeln!(said, "{is_text} {inflated:?}");
                        }
                    }
                }
                Step::Ping(at) => {
                    let _ = writeln!(said, "ping {:?}", &buf[at]);
                }
                Step::Close { code, reason } => {
                    let reason = std::str::from_utf8(&buf[reason]).expect("a reason is UTF-8");
                    return format!("{said}close {code:?} {reason}");
                }
            }
            buf.drain(..taken);
        }
    }
    said
}

fn inflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut inflater = Inflater::new(1000);
    inflater.push(data).ok()?;
    let message = inflater.finish().ok()?;
    assert!(message.len() <= 1000);
    Some(message)
}
