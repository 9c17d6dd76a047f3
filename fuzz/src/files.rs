//! The parsers of `trivet-core` behind static files and compression: what clients send,
//! and what operators write.

use trivet_core::conditional::{EntityTag, Validators, Verdict, evaluate};
use trivet_core::content_coding::{
    Coding, MediaRange, forbids_transform, negotiate, varies_by, write_vary,
};
use trivet_core::file_path::{DotFiles, is_fingerprinted, resolve};
use trivet_core::glob::{Glob, MOST_TOKENS};
use trivet_core::http_date;
use trivet_core::http1::KnownField;
use trivet_core::media_type::MediaTypes;
use trivet_core::range::{MOST_RANGES, Multipart, Selection, select};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this file.
pub const TARGETS: [Target; 6] = [
    ("conditional", conditional),
    ("content_coding", content_coding),
    ("file_path", file_path),
    ("glob", glob),
    ("http_date", date),
    ("range", range),
];

/// 2026-01-01T00:00:00Z.
const NOW_S: u64 = 1_767_225_600;

/// Split off a first byte that steers the run.
fn steered(data: &[u8]) -> (u8, &[u8]) {
    data.split_first()
        .map_or((0, data), |(&byte, rest)| (byte, rest))
}

/// Field lines `name: value` of a conditional request: what a method may do never
/// depends on the order of different fields, and each verdict only comes where it may.
pub fn conditional(data: &[u8]) {
    let (steer, rest) = steered(data);
    let lines: Vec<_> = rest
        .split(|&byte| byte == b'\n')
        .map(|line| {
            let colon = line.iter().position(|&byte| byte == b':');
            let (name, value) = line.split_at(colon.unwrap_or(line.len()));
            (KnownField::of(name), value.get(1..).unwrap_or_default())
        })
        .collect();
    let validators = Validators {
        etag: (steer & 1 == 0).then_some(EntityTag {
            opaque: b"a",
            is_weak: steer & 2 != 0,
        }),
        last_modified_s: (steer & 4 == 0).then_some(784_111_777),
    };
    for method in [b"GET".as_slice(), b"HEAD", b"PUT", b"OPTIONS"] {
        let fields = || lines.iter().copied();
        let verdict = evaluate(method, fields(), &validators, NOW_S);
        let has = |known| lines.iter().any(|line| line.0 == known);
        match verdict {
            Verdict::NotModified => {
                assert!(matches!(method, b"GET" | b"HEAD"));
                assert!(has(KnownField::IfNoneMatch) || has(KnownField::IfModifiedSince));
            }
            Verdict::PreconditionFailed => assert_ne!(method, b"OPTIONS"),
            Verdict::Proceed { range: Some(value) } => {
                assert_eq!(method, b"GET");
                let is_it = |line: &&(KnownField, &[u8])| line.0 == KnownField::Range;
                assert_eq!(lines.iter().filter(is_it).count(), 1);
                let sent = lines.iter().find(is_it).expect("it was sent").1;
                assert!(
                    sent.windows(value.len().max(1)).any(|part| part == value) || value.is_empty()
                );
            }
            Verdict::Proceed { range: None } => {}
        }
        let mut sorted = lines.clone();
        sorted.sort_by_key(|line| line.0 as u8);
        assert_eq!(verdict, evaluate(method, sorted, &validators, NOW_S));
    }
}

/// `Accept-Encoding`, `Vary`, `Cache-Control` and `Content-Type` values, of any number
/// of lines.
pub fn content_coding(data: &[u8]) {
    let lines = || data.split(|&byte| byte == b'\n');
    let available = [Coding::Zstd, Coding::Br, Coding::Gzip];
    let chosen = negotiate(lines(), &available);
    // One list, however it is cut in lines.
    let joined = lines().collect::<Vec<_>>().join(&b',');
    assert_eq!(chosen, negotiate([joined.as_slice()], &available));
    match chosen {
        // What was chosen stays so when nothing else is there; a refusal stays one.
        Some(Coding::Identity) | None => assert_eq!(chosen, negotiate(lines(), &[])),
        Some(coding) => assert_eq!(chosen, negotiate(lines(), &[coding])),
    }

    let mut merged = Vec::new();
    write_vary(lines(), "Accept-Encoding", &mut merged);
    assert!(varies_by([merged.as_slice()], "accept-encoding"));
    let mut again = Vec::new();
    write_vary([merged.as_slice()], "Accept-Encoding", &mut again);
    assert_eq!(merged, again);
    for name in ["Cookie", "Origin", "a"] {
        assert_eq!(
            varies_by(lines(), name),
            varies_by([merged.as_slice()], name)
        );
    }

    if forbids_transform(lines()) {
        let lower = data.to_ascii_lowercase();
        let word = b"no-transform";
        assert!(lower.windows(word.len()).any(|part| part == word));
    }
    let text = String::from_utf8_lossy(data);
    if let Some(range) = MediaRange::parse(&text) {
        assert_eq!(MediaRange::parse(&range.to_string()), Some(range.clone()));
        let example = range.to_string().replace('*', "x");
        assert!(range.holds(example.as_bytes()));
    }
}

