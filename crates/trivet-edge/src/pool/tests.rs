//! The pool with workers that are played by the test.

mod late;
mod tunnel;
mod vigil;

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::Waker;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use trivet_core::Problem;
use trivet_wire::claim::PAGE_BYTES;
use trivet_wire::edge_config::App;
use trivet_wire::frames::{
    Content, Flags, Header, Kind, RequestHead, ResponseHead, UNKNOWN_LENGTH, encode_request,
    encode_response, put_frame, put_hello, split_frame,
};

use super::{Capacity, Pool};
use crate::claim_map::ClaimMap;
use crate::exchange::{Exchange, Failure};

/// A worker's side of its connection.
struct Worker {
    number: u32,
    claim: ClaimMap,
    doorbell: OwnedFd,
}

/// A request that a worker was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Handed {
    slot: u16,
    number: u64,
    attempt: u8,
}

fn pool(queue: u32, window: u16) -> Pool {
    configured(queue, window, None, 1 << 20)
}

fn configured(queue: u32, window: u16, concurrency: Option<u32>, memory: u64) -> Pool {
    let pool = Pool::default();
    pool.configure(&app(queue, window, concurrency), memory);
    pool
}

fn app(queue: u32, window: u16, concurrency: Option<u32>) -> App {
    App {
        name: "app".to_owned(),
        mount: String::new(),
        queue,
        concurrency,
        window,
        request_ms: 0,
    }
}

fn add_worker(pool: &Pool, number: u32, threads: u32) -> Worker {
    add(
        pool,
        number,
        Capacity {
            threads,
            concurrency: 0,
        },
    )
}

fn add(pool: &Pool, number: u32, capacity: Capacity) -> Worker {
    let memory = memfd_create("claim", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&memory, PAGE_BYTES as u64).unwrap();
    let claim = ClaimMap::init(&memory).unwrap();
    let doorbell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap();
    let theirs = doorbell.as_fd().try_clone_to_owned().unwrap();
    pool.add_worker(
        number,
        std::process::id(),
        capacity,
        ClaimMap::open(&memory).unwrap(),
        theirs,
    );
    pool.serve_worker(number);
    let worker = Worker {
        number,
        claim,
        doorbell,
    };
    let mut hello = Vec::new();
    put_hello(&mut hello, 1);
    worker.send(pool, &hello);
    worker
}

fn exchange(method: &[u8]) -> Arc<Exchange> {
    let head = RequestHead {
        attempt: 0,
        secure: false,
        version: 11,
        content: Content::None,
        received_us: 1,
        deadline_us: 0,
        content_length: 0,
        client_port: 0,
        server_port: 80,
        method,
        path: b"/",
        target: b"/",
        query: b"",
        mount: b"",
        client: b"127.0.0.1",
        server_name: b"localhost",
        request_id: b"id",
    };
    let mut frame = Vec::new();
    encode_request(
        &mut frame,
        (0, 0, Flags::default()),
        &head,
        std::iter::empty(),
        b"",
    );
    Arc::new(Exchange::new(frame, None, 1, true, Waker::noop().clone()))
}

fn submit(pool: &Pool, method: &[u8]) -> Arc<Exchange> {
    let exchange = exchange(method);
    pool.submit(&exchange).unwrap();
    exchange
}

impl Worker {
    /// Take the requests that were sent to this worker.
    fn take(&self, pool: &Pool) -> Vec<Handed> {
        let mut out = VecDeque::new();
        assert!(pool.take_output(self.number, Waker::noop(), &mut out));
        let mut handed = Vec::new();
        for part in out {
            let mut rest = part.bytes.as_slice();
            while let Some((header, payload)) = split_frame(rest).unwrap() {
                rest = &rest[trivet_wire::frames::HEADER_BYTES + payload.len()..];
                if header.kind == Kind::Request {
                    handed.push(Handed {
                        slot: header.slot,
                        number: header.request,
                        attempt: payload[0],
                    });
                }
            }
        }
        handed
    }

