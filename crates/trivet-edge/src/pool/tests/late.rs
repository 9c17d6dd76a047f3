//! Apps that fail when their answer is out already.

use trivet_wire::control::{FailedRequest, FromEdge, Outcome};
use trivet_wire::frames::{HEADER_BYTES, RaisedView, put_failed};

use super::{Handed, Worker, add_worker, exchange, pool, submit};
use crate::control::Outbox;
use crate::exchange::Exchange;
use crate::pool::Pool;

fn fail(pool: &Pool, worker: &Worker, request: Handed, trace: &[u8]) {
    let mut frame = Vec::new();
    let raised = RaisedView {
        error: b"KeyError: 'a'",
        place: b"app.py:3 in close",
        trace,
    };
    put_failed(&mut frame, (request.slot, request.number), &raised);
    worker.send(pool, &frame);
}

/// Have a request answered in whole.
fn answered(pool: &Pool, worker: &Worker) -> Handed {
    let _exchange = submit(pool, b"GET");
    let [request] = worker.take(pool)[..] else {
        panic!("one request")
    };
    assert!(worker.start(request, 5));
    worker.answer(pool, request, 50);
    request
}

#[test]
fn what_is_raised_behind_a_whole_answer_is_told_once() {
    let pool = pool(10, 4);
    let (outbox, mut messages) = Outbox::of_test();
    pool.report_to(outbox);
    let worker = add_worker(&pool, 1, 4);
    let request = answered(&pool, &worker);
    // The slot is another's by now.
    let next = answered(&pool, &worker);
    assert_eq!(next.slot, request.slot);
    fail(&pool, &worker, request, b"Traceback");
    fail(&pool, &worker, request, b"Traceback");
    let Ok(FromEdge::RequestFailed {
        worker: 1,
        request: told,
        raised: Some(raised),
        dropped: 0,
    }) = messages.try_recv()
    else {
        panic!("one message")
    };
    assert_eq!(raised.place, "app.py:3 in close");
    let FailedRequest {
        id,
        outcome,
        status,
        answered_us,
        started_us,
        ..
    } = *told;
    assert_eq!((id.as_str(), outcome, status), ("id", Outcome::Whole, 0));
    assert_eq!((started_us, answered_us), (Some(4), Some(50)));
    assert!(messages.try_recv().is_err());
}

#[test]
fn what_nobody_has_to_be_told_is_not_told() {
    let pool = pool(10, 4);
    let (outbox, mut messages) = Outbox::of_test();
    pool.report_to(outbox);
    let worker = add_worker(&pool, 1, 4);
    let request = answered(&pool, &worker);
    fail(&pool, &worker, request, b"");
    let strange = Handed {
        number: request.number + 1000,
        ..request
    };
    fail(&pool, &worker, strange, b"Traceback");
    assert!(messages.try_recv().is_err());
}

#[test]
fn only_the_latest_answers_are_remembered_and_nothing_of_their_content() {
    let pool = pool(10, 4);
    let (outbox, mut messages) = Outbox::of_test();
    pool.report_to(outbox);
    let worker = add_worker(&pool, 1, 4);
    let first = answered(&pool, &worker);
    let second = answered(&pool, &worker);
    for _ in 0..127 {
        answered(&pool, &worker);
    }
    fail(&pool, &worker, first, b"Traceback");
    assert!(messages.try_recv().is_err());
    fail(&pool, &worker, second, b"Traceback");
    assert!(messages.try_recv().is_ok());

    let known = exchange(b"GET");
    let mut frame = known.frame.to_vec();
    frame.resize(5000, b'x');
    let payload = u32::try_from(frame.len() - HEADER_BYTES).unwrap();
    frame[..4].copy_from_slice(&payload.to_le_bytes());
    let large = Exchange::new(frame, None, 1, true, std::task::Waker::noop().clone());
    pool.submit(&large.into()).unwrap();
    let [request] = worker.take(&pool)[..] else {
        panic!("one request")
    };
    assert!(worker.start(request, 5));
    worker.answer(&pool, request, 50);
    fail(&pool, &worker, request, b"Traceback");
    assert!(messages.try_recv().is_err());
}
