//! What holds for every frame, however its bytes arrive, and for every fight over a
//! claim.

#![expect(
    clippy::unwrap_used,
    reason = "a property that does not hold must fail the test"
)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;
use trivet_wire::claim::{ClaimPage, PAGE_BYTES, SLOTS};
use trivet_wire::control::{FromEdge, ToEdge};
use trivet_wire::edge_config::EdgeConfig;
use trivet_wire::frames::{
    Content, Flags, Frame, FrameError, FrameValue, HEADER_BYTES, Header, Kind, Latin1,
    MAX_HEAD_BYTES, MAX_INLINE_BYTES, RequestView, ResponseView, UNKNOWN_LENGTH, address_request,
    check_hello, split_frame,
};

fn bytes(most: usize) -> impl Strategy<Value = Latin1> {
    prop::collection::vec(any::<u8>(), 0..=most).prop_map(Latin1)
}

fn lower_case_name() -> impl Strategy<Value = Latin1> {
    "[a-z][a-z0-9-]{0,30}".prop_map(|name| Latin1(name.into_bytes()))
}

fn request() -> impl Strategy<Value = FrameValue> {
    let numbers = (
        any::<(u8, bool, u64, u64, u16, u16)>(),
        prop::sample::select(&[10u8, 11, 20, 30][..]),
    );
    let strings = prop::collection::vec(bytes(40), 8);
    let field = prop_oneof![
        (1u8.., Just(Latin1::default()), bytes(20)),
        (Just(0u8), lower_case_name(), bytes(20)),
    ];
    let content = prop_oneof![
        Just((Content::None, 0, Latin1::default())),
        bytes(300).prop_map(|inline| (Content::Inline, inline.0.len() as u64, inline)),
        any::<u64>().prop_map(|length| (Content::File, length, Latin1::default())),
        any::<u64>().prop_map(|length| (Content::Stream, length, Latin1::default())),
        Just((Content::Stream, UNKNOWN_LENGTH, Latin1::default())),
        Just((Content::WebSocket, 0, Latin1::default())),
        Just((Content::Upgrade, 0, Latin1::default())),
    ];
    let fields = prop::collection::vec(field, 0..6);
    (numbers, strings, fields, content).prop_map(
        |((numbers, version), strings, fields, (content, content_length, inline))| {
            let (attempt, secure, received_us, deadline_us, client_port, server_port) = numbers;
            let [
                method,
                path,
                target,
                query,
                mount,
                client,
                server_name,
                request_id,
            ] = <[Latin1; 8]>::try_from(strings).unwrap();
            FrameValue::Request {
                attempt,
                secure,
                version,
                content,
                received_us,
                deadline_us,
                content_length,
                client_port,
                server_port,
                method,
                path,
                target,
                query,
                mount,
                client,
                server_name,
                request_id,
                fields,
                inline,
            }
        },
    )
}

fn response() -> impl Strategy<Value = FrameValue> {
    let fields = prop::collection::vec((bytes(20), bytes(30)), 0..6);
    (
        100u16..=999,
        any::<(u32, u64)>(),
        bytes(20),
        fields,
        bytes(300),
    )
        .prop_map(
            |(status, (app_us, declared_length), reason, fields, data)| FrameValue::Response {
                status,
                app_us,
                declared_length,
                reason,
                fields,
                data,
            },
        )
}

fn value() -> impl Strategy<Value = FrameValue> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(version, pid)| FrameValue::Hello { version, pid }),
        request(),
        bytes(300).prop_map(|data| FrameValue::Body { data }),
        any::<u32>().prop_map(|bytes| FrameValue::Credit { bytes }),
        Just(FrameValue::Cancel {}),
        response(),
        bytes(300).prop_map(|data| FrameValue::Data { data }),
        (0u64..1 << 62, 0u64..1 << 62)
            .prop_map(|(offset, length)| FrameValue::File { offset, length }),
        (bytes(40), bytes(40), bytes(90)).prop_map(|(error, place, trace)| FrameValue::Failed {
            error,
            place,
            trace
        }),
        any::<u32>().prop_map(|bytes| FrameValue::Read { bytes }),
        prop::collection::vec((bytes(20), bytes(30)), 0..6)
            .prop_map(|fields| FrameValue::Trailers { fields }),
        (any::<bool>(), bytes(300)).prop_map(|(text, data)| FrameValue::Message { text, data }),
        (any::<u16>(), bytes(123)).prop_map(|(code, reason)| FrameValue::Close { code, reason }),
    ]
}

