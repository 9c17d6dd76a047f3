//! Requests that have become tunnels.

use std::sync::Arc;
use std::task::Waker;

use trivet_core::Problem;

use super::{Handed, Worker, add_worker, exchange, pool, submit};
use crate::exchange::{Exchange, Failure};
use crate::pool::Pool;

/// A handshake that a worker has started.
fn started(pool: &Pool, worker: &Worker) -> (Arc<Exchange>, Handed) {
    let frame = exchange(b"GET").frame.to_vec();
    let mut upgrade = Exchange::new(frame, None, 1, false, Waker::noop().clone());
    upgrade.is_upgrade = true;
    let upgrade = Arc::new(upgrade);
    pool.submit(&upgrade).unwrap();
    let handed = worker.take(pool)[0];
    assert!(worker.start(handed, 1));
    (upgrade, handed)
}

fn rings(worker: &Worker) -> usize {
    let mut count = [0; 8];
    (0..9)
        .take_while(|_| rustix::io::read(&worker.doorbell, &mut count).is_ok())
        .count()
}

// Nobody would read what is handed out next: the reader runs the tunnel.
#[test]
fn a_tunnel_is_aside_at_once_and_wakes_another_thread() {
    let pool = pool(10, 1);
    let worker = add_worker(&pool, 1, 3);
    let (upgrade, _) = started(&pool, &worker);
    let _waits = submit(&pool, b"GET");
    assert_eq!(worker.take(&pool), []);
    pool.begin_tunnel(&upgrade);
    assert_eq!(rings(&worker), 1);
    assert_eq!(worker.take(&pool).len(), 1);
    pool.begin_tunnel(&upgrade);
    assert_eq!(rings(&worker), 0);
}

#[test]
fn the_last_thread_is_never_aside() {
    let pool = pool(10, 1);
    let worker = add_worker(&pool, 1, 2);
    let (one, _) = started(&pool, &worker);
    pool.begin_tunnel(&one);
    let (other, _) = started(&pool, &worker);
    pool.begin_tunnel(&other);
    let _waits = submit(&pool, b"GET");
    assert_eq!(worker.take(&pool), []);
}

#[test]
fn tunnels_spread_over_workers() {
    let pool = pool(10, 1);
    let workers = [add_worker(&pool, 1, 9), add_worker(&pool, 2, 9)];
    let mut counts = [0, 0];
    for _ in 0..6 {
        let frame = exchange(b"GET").frame.to_vec();
        let mut upgrade = Exchange::new(frame, None, 1, false, Waker::noop().clone());
        upgrade.is_upgrade = true;
        let upgrade = Arc::new(upgrade);
        pool.submit(&upgrade).unwrap();
        for (worker, count) in workers.iter().zip(&mut counts) {
            for handed in worker.take(&pool) {
                assert!(worker.start(handed, 1));
                *count += 1;
            }
        }
        pool.begin_tunnel(&upgrade);
    }
    assert_eq!(counts, [3, 3]);
}

#[test]
fn the_end_of_a_worker_cuts_a_tunnel() {
    let pool = pool(10, 1);
    let worker = add_worker(&pool, 1, 2);
    let (upgrade, _) = started(&pool, &worker);
    pool.begin_tunnel(&upgrade);
    let losses = pool.lose_worker(1);
    assert_eq!((losses.started, losses.retried), (1, 0));
    assert!(upgrade.reply().ended);
}

// The app may have written a part of its answer: another one cannot go on from there.
#[test]
fn a_handshake_that_was_started_is_not_tried_again() {
    let pool = pool(10, 1);
    let worker = add_worker(&pool, 1, 2);
    let (upgrade, _) = started(&pool, &worker);
    assert_eq!(pool.lose_worker(1).retried, 0);
    assert!(matches!(
        upgrade.reply().failure,
        Some(Failure::Problem(Problem::WorkerLost))
    ));
}

#[test]
fn a_drain_says_when_tunnels_are_cut() {
    let pool = pool(10, 4);
    let worker = add_worker(&pool, 1, 4);
    let (upgrade, _) = started(&pool, &worker);
    let beside = submit(&pool, b"GET");
    pool.drain_worker(1, 10_000_000);
    assert_ne!(upgrade.reply().said.leave_at_us, 0);
    assert_eq!(beside.reply().said.leave_at_us, 0);
    upgrade.tell(|reply| reply.said.leave_at_us = 0);
    pool.drain_sockets(10_000_000);
    assert_ne!(upgrade.reply().said.leave_at_us, 0);
}
