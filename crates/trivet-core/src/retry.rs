//! What to do with a request whose worker went away.
//!
//! A proxy must not repeat what may have had an effect (RFC 9110 section 9.2.2),
//! but the edge knows more than most: the claim page says whether the app ever
//! started on the request. `ENGINE.md` section 6 holds the table this follows.

use crate::Problem;

/// How far the app had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkState {
    /// The app never saw the request.
    NotStarted,
    /// The app ran, and nothing of its answer has gone to the client.
    Started,
    /// Part of the answer has gone to the client.
    Answered,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryVerdict {
    /// Cut the client's connection: its answer is incomplete and must look so.
    Abort,
    /// Answer this.
    Answer(Problem),
    /// Answer [`Problem::Quarantined`], and log the request as a killer of workers.
    Quarantine,
    /// Give the request to another worker.
    Retry,
}

/// Most attempts at a request, whatever happened to them.
const MOST_ATTEMPTS: u8 = 3;

/// Deaths of workers after which a request is taken for their cause.
const MOST_DEATHS: u8 = 2;

/// Decide about a request.
///
/// `replayable` says whether its content can be sent once more from the start;
/// `attempts` counts those made, with the one that just failed; `worker_deaths`
/// those in which the worker died after the app had started.
pub fn verdict(
    state: WorkState,
    method: &[u8],
    replayable: bool,
    attempts: u8,
    worker_deaths: u8,
) -> RetryVerdict {
    let may_repeat = replayable && attempts < MOST_ATTEMPTS;
    match state {
        WorkState::Answered => RetryVerdict::Abort,
        _ if worker_deaths >= MOST_DEATHS => RetryVerdict::Quarantine,
        WorkState::NotStarted if may_repeat => RetryVerdict::Retry,
        WorkState::NotStarted => RetryVerdict::Answer(Problem::AppUnavailable),
        WorkState::Started if may_repeat && is_idempotent(method) => RetryVerdict::Retry,
        WorkState::Started => RetryVerdict::Answer(Problem::WorkerLost),
    }
}

/// Whether repeating the method has no further effect (RFC 9110 section 9.2.2;
/// QUERY by its own specification).
pub fn is_idempotent(method: &[u8]) -> bool {
    matches!(
        method,
        b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE" | b"QUERY"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use RetryVerdict::{Abort, Answer, Quarantine, Retry};
    use WorkState::{Answered, NotStarted, Started};

    #[test]
    fn the_table_of_verdicts() {
        let unavailable = Answer(Problem::AppUnavailable);
        let lost = Answer(Problem::WorkerLost);
        let cases = [
            (NotStarted, "POST", true, 1, 0, Retry),
            (NotStarted, "GET", true, 2, 0, Retry),
            (NotStarted, "GET", true, 3, 0, unavailable),
            (NotStarted, "POST", false, 1, 0, unavailable),
            (NotStarted, "GET", true, 2, 1, Retry),
            (Started, "GET", true, 1, 1, Retry),
            (Started, "PUT", true, 2, 1, Retry),
            (Started, "QUERY", true, 1, 1, Retry),
            (Started, "GET", true, 3, 1, lost),
            (Started, "GET", false, 1, 1, lost),
            (Started, "POST", true, 1, 1, lost),
            (Started, "PATCH", true, 1, 1, lost),
            (Started, "get", true, 1, 1, lost),
            (Started, "GET", true, 2, 2, Quarantine),
            (Started, "POST", true, 2, 2, Quarantine),
            (NotStarted, "GET", true, 1, 2, Quarantine),
            (Answered, "GET", true, 1, 0, Abort),
            (Answered, "GET", true, 2, 2, Abort),
        ];
        for (state, method, replayable, attempts, deaths, expected) in cases {
            let actual = verdict(state, method.as_bytes(), replayable, attempts, deaths);
            assert_eq!(
                actual, expected,
                "{state:?} {method} {replayable} {attempts} {deaths}"
            );
        }
    }
}
