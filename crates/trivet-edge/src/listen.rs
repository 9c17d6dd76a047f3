//! Accepting connections.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc::UnboundedSender;
use trivet_wire::edge_config::Listener as Settings;

use crate::connection::{Accepted, Connection};
use crate::control::Outbox;
use crate::shared::{Admission, Shared};
use crate::stream::Stream;

/// How long accepting pauses where the system cannot: it has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection on its way to the thread that serves it.
pub(crate) type Arrival = (std::net::TcpStream, Accepted, Admission);

/// Where accepted connections are served: on this thread, and on others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Servers {
    others: Arc<[UnboundedSender<Arrival>]>,
    next: usize,
}

impl Servers {
    pub(crate) fn new(others: Vec<UnboundedSender<Arrival>>) -> Self {
        Self {
            others: others.into(),
            next: 0,
        }
    }

    /// Serve a connection: each thread in turn.
    fn serve(
        &mut self,
        stream: Stream,
        shared: &Arc<Shared>,
        accepted: Accepted,
        admission: Admission,
    ) {
        self.next = (self.next + 1) % (self.others.len() + 1);
        let other = self.next.checked_sub(1).and_then(|at| self.others.get(at));
        match (stream, other) {
            (Stream::Tcp(stream), Some(other)) => {
                if let Ok(stream) = stream.into_std() {
                    let _ = other.send((stream, accepted, admission));
                }
            }
            (stream, _) => {
                tokio::spawn(
                    Connection::new(stream, Arc::clone(shared), accepted, admission).serve(),
                );
            }
        }
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    settings: Settings,
}

impl Listener {
    /// Take over a listening socket.
    pub(crate) fn new(socket: OwnedFd, settings: &Settings) -> std::io::Result<Self> {
        let socket = if settings.unix {
            let socket = std::os::unix::net::UnixListener::from(socket);
            socket.set_nonblocking(true)?;
            Socket::Unix(UnixListener::from_std(socket)?)
        } else {
            let socket = std::net::TcpListener::from(socket);
            socket.set_nonblocking(true)?;
            Socket::Tcp(TcpListener::from_std(socket)?)
        };
        Ok(Self {
            socket,
            settings: settings.clone(),
        })
    }

    /// Accept connections until the task is aborted.
    pub(crate) async fn accept(self, shared: Arc<Shared>, mut servers: Servers, outbox: Outbox) {
        let mut is_exhausted = false;
        loop {
            match self.accept_one().await {
                Ok((stream, accepted)) => {
                    is_exhausted = false;
                    let admission = shared.admit(accepted.peer.map(|(addr, _)| addr));
                    servers.serve(stream, &shared, accepted, admission);
                }
                Err(error) => {
                    // A client that left before it was accepted is nobody's fault.
                    if error.kind() == std::io::ErrorKind::ConnectionAborted {
                        continue;
                    }
                    if !is_exhausted {
                        is_exhausted = true;
                        outbox.log(
                            "warning",
                            &format!("{}: accepting pauses: {error}", self.settings.name),
                        );
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept_one(&self) -> std::io::Result<(Stream, Accepted)> {
        let port = self.settings.port;
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Each answer is one write: waiting for more to send only delays it.
                let _ = stream.set_nodelay(true);
                let peer = Some((peer.ip().to_canonical(), peer.port()));
                Ok((Stream::Tcp(stream), Accepted { peer, port }))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Accepted { peer: None, port }))
            }
        }
    }
}
