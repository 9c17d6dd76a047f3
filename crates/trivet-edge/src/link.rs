//! The task that speaks with one worker process.
//!
//! One task per worker reads and writes, so that all frames of one turn go
//! out in one write: connections append frames to the worker's output and wake
//! this task, which runs after those that were ready before it. Answers are
//! taken in, waiting requests handed out and written, and only then do the
//! connections that wait for the answers run: the worker is refilled first.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::UnixStream;
use trivet_wire::frames::FrameError;

use crate::fd_socket;
use crate::pool::{Outgoing, Pool};

/// Bytes that one read takes at the most.
const READ_BYTES: usize = 256 << 10;

/// Why the conversation with a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkEnd {
    /// It closed the connection, as a process does that exits.
    #[error("it closed its connection")]
    Closed,
    /// It broke the contract.
    #[error("it broke the contract: {0}")]
    Frame(#[from] FrameError),
    /// The system's error.
    #[error("its connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// It was drained.
    #[error("it was drained")]
    Drained,
}

/// One worker's connection.
#[derive(Debug)]
pub struct Link {
    pool: Arc<Pool>,
    number: u32,
    socket: UnixStream,
    /// What was read; the first `filled` bytes of it are not taken yet.
    input: Vec<u8>,
    filled: usize,
    descriptors: VecDeque<OwnedFd>,
    output: VecDeque<Outgoing>,
    /// Bytes of the first output part that are written.
    written: usize,
}

impl Link {
    /// Take over the edge's end of the connection.
    ///
    /// # Errors
    /// The system's, where the socket cannot be watched.
    pub fn new(pool: Arc<Pool>, number: u32, socket: OwnedFd) -> std::io::Result<Self> {
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true)?;
        let socket = UnixStream::from_std(socket)?;
        let mut hello = Vec::new();
        trivet_wire::frames::put_hello(&mut hello, std::process::id());
        let output = VecDeque::from([Outgoing {
            bytes: hello,
            descriptor: None,
        }]);
        Ok(Self {
            pool,
            number,
            socket,
            input: Vec::new(),
            filled: 0,
            descriptors: VecDeque::new(),
            output,
            written: 0,
        })
    }

    /// Carry frames until the conversation ends.
    pub async fn run(mut self) -> LinkEnd {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<LinkEnd> {
        loop {
            let read = match self.poll_read(context) {
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            if !self
                .pool
                .take_output(self.number, context.waker(), &mut self.output)
            {
                return Poll::Ready(LinkEnd::Closed);
            }
            if let Poll::Ready(Err(end)) = self.poll_write(context) {
                return Poll::Ready(end);
            }
            if self.output.is_empty() && self.pool.is_drained(self.number) {
                return Poll::Ready(LinkEnd::Drained);
            }
            if !read {
                return Poll::Pending;
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        ready!(self.socket.poll_read_ready(context))?;
        if self.input.len() - self.filled < READ_BYTES / 2 {
            self.input.resize(self.filled + READ_BYTES, 0);
        }
        let Self {
            socket,
            input,
            descriptors,
            filled,
            ..
        } = self;
        let space = input.get_mut(*filled..).unwrap_or_default();
        let mut received = Ok(0);
        let _ = socket.try_io(Interest::READABLE, || {
            received = fd_socket::receive(&*socket, space, descriptors, RecvFlags::DONTWAIT);
            match received {
                Ok(bytes) if bytes == space.len() => Ok(()),
                // Nothing is left, so the readiness is used up: this is how
                // to say so, and it saves a read that would find nothing.
                _ => Err(std::io::ErrorKind::WouldBlock.into()),
            }
        });
        let received = match received {
            Ok(0) => return Poll::Ready(Err(LinkEnd::Closed)),
            Ok(bytes) => bytes,
            Err(Errno::AGAIN) => 0,
            Err(error) => return Poll::Ready(Err(std::io::Error::from(error).into())),
        };
        self.filled += received;
        if received == 0 {
            // Registers for the next event, or finds that it has come already.
            return Poll::Ready(Ok(()));
        }
        let whole = self.input.get(..self.filled).unwrap_or_default();
        let taken = self
            .pool
            .absorb(self.number, whole, &mut self.descriptors)?;
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        while let Some(part) = self.output.front() {
            let Some(rest) = part
                .bytes
                .get(self.written..)
                .filter(|rest| !rest.is_empty())
            else {
                self.output.pop_front();
                self.written = 0;
                continue;
            };
            let descriptor = part.descriptor.as_deref().filter(|_| self.written == 0);
            let descriptors: Vec<_> = descriptor.iter().map(|file| file.as_fd()).collect();
            ready!(self.socket.poll_write_ready(context))?;
            let sent = self.socket.try_io(Interest::WRITABLE, || {
                let parts = [IoSlice::new(rest)];
                Ok(fd_socket::send(
                    &self.socket,
                    &parts,
                    &descriptors,
                    SendFlags::DONTWAIT,
                )?)
            });
            match sent {
                Ok(bytes) => self.written += bytes,
                // The readiness is used up: the next round registers anew.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        Poll::Ready(Ok(()))
    }
}
