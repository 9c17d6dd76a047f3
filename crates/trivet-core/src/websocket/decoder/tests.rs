//! The cases of the Autobahn test suite that a decoder can answer, and any split of
//! their bytes.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    message_bytes: 70_000,
    allows_compressed: false,
};

/// A frame as a client sends it, with these first bits.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=65535 => {
            out.push(0xfe);
            out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(0xff);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out
}

/// What a program would see.
#[derive(Debug, PartialEq, Clone)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>, String),
    Failed(Violation),
}

/// Read `bytes` that come `step` at a time, in pieces of at most `room`.
fn read(bytes: &[u8], step: usize, room: usize, limits: Limits) -> Vec<Seen> {
    let mut decoder = Decoder::new(limits);
    let (mut seen, mut message, mut buf) = (Vec::new(), Vec::new(), Vec::new());
    for part in bytes.chunks(step) {
        buf.extend_from_slice(part);
        loop {
            let (taken, told) = match decoder.step(&mut buf, room) {
                Ok(stepped) => stepped,
                Err(violation) => {
                    seen.push(Seen::Failed(violation));
                    return seen;
                }
            };
            match told {
                Step::More if taken == 0 => break,
                Step::More => {}
                Step::Piece {
                    at,
                    is_text,
                    is_last,
                    ..
                } => {
                    assert!(at.len() <= room);
                    message.extend_from_slice(&buf[at]);
                    if is_last {
                        let whole = std::mem::take(&mut message);
                        seen.push(if is_text {
                            Seen::Text(String::from_utf8(whole).unwrap())
                        } else {
                            Seen::Binary(whole)
                        });
                    }
                }
                Step::Ping(at) => seen.push(Seen::Ping(buf[at].to_vec())),
                Step::Pong => seen.push(Seen::Pong),
                Step::Close { code, reason } => {
                    let reason = String::from_utf8(buf[reason].to_vec()).unwrap();
                    seen.push(Seen::Close(code, reason));
                    return seen;
                }
            }
            buf.drain(..taken);
        }
    }
    seen
}

fn whole(bytes: &[u8]) -> Vec<Seen> {
    let seen = read(bytes, bytes.len().max(1), usize::MAX, LIMITS);
    for step in [1, 2, 7] {
        let split = read(bytes, step, usize::MAX, LIMITS);
        assert_eq!(split, seen, "in steps of {step}");
    }
    seen
}

fn text(text: &str) -> Seen {
    Seen::Text(text.into())
}

#[test]
fn messages_of_every_length_form_are_read() {
    for len in [0, 1, 125, 126, 127, 128, 65535, 65536, 70_000] {
        let data = vec![b'*'; len];
        let bytes = frame(0x82, &data);
        let seen = read(&bytes, bytes.len(), usize::MAX, LIMITS);
        assert_eq!(seen, [Seen::Binary(data)], "{len}");
    }
}

#[test]
fn a_message_in_pieces_may_have_control_frames_between_them() {
    let bytes = [
        frame(0x01, b"Hel"),
        frame(0x89, b"ping"),
        frame(0x00, b""),
        frame(0x8a, b"unasked"),
        frame(0x80, b"lo"),
    ]
    .concat();
    assert_eq!(
        whole(&bytes),
        [Seen::Ping(b"ping".to_vec()), Seen::Pong, text("Hello")]
    );
}

#[test]
fn control_frames_are_short_and_whole() {
    assert_eq!(
        whole(&frame(0x89, &[b'x'; 125])),
        [Seen::Ping(vec![b'x'; 125])]
    );
    for first in [0x89, 0x8a, 0x88] {
        assert_eq!(
            whole(&frame(first, &[b'x'; 126])),
            [Seen::Failed(Violation::Control)]
        );
    }
    assert_eq!(whole(&frame(0x09, b"")), [Seen::Failed(Violation::Control)]);
}

