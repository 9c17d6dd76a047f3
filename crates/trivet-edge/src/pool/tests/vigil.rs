//! Requests that run on when nobody waits for them.

use trivet_wire::control::{FromEdge, Overdue};
use trivet_wire::frames::{RaisedView, put_failed};

use super::{Handed, Worker, add_worker, pool, submit};
use crate::pool::{Patience, Pool};

const TIMEOUT: Patience = Patience {
    cause: Overdue::Timeout,
    interrupt_us: 3_000_000,
    replace_us: 8_000_000,
};

/// A worker that runs one request, which is then abandoned.
fn abandoned(pool: &Pool, patience: Patience) -> (Worker, Handed) {
    let worker = add_worker(pool, 1, 4);
    let exchange = submit(pool, b"GET");
    let [request] = worker.take(pool)[..] else {
        panic!("one request")
    };
    assert!(worker.start(request, 1_000_000));
    assert!(!pool.abandon(&exchange, Some(patience)));
    (worker, request)
}

fn end(pool: &Pool, worker: &Worker, request: Handed) {
    let mut frame = Vec::new();
    let raised = RaisedView {
        error: b"",
        place: b"",
        trace: b"",
    };
    put_failed(&mut frame, (request.slot, request.number), &raised);
    worker.send(pool, &frame);
}

fn overdue(request: Handed, cause: Overdue, running_ms: u32) -> FromEdge {
    FromEdge::RequestOverdue {
        worker: 1,
        request: request.number,
        cause,
        running_ms,
        method: "GET".into(),
        path: "/".into(),
        id: "id".into(),
    }
}

fn released(request: Handed) -> FromEdge {
    FromEdge::RequestReleased {
        worker: 1,
        request: request.number,
    }
}

fn stuck(request: Handed) -> FromEdge {
    FromEdge::RequestStuck {
        worker: 1,
        request: request.number,
    }
}

#[test]
fn an_overdue_request_is_told_of_once_and_given_up_once() {
    let pool = pool(10, 4);
    let (_worker, request) = abandoned(&pool, TIMEOUT);
    assert_eq!(pool.keep_vigil(2_999_999), []);
    assert_eq!(
        pool.keep_vigil(3_000_000),
        [overdue(request, Overdue::Timeout, 2000)]
    );
    assert_eq!(pool.keep_vigil(7_999_999), []);
    assert_eq!(pool.keep_vigil(8_000_000), [stuck(request)]);
    assert_eq!(pool.keep_vigil(9_000_000), []);
}

#[test]
fn a_request_that_lets_go_in_time_says_so() {
    let pool = pool(10, 4);
    let (worker, request) = abandoned(&pool, TIMEOUT);
    pool.keep_vigil(3_000_000);
    end(&pool, &worker, request);
    assert_eq!(pool.keep_vigil(3_100_000), [released(request)]);
    assert_eq!(pool.keep_vigil(9_000_000), []);
}

#[test]
fn a_request_that_ends_before_its_time_is_no_news() {
    let pool = pool(10, 4);
    let (worker, request) = abandoned(&pool, TIMEOUT);
    end(&pool, &worker, request);
    assert_eq!(pool.keep_vigil(9_000_000), []);
}

// The request after it may have the same slot.
#[test]
fn the_next_request_in_the_slot_is_not_mistaken_for_it() {
    let pool = pool(10, 4);
    let (worker, request) = abandoned(&pool, TIMEOUT);
    pool.keep_vigil(3_000_000);
    end(&pool, &worker, request);
    submit(&pool, b"GET");
    let [next] = worker.take(&pool)[..] else {
        panic!("one request")
    };
    assert_eq!(next.slot, request.slot);
    assert!(worker.start(next, 3_000_000));
    assert_eq!(pool.keep_vigil(9_000_000), [released(request)]);
}

#[test]
fn the_end_of_its_worker_ends_the_vigil() {
    let pool = pool(10, 4);
    let (_worker, request) = abandoned(&pool, TIMEOUT);
    pool.keep_vigil(3_000_000);
    let losses = pool.lose_worker(1);
    assert_eq!((losses.started, losses.retried), (1, 0));
    assert_eq!(pool.keep_vigil(3_100_000), [released(request)]);
}

#[test]
fn without_a_deadline_no_worker_is_replaced() {
    let pool = pool(10, 4);
    let patience = Patience {
        cause: Overdue::Disconnect,
        replace_us: 0,
        ..TIMEOUT
    };
    let (_worker, request) = abandoned(&pool, patience);
    assert_eq!(
        pool.keep_vigil(u64::MAX),
        [overdue(request, Overdue::Disconnect, u32::MAX)]
    );
    assert_eq!(pool.keep_vigil(u64::MAX), []);
}

#[test]
fn a_request_that_was_never_started_needs_no_vigil() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 4);
    let exchange = submit(&pool, b"POST");
    let [request] = worker.take(&pool)[..] else {
        panic!("one request")
    };
    assert!(pool.abandon(&exchange, Some(TIMEOUT)));
    assert!(!worker.start(request, 1));
    assert_eq!(pool.keep_vigil(9_000_000), []);
}

// A drain would otherwise last until its own deadline, with nothing left to wait for.
#[test]
fn a_draining_worker_is_not_held_by_a_request_that_was_given_up() {
    let pool = pool(10, 4);
    let (worker, _) = abandoned(&pool, TIMEOUT);
    let _beside = submit(&pool, b"GET");
    let [beside] = worker.take(&pool)[..] else {
        panic!("one request")
    };
    assert!(worker.start(beside, 1_000_000));
    pool.keep_vigil(8_000_000);
    assert!(!pool.drain_worker(1, 0));
    assert!(!pool.is_drained(1));
    end(&pool, &worker, beside);
    assert!(pool.is_drained(1));
}