/// A decoded path, a raw one and a mount: what is found lies below the mount, is plain,
/// and is found again; whatever its name, its type is one value.
pub fn file_path(data: &[u8]) {
    let (steer, rest) = steered(data);
    let mut parts = rest.splitn(3, |&byte| byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (mount, raw, path) = (part(), part(), part());
    let dot_files = match steer & 3 {
        0 => DotFiles::Allow,
        1 => DotFiles::RefuseButWellKnown,
        _ => DotFiles::Refuse,
    };
    let Ok(found) = resolve(path, raw, mount, dot_files) else {
        return;
    };
    let relative = found.relative;
    assert!(path.starts_with(mount.strip_suffix(b"/").unwrap_or(mount)));
    assert!(!relative.contains(['\\', '\0', '\n', '\r']));
    assert!(
        !raw.to_ascii_lowercase()
            .windows(3)
            .any(|part| part == b"%2f")
            || found.relative.is_empty()
    );
    if relative.is_empty() {
        return;
    }
    for (index, name) in relative.split('/').enumerate() {
        assert!(!matches!(name, "" | "." | ".."), "{relative:?}");
        let is_well_known = steer & 3 == 1 && index == 0 && name == ".well-known";
        assert!(!name.starts_with('.') || dot_files == DotFiles::Allow || is_well_known);
    }
    let at_root = [b"/", relative.as_bytes()].concat();
    let again = resolve(&at_root, b"", b"/", DotFiles::Allow).expect("it is found again");
    assert_eq!(again.relative, relative);

    let types = MediaTypes::new([("x", "text/x")], "utf-8", "a/b").expect("these are right");
    let mut value = Vec::new();
    types.of(relative).write(&mut value);
    let value = String::from_utf8(value).expect("it is ASCII");
    MediaTypes::new([], "", &value).expect("it is a media type");
    if is_fingerprinted(relative) {
        let name = relative.rsplit('/').next().expect("there is one");
        assert!(name.bytes().any(|byte| byte.is_ascii_digit()) && name.len() > 10);
        assert!(is_fingerprinted(name));
    }
}

/// A pattern and a path: the match is that of a plain reading, which is slow, and
/// a pattern that is shown means the same.
pub fn glob(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == b'\n');
    let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default());
    let (pattern, path) = (part(), part());
    let Ok(glob) = Glob::parse(&pattern) else {
        return;
    };
    let matches = glob.matches(&path);
    let shown = glob.to_string();
    if shown.chars().count() <= MOST_TOKENS {
        assert_eq!(Glob::parse(&shown), Ok(glob));
    }
    let pattern: Vec<_> = shown.chars().skip(1).collect();
    let path: Vec<_> = path.chars().collect();
    assert_eq!(matches, matches_by_table(&pattern, &path));
}

/// Row by row: whether what is left of the pattern matches what is left of the path.
fn matches_by_table(pattern: &[char], path: &[char]) -> bool {
    let mut table = vec![vec![false; path.len() + 1]; pattern.len() + 1];
    table[pattern.len()][path.len()] = true;
    for at in (0..pattern.len()).rev() {
        for from in (0..=path.len()).rev() {
            let next = path.get(from);
            let is_in_name = next.is_some_and(|&c| c != '/');
            table[at][from] = match pattern[at..] {
                ['*', '*', '/', ..] => {
                    table[at + 3][from]
                        || (from..path.len()).any(|end| path[end] == '/' && table[at + 3][end + 1])
                }
                ['*', '*'] => next.is_some(),
                ['*', ..] => table[at + 1][from] || is_in_name && table[at][from + 1],
                ['?', ..] => is_in_name && table[at + 1][from + 1],
                [own, ..] => next == Some(&own) && table[at + 1][from + 1],
                [] => false,
            };
        }
    }
    table[0][0]
}

/// A date: what is read is the second that it is written as.
pub fn date(data: &[u8]) {
    for now_s in [0, NOW_S, u64::MAX] {
        let Some(unix_s) = http_date::parse(data, now_s) else {
            continue;
        };
        // A leap second at the very end of time is written as the second before it.
        let unix_s = unix_s.min(253_402_300_799);
        let written = http_date::format(unix_s);
        assert_eq!(http_date::parse(&written, now_s), Some(unix_s));
        if data.ends_with(b"GMT") && data.get(3) == Some(&b',') && !data.ends_with(b":60 GMT") {
            assert_eq!(data, written);
        }
    }
}

/// A `Range` value: the parts lie in the content and apart, they come out alike when
/// they are asked for again, and a plan of them is as long as it says.
pub fn range(data: &[u8]) {
    let (steer, value) = steered(data);
    let length = match steer >> 6 {
        0 => u64::from(steer),
        1 => u64::from(steer) << 10,
        2 => u64::from(steer) << 32,
        _ => u64::MAX - u64::from(steer & 3),
    };
    let parts = match select(value, length) {
        Selection::Whole | Selection::NotSatisfiable => return,
        Selection::Part(part) => vec![part],
        Selection::Parts(parts) => {
            assert!(parts.len() > 1 && parts.len() <= MOST_RANGES);
            parts
        }
    };
    let mut total = 0_u64;
    for (index, part) in parts.iter().enumerate() {
        assert!(part.first <= part.last && part.last < length);
        total += part.length();
        for other in &parts[..index] {
            assert!(part.first > other.last || other.first > part.last);
        }
    }
    assert!(total <= length);
    let asked: Vec<_> = parts
        .iter()
        .map(|part| format!("{}-{}", part.first, part.last))
        .collect();
    let again = select(format!("bytes={}", asked.join(",")).as_bytes(), length);
    match parts.as_slice() {
        [part] => assert_eq!(again, Selection::Part(*part)),
        _ => assert_eq!(again, Selection::Parts(parts.clone())),
    }
    if let Some(plan) = Multipart::new(&parts, length, b"text/plain", b"0123abcd") {
        let mut framing = Vec::new();
        for index in 0..parts.len() {
            plan.write_part_head(index, &mut framing);
        }
        plan.write_end(&mut framing);
        assert_eq!(plan.content_length(), total + framing.len() as u64);
    }
}
