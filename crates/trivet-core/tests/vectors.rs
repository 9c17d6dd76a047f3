//! The request vectors of `tests/vectors/http1`, judged by the codec and the gate.
//!
//! Each `NNN-name.http` is one request as raw bytes; the `.json` beside it says
//! what must come of it. The end-to-end suite sends the same files to a server.

#![expect(clippy::unwrap_used, reason = "a broken vector must fail the test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use trivet_core::{
    Problem,
    gate::{Admitted, Framing, GatePolicy, admit},
    http1::{ChunkStep, ChunkedDecoder, ChunkedLimits, Head, HeadLimits, Parse},
};

/// Read a request that arrives in pieces of `size` bytes, as the edge would.
fn judge(bytes: &[u8], size: usize) -> Result<Value, Problem> {
    let mut head = Head::default();
    let mut arrived = 0;
    let mut parse = Parse::Partial;
    while parse == Parse::Partial {
        assert!(arrived < bytes.len(), "the head is incomplete");
        arrived = (arrived + size).min(bytes.len());
        parse = head.parse(&bytes[..arrived], &HeadLimits::default())?;
    }
    let mut admitted = Admitted::default();
    admit(&head, bytes, &GatePolicy::default(), &mut admitted)?;
    let rest = &bytes[head.len..];
    let (framing, body) = match admitted.framing {
        Framing::None => {
            assert!(rest.is_empty(), "bytes are left over");
            ("none", Vec::new())
        }
        Framing::Length(length) => {
            assert_eq!(
                u64::try_from(rest.len()),
                Ok(length),
                "the content is not whole"
            );
            ("length", rest.to_vec())
        }
        Framing::Chunked => ("chunked", dechunk(rest, size)?),
    };
    Ok(json!({
        "method": latin1(head.method.of(bytes)),
        "path": latin1(&admitted.path),
        "query": latin1(admitted.query.of(bytes)),
        "framing": framing,
        "body": latin1(&body),
        "keep_alive": admitted.keep_alive,
    }))
}

fn dechunk(bytes: &[u8], size: usize) -> Result<Vec<u8>, Problem> {
    let mut decoder = ChunkedDecoder::new(ChunkedLimits::default());
    let mut content = Vec::new();
    let mut used = 0;
    loop {
        let arrived = (used + size).min(bytes.len());
        match decoder.step(&bytes[used..arrived])? {
            ChunkStep::Data { skip, len } => {
                content.extend_from_slice(&bytes[used + skip..used + skip + len]);
                used += skip + len;
            }
            ChunkStep::More { consumed } => {
                used += consumed;
                assert!(used < bytes.len(), "the content is incomplete");
            }
            ChunkStep::Done { consumed } => {
                assert_eq!(used + consumed, bytes.len(), "bytes are left over");
                return Ok(content);
            }
        }
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The cases of a folder: name, request, expectation.
fn cases(folder: &str) -> Vec<(String, Vec<u8>, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/http1")
        .join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "http")
        })
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no vectors in {}", folder.display());
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = fs::read(path.with_extension("json")).unwrap();
        (
            name,
            fs::read(&path).unwrap(),
            serde_json::from_slice(&expected).unwrap(),
        )
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn valid_requests_are_understood_however_they_arrive() {
    for (name, bytes, expected) in cases("valid") {
        for size in [usize::from(u16::MAX), 7, 1] {
            assert_eq!(
                judge(&bytes, size),
                Ok(expected.clone()),
                "{name} in pieces of {size}"
            );
        }
    }
}

#[test]
fn invalid_requests_are_refused_however_they_arrive() {
    for (name, bytes, expected) in cases("invalid") {
        for size in [usize::from(u16::MAX), 7, 1] {
            let problem = judge(&bytes, size).expect_err(&name);
            let actual = (problem.status().into(), problem.closes_connection().into());
            let expected = (expected["status"].clone(), expected["closes"].clone());
            assert_eq!(actual, expected, "{name} in pieces of {size}: {problem}");
        }
    }
}