#[test]
fn reserved_bits_and_opcodes_are_refused() {
    for bits in [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70] {
        for opcode in [1, 2, 8, 9, 10] {
            let bytes = frame(0x80 | bits | opcode, b"");
            assert_eq!(whole(&bytes), [Seen::Failed(Violation::Reserved)]);
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let bytes = frame(0x80 | opcode, b"");
        assert_eq!(whole(&bytes), [Seen::Failed(Violation::Opcode(opcode))]);
    }
}

#[test]
fn pieces_come_in_order() {
    let refused = [Seen::Failed(Violation::Continuation)];
    assert_eq!(whole(&frame(0x80, b"of nothing")), refused);
    assert_eq!(
        whole(&[frame(0x01, b"a"), frame(0x81, b"b")].concat()),
        refused
    );
    assert_eq!(
        whole(&[frame(0x02, b"a"), frame(0x01, b"b")].concat()),
        refused
    );
}

#[test]
fn a_frame_without_a_mask_is_refused() {
    assert_eq!(whole(b"\x81\x01x"), [Seen::Failed(Violation::Unmasked)]);
}

#[test]
fn a_length_has_its_shortest_form() {
    for bytes in [
        &b"\x82\xfe\x00\x7d\0\0\0\0"[..],
        b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0",
        b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        assert_eq!(whole(bytes), [Seen::Failed(Violation::Length)]);
    }
}

#[test]
fn a_message_over_the_limit_is_refused_from_its_head() {
    let head = b"\x82\xff\0\0\0\0\0\x01\x11\x71\0\0\0\0";
    assert_eq!(whole(head), [Seen::Failed(Violation::TooLarge)]);
    let pieces = [frame(0x02, &vec![0; 60_000]), frame(0x80, &vec![0; 10_001])].concat();
    let seen = read(&pieces, 5000, usize::MAX, LIMITS);
    assert_eq!(seen, [Seen::Failed(Violation::TooLarge)]);
}

#[test]
fn text_is_utf8_over_all_its_pieces() {
    let snowman = "☃".as_bytes();
    let split = [frame(0x01, &snowman[..1]), frame(0x80, &snowman[1..])].concat();
    assert_eq!(whole(&split), [text("☃")]);
    let failed = [Seen::Failed(Violation::Utf8)];
    assert_eq!(whole(&frame(0x81, b"\xce\xba\xed\xa0\x80")), failed);
    assert_eq!(
        whole(&frame(0x81, &snowman[..2])),
        failed,
        "ends within a character"
    );
    // At once, and not when the message ends.
    assert_eq!(whole(&frame(0x01, b"\xf4\x90")), failed);
    assert_eq!(whole(&frame(0x82, b"\xff")), [Seen::Binary(vec![0xff])]);
}

#[test]
fn a_close_frame_says_why_in_valid_words() {
    assert_eq!(whole(&frame(0x88, b"")), [Seen::Close(None, String::new())]);
    assert_eq!(
        whole(&frame(0x88, b"\x03\xe8bye")),
        [Seen::Close(Some(1000), "bye".into())]
    );
    assert_eq!(
        whole(&frame(0x88, b"\x03")),
        [Seen::Failed(Violation::ClosePayload)]
    );
    assert_eq!(
        whole(&frame(0x88, b"\x03\xe8\xff")),
        [Seen::Failed(Violation::Utf8)]
    );
    for code in [
        0u16, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        let seen = whole(&frame(0x88, &code.to_be_bytes()));
        assert_eq!(seen, [Seen::Failed(Violation::CloseCode(code))]);
    }
    for code in [
        1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999,
    ] {
        let seen = whole(&frame(0x88, &code.to_be_bytes()));
        assert_eq!(seen, [Seen::Close(Some(code), String::new())]);
    }
}

#[test]
fn compressed_messages_are_marked_on_their_first_frame_only() {
    let limits = Limits {
        allows_compressed: true,
        ..LIMITS
    };
    let mut decoder = Decoder::new(limits);
    let mut bytes = frame(0xc1, b"\xff");
    let step = decoder.step(&mut bytes, 100).unwrap().1;
    assert!(matches!(
        step,
        Step::Piece {
            is_compressed: true,
            is_last: true,
            ..
        }
    ));
    let later = [frame(0x01, b"a"), frame(0xc0, b"b")].concat();
    assert_eq!(
        read(&later, 99, 99, limits),
        [Seen::Failed(Violation::Reserved)]
    );
    let control = read(&frame(0xc9, b""), 99, 99, limits);
    assert_eq!(control, [Seen::Failed(Violation::Reserved)]);
}

proptest! {
    #[test]
    fn any_split_and_any_room_give_the_same(
        messages in prop::collection::vec((any::<bool>(), ".{0,200}", 1..90usize), 0..5),
        step in 1..300usize,
        room in 1..300usize,
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (is_text, message, piece) in messages {
            let opcode = if is_text { 1 } else { 2 };
            let data = message.as_bytes();
            let count = data.len().div_ceil(piece).max(1);
            for at in 0..count {
                let part = &data[at * piece..((at + 1) * piece).min(data.len())];
                let fin = if at + 1 == count { 0x80 } else { 0 };
                bytes.extend(frame(fin | if at == 0 { opcode } else { 0 }, part));
                bytes.extend(frame(0x89, b"p"));
                expected.push(Seen::Ping(b"p".to_vec()));
            }
            let last = expected.len() - 1;
            expected.insert(last, if is_text {
                Seen::Text(message)
            } else {
                Seen::Binary(message.into_bytes())
            });
        }
        prop_assert_eq!(read(&bytes, step, room, LIMITS), expected);
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, step in 1..40usize) {
        for limits in [LIMITS, Limits { allows_compressed: true, message_bytes: 20 }] {
            let seen = read_bytes_only(&bytes, step, limits);
            prop_assert!(seen <= bytes.len());
        }
    }
}

/// As [`read`], without looking at what a compressed text holds.
fn read_bytes_only(bytes: &[u8], step: usize, limits: Limits) -> usize {
    let mut decoder = Decoder::new(limits);
    let (mut buf, mut total) = (Vec::new(), 0);
    for part in bytes.chunks(step) {
        buf.extend_from_slice(part);
        while let Ok((taken, told)) = decoder.step(&mut buf, 64) {
            if taken == 0 || matches!(told, Step::Close { .. }) {
                break;
            }
            buf.drain(..taken);
            total += taken;
        }
    }
    total
}