    /// Start a request, as Python would; `since_us` 1 is long ago.
    fn start(&self, request: Handed, since_us: u64) -> bool {
        self.claim
            .page()
            .start(request.slot, request.number, since_us)
    }

    /// Answer a request.
    fn answer(&self, pool: &Pool, request: Handed, app_us: u32) {
        let head = ResponseHead {
            status: 200,
            app_us,
            declared_length: UNKNOWN_LENGTH,
            reason: b"OK",
        };
        let mut frame = Vec::new();
        encode_response(
            &mut frame,
            (request.slot, request.number, Flags::END),
            &head,
            std::iter::empty(),
            b"hi",
        );
        self.send(pool, &frame);
    }

    fn send(&self, pool: &Pool, frames: &[u8]) {
        let taken = pool
            .absorb(self.number, frames, &mut VecDeque::new())
            .unwrap();
        assert_eq!(taken, frames.len());
    }

    /// How often its doorbell was rung.
    fn rings(&self) -> usize {
        let mut count = [0; 8];
        std::iter::from_fn(|| rustix::io::read(&self.doorbell, &mut count).ok()).count()
    }
}

/// Look twice, a look's time apart, as the rescue timer does.
fn rescue(pool: &Pool) {
    let mut state = pool.state.lock();
    let now = crate::clock::now_us();
    state.rescue(now);
    state.rescue(now + 2000);
}

#[test]
fn requests_go_to_the_worker_with_the_fewest() {
    let pool = pool(10, 4);
    let (one, two) = (add_worker(&pool, 1, 4), add_worker(&pool, 2, 4));
    let _held: Vec<_> = (0..4).map(|_| submit(&pool, b"GET")).collect();
    assert_eq!((one.take(&pool).len(), two.take(&pool).len()), (2, 2));
}

#[test]
fn a_worker_holds_no_more_than_its_window() {
    let pool = pool(10, 3);
    let worker = add_worker(&pool, 1, 4);
    let _held: Vec<_> = (0..5).map(|_| submit(&pool, b"GET")).collect();
    assert_eq!(worker.take(&pool).len(), 3);
    assert_eq!(pool.load(), (2, 3));
}

#[test]
fn an_event_loop_holds_as_many_as_it_may_run() {
    let pool = pool(10, 0);
    let worker = add(
        &pool,
        1,
        Capacity {
            threads: 1,
            concurrency: 3,
        },
    );
    let _held: Vec<_> = (0..5).map(|_| submit(&pool, b"GET")).collect();
    assert_eq!(worker.take(&pool).len(), 3);
}

#[test]
fn an_answer_makes_room_for_the_next_in_the_queue() {
    let pool = pool(10, 1);
    let worker = add_worker(&pool, 1, 4);
    let first = submit(&pool, b"GET");
    let _second = submit(&pool, b"GET");
    let handed = worker.take(&pool)[0];
    assert!(worker.start(handed, 5));
    worker.answer(&pool, handed, 50);
    assert!(first.reply().head.is_some());
    assert_eq!(worker.take(&pool).len(), 1);
}

#[test]
fn a_full_queue_refuses() {
    let pool = pool(1, 1);
    let _first = submit(&pool, b"GET");
    assert_eq!(pool.submit(&exchange(b"GET")), Err(Problem::QueueFull));
}

#[test]
fn a_worker_that_is_held_gets_only_what_is_meant_for_it() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 4);
    pool.hold_worker(1);
    assert!(!pool.takes_requests());
    let waiting = submit(&pool, b"GET");
    assert!(worker.take(&pool).is_empty());
    let own = exchange(b"GET");
    assert!(pool.hand_to(1, &own));
    assert!(!pool.hand_to(2, &own));
    assert_eq!(worker.take(&pool).len(), 1);
    pool.serve_worker(1);
    assert_eq!(worker.take(&pool).len(), 1);
    assert!(pool.takes_requests());
    assert!(waiting.reply().failure.is_none());
}

