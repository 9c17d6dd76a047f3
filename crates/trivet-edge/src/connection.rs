//! One client's connection: HTTP/1.1, one request after the other (RFC 9112).
//!
//! The head of the present request stays at the front of `buf` until it is
//! answered, with its content behind it if that is small; whatever follows is
//! the next request, pipelined. An idle connection holds no buffer at all.

mod access;
mod answer;
mod compress;
mod content;
mod deadline;
mod describe;
mod files;
mod head;
mod health;
mod linger;
mod log;
mod problem;
mod relay;
mod route;
mod send_file;
mod tunnel;
mod upload;
mod websocket;

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use trivet_core::Problem;
use trivet_core::gate::Admitted;
use trivet_core::http1::Head;

use crate::clock::now_us;
use crate::settings::Settings;
use crate::shared::{Admission, Shared};
use crate::stream::Stream;
use crate::watch::Watch;
use log::Record;
use route::Way;

/// Where a connection was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The client's address, unless it came over a Unix socket.
    pub peer: Option<(IpAddr, u16)>,
    /// The listener's port, 0 for a Unix socket.
    pub port: u16,
}

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    shared: Arc<Shared>,
    /// What the present request goes by from its start to its end.
    settings: Arc<Settings>,
    /// Which they are.
    edition: u64,
    accepted: Accepted,
    watch: Arc<Watch>,
    buf: Vec<u8>,
    head: Head,
    admitted: Admitted,
    /// What the routes say of the present request.
    way: Way,
    /// Where the present request ends in `buf`, as far as it lies there.
    request_end: usize,
    out: Vec<u8>,
    /// The peer's address as text, which most requests are told.
    peer_text: String,
    admission: Admission,
}

/// What happens to the connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next request, of which the first bytes may be there; this one took so many.
    Next(usize),
    /// It is closed.
    Close,
    /// It is closed when the client has had time to read the answer.
    Linger,
}

/// Why nothing more can be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// The client closed or reset the connection.
    Gone,
    /// The deadline has passed.
    Late,
    /// The edge ends all connections.
    CutOff,
}

impl Connection {
    /// Serve `stream`, which was counted as `admission`.
    pub(crate) fn new(
        stream: Stream,
        shared: Arc<Shared>,
        accepted: Accepted,
        admission: Admission,
    ) -> Self {
        let watch = shared.watches.add();
        // Asked before: others that come in between are then noticed.
        let edition = shared.edition();
        let peer_text = accepted
            .peer
            .map_or_else(String::new, |(addr, _)| addr.to_string());
        Self {
            stream,
            settings: shared.settings(),
            edition,
            shared,
            accepted,
            watch,
            buf: Vec::new(),
            head: Head::default(),
            admitted: Admitted::default(),
            way: Way::default(),
            request_end: 0,
            out: Vec::new(),
            peer_text,
            admission,
        }
    }

    /// Serve requests until the connection ends.
    pub async fn serve(mut self) {
        if self.admission.is_refused() {
            return self.turn_away().await;
        }
        let mut is_first = true;
        loop {
            let after = self.serve_one(is_first).await;
            is_first = false;
            match after {
                After::Next(taken) => self.forget(taken),
                After::Close => return,
                After::Linger => return self.linger().await,
            }
        }
    }

    /// Say that there are too many connections, without waiting for the request.
    async fn turn_away(mut self) {
        let record = Record::of_connection(&self, now_us());
        self.refuse(Problem::TooManyConnections, record).await;
        if self.admission.may_linger() {
            self.linger().await;
        }
    }

    async fn serve_one(&mut self, is_first: bool) -> After {
        // Nothing that holds for one request holds for the next.
        self.way = Way::default();
        let received = match self.receive_head(is_first).await {
            Ok(received) => received,
            Err(head::HeadEnd::Quiet) => return After::Close,
            Err(head::HeadEnd::Aborted { begun_us }) => {
                let mut record = Record::of_connection(self, begun_us);
                record.aborted = true;
                self.log(&record);
                return After::Close;
            }
            Err(head::HeadEnd::Problem { problem, begun_us }) => {
                let record = Record::of_connection(self, begun_us);
                return self.refuse(problem, record).await;
            }
        };
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let record = Record::of_request(self, received);
        if let Err(problem) = trivet_core::gate::admit(
            &self.head,
            &self.buf,
            &self.settings.gate,
            &mut self.admitted,
        ) {
            return self.refuse(problem, record).await;
        }
        self.answer(record).await
    }

    /// Go by the settings that hold now, before a request begins. Whether they are others.
    fn renew_settings(&mut self) -> bool {
        let edition = self.shared.edition();
        if edition == self.edition {
            return false;
        }
        self.edition = edition;
        self.settings = self.shared.settings();
        true
    }

    /// Drop the answered request's bytes, and the buffer if it is empty then.
    fn forget(&mut self, taken: usize) {
        self.buf.drain(..taken.min(self.buf.len()));
        if self.buf.is_empty() {
            give_buffer(std::mem::take(&mut self.buf));
        }
    }

    /// Read more behind what `buf` holds.
    async fn fill(&mut self) -> Result<usize, Broken> {
        poll_fn(|context| self.poll_fill(context)).await
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        match self.stream.poll_read(context, &mut self.buf) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Broken::Gone)),
            Poll::Ready(Ok(bytes)) => Poll::Ready(Ok(bytes)),
            Poll::Pending => self.poll_deadline(context).map(Err),
        }
    }

    /// Ready when the deadline has passed or the edge ends all connections.
    fn poll_deadline(&self, context: &mut Context<'_>) -> Poll<Broken> {
        self.watch.register(context.waker());
        if self.shared.is_cut_off() {
            return Poll::Ready(Broken::CutOff);
        }
        if self.watch.is_over() {
            Poll::Ready(Broken::Late)
        } else {
            Poll::Pending
        }
    }

    /// The answer to a request that never reaches the app; closes the connection.
    async fn refuse(&mut self, problem: Problem, mut record: Record) -> After {
        record.keep_alive = false;
        self.watch.clear();
        self.answer_problem(problem, &mut record).await;
        self.log(&record);
        After::Linger
    }
}

/// Bytes behind a request that are read while it is being answered: what a
/// client sends ahead, and how we notice that it has left.
const PIPELINED_BYTES: usize = 64 << 10;
/// Buffers for reading that idle connections have given back.
const KEPT_BUFFERS: usize = 64;
/// Larger ones are freed, since few requests need them.
const LARGEST_KEPT: usize = 64 << 10;
/// Bytes of a new one: a request head with room to spare.
const BUFFER_BYTES: usize = 8 << 10;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take_buffer() -> Vec<u8> {
    BUFFERS
        .with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
}

fn give_buffer(mut buffer: Vec<u8>) {
    buffer.clear();
    if buffer.capacity() == 0 || buffer.capacity() > LARGEST_KEPT {
        return;
    }
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.len() < KEPT_BUFFERS {
            buffers.push(buffer);
        }
    });
}
