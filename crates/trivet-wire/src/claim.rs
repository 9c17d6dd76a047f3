//! The claim page: who may run a request, decided by one compare-and-swap.
//!
//! One page per worker process, shared with the edge. The edge writes a word
//! per request that it hands out; the worker claims it before Python starts;
//! the edge takes an unclaimed one back. So the edge knows, without asking,
//! whether Python ever started a request (what may be retried, RFC 9110
//! section 9.2.2), and for how long it has been running.
//!
//! ```text
//! word 0         magic and version
//! word 1         number of request slots (low half), of thread words (high half)
//! word 2         worker: answers that it has gathered and not sent yet
//! word 3         edge: 1 asks to send them, for a request holds them up
//! word 4..8      reserved, zero
//! word 8 + 2i    request slot i: request number << 3 | state
//! word 9 + 2i    request slot i: when Python started it, µs of CLOCK_MONOTONIC
//! then           one word per thread: since when, µs << 3 | what it does
//! ```
//!
//! A worker can scribble on its page, so the edge takes what it reads there
//! as a hint about that worker only, and never as an index.

use std::sync::atomic::{AtomicU64, Ordering};

const HEADER_WORDS: usize = 8;
const MAGIC: u64 = 0x5452_5656_0000_0000 | crate::WIRE_VERSION as u64;

/// Request slots of a page: more than a window (16) and the threads (up to
/// 128) of a process ever hold together.
pub const SLOTS: usize = 192;
/// Thread words of a page, the most threads that a worker process may have.
pub const THREADS: usize = 128;
/// Bytes of the shared memory of one page.
pub const PAGE_BYTES: usize = 8192;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Claim {
    /// The slot has no request.
    Free = 0,
    /// Handed out, not started.
    Queued = 1,
    /// Python runs it.
    Running = 2,
    /// Taken back by the edge; the worker drops it.
    Recalled = 3,
}

/// What a worker's thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum ThreadState {
    /// It waits for the doorbell.
    Idle = 0,
    /// It reads the connection.
    Reading = 1,
    /// It waits for the interpreter lock.
    WaitingForGil = 2,
    /// It runs the app.
    Running = 3,
    /// It waits for the client: for content to arrive, or room to send.
    WaitingForClient = 4,
}

const UNSENT_WORD: usize = 2;
const FLUSH_WORD: usize = 3;
const STATE_BITS: u32 = 3;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;

/// A view of the page's words.
#[derive(Clone, Copy, Debug)]
pub struct ClaimPage<'a>(&'a [AtomicU64]);

/// The memory is not a claim page of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a claim page of wire version {ours}: first word is {found:#x}", ours = crate::WIRE_VERSION)]
pub struct NotAClaimPage {
    /// The first word found.
    pub found: u64,
}

impl<'a> ClaimPage<'a> {
    /// View `words`, which the other side has initialised.
    ///
    /// # Errors
    /// [`NotAClaimPage`] for another version or too small a memory.
    pub fn open(words: &'a [AtomicU64]) -> Result<Self, NotAClaimPage> {
        let found = words.first().map_or(0, |word| word.load(Ordering::Acquire));
        if found != MAGIC || words.len() * 8 < PAGE_BYTES {
            return Err(NotAClaimPage { found });
        }
        Ok(Self(words))
    }

    /// Write the header into `words`, which are zero, and view them.
    ///
    /// # Errors
    /// [`NotAClaimPage`] for too small a memory.
    pub fn init(words: &'a [AtomicU64]) -> Result<Self, NotAClaimPage> {
        if let [magic, sizes, ..] = words {
            sizes.store(SLOTS as u64 | (THREADS as u64) << 32, Ordering::Relaxed);
            magic.store(MAGIC, Ordering::Release);
        }
        Self::open(words)
    }

    /// View `words` that [`ClaimPage::open`] has accepted before.
    #[inline]
    pub fn trusted(words: &'a [AtomicU64]) -> Self {
        Self(words)
    }

    #[inline]
    fn slot(self, slot: u16) -> Option<(&'a AtomicU64, &'a AtomicU64)> {
        let at = HEADER_WORDS + 2 * usize::from(slot);
        if usize::from(slot) >= SLOTS {
            return None;
        }
        Some((self.0.get(at)?, self.0.get(at + 1)?))
    }

    /// Edge: hand out `request` in `slot`.
    #[inline]
    pub fn hand_out(self, slot: u16, request: u64) {
        if let Some((word, started)) = self.slot(slot) {
            started.store(0, Ordering::Relaxed);
            word.store(
                request << STATE_BITS | Claim::Queued as u64,
                Ordering::Release,
            );
        }
    }