#[test]
fn what_a_held_worker_had_is_tried_on_no_other() {
    let pool = pool(10, 4);
    let _held = add_worker(&pool, 1, 4);
    pool.hold_worker(1);
    let own = exchange(b"GET");
    assert!(pool.hand_to(1, &own));
    let other = add_worker(&pool, 2, 4);
    for _ in 0..100 {
        pool.rescue();
    }
    let losses = pool.lose_worker(1);
    assert_eq!((losses.started, losses.retried), (0, 0));
    assert!(other.take(&pool).is_empty());
    assert!(own.reply().failure.is_some());
}

#[test]
fn other_settings_hold_for_what_waits_and_what_comes() {
    let pool = pool(1, 1);
    let worker = add_worker(&pool, 1, 1);
    let _running = submit(&pool, b"GET");
    let _waiting = submit(&pool, b"GET");
    assert_eq!(pool.submit(&exchange(b"GET")), Err(Problem::QueueFull));
    assert_eq!(worker.take(&pool).len(), 1);
    pool.configure(&app(2, 2, None), 1 << 20);
    assert_eq!(worker.take(&pool).len(), 1);
    let _third = submit(&pool, b"GET");
    pool.configure(&app(2, 2, Some(3)), 1 << 20);
    assert_eq!(
        pool.submit(&exchange(b"GET")),
        Err(Problem::ConcurrencyLimit)
    );
}

#[test]
fn the_limit_of_concurrency_counts_what_waits_and_what_runs() {
    let pool = configured(10, 1, Some(2), 1 << 20);
    let worker = add_worker(&pool, 1, 1);
    let _running = submit(&pool, b"GET");
    let _waiting = submit(&pool, b"GET");
    let refused = pool.submit(&exchange(b"GET"));
    assert_eq!(refused, Err(Problem::ConcurrencyLimit));
    let handed = worker.take(&pool)[0];
    assert!(worker.start(handed, 5));
    worker.answer(&pool, handed, 50);
    let _next = submit(&pool, b"GET");
    let refused = pool.submit(&exchange(b"GET"));
    assert_eq!(refused, Err(Problem::ConcurrencyLimit));
}

#[test]
fn a_worker_that_drains_takes_no_requests() {
    let pool = pool(1, 1);
    assert!(!pool.takes_requests());
    let _worker = add_worker(&pool, 1, 1);
    assert!(pool.takes_requests());
    pool.drain_worker(1, 0);
    assert!(!pool.takes_requests());
}

#[test]
fn what_waits_goes_out_when_a_worker_comes() {
    let pool = pool(10, 4);
    let _held: Vec<_> = (0..3).map(|_| submit(&pool, b"GET")).collect();
    let worker = add_worker(&pool, 1, 4);
    assert_eq!(worker.take(&pool).len(), 3);
}

#[test]
fn a_withdrawn_request_is_never_started() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 4);
    let exchange = submit(&pool, b"GET");
    let handed = worker.take(&pool)[0];
    assert!(pool.withdraw(&exchange));
    assert!(!worker.start(handed, 5));
}

#[test]
fn a_started_request_cannot_be_withdrawn() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 4);
    let exchange = submit(&pool, b"GET");
    assert!(worker.start(worker.take(&pool)[0], 5));
    assert!(!pool.withdraw(&exchange));
}

#[test]
fn a_request_behind_a_slow_one_goes_to_an_idle_worker() {
    let pool = pool(10, 2);
    let one = add_worker(&pool, 1, 1);
    let _slow = submit(&pool, b"GET");
    let behind = submit(&pool, b"GET");
    let handed = one.take(&pool);
    assert!(one.start(handed[0], 1));
    let two = add_worker(&pool, 2, 1);
    rescue(&pool);
    let moved = two.take(&pool);
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].attempt, 0, "the first worker never tried it");
    assert!(!one.start(handed[1], 5));
    assert!(two.start(moved[0], 5));
    two.answer(&pool, moved[0], 5);
    assert!(behind.reply().head.is_some());
}

