//! Requests that run on when nobody waits for them.

use std::sync::Arc;

use trivet_wire::control::{FailedRequest, FromEdge, Outcome, Overdue};
use trivet_wire::frames::{RaisedView, put_failed};

use super::{Handed, Worker, add, add_worker, exchange, pool, submit};
use crate::control::Outbox;
use crate::pool::{Capacity, Patience, Pool};

const TIMEOUT: Patience = Patience {
    cause: Overdue::Timeout,
    interrupt_us: 3_000_000,
    replace_us: 8_000_000,
    has_failed: false,
    outcome: Outcome::Gone,
    status: 0,
};

/// Of a request whose client has got its 504.
const ANSWERED: Patience = Patience {
    has_failed: true,
    outcome: Outcome::Answered,
    status: 504,
    ..TIMEOUT
};

/// A worker that runs one request, which is then abandoned.
fn abandoned(pool: &Pool, patience: Patience) -> (Worker, Handed) {
    let worker = add_worker(pool, 1, 4);
    let request = submit_and_start(pool, &worker, patience);
    (worker, request)
}

fn submit_and_start(pool: &Pool, worker: &Worker, patience: Patience) -> Handed {
    let exchange = submit(pool, b"GET");
    let [request] = worker.take(pool)[..] else {
        panic!("one request")
    };
    assert!(worker.start(request, 1_000_000));
    assert!(!pool.abandon(&exchange, Some(patience)));
    request
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

/// What is told of it, without the times that the clock says.
fn keep_vigil(pool: &Pool, now_us: u64) -> Vec<FromEdge> {
    let mut told = pool.keep_vigil(now_us);
    for message in &mut told {
        if let FromEdge::RequestOverdue {
            failed: Some(failed),
            ..
        } = message
        {
            assert!(failed.received_unix_us > 1_600_000_000_000_000);
            assert!(failed.handed_out_us.take().is_some());
            failed.received_unix_us = 0;
        }
    }
    told
}

fn overdue(request: Handed, cause: Overdue, running_ms: Option<u32>) -> FromEdge {
    FromEdge::RequestOverdue {
        worker: 1,
        request: request.number,
        cause,
        running_ms,
        method: "GET".into(),
        path: "/".into(),
        id: "id".into(),
        failed: None,
        dropped: 0,
    }
}

/// The same with the incident that it makes.
fn failed(request: Handed, running_ms: Option<u32>, told: (Outcome, u32)) -> FromEdge {
    let mut message = overdue(request, Overdue::Timeout, running_ms);
    if let FromEdge::RequestOverdue { failed, .. } = &mut message {
        *failed = Some(Box::new(FailedRequest {
            id: "id".into(),
            method: "GET".into(),
            target: "/".into(),
            mount: String::new(),
            route: None,
            client: "127.0.0.1".into(),
            attempts: 1,
            received_unix_us: 0,
            handed_out_us: None,
            started_us: Some(999_999),
            answered_us: None,
            failed_us: 2_999_999,
            outcome: told.0,
            status: told.1,
        }));
    }
    message
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
    assert_eq!(keep_vigil(&pool, 2_999_999), []);
    assert_eq!(
        keep_vigil(&pool, 3_000_000),
        [failed(request, Some(2000), (Outcome::Gone, 0))]
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

// It may end between its 504 and the next look, and is an incident all the same.
#[test]
fn a_request_that_has_failed_is_told_of_though_it_has_ended_since() {
    let pool = pool(10, 4);
    let (worker, request) = abandoned(&pool, ANSWERED);
    end(&pool, &worker, request);
    assert_eq!(
        keep_vigil(&pool, 3_000_000),
        [failed(request, None, (Outcome::Answered, 504))]
    );
    assert_eq!(pool.keep_vigil(9_000_000), []);
}

fn end_with_a_traceback(pool: &Pool, worker: &Worker, request: Handed) {
    let mut frame = Vec::new();
    let raised = RaisedView {
        error: b"KeyError: 'a'",
        place: b"app.py:3 in view",
        trace: b"Traceback",
    };
    put_failed(&mut frame, (request.slot, request.number), &raised);
    worker.send(pool, &frame);
}

// What the app raises when it is interrupted follows from the timeout, and so does the end of
// its worker.
#[test]
fn a_request_that_has_failed_makes_no_second_incident() {
    let pool = pool(10, 4);
    let (outbox, mut messages) = Outbox::of_test();
    pool.report_to(outbox);
    let (worker, request) = abandoned(&pool, ANSWERED);
    end_with_a_traceback(&pool, &worker, request);
    let _ = submit_and_start(&pool, &worker, ANSWERED);
    pool.lose_worker(1);
    assert!(messages.try_recv().is_err());
    assert_eq!(pool.keep_vigil(3_000_000).len(), 2);
}

#[test]
fn what_goes_wrong_before_the_time_is_over_is_an_incident_of_its_own() {
    let pool = pool(10, 4);
    let (outbox, mut messages) = Outbox::of_test();
    pool.report_to(outbox);
    let (worker, request) = abandoned(&pool, TIMEOUT);
    end_with_a_traceback(&pool, &worker, request);
    let _ = submit_and_start(&pool, &worker, TIMEOUT);
    pool.lose_worker(1);
    for raised in [true, false] {
        let Ok(FromEdge::RequestFailed {
            raised: told,
            request,
            ..
        }) = messages.try_recv()
        else {
            panic!("two messages")
        };
        assert_eq!((told.is_some(), request.outcome), (raised, Outcome::Gone));
    }
    assert_eq!(pool.keep_vigil(9_000_000), []);
}

#[test]
fn the_request_has_the_name_of_its_route() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 4);
    let mut exchange = Arc::into_inner(exchange(b"GET")).unwrap();
    exchange.route = Some("/reports/*".into());
    let exchange = Arc::new(exchange);
    pool.submit(&exchange).unwrap();
    let [request] = worker.take(&pool)[..] else {
        panic!("one request")
    };
    assert!(worker.start(request, 1_000_000));
    assert!(!pool.abandon(&exchange, Some(ANSWERED)));
    let [
        FromEdge::RequestOverdue {
            failed: Some(failed),
            ..
        },
    ] = &pool.keep_vigil(3_000_000)[..]
    else {
        panic!("one message")
    };
    assert_eq!(failed.route.as_deref(), Some("/reports/*"));
}

// Many clients may wait for the same thing that does not come.
#[test]
fn too_many_failures_at_once_are_counted() {
    let pool = pool(10, 0);
    let capacity = Capacity {
        threads: 1,
        concurrency: 60,
    };
    let worker = add(&pool, 1, capacity);
    let exchanges: Vec<_> = (0..60).map(|_| submit(&pool, b"GET")).collect();
    for request in worker.take(&pool) {
        assert!(worker.start(request, 1_000_000));
    }
    for exchange in &exchanges {
        assert!(!pool.abandon(exchange, Some(ANSWERED)));
    }
    let told = pool.keep_vigil(3_000_000);
    assert_eq!(told.len(), 60);
    let Some(FromEdge::RequestOverdue {
        failed: None,
        dropped,
        ..
    }) = told.last()
    else {
        panic!("the last is too many")
    };
    assert!((1..=10).contains(dropped), "{dropped}");
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
        [overdue(request, Overdue::Disconnect, Some(u32::MAX))]
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
