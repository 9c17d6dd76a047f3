//! The conversation with the supervisor: one JSON object per line.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use trivet_wire::control::{ControlError, FromEdge, MAX_LINE_BYTES, ToEdge};

use crate::fd_socket;

/// Why the conversation ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlEnd {
    /// The supervisor closed it, or died.
    #[error("the supervisor is gone")]
    Closed,
    /// A line is not a message.
    #[error(transparent)]
    Line(#[from] ControlError),
    /// A line is too long, or descriptors are missing.
    #[error("the supervisor broke the contract: {0}")]
    Contract(&'static str),
    /// The system's error.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The edge's end of the control socket.
#[derive(Debug)]
pub(crate) struct Control {
    socket: Arc<UnixStream>,
    input: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
    ended: bool,
}

/// Where messages for the supervisor are put.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(UnboundedSender<FromEdge>);

impl Outbox {
    /// One whose messages a test reads.
    #[cfg(test)]
    pub(crate) fn of_test() -> (Self, UnboundedReceiver<FromEdge>) {
        let (sender, messages) = unbounded_channel();
        (Self(sender), messages)
    }

    /// Send a message, if the supervisor is still there.
    pub(crate) fn send(&self, message: FromEdge) {
        let _ = self.0.send(message);
    }

    /// Send a line for the operator's log.
    pub(crate) fn log(&self, level: &str, text: &str) {
        self.send(FromEdge::Log {
            level: level.to_owned(),
            text: text.to_owned(),
        });
    }
}

/// Writes the messages of an [`Outbox`].
#[derive(Debug)]
pub(crate) struct Writer {
    socket: Arc<UnixStream>,
    messages: UnboundedReceiver<FromEdge>,
}

impl Control {
    /// Take over the socket.
    pub(crate) fn new(socket: OwnedFd) -> std::io::Result<(Self, Outbox, Writer)> {
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UnixStream::from_std(socket)?);
        let (sender, messages) = unbounded_channel();
        let writer = Writer {
            socket: Arc::clone(&socket),
            messages,
        };
        let control = Self {
            socket,
            input: Vec::new(),
            descriptors: VecDeque::new(),
            ended: false,
        };
        Ok((control, Outbox(sender), writer))
    }

    /// The next message with its descriptors.
    ///
    /// # Cancel safety
    /// Safe: what was read stays in the buffer.
    pub(crate) async fn next(&mut self) -> Result<(ToEdge, Vec<OwnedFd>), ControlEnd> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(ToEdge, Vec<OwnedFd>), ControlEnd>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                let message = ToEdge::from_line(&line)?;
                let count = message.descriptors();
                if count > self.descriptors.len() {
                    return Poll::Ready(Err(ControlEnd::Contract("descriptors are missing")));
                }
                let descriptors = self.descriptors.drain(..count).collect();
                return Poll::Ready(Ok((message, descriptors)));
            }
            if self.ended {
                return Poll::Ready(Err(ControlEnd::Closed));
            }
            if self.input.len() > MAX_LINE_BYTES {
                return Poll::Ready(Err(ControlEnd::Contract("a line is too long")));
            }
            ready!(self.poll_fill(context))?;
        }
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(self.socket.poll_read_ready(context))?;
        let mut space = [0; 16 << 10];
        let descriptors = &mut self.descriptors;
        let received = self.socket.try_io(Interest::READABLE, || {
            Ok(fd_socket::receive(
                &*self.socket,
                &mut space,
                descriptors,
                RecvFlags::DONTWAIT,
            )?)
        });
        match received {
            Ok(0) => self.ended = true,
            Ok(bytes) => self
                .input
                .extend_from_slice(space.get(..bytes).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) if error.raw_os_error() == Some(Errno::CONNRESET.raw_os_error()) => {
                self.ended = true;
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }
}

impl Writer {
    /// Write messages until the outboxes are gone or the supervisor is.
    pub(crate) async fn run(mut self) {
        while let Some(message) = self.messages.recv().await {
            let line = message.to_line();
            let mut rest = line.as_slice();
            while !rest.is_empty() {
                if self.socket.writable().await.is_err() {
                    return;
                }
                match self.socket.try_write(rest) {
                    Ok(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        }
    }
}