    /// Worker: start `request`, unless the edge has taken it back.
    #[inline]
    pub fn start(self, slot: u16, request: u64, now_us: u64) -> bool {
        let Some((word, started)) = self.slot(slot) else {
            return false;
        };
        let queued = request << STATE_BITS | Claim::Queued as u64;
        let running = request << STATE_BITS | Claim::Running as u64;
        let won = word
            .compare_exchange(queued, running, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if won {
            started.store(now_us, Ordering::Release);
        }
        won
    }

    /// Edge: take `request` back, unless Python has started it.
    #[inline]
    pub fn recall(self, slot: u16, request: u64) -> bool {
        let Some((word, _)) = self.slot(slot) else {
            return false;
        };
        let queued = request << STATE_BITS | Claim::Queued as u64;
        let recalled = request << STATE_BITS | Claim::Recalled as u64;
        word.compare_exchange(queued, recalled, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Edge: since when Python runs `request`, µs of `CLOCK_MONOTONIC`.
    ///
    /// `None` where it has not started; 0 where it is just starting.
    #[inline]
    pub fn running_since(self, slot: u16, request: u64) -> Option<u64> {
        let (word, started) = self.slot(slot)?;
        let running = request << STATE_BITS | Claim::Running as u64;
        (word.load(Ordering::Acquire) == running).then(|| started.load(Ordering::Acquire))
    }

    /// Worker: say how many answers it has gathered and not sent.
    ///
    /// Before it starts the next request, so that at any time the edge sees
    /// either that request unstarted or the answers unsent.
    #[inline]
    pub fn set_unsent(self, answers: u64) {
        if let Some(word) = self.0.get(UNSENT_WORD) {
            word.store(answers, Ordering::Release);
        }
    }

    /// Edge: whether answers lie in the worker, gathered.
    #[inline]
    pub fn has_unsent(self) -> bool {
        self.0
            .get(UNSENT_WORD)
            .is_some_and(|word| word.load(Ordering::Acquire) != 0)
    }

    /// Edge: ask to send them; false where that is asked already.
    pub fn ask_to_send(self) -> bool {
        self.0
            .get(FLUSH_WORD)
            .is_some_and(|word| word.swap(1, Ordering::AcqRel) == 0)
    }

    /// Worker: whether the edge has asked so since the last call.
    pub fn was_asked_to_send(self) -> bool {
        self.0
            .get(FLUSH_WORD)
            .is_some_and(|word| word.swap(0, Ordering::AcqRel) != 0)
    }

    /// Worker: say what thread number `thread` does since `now_us`.
    #[inline]
    pub fn set_thread(self, thread: usize, state: ThreadState, now_us: u64) {
        if let Some(word) = self.thread(thread) {
            word.store(now_us << STATE_BITS | state as u64, Ordering::Release);
        }
    }

    /// What thread number `thread` does, and since when (µs).
    pub fn thread_state(self, thread: usize) -> Option<(ThreadState, u64)> {
        let word = self.thread(thread)?.load(Ordering::Acquire);
        let state = match word & STATE_MASK {
            0 => ThreadState::Idle,
            1 => ThreadState::Reading,
            2 => ThreadState::WaitingForGil,
            3 => ThreadState::Running,
            4 => ThreadState::WaitingForClient,
            _ => return None,
        };
        Some((state, word >> STATE_BITS))
    }

    #[inline]
    fn thread(self, thread: usize) -> Option<&'a AtomicU64> {
        if thread >= THREADS {
            return None;
        }
        self.0.get(HEADER_WORDS + 2 * SLOTS + thread)
    }
}

const _: () = assert!((HEADER_WORDS + 2 * SLOTS + THREADS) * 8 <= PAGE_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Vec<AtomicU64> {
        (0..PAGE_BYTES / 8).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn a_started_request_cannot_be_recalled() {
        let words = memory();
        let page = ClaimPage::init(&words).unwrap();
        page.hand_out(3, 77);
        assert!(page.start(3, 77, 1000));
        assert!(!page.recall(3, 77));
        assert_eq!(page.running_since(3, 77), Some(1000));
    }

    #[test]
    fn a_recalled_request_cannot_be_started() {
        let words = memory();
        let page = ClaimPage::init(&words).unwrap();
        page.hand_out(3, 77);
        assert!(page.recall(3, 77));
        assert!(!page.start(3, 77, 1000));
        assert_eq!(page.running_since(3, 77), None);
    }

    #[test]
    fn a_slot_used_again_refuses_the_frame_of_its_former_request() {
        let words = memory();
        let page = ClaimPage::init(&words).unwrap();
        page.hand_out(0, 1);
        assert!(page.recall(0, 1));
        page.hand_out(0, 2);
        assert!(!page.start(0, 1, 5));
        assert!(page.start(0, 2, 6));
    }

    #[test]
    fn a_slot_out_of_range_is_never_granted() {
        let words = memory();
        let page = ClaimPage::init(&words).unwrap();
        page.hand_out(9999, 1);
        assert!(!page.start(9999, 1, 0));
        assert!(!page.recall(9999, 1));
    }

    #[test]
    fn zeroed_memory_is_not_a_page() {
        let words = memory();
        assert_eq!(
            ClaimPage::open(&words).unwrap_err(),
            NotAClaimPage { found: 0 }
        );
    }

    #[test]
    fn gathered_answers_are_asked_for_once() {
        let words = memory();
        let page = ClaimPage::init(&words).unwrap();
        assert!(!page.has_unsent());
        page.set_unsent(3);
        assert!(page.has_unsent());
        assert!(page.ask_to_send());
        assert!(!page.ask_to_send());
        assert!(page.was_asked_to_send());
        assert!(!page.was_asked_to_send());
        assert!(page.ask_to_send());
    }

    #[test]
    fn a_thread_says_what_it_does_since_when() {
        let words = memory();
        let page = ClaimPage::init(&words).unwrap();
        page.set_thread(2, ThreadState::WaitingForGil, 42);
        assert_eq!(page.thread_state(2), Some((ThreadState::WaitingForGil, 42)));
        assert_eq!(page.thread_state(THREADS), None);
    }

    #[test]
    fn only_one_of_worker_and_edge_wins_a_request() {
        let words = memory();
        let page = ClaimPage::init(&words).unwrap();
        for request in 1..2000u64 {
            page.hand_out(5, request);
            let (started, recalled) = std::thread::scope(|scope| {
                let worker = scope.spawn(|| page.start(5, request, 1));
                let recalled = page.recall(5, request);
                (worker.join().unwrap(), recalled)
            });
            assert!(
                started != recalled,
                "request {request}: {started} {recalled}"
            );
        }
    }
}
