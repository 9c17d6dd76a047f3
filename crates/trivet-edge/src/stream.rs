//! A client's socket: TCP or Unix.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected client.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Read once, behind what `buf` holds; grows it if it is full.
    ///
    /// Returns 0 at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buf: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        /// Enough for nearly every request head.
        const LEAST: usize = 4 << 10;
        if buf.capacity() - buf.len() < LEAST / 2 {
            buf.reserve(LEAST);
        }
        read_into_spare(self, context, buf, usize::MAX)
    }

    /// As [`Stream::poll_read`], but at most `room` bytes.
    pub(crate) fn poll_read_some(
        &mut self,
        context: &mut Context<'_>,
        buf: &mut Vec<u8>,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        buf.reserve(room);
        read_into_spare(self, context, buf, room)
    }

    /// Write once; registers for writability where nothing was taken.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // `send` costs the kernel less than `writev`, and most answers are one piece.
        match (self, parts) {
            (Self::Tcp(stream), [part]) => Pin::new(stream).poll_write(context, part),
            (Self::Unix(stream), [part]) => Pin::new(stream).poll_write(context, part),
            (Self::Tcp(stream), _) => Pin::new(stream).poll_write_vectored(context, parts),
            (Self::Unix(stream), _) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    /// Write once; more follows at once, so the system may wait for it with what does not fill a
    /// packet.
    pub(crate) fn poll_send_more(
        &self,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_try_write(context, |socket| {
            rustix::net::send(socket, data, SendFlags::MORE | SendFlags::NOSIGNAL)
        })
    }

    /// Send once from `file`, at most `length` bytes from `offset` on, without a copy; 0 where
    /// the file ends.
    pub(crate) fn poll_send_file(
        &self,
        context: &mut Context<'_>,
        file: &File,
        offset: u64,
        length: u64,
    ) -> Poll<io::Result<u64>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.poll_try_write(context, |socket| {
            let mut at = offset;
            rustix::fs::sendfile(socket, file, Some(&mut at), length)
        })
        .map_ok(|bytes| bytes as u64)
    }

    fn poll_try_write(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let written = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_io(Interest::WRITABLE, || Ok(write(stream.as_fd())?))
                }
                Self::Unix(stream) => {
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_io(Interest::WRITABLE, || Ok(write(stream.as_fd())?))
                }
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Read once what is there, however lately that was noticed; `None` where nothing is.
    ///
    /// The task is not woken for more.
    pub(crate) fn read_now(&self, buf: &mut Vec<u8>, room: usize) -> Option<io::Result<usize>> {
        let before = buf.len();
        buf.resize(before + room, 0);
        let space = buf.get_mut(before..).unwrap_or_default();
        let received = match self {
            Self::Tcp(stream) => rustix::net::recv(stream, space, RecvFlags::DONTWAIT),
            Self::Unix(stream) => rustix::net::recv(stream, space, RecvFlags::DONTWAIT),
        };
        let bytes = received.map_or(0, |(_, bytes)| bytes);
        buf.truncate(before + bytes);
        match received {
            Err(Errno::AGAIN) => None,
            Err(error) => Some(Err(error.into())),
            Ok(_) => Some(Ok(bytes)),
        }
    }

    /// Have the client see a reset when this is dropped, instead of an end.
    pub(crate) fn reset_on_close(&self) {
        if let Self::Tcp(stream) = self {
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Have the system ask a client that says nothing for `interval` whether it still is
    /// there, and break the connection if nothing comes for `timeout`.
    pub(crate) fn ask_for_life(&self, interval: Duration, timeout: Duration) {
        /// Questions before the client is given up.
        const QUESTIONS: u32 = 4;
        if let Self::Tcp(stream) = self {
            let second = Duration::from_secs(1);
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(interval.max(second))
                .with_interval((timeout / QUESTIONS).max(second))
                .with_retries(QUESTIONS);
            let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
        }
    }

    /// Say that nothing more comes from this side.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

fn read_into_spare(
    stream: &mut Stream,
    context: &mut Context<'_>,
    buf: &mut Vec<u8>,
    room: usize,
) -> Poll<io::Result<usize>> {
    let spare = buf.spare_capacity_mut();
    let room = room.min(spare.len());
    let mut space = ReadBuf::uninit(spare.get_mut(..room).unwrap_or_default());
    match stream {
        Stream::Tcp(stream) => ready!(Pin::new(stream).poll_read(context, &mut space))?,
        Stream::Unix(stream) => ready!(Pin::new(stream).poll_read(context, &mut space))?,
    }
    let read = space.filled().len();
    #[allow(
        unsafe_code,
        reason = "the only way to read into a Vec's spare capacity without zeroing it"
    )]
    // SAFETY: `ReadBuf` counts as filled only what it has been given initialised.
    unsafe {
        buf.set_len(buf.len() + read);
    }
    Poll::Ready(Ok(read))
}