/// Any frame, with flags that its kind takes.
fn frame() -> impl Strategy<Value = Frame> {
    (value(), any::<(bool, bool, u16, u64)>()).prop_map(|(value, (end, with, slot, request))| {
        use FrameValue::{Body, Data, File, Message, Request, Response, Trailers};
        Frame {
            end: matches!(value, Trailers { .. })
                || end
                    && matches!(
                        value,
                        Body { .. } | Response { .. } | Data { .. } | File { .. } | Message { .. }
                    ),
            descriptor: matches!(value, File { .. }) || with && matches!(value, Request { .. }),
            slot,
            request,
            value,
        }
    })
}

/// What a receiver makes of bytes that arrive in these pieces.
fn receive<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<(Header, Vec<u8>)>, FrameError> {
    let (mut buffer, mut found) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut taken = 0;
        while let Some((header, payload)) = split_frame(&buffer[taken..])? {
            taken += HEADER_BYTES + payload.len();
            found.push((header, payload.to_vec()));
        }
        buffer.drain(..taken);
    }
    assert!(buffer.is_empty(), "bytes are left over");
    Ok(found)
}

/// `bytes` in pieces that end at `cuts`.
fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.extend([0, bytes.len()]);
    ends.sort_unstable();
    ends.windows(2)
        .map(|ends| &bytes[ends[0]..ends[1]])
        .collect()
}

