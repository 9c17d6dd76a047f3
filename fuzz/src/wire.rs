//! The parsers of `trivet-wire`: what the processes say to each other.

use std::sync::atomic::{AtomicU64, Ordering};

use trivet_wire::claim::{ClaimPage, PAGE_BYTES, THREADS};
use trivet_wire::control::{FromEdge, ToEdge};
use trivet_wire::edge_config::EdgeConfig;
use trivet_wire::frames::{
    Flags, Frame, HEADER_BYTES, RequestView, ResponseView, address_request, check_hello,
    encode_request, encode_response, read_amount, read_close, read_failed, read_file_part,
    split_frame,
};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this file.
pub const TARGETS: [Target; 6] = [
    ("claim_page", claim_page),
    ("control_line", control_line),
    ("edge_config", edge_config),
    ("frames", frames),
    ("request_view", request_view),
    ("response_view", response_view),
];

/// A stream of frames, whole and in pieces: the same frames, and each is written as
/// it came.
pub fn frames(data: &[u8]) {
    let Some((&steer, stream)) = data.split_first() else {
        return;
    };
    let whole = receive(stream, stream.len().max(1));
    assert_eq!(whole, receive(stream, usize::from(steer).max(1)));
    let mut rest = stream;
    while let Ok(Some((frame, taken))) = Frame::decode(rest) {
        assert!(frame.encode().eq_ignore_ascii_case(&rest[..taken]));
        rest = &rest[taken..];
    }
    let _ = check_hello(stream);
    let _ = read_amount(stream);
    let _ = read_failed(stream);
    let _ = read_close(stream);
    if let Ok((offset, length)) = read_file_part(stream) {
        assert!(i64::try_from(offset + length).is_ok());
    }
}

/// The frames of a stream that arrives in pieces, and how it ends.
fn receive(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, String) {
    let (mut found, mut taken, mut arrived) = (Vec::new(), 0, 0);
    while arrived < stream.len() {
        arrived = (arrived + step).min(stream.len());
        loop {
            match split_frame(&stream[taken..arrived]) {
                Ok(Some((header, payload))) => {
                    let bytes = [&header.encode(), payload].concat();
                    assert_eq!(bytes, stream[taken..taken + bytes.len()]);
                    taken += bytes.len();
                    found.push(bytes);
                }
                Ok(None) => break,
                Err(error) => return (found, error.to_string()),
            }
        }
    }
    (found, format!("{} left", stream.len() - taken))
}

/// A request's payload: written again from what was read, it is the same.
pub fn request_view(data: &[u8]) {
    let Ok(view) = RequestView::parse(data) else {
        return;
    };
    let mut frame = Vec::new();
    encode_request(
        &mut frame,
        (1, 2, Flags::default()),
        &view.head,
        view.fields(),
        view.inline,
    );
    assert!(frame[HEADER_BYTES..].eq_ignore_ascii_case(data));
    let before = frame.clone();
    address_request(&mut frame, 3, 4, view.head.attempt);
    assert_eq!(frame[HEADER_BYTES..], before[HEADER_BYTES..]);
}

/// A response's payload, in the same way.
pub fn response_view(data: &[u8]) {
    let Ok(view) = ResponseView::parse(data) else {
        return;
    };
    let mut frame = Vec::new();
    encode_response(
        &mut frame,
        (1, 2, Flags::END),
        &view.head,
        view.fields(),
        view.content,
    );
    assert_eq!(&frame[HEADER_BYTES..], data);
}

/// A configuration that is accepted is written as it was read.
pub fn edge_config(data: &[u8]) {
    let Ok(config) = EdgeConfig::from_json(data) else {
        return;
    };
    let again = serde_json::to_vec(&config).expect("it can be written");
    assert_eq!(
        EdgeConfig::from_json(&again).expect("it can be read"),
        config
    );
}

/// A control line of either direction, in the same way.
pub fn control_line(data: &[u8]) {
    if let Ok(message) = ToEdge::from_line(data) {
        let again = serde_json::to_vec(&message).expect("it can be written");
        assert_eq!(ToEdge::from_line(&again).expect("it can be read"), message);
    }
    if let Ok(message) = FromEdge::from_line(data) {
        let line = message.to_line();
        assert_eq!(
            line.iter().position(|&byte| byte == b'\n'),
            Some(line.len() - 1)
        );
        assert_eq!(FromEdge::from_line(&line).expect("it can be read"), message);
    }
}

/// A page that a worker has scribbled on: the edge reads it and is unharmed.
pub fn claim_page(data: &[u8]) {
    let words: Vec<_> = (0..PAGE_BYTES / 8).map(|_| AtomicU64::new(0)).collect();
    for (word, bytes) in words.iter().zip(data.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
    }
    let _ = ClaimPage::open(&words);
    let page = ClaimPage::trusted(&words);
    for slot in (0..=u16::MAX).step_by(97).chain(0..256) {
        let _ = page.running_since(slot, 7);
        assert!(!(page.recall(slot, 7) && page.start(slot, 7, 1)));
    }
    for thread in 0..THREADS + 2 {
        let _ = page.thread_state(thread);
    }
}
