//! Sending parts of files without a copy: `sendfile`, from memory that the kernel has.

use std::fs::File;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::{Broken, Connection};
use crate::files::page_cache;

/// Bytes that are sent before others have their turn, and for which it is seen first
/// that no disk has to be waited for.
const TURN_BYTES: u64 = 1 << 20;

/// Why a part of a file did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendEnd {
    /// The client left, or took nothing for too long.
    Client,
    /// The file has become shorter, or cannot be read.
    File,
}

impl From<Broken> for SendEnd {
    fn from(_: Broken) -> Self {
        Self::Client
    }
}

impl Connection {
    /// Send `head`, and behind it `length` bytes of `file` from `offset` on; counts the latter in
    /// `sent`.
    ///
    /// What was promised in the head must not be followed by anything else, so after a failure
    /// the connection has to be reset.
    pub(super) async fn send_file_part(
        &mut self,
        head: &[u8],
        file: &Arc<File>,
        (mut offset, mut length): (u64, u64),
        sent: &mut u64,
    ) -> Result<(), SendEnd> {
        self.send_before_more(head).await?;
        while length > 0 {
            let turn = length.min(TURN_BYTES);
            page_cache::warm(file, offset, turn)
                .await
                .map_err(|_| SendEnd::File)?;
            let end = offset + turn;
            while offset < end {
                let bytes = self.send_some_of(file, offset, end - offset).await?;
                if bytes == 0 {
                    return Err(SendEnd::File);
                }
                offset += bytes;
                length -= bytes;
                *sent += bytes;
            }
        }
        Ok(())
    }

    async fn send_some_of(
        &mut self,
        file: &File,
        offset: u64,
        length: u64,
    ) -> Result<u64, SendEnd> {
        let result =
            poll_fn(
                |context| match self.stream.poll_send_file(context, file, offset, length) {
                    Poll::Ready(result) => Poll::Ready(Ok(result)),
                    Poll::Pending => self.poll_stall(context).map(Err),
                },
            )
            .await?;
        self.watch.clear();
        result.map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => SendEnd::Client,
            _ => SendEnd::File,
        })
    }

    /// Send all of `data`, which more follows at once: so both may share a packet.
    async fn send_before_more(&mut self, data: &[u8]) -> Result<(), Broken> {
        let mut sent = 0;
        while let Some(rest) = data.get(sent..).filter(|rest| !rest.is_empty()) {
            sent += poll_fn(|context| match self.stream.poll_send_more(context, rest) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => Poll::Ready(Ok(bytes)),
                Poll::Ready(_) => Poll::Ready(Err(Broken::Gone)),
                Poll::Pending => self.poll_stall(context).map(Err),
            })
            .await?;
        }
        self.watch.clear();
        Ok(())
    }
}