// A request that came while nobody else was there once lay for ever behind one that
// held the interpreter lock and was aside already.
#[test]
fn a_worker_at_a_standstill_gives_back_what_it_has_not_started() {
    let pool = pool(10, 4);
    let one = add_worker(&pool, 1, 4);
    let _spinning = submit(&pool, b"GET");
    let _behind = submit(&pool, b"POST");
    assert!(one.start(one.take(&pool)[0], 1));
    rescue(&pool);
    let two = add_worker(&pool, 2, 4);
    let _running = submit(&pool, b"GET");
    assert!(two.start(two.take(&pool)[0], 1));
    let now = crate::clock::now_us();
    pool.state.lock().rescue(now + 200_000);
    let moved = two.take(&pool);
    assert_eq!(moved.len(), 1, "though the other worker is not idle");
    let _more: Vec<_> = (0..5).map(|_| submit(&pool, b"GET")).collect();
    assert_eq!(one.take(&pool).len(), 0, "nothing new goes there");
    pool.state.lock().rescue(now + 400_000);
    assert_eq!(one.take(&pool).len(), 1, "but a try now and then");
}

#[test]
fn another_thread_is_woken_where_the_process_waits() {
    let pool = pool(10, 2);
    let worker = add_worker(&pool, 1, 4);
    let _held: Vec<_> = (0..4).map(|_| submit(&pool, b"GET")).collect();
    assert!(worker.start(worker.take(&pool)[0], 1));
    rescue(&pool);
    assert_eq!(worker.rings(), 1);
    assert_eq!(
        worker.take(&pool).len(),
        1,
        "the one aside no longer counts"
    );
}

#[test]
fn a_request_that_waits_is_set_aside_before_the_next_one_comes() {
    let pool = pool(10, 2);
    let worker = add_worker(&pool, 1, 4);
    let _held = submit(&pool, b"GET");
    let since_us = crate::clock::now_us();
    assert!(worker.start(worker.take(&pool)[0], since_us));
    {
        let mut state = pool.state.lock();
        assert!(state.rescue(since_us + 500), "it may have to wait yet");
        assert!(state.rescue(since_us + 2500));
        assert!(!state.rescue(since_us + 4500), "there is no more to see");
    }
    assert_eq!(worker.rings(), 1);
}

#[test]
fn nobody_looks_for_long_after_a_request_that_nobody_waits_for() {
    let pool = pool(10, 2);
    let worker = add_worker(&pool, 1, 1);
    let _held = submit(&pool, b"GET");
    let since_us = crate::clock::now_us();
    assert!(worker.start(worker.take(&pool)[0], since_us));
    assert!(
        !pool.state.lock().rescue(since_us + 500),
        "there is no other thread"
    );
    let other = add_worker(&pool, 2, 4);
    let _held = submit(&pool, b"GET");
    assert!(other.start(other.take(&pool)[0], since_us));
    assert!(!pool.state.lock().rescue(since_us + 30_000));
}

#[test]
fn the_place_of_a_finished_request_aside_goes_to_the_next_long_one() {
    let pool = pool(10, 1);
    let worker = add_worker(&pool, 1, 2);
    let _held: Vec<_> = (0..4).map(|_| submit(&pool, b"GET")).collect();
    let first = worker.take(&pool)[0];
    assert!(worker.start(first, 1));
    rescue(&pool);
    let second = worker.take(&pool)[0];
    assert!(worker.start(second, 1));
    rescue(&pool);
    assert_eq!(worker.take(&pool), [], "both threads are busy");
    worker.answer(&pool, first, 50_000);
    assert_eq!(
        worker.take(&pool).len(),
        1,
        "without waiting for the next look"
    );
}

#[test]
fn the_last_thread_is_never_set_aside() {
    let pool = pool(10, 2);
    let worker = add_worker(&pool, 1, 1);
    let _held: Vec<_> = (0..3).map(|_| submit(&pool, b"GET")).collect();
    assert!(worker.start(worker.take(&pool)[0], 1));
    rescue(&pool);
    assert_eq!((worker.rings(), worker.take(&pool).len()), (0, 0));
}

