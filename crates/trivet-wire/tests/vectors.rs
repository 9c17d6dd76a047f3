//! The vectors of `tests/vectors/`, judged by this crate. `tests/contract/` reads
//! the same files through the native module and Python's own types.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken vector must fail the test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::Value;
use trivet_wire::WIRE_VERSION;
use trivet_wire::claim::{ClaimPage, PAGE_BYTES, ThreadState};
use trivet_wire::control::{FromEdge, ToEdge};
use trivet_wire::edge_config::EdgeConfig;
use trivet_wire::frames::{Frame, FrameValue, HEADER_BYTES, check_hello};

/// The vectors of a folder: name and content.
fn vectors(folder: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no vectors in {}", folder.display());
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let vector = serde_json::from_slice(&fs::read(&path).unwrap());
            (name, vector.unwrap())
        })
        .collect()
}

/// Bytes from hexadecimal digits; spaces set the parts of a payload apart.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|&byte| byte != b' ').collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn contains(message: &str, vector: &Value, name: &str) {
    let expected = vector["error"].as_str().unwrap();
    assert!(message.contains(expected), "{name}: {message}");
}

#[test]
fn valid_frames_are_read_and_written() {
    for (name, vector) in vectors("frames/valid") {
        let bytes = unhex(vector["hex"].as_str().unwrap());
        let frame: Frame = serde_json::from_value(vector["frame"].clone()).unwrap();
        let decoded = Frame::decode(&bytes).unwrap();
        assert_eq!(decoded, Some((frame.clone(), bytes.len())), "{name}");
        assert_eq!(frame.encode(), bytes, "{name}");
        if let FrameValue::Hello { version, pid } = frame.value {
            let checked = check_hello(&bytes[HEADER_BYTES..]).ok();
            assert_eq!(checked, (version == WIRE_VERSION).then_some(pid), "{name}");
        }
        assert_eq!(
            serde_json::to_value(&frame).unwrap(),
            vector["frame"],
            "{name}"
        );
    }
}

#[test]
fn a_frame_is_not_there_until_its_last_byte_is() {
    for (name, vector) in vectors("frames/valid") {
        let bytes = unhex(vector["hex"].as_str().unwrap());
        for end in 0..bytes.len() {
            assert_eq!(Frame::decode(&bytes[..end]), Ok(None), "{name} at {end}");
        }
    }
}

#[test]
fn invalid_frames_are_refused() {
    for (name, vector) in vectors("frames/invalid") {
        if let Some(hex) = vector["hex"].as_str() {
            let error = Frame::decode(&unhex(hex)).unwrap_err();
            assert_eq!(vector["error"], error.to_string(), "{name}");
        } else {
            let error = serde_json::from_value::<Frame>(vector["frame"].clone()).unwrap_err();
            contains(&error.to_string(), &vector, &name);
        }
    }
}

#[test]
fn valid_configurations_are_read_and_written() {
    for (name, vector) in vectors("edge_config/valid") {
        let document = &vector["document"];
        let config = EdgeConfig::from_json(document.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&config).unwrap(), *document, "{name}");
    }
}

#[test]
fn invalid_configurations_are_refused() {
    for (name, vector) in vectors("edge_config/invalid") {
        let text = vector["text"]
            .as_str()
            .map_or_else(|| vector["document"].to_string(), str::to_owned);
        let error = EdgeConfig::from_json(text.as_bytes()).expect_err(&name);
        contains(&error.to_string(), &vector, &name);
    }
}

/// What a line says, as JSON again.
fn read_line(vector: &Value) -> Result<Value, String> {
    let line = vector["line"].as_str().unwrap().as_bytes();
    match vector["direction"].as_str().unwrap() {
        "to_edge" => ToEdge::from_line(line)
            .map(|message| serde_json::to_value(message).unwrap())
            .map_err(|error| error.to_string()),
        "from_edge" => FromEdge::from_line(line)
            .map(|message| {
                let line = message.to_line();
                assert_eq!(line.iter().position(|&b| b == b'\n'), Some(line.len() - 1));
                serde_json::from_slice(&line).unwrap()
            })
            .map_err(|error| error.to_string()),
        other => panic!("no direction {other}"),
    }
}

#[test]
fn valid_control_lines_are_read_and_written() {
    for (name, vector) in vectors("control/valid") {
        let line: Value = serde_json::from_str(vector["line"].as_str().unwrap()).unwrap();
        assert_eq!(read_line(&vector), Ok(line), "{name}");
    }
}

#[test]
fn invalid_control_lines_are_refused() {
    for (name, vector) in vectors("control/invalid") {
        let error = read_line(&vector).expect_err(&name);
        contains(&error, &vector, &name);
    }
}

fn hex_word(word: &Value) -> u64 {
    u64::from_str_radix(word.as_str().unwrap(), 16).unwrap()
}

fn memory(bytes: usize) -> Vec<AtomicU64> {
    (0..bytes / 8).map(|_| AtomicU64::new(0)).collect()
}

/// Do what a step says, and compare with what it expects.
fn take_step(page: ClaimPage<'_>, step: &Value, name: &str) {
    let number = |at: usize| step[at].as_u64().unwrap();
    let slot = || u16::try_from(number(1)).unwrap();
    match step[0].as_str().unwrap() {
        "hand_out" => page.hand_out(slot(), number(2)),
        "start" => {
            let won = page.start(slot(), number(2), number(3));
            assert_eq!(step[4], won, "{name}: {step}");
        }
        "recall" => {
            let won = page.recall(slot(), number(2));
            assert_eq!(step[3], won, "{name}: {step}");
        }
        "running_since" => {
            let since = page.running_since(slot(), number(2));
            assert_eq!(step[3].as_u64(), since, "{name}: {step}");
        }
        "thread" => {
            let state = match step[2].as_str().unwrap() {
                "idle" => ThreadState::Idle,
                "reading" => ThreadState::Reading,
                "waiting_for_gil" => ThreadState::WaitingForGil,
                "running" => ThreadState::Running,
                "waiting_for_client" => ThreadState::WaitingForClient,
                other => panic!("no thread state {other}"),
            };
            let thread = usize::try_from(number(1)).unwrap();
            page.set_thread(thread, state, number(3));
            if let Some(told) = page.thread_state(thread) {
                assert_eq!(told, (state, number(3)), "{name}: {step}");
            }
        }
        other => panic!("no step {other}"),
    }
}

#[test]
fn claim_pages_hold_the_words_that_the_steps_leave() {
    for (name, vector) in vectors("claim/valid") {
        let words = memory(PAGE_BYTES);
        let page = ClaimPage::init(&words).unwrap();
        for step in vector["steps"].as_array().unwrap() {
            take_step(page, step, &name);
        }
        let start = vector["words"].as_object().into_iter().flatten();
        for (at, word) in start.chain(vector["end"].as_object().unwrap()) {
            let at: usize = at.parse().unwrap();
            let found = words[at].load(Ordering::Relaxed);
            assert_eq!(found, hex_word(word), "{name}: word {at} is {found:#x}");
        }
    }
}

#[test]
fn other_memory_is_no_claim_page() {
    for (name, vector) in vectors("claim/invalid") {
        let words = memory(usize::try_from(vector["bytes"].as_u64().unwrap()).unwrap());
        for (at, word) in vector["words"].as_object().unwrap() {
            words[at.parse::<usize>().unwrap()].store(hex_word(word), Ordering::Relaxed);
        }
        let error = ClaimPage::open(&words).unwrap_err();
        assert_eq!(vector["error"], error.to_string(), "{name}");
    }
}
