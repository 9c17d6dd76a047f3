//! Bytes and descriptors over a Unix stream socket.
//!
//! The kernel never merges bytes across a write that carried descriptors, so
//! descriptors arrive in order and not later than the bytes they were sent
//! with: a queue of them is enough to give each message its own.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use trivet_wire::frames::MAX_DESCRIPTORS;

/// Receive bytes into `buf`, and the descriptors that come with them.
///
/// Returns 0 at the end of the stream.
///
/// # Errors
/// The system's error; [`Errno::MSGSIZE`] where descriptors were lost because
/// the sender attached more than [`MAX_DESCRIPTORS`].
pub fn receive(
    socket: impl AsFd,
    buf: &mut [u8],
    descriptors: &mut VecDeque<OwnedFd>,
    flags: RecvFlags,
) -> Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(buf)], &mut control, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Errno::MSGSIZE);
    }
    Ok(received.bytes)
}

/// Send bytes, and with their first byte at most [`MAX_DESCRIPTORS`] descriptors.
///
/// Returns how many bytes were taken; with the first of them all descriptors were.
///
/// # Errors
/// The system's error, [`Errno::AGAIN`] where nothing was taken.
pub fn send(
    socket: impl AsFd,
    parts: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL);
    }
    loop {
        match sendmsg(&socket, parts, &mut control, flags | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap()
    }

    #[test]
    fn descriptors_arrive_with_the_bytes_they_were_sent_with() {
        let (ours, theirs) = pair();
        let (sent, _keep) = pair();
        send(&ours, &[IoSlice::new(b"plain")], &[], SendFlags::empty()).unwrap();
        send(
            &ours,
            &[IoSlice::new(b"with")],
            &[sent.as_fd()],
            SendFlags::empty(),
        )
        .unwrap();
        let mut got = VecDeque::new();
        let mut text = Vec::new();
        while text.len() < 9 {
            let mut buf = [0; 64];
            let n = receive(&theirs, &mut buf, &mut got, RecvFlags::empty()).unwrap();
            text.extend_from_slice(&buf[..n]);
        }
        assert_eq!(text, b"plainwith");
        assert_eq!(got.len(), 1);
    }

    #[test]
    fn the_end_of_the_stream_is_zero_bytes() {
        let (ours, theirs) = pair();
        drop(ours);
        let mut buf = [0; 8];
        assert_eq!(
            receive(&theirs, &mut buf, &mut VecDeque::new(), RecvFlags::empty()),
            Ok(0)
        );
    }
}