#[test]
fn a_lost_workers_unstarted_requests_go_to_another_whatever_their_method() {
    let pool = pool(10, 4);
    let one = add_worker(&pool, 1, 4);
    let _post = submit(&pool, b"POST");
    assert_eq!(one.take(&pool).len(), 1);
    let losses = pool.lose_worker(1);
    assert_eq!((losses.started, losses.retried), (0, 1));
    let two = add_worker(&pool, 2, 4);
    assert_eq!(two.take(&pool)[0].attempt, 1);
}

#[test]
fn a_started_post_is_answered_and_a_started_get_retried() {
    let pool = pool(10, 4);
    let one = add_worker(&pool, 1, 4);
    let (post, get) = (submit(&pool, b"POST"), submit(&pool, b"GET"));
    for handed in one.take(&pool) {
        assert!(one.start(handed, 5));
    }
    let losses = pool.lose_worker(1);
    assert_eq!((losses.started, losses.retried), (2, 1));
    assert!(matches!(
        post.reply().failure,
        Some(Failure::Problem(Problem::WorkerLost))
    ));
    assert!(get.reply().failure.is_none());
    assert_eq!(pool.load(), (1, 0));
}

#[test]
fn a_request_that_kills_two_workers_is_quarantined() {
    let pool = pool(10, 4);
    let killer = submit(&pool, b"GET");
    for number in 1..=2 {
        let worker = add_worker(&pool, number, 4);
        assert!(worker.start(worker.take(&pool)[0], 5));
        pool.lose_worker(number);
    }
    assert!(matches!(
        killer.reply().failure,
        Some(Failure::Problem(Problem::Quarantined))
    ));
}

#[test]
fn a_request_whose_answer_has_begun_is_never_tried_again() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 4);
    let get = submit(&pool, b"GET");
    let handed = worker.take(&pool)[0];
    assert!(worker.start(handed, 5));
    let head = ResponseHead {
        status: 200,
        app_us: 1,
        declared_length: UNKNOWN_LENGTH,
        reason: b"OK",
    };
    let mut frame = Vec::new();
    encode_response(
        &mut frame,
        (handed.slot, handed.number, Flags::default()),
        &head,
        std::iter::empty(),
        b"part",
    );
    worker.send(&pool, &frame);
    assert_eq!(pool.lose_worker(1).retried, 0);
    assert!(get.reply().failure.is_some());
}

#[test]
fn a_draining_worker_gives_back_what_it_has_not_started() {
    let pool = pool(10, 4);
    let one = add_worker(&pool, 1, 4);
    let (_running, _waiting) = (submit(&pool, b"GET"), submit(&pool, b"POST"));
    let handed = one.take(&pool);
    assert!(one.start(handed[0], 5));
    assert!(!pool.drain_worker(1, 0));
    assert_eq!(pool.load(), (1, 1));
    one.answer(&pool, handed[0], 5);
    assert!(pool.is_drained(1));
}

#[test]
fn frames_of_a_recalled_request_say_nothing_any_more() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 4);
    let exchange = submit(&pool, b"GET");
    let handed = worker.take(&pool)[0];
    assert!(pool.withdraw(&exchange));
    worker.answer(&pool, handed, 5);
    assert!(exchange.reply().head.is_none());
    assert_eq!(pool.load(), (0, 0));
}

#[test]
fn credit_is_given_while_memory_has_room_and_not_beyond() {
    let pool = configured(10, 4, None, 100_000);
    let worker = add_worker(&pool, 1, 4);
    let exchange = submit(&pool, b"GET");
    let handed = worker.take(&pool)[0];
    assert!(worker.start(handed, 5));
    let piece = vec![b'x'; 70_000];
    let mut frame = Vec::new();
    put_frame(
        &mut frame,
        Kind::Data,
        Flags::default(),
        handed.slot,
        handed.number,
        &piece,
    );
    worker.send(&pool, &frame);
    assert_eq!(exchange.reply().uncredited, 0, "the first piece fits");
    worker.send(&pool, &frame);
    assert_eq!(exchange.reply().uncredited, 70_000, "the second does not");
    exchange.reply().buffered = 0;
    pool.give_credit(&exchange);
    assert_eq!(exchange.reply().uncredited, 0, "the client has taken it");
}

