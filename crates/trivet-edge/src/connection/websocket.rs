//! A WebSocket, from its handshake to its end (RFC 6455).
//!
//! Strategy: one task for both directions, the connection's own. Each turn takes what
//! the app has said, writes it, and reads what the client sends, as far as the other
//! side has room: the app's worker grants credit for messages, and nothing is read
//! from the client beyond it, so a full app is TCP's back-pressure on its client and
//! nobody else's. In the other direction the worker has credit that comes back when
//! the client's socket has taken the bytes. An idle connection holds no buffer.

mod session;

use std::fs::File;
use std::sync::Arc;

use trivet_core::Problem;
use trivet_core::gate::Framing;
use trivet_core::http1::{BodyFraming, ResponseFacts, encode_head};
use trivet_core::websocket::{DeflateOffer, Offer, accept_value, asks_for_websocket, judge};
use trivet_wire::frames::ResponseView;

use super::answer::REQUEST_ID;
use super::log::Record;
use super::tunnel::Tunnel;
use super::{After, Connection};
use crate::exchange::{Exchange, Stage};
use crate::pool::Pool;
use session::Session;

/// A valid handshake, by who speaks the protocol.
#[derive(Debug)]
pub(super) enum Handshake {
    /// The edge, for an ASGI app.
    EndsHere(Offer),
    /// A WSGI app by itself.
    EndsAtApp(Tunnel),
}

impl Handshake {
    /// The way to the app that speaks for itself.
    pub(super) fn tunnel(&mut self) -> Option<&mut Tunnel> {
        match self {
            Self::EndsHere(_) => None,
            Self::EndsAtApp(tunnel) => Some(tunnel),
        }
    }

    /// The app's end of the way, once.
    pub(super) fn take_app_end(&mut self) -> Option<Arc<File>> {
        self.tunnel()?.take_app_end()
    }
}

impl Connection {
    /// Whether the request is the handshake of a WebSocket, and whose it is.
    pub(super) async fn handshake(
        &mut self,
        pool: &Pool,
        record: &Record,
    ) -> Result<Option<Handshake>, Problem> {
        if !self.admitted.upgrade || !asks_for_websocket(&self.head, &self.buf) {
            return Ok(None);
        }
        let queue_us = u64::from(self.settings.config.timeouts.queue_wait_ms) * 1000;
        self.watch.set_at(record.received_us + queue_us);
        let has_event_loops = tokio::select! {
            known = pool.has_event_loops() => known,
            _ = std::future::poll_fn(|context| self.poll_deadline(context)) => {
                return Err(Problem::QueueTimeout);
            }
        };
        self.watch.clear();
        let has_content = !matches!(self.admitted.framing, Framing::None | Framing::Length(0));
        let mut offer = judge(&self.head, &self.buf, has_content)?;
        if !has_event_loops {
            let tunnel = Tunnel::new(offer.key).map_err(|_| Problem::Internal)?;
            return Ok(Some(Handshake::EndsAtApp(tunnel)));
        }
        if !self.settings.config.websocket.compression {
            offer.deflate = None;
        }
        Ok(Some(Handshake::EndsHere(offer)))
    }

    /// Answer a handshake that the app has accepted, and carry its messages.
    pub(super) async fn upgrade(
        &mut self,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        record: &mut Record,
        offer: &Offer,
        view: &ResponseView<'_>,
    ) -> After {
        record.status = 101;
        record.app_us = Some(u64::from(view.head.app_us));
        let accept = accept_value(&offer.key);
        let extensions = offer.deflate.map(DeflateOffer::acceptance);
        let mut own: Vec<(&[u8], &[u8])> = vec![
            (b"Upgrade", b"websocket"),
            (b"Sec-WebSocket-Accept", accept.as_bytes()),
            (REQUEST_ID, record.id.as_bytes()),
        ];
        if let Some(extensions) = &extensions {
            own.push((b"Sec-WebSocket-Extensions", extensions.as_bytes()));
        }
        let date = self.shared.date();
        let facts = ResponseFacts {
            version: self.head.version,
            head_request: false,
            keep_alive: true,
            date: &date,
            server: None,
        };
        let mut out = Vec::with_capacity(256);
        let edits = &self.way.treatment.response_fields;
        let fields = edits.over(own.into_iter().chain(view.fields()));
        let written = encode_head(&mut out, 101, b"", fields, BodyFraming::NoBody, &facts);
        let stage = exchange.place.lock().stage;
        let number = match stage {
            Stage::Socket { number, .. } => number,
            // It has closed already, or its worker is gone: what it said is still sent.
            _ => 0,
        };
        if written.is_err() {
            pool.cancel(exchange);
            self.answer_problem(Problem::BadAppResponse, record).await;
            return After::Linger;
        }
        // The head stays for the log line.
        let input = self.buf.split_off(self.head.len.min(self.buf.len()));
        self.buf.shrink_to_fit();
        if self.shared.is_draining() {
            exchange.reply().said.leave_at_us = crate::clock::now_us();
        }
        let session = Session::new(
            pool,
            exchange,
            number,
            offer,
            &self.settings.config,
            (input, out),
        );
        self.carry(session, record).await
    }
}