proptest! {
    #[test]
    fn a_frame_survives_the_way(frame in frame()) {
        let bytes = frame.encode();
        prop_assert_eq!(Frame::decode(&bytes), Ok(Some((frame.clone(), bytes.len()))));
        let json = serde_json::to_string(&frame).unwrap();
        prop_assert_eq!(serde_json::from_str::<Frame>(&json).unwrap(), frame);
    }

    #[test]
    fn any_split_of_the_bytes_gives_the_same_frames(
        frames in prop::collection::vec(frame(), 0..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = frames.iter().flat_map(Frame::encode).collect::<Vec<u8>>();
        let whole = receive([bytes.as_slice()].into_iter());
        prop_assert_eq!(&receive(pieces(&bytes, &cuts).into_iter()), &whole);
        prop_assert_eq!(&receive(bytes.chunks(1)), &whole);
        prop_assert_eq!(whole.unwrap().len(), frames.len());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Frame::decode(&bytes);
        let _ = check_hello(&bytes);
        let _ = EdgeConfig::from_json(&bytes);
        let _ = ToEdge::from_line(&bytes);
        let _ = FromEdge::from_line(&bytes);
        let _ = RequestView::parse(&bytes).map(|view| view.fields().count());
        let _ = ResponseView::parse(&bytes).map(|view| view.fields().count());
    }

    #[test]
    fn a_damaged_frame_is_refused_or_written_the_same(
        frame in frame(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut bytes = frame.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(Some((decoded, taken))) = Frame::decode(&bytes) {
            // A name in capitals is the one thing that is not written as it came.
            let again = decoded.encode();
            prop_assert!(again.eq_ignore_ascii_case(&bytes[..taken]));
        }
    }

    #[test]
    fn a_new_address_changes_nothing_else(
        value in request(),
        (slot, number, attempt) in any::<(u16, u64, u8)>(),
    ) {
        let frame = Frame { end: false, descriptor: false, slot: 0, request: 0, value };
        let mut bytes = frame.encode();
        address_request(&mut bytes, slot, number, attempt);
        let mut expected = Frame { slot, request: number, ..frame };
        if let FrameValue::Request { attempt: place, .. } = &mut expected.value {
            *place = attempt;
        }
        prop_assert_eq!(bytes, expected.encode());
    }

    #[test]
    fn bytes_that_are_no_frame_get_no_address(mut bytes in prop::collection::vec(any::<u8>(), 0..16)) {
        let before = bytes.clone();
        address_request(&mut bytes, 1, 2, 3);
        prop_assert_eq!(bytes, before);
    }

    #[test]
    fn a_header_survives_the_way(len in 0u32..1 << 20, slot: u16, request: u64) {
        let header = Header { len, kind: Kind::Cancel, flags: Flags::default(), slot, request };
        prop_assert_eq!(Header::decode(&header.encode()), Ok(Some(header)));
    }
}

/// A request whose target fills the head, with the most content that may be configured.
#[test]
fn the_largest_request_that_may_be_configured_fits_a_frame() {
    let part = Latin1(vec![b'x'; usize::from(u16::MAX)]);
    let field = (0, Latin1(vec![b'n'; 255]), part.clone());
    let fields = vec![field; MAX_HEAD_BYTES as usize / usize::from(u16::MAX)];
    let frame = Frame {
        end: false,
        descriptor: false,
        slot: 0,
        request: 1,
        value: FrameValue::Request {
            attempt: 0,
            secure: false,
            version: 11,
            content: Content::Inline,
            received_us: 0,
            deadline_us: 0,
            content_length: MAX_INLINE_BYTES.into(),
            client_port: 0,
            server_port: 0,
            method: Latin1(b"POST".to_vec()),
            path: part.clone(),
            target: part.clone(),
            query: part.clone(),
            mount: part.clone(),
            client: part.clone(),
            server_name: part.clone(),
            request_id: part,
            fields,
            inline: Latin1(vec![0; MAX_INLINE_BYTES as usize]),
        },
    };
    let bytes = frame.encode();
    assert!(Header::decode(&bytes).unwrap().is_some());
    assert!(split_frame(&bytes).unwrap().is_some());
}

/// The edge hands out and recalls, while the worker's threads start what they were
/// handed: of all that want a request, exactly one gets it.
#[test]
fn of_all_that_want_a_request_exactly_one_gets_it() {
    const THREADS: usize = 4;
    const ROUNDS: u64 = 300;
    let words: Vec<_> = (0..PAGE_BYTES / 8).map(|_| AtomicU64::new(0)).collect();
    let page = ClaimPage::init(&words).unwrap();
    let slots = u16::try_from(SLOTS).unwrap();
    let wins: Vec<_> = (0..slots).map(|_| AtomicUsize::new(0)).collect();
    let start = Barrier::new(THREADS + 2);
    let end = Barrier::new(THREADS + 2);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (wins, start, end) = (&wins, &start, &end);
            scope.spawn(move || {
                for round in 1..=ROUNDS {
                    start.wait();
                    for slot in 0..slots {
                        // Each thread comes from another side, so that they meet.
                        let slot = if thread % 2 == 0 {
                            slot
                        } else {
                            slots - 1 - slot
                        };
                        if page.start(slot, round, round * 10) {
                            wins[usize::from(slot)].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    end.wait();
                }
            });
        }
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                start.wait();
                for slot in 0..slots {
                    if page.recall(slot, round) {
                        wins[usize::from(slot)].fetch_add(1, Ordering::Relaxed);
                    }
                }
                end.wait();
            }
        });
        for round in 1..=ROUNDS {
            for slot in 0..slots {
                page.hand_out(slot, round);
            }
            start.wait();
            end.wait();
            for slot in 0..slots {
                assert_eq!(wins[usize::from(slot)].swap(0, Ordering::Relaxed), 1);
                // Whoever sees it running sees no time of a former request.
                if let Some(since) = page.running_since(slot, round) {
                    assert_eq!(since, round * 10);
                }
            }
        }
    });
}
