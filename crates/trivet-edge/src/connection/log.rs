//! What is known of a request for its access log line.

use std::borrow::Cow;
use std::net::IpAddr;

use trivet_core::access_log::AccessRecord;
use trivet_core::http1::{KnownField, Span};

use super::Connection;
use super::head::Received;
use crate::clock::{now_us, unix_us};
use crate::limits::Permit;
use crate::request_id;

/// A request's line in the making.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent thing to know of a request"
)]
pub(super) struct Record {
    pub(super) begun_us: u64,
    /// When the whole head had come, µs of the monotonic clock.
    pub(super) received_us: u64,
    /// When the head of the response must be there, µs of the monotonic clock; 0 for no time.
    pub(super) due_us: u64,
    pub(super) client: Option<IpAddr>,
    pub(super) client_port: u16,
    pub(super) scheme: &'static str,
    pub(super) id: String,
    /// The authority that a trusted proxy told.
    pub(super) host: Option<Span>,
    /// Whether the peer is a trusted proxy.
    pub(super) is_trusted: bool,
    /// Whether method, target and fields are known.
    has_head: bool,
    pub(super) status: u16,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) queue_us: Option<u64>,
    pub(super) app_us: Option<u64>,
    pub(super) worker: Option<u32>,
    pub(super) error: Option<String>,
    pub(super) aborted: bool,
    /// Its place among the requests of its route that run at once.
    pub(super) permit: Option<Permit>,
    /// Whether the connection may serve another request.
    pub(super) keep_alive: bool,
}

impl Record {
    fn new(received: Received, id: String) -> Self {
        let Received {
            begun_us,
            received_us,
        } = received;
        Self {
            begun_us,
            received_us,
            due_us: 0,
            client: None,
            client_port: 0,
            scheme: "http",
            id,
            host: None,
            is_trusted: false,
            has_head: false,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            queue_us: None,
            app_us: None,
            worker: None,
            error: None,
            aborted: false,
            permit: None,
            keep_alive: false,
        }
    }

    /// Of a connection whose request head never came to its end.
    pub(super) fn of_connection(connection: &Connection, begun_us: u64) -> Self {
        let (client, port) = connection.accepted.peer.unzip();
        let received = Received {
            begun_us,
            received_us: now_us(),
        };
        let record = Self::new(received, request_id::fresh());
        Self {
            client,
            client_port: port.unwrap_or(0),
            ..record
        }
    }

    /// Of a request whose head is there: who sent it, as trusted proxies tell.
    pub(super) fn of_request(connection: &Connection, received: Received) -> Self {
        let (head, buf) = (&connection.head, &connection.buf);
        let (addr, port) = connection.accepted.peer.unzip();
        let client =
            connection
                .settings
                .trusted
                .resolve(addr, port.unwrap_or(0), "http", head, buf);
        let given = || {
            let mut ids = head.values(buf, KnownField::XRequestId);
            request_id::accepted(ids.next()?).filter(|_| ids.next().is_none())
        };
        let id = if client.trusted { given() } else { None };
        Self {
            client: client.addr,
            client_port: client.port,
            scheme: client.scheme,
            host: client.host,
            is_trusted: client.trusted,
            has_head: true,
            ..Self::new(received, id.unwrap_or_else(request_id::fresh))
        }
    }
}

impl Connection {
    /// The address of the request's client; empty where there is none.
    pub(super) fn client_text(&self, record: &Record) -> Cow<'_, str> {
        match record.client {
            Some(addr) if self.accepted.peer.is_some_and(|(peer, _)| peer == addr) => {
                Cow::Borrowed(&self.peer_text)
            }
            Some(addr) => Cow::Owned(addr.to_string()),
            None => Cow::Borrowed(""),
        }
    }

    /// Write the request's line.
    pub(super) fn log(&self, record: &Record) {
        let Some(log) = self.settings.access_log() else {
            return;
        };
        let (head, buf) = (&self.head, &self.buf);
        let field = |known| {
            if record.has_head {
                head.values(buf, known).next().unwrap_or_default()
            } else {
                &[]
            }
        };
        let client = self.client_text(record);
        log.record(&AccessRecord {
            unix_us: unix_us(),
            client: &client,
            client_port: record.client_port,
            method: if record.has_head {
                head.method.of(buf)
            } else {
                &[]
            },
            target: if record.has_head {
                head.target.of(buf)
            } else {
                &[]
            },
            version: if record.has_head {
                head.version.as_str()
            } else {
                ""
            },
            status: record.status,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            duration_us: now_us().saturating_sub(record.begun_us),
            queue_us: record.queue_us,
            app_us: record.app_us,
            host: field(KnownField::Host),
            scheme: record.scheme,
            referer: field(KnownField::Referer),
            user_agent: field(KnownField::UserAgent),
            request_id: &record.id,
            worker: record.worker,
            error: record.error.as_deref(),
            aborted: record.aborted,
        });
    }
}