#[test]
fn a_worker_that_breaks_the_contract_is_told_apart() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 4);
    let _exchange = submit(&pool, b"GET");
    let handed = worker.take(&pool)[0];
    let header = Header {
        len: 1,
        kind: Kind::Response,
        flags: Flags::END,
        slot: handed.slot,
        request: handed.number,
    };
    let mut frame = header.encode().to_vec();
    frame.push(0);
    assert!(pool.absorb(1, &frame, &mut VecDeque::new()).is_err());
}

/// A `Cancel` that came before the worker had opened the request's stream said
/// nothing to it: its thread waited for ever for room to send.
#[test]
fn a_worker_that_goes_on_with_a_cancelled_answer_is_told_again() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 1);
    let gone = submit(&pool, b"GET");
    let handed = worker.take(&pool)[0];
    assert!(worker.start(handed, 1));
    pool.cancel(&gone);
    let mut out = VecDeque::new();
    pool.take_output(worker.number, Waker::noop(), &mut out);
    out.clear();
    let mut frame = Vec::new();
    let head = ResponseHead {
        status: 200,
        app_us: 1,
        declared_length: UNKNOWN_LENGTH,
        reason: b"OK",
    };
    let address = (handed.slot, handed.number, Flags::default());
    encode_response(&mut frame, address, &head, std::iter::empty(), b"first");
    worker.send(&pool, &frame);
    pool.take_output(worker.number, Waker::noop(), &mut out);
    let (header, _) = split_frame(&out[0].bytes).unwrap().unwrap();
    assert_eq!((header.kind, header.request), (Kind::Cancel, handed.number));
}

#[test]
fn a_cancelled_request_is_not_tried_again() {
    let pool = pool(10, 4);
    let first = add_worker(&pool, 1, 1);
    let gone = submit(&pool, b"GET");
    let handed = first.take(&pool)[0];
    assert!(first.start(handed, 1));
    pool.cancel(&gone);
    let second = add_worker(&pool, 2, 1);
    assert_eq!(pool.lose_worker(1).retried, 0);
    assert!(second.take(&pool).is_empty());
}

/// Nobody looked at a request that was handed out behind a slow one because its
/// worker had died: it lay there while the new worker was idle.
#[tokio::test]
async fn a_request_that_moves_behind_a_slow_one_is_looked_after() {
    let pool = pool(10, 4);
    let slow = add_worker(&pool, 1, 1);
    submit(&pool, b"GET");
    assert!(slow.start(slow.take(&pool)[0], 1));
    let dying = add_worker(&pool, 2, 1);
    submit(&pool, b"GET");
    assert_eq!(dying.take(&pool).len(), 1);
    assert_eq!(pool.lose_worker(2).retried, 1);
    assert_eq!(slow.take(&pool).len(), 1);
    let looked = tokio::time::timeout(std::time::Duration::ZERO, pool.someone_waits());
    assert!(looked.await.is_ok());
}

#[test]
fn a_worker_that_has_not_said_its_version_is_not_understood() {
    let pool = pool(10, 4);
    let memory = memfd_create("claim", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&memory, PAGE_BYTES as u64).unwrap();
    let claim = ClaimMap::init(&memory).unwrap();
    let doorbell = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    let capacity = Capacity {
        threads: 1,
        concurrency: 0,
    };
    pool.add_worker(1, std::process::id(), capacity, claim, doorbell);
    pool.serve_worker(1);
    let mut frame = Vec::new();
    put_frame(&mut frame, Kind::Data, Flags::default(), 0, 1, b"x");
    assert!(pool.absorb(1, &frame, &mut VecDeque::new()).is_err());
}
