//! From an admitted request to its answer: receive, hand over, wait, reply.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use trivet_core::Problem;
use trivet_core::http1::{BodyFraming, ResponseFacts, Version, encode_head, framing};
use trivet_core::websocket::BadAnswer;
use trivet_wire::frames::{ResponseView, UNKNOWN_LENGTH};

use super::compress::{CodedContent, Compressed};
use super::content::{Content, ContentEnd};
use super::deadline::sooner;
use super::log::Record;
use super::relay::{Relay, RelayEnd};
use super::route::Answerer;
use super::tunnel::Tunnel;
use super::upload::Upload;
use super::websocket::Handshake;
use super::{After, Broken, Connection, PIPELINED_BYTES};
use crate::clock::now_us;
use crate::exchange::{Exchange, Failure};
use crate::pool::Pool;

/// How a client learns its request's id; an app may tell it by itself.
pub(super) const REQUEST_ID: &[u8] = b"X-Request-ID";
/// Content copied behind its head, so that both go out in one piece.
const COPIED_BYTES: usize = 16 << 10;

/// What happened while the app worked.
enum Event {
    /// Early hints are there.
    Hints(Bytes),
    /// The head of the answer is there, or the failure.
    Reply,
    /// The worker asks for streamed content.
    ContentWanted,
    /// The client closed the connection.
    ClientGone,
    /// The app has answered the handshake in its own socket: the head's length.
    Upgraded(usize),
    /// The app has written something else into it.
    BadUpgrade(BadAnswer),
    /// The deadline has passed.
    Late,
}

impl Connection {
    /// Answer the admitted request.
    pub(super) async fn answer(&mut self, mut record: Record) -> After {
        record.keep_alive = self.admitted.keep_alive && !self.shared.is_leaving();
        let probe = self.settings.probes.as_ref();
        if let Some(probe) = probe.and_then(|paths| paths.of(&self.admitted.path)) {
            return self.answer_probe(probe, record).await;
        }
        if let Answerer::Done(after) = self.take_way(&mut record).await {
            return after;
        }
        let Some(app) = self.settings.apps.of(&self.admitted.path).cloned() else {
            return self
                .answer_without_app(Problem::NotFound, &mut record)
                .await;
        };
        let mut handshake = match self.handshake(&app.pool, &record).await {
            Ok(handshake) => handshake,
            Err(problem) => return self.refuse(problem, record).await,
        };
        let (content, taken) = match self.receive_content(&mut record).await {
            Ok(received) => match &handshake {
                None => received,
                Some(Handshake::EndsHere(_)) => (Content::WebSocket, self.head.len),
                Some(Handshake::EndsAtApp(_)) => (Content::Upgrade, self.head.len),
            },
            Err(ContentEnd::Problem(problem)) => return self.refuse(problem, record).await,
            Err(ContentEnd::Aborted) => {
                record.aborted = true;
                self.log(&record);
                return After::Close;
            }
        };
        let mut upload = match &content {
            Content::Stream(length) => {
                let limit = self.body_limit();
                Upload::new(*length, &self.admitted, taken, (limit, &self.settings))
            }
            _ => Upload::none(taken, &self.settings),
        };
        self.request_end = taken;
        if !matches!(
            content,
            Content::None | Content::WebSocket | Content::Upgrade
        ) {
            // Its time begins when it is there, however slowly it came.
            record.received_us = now_us();
        }
        record.due_us = self.due_us(&app, record.received_us);
        let frame = self.frame(&app, &record, &content);
        let descriptor = match &content {
            Content::File(file) => match file.reopen() {
                Ok(file) => Some(Arc::new(file)),
                Err(_) => return self.refuse(Problem::Internal, record).await,
            },
            _ => handshake.as_mut().and_then(Handshake::take_app_end),
        };
        // What an app has written into its socket cannot be taken back.
        let is_replayable = !matches!(content, Content::Stream(_) | Content::Upgrade);
        let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        let route = self.way.route.clone();
        let mut exchange =
            Exchange::new(frame, descriptor, record.received_us, is_replayable, waker);
        exchange.route = route;
        exchange.is_websocket = matches!(&handshake, Some(Handshake::EndsHere(_)));
        exchange.is_upgrade = matches!(&handshake, Some(Handshake::EndsAtApp(_)));
        // What the client has sent ahead of an upgrade may be no HTTP.
        record.keep_alive &= !exchange.is_upgrade;
        let exchange = Arc::new(exchange);
        if let Err(problem) = app.pool.submit(&exchange) {
            return self.decline(problem, record, &upload).await;
        }
        let after = self
            .await_reply(
                &app.pool,
                &exchange,
                &mut record,
                &mut upload,
                handshake.as_mut(),
            )
            .await;
        drop(content);
        match after {
            None => self.finish(&record, &upload),
            Some(after) => {
                self.log(&record);
                after
            }
        }
    }

    /// Answer a request that the app does not get.
    async fn decline(&mut self, problem: Problem, mut record: Record, upload: &Upload) -> After {
        // The rest of a request must never be read as the next one.
        record.keep_alive &= upload.is_done();
        self.answer_problem(problem, &mut record).await;
        self.finish(&record, upload)
    }

    /// Log, and go on with the next request if the connection may be kept.
    fn finish(&mut self, record: &Record, upload: &Upload) -> After {
        self.log(record);
        if record.keep_alive {
            After::Next(upload.taken())
        } else {
            After::Linger
        }
    }

    /// Wait for the answer and pass it on. `None`: it came to its end.
    async fn await_reply(
        &mut self,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        record: &mut Record,
        upload: &mut Upload,
        mut handshake: Option<&mut Handshake>,
    ) -> Option<After> {
        let queue_us = u64::from(self.settings.config.timeouts.queue_wait_ms) * 1000;
        let queue_end_us = record.received_us + queue_us;
        self.watch.set_at(sooner(queue_end_us, record.due_us));
        loop {
            let event = poll_fn(|context| {
                let tunnel = handshake.as_deref_mut().and_then(Handshake::tunnel);
                self.poll_event(context, exchange, upload, tunnel)
            });
            match event.await {
                Event::Reply => break,
                Event::Upgraded(head_len) => {
                    let tunnel = handshake.and_then(Handshake::tunnel)?;
                    let opened = (tunnel, head_len);
                    return Some(self.run_tunnel(pool, exchange, record, opened).await);
                }
                Event::BadUpgrade(bad) => {
                    self.watch.clear();
                    pool.abandon(exchange, self.patience_behind_a_bad_head());
                    record.note(&exchange.reply());
                    record.error = Some(bad.to_string());
                    self.answer_problem(Problem::BadAppResponse, record).await;
                    return None;
                }
                Event::Hints(payload) => {
                    if self.send_hints(&payload).await.is_err() {
                        pool.abandon(exchange, self.patience_for_a_lost_client(record.due_us));
                        record.aborted = true;
                        return Some(After::Close);
                    }
                    self.watch.set_at(record.due_us);
                }
                Event::Late if !self.shared.is_cut_off() => {
                    let Some(problem) = self.overdue(pool, exchange, record) else {
                        continue;
                    };
                    record.keep_alive &= upload.is_done();
                    self.answer_problem(problem, record).await;
                    return None;
                }
                Event::ContentWanted => {
                    let begun_us = now_us();
                    if let Err(end) = self.upload_more(pool, exchange, record, upload).await {
                        return Some(self.break_upload(end, pool, exchange, record).await);
                    }
                    record.wait_for_client(now_us() - begun_us);
                    self.watch.set_at(record.due_us);
                }
                Event::ClientGone | Event::Late => {
                    pool.abandon(exchange, self.patience_for_a_lost_client(record.due_us));
                    record.aborted = true;
                    return Some(After::Close);
                }
            }
        }
        self.watch.clear();
        let (head, whole, failure) = {
            let mut reply = exchange.reply();
            record.note(&reply);
            (reply.head.take(), reply.whole, reply.failure.clone())
        };
        record.keep_alive &= upload.is_done();
        if let (Some(Handshake::EndsHere(offer)), Some(head)) = (handshake.as_deref(), &head)
            && let Ok(view) = ResponseView::parse(head)
            && view.head.status == 101
        {
            return Some(self.upgrade(pool, exchange, record, offer, &view).await);
        }
        let Some(head) = head else {
            let problem = problem_of(failure, record);
            self.answer_problem(problem, record).await;
            return None;
        };
        self.reply(pool, exchange, record, &head, whole, upload)
            .await
    }

    /// Send the answer whose head is there.
    async fn reply(
        &mut self,
        pool: &Arc<Pool>,
        exchange: &Arc<Exchange>,
        record: &mut Record,
        payload: &Bytes,
        whole: bool,
        upload: &mut Upload,
    ) -> Option<After> {
        // An interim answer as the final one would leave the client waiting.
        let view = ResponseView::parse(payload).ok();
        let Some(view) = view.filter(|view| view.head.status >= 200) else {
            pool.cancel(exchange);
            self.answer_problem(Problem::BadAppResponse, record).await;
            return None;
        };
        record.status = view.head.status;
        record.app_us = Some(u64::from(view.head.app_us));
        let date = self.shared.date();
        let edits = &self.way.treatment.response_fields;
        let facts = ResponseFacts {
            version: self.head.version,
            head_request: self.head.method.of(&self.buf) == b"HEAD",
            keep_alive: record.keep_alive && !self.shared.is_leaving(),
            date: &date,
            server: self
                .settings
                .config
                .server_field
                .as_deref()
                .map(str::as_bytes)
                .filter(|_| !edits.drops(b"Server")),
        };
        let declared = Some(view.head.declared_length).filter(|&length| length != UNKNOWN_LENGTH);
        let known = whole.then_some(view.content.len() as u64);
        // To HEAD, what came with the head is not the content.
        let length = known.filter(|_| !facts.head_request).or(declared);
        let Compressed { head, content } =
            self.compress(&view, edits.over(view.fields()), length, whole);
        let (declared, known) = content.lengths(declared, known);
        let framing = framing(view.head.status, &facts, declared, known);
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let has_id = view
            .fields()
            .any(|(name, _)| name.eq_ignore_ascii_case(REQUEST_ID));
        let id = (!has_id).then_some((REQUEST_ID, record.id.as_bytes()));
        let written = encode_head(
            &mut out,
            view.head.status,
            view.head.reason,
            head.apply(edits.over(view.fields().chain(id))),
            framing,
            &facts,
        );
        let Ok(written) = written else {
            self.out = out;
            pool.cancel(exchange);
            self.answer_problem(Problem::BadAppResponse, record).await;
            return None;
        };
        record.keep_alive = written.keep_alive;
        let result = match framing {
            BodyFraming::NoBody | BodyFraming::Length(0) => {
                let result = self.send(&[&out]).await;
                if !whole {
                    pool.cancel(exchange);
                }
                result.map_err(RelayEnd::from)
            }
            _ if whole && !matches!(content, CodedContent::Stream(_)) => {
                let content = match &content {
                    CodedContent::Whole(coded) => coded,
                    _ => view.content,
                };
                let result = if content.len() <= COPIED_BYTES {
                    out.extend_from_slice(content);
                    self.send(&[&out]).await
                } else {
                    self.send(&[&out, content]).await
                };
                if result.is_ok() {
                    record.bytes_out = content.len() as u64;
                }
                result.map_err(RelayEnd::from)
            }
            _ => {
                let first = payload.slice_ref(view.content);
                let mut relay = Relay::new(pool, exchange, &mut out, framing);
                if let CodedContent::Stream(stream) = content {
                    relay.code(stream, length);
                }
                self.relay(relay, record, first, upload).await
            }
        };
        out.clear();
        if out.capacity() <= 4 * COPIED_BYTES {
            self.out = out;
        }
        match result {
            Ok(()) => None,
            Err(end) => {
                pool.abandon(exchange, self.patience_behind_the_head(end));
                record.aborted = end == RelayEnd::Client;
                if end != RelayEnd::Client {
                    if framing == BodyFraming::UntilClose {
                        // An orderly close would tell the client that this was all.
                        self.stream.reset_on_close();
                    }
                    let failure = match end {
                        RelayEnd::Stall => Some(Failure::Problem(Problem::AppTimeout)),
                        _ => exchange.reply().failure.clone(),
                    };
                    let _ = problem_of(failure, record);
                }
                Some(After::Close)
            }
        }
    }

    /// Send `103 Early Hints` (RFC 8297), which only HTTP/1.1 clients understand.
    async fn send_hints(&mut self, payload: &Bytes) -> Result<(), Broken> {
        let Ok(view) = ResponseView::parse(payload) else {
            return Ok(());
        };
        if self.head.version != Version::Http11 {
            return Ok(());
        }
        let facts = ResponseFacts {
            version: self.head.version,
            head_request: false,
            keep_alive: true,
            date: b"",
            server: None,
        };
        let mut out = Vec::with_capacity(256);
        let fields = view.fields();
        if encode_head(&mut out, 103, b"", fields, BodyFraming::NoBody, &facts).is_err() {
            return Ok(());
        }
        self.send(&[&out]).await
    }

    /// What happens next while the app works.
    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
        exchange: &Exchange,
        upload: &mut Upload,
        tunnel: Option<&mut Tunnel>,
    ) -> Poll<Event> {
        let (is_there, wanted) = {
            let mut reply = exchange.reply();
            if let Some(payload) = reply.interim.pop_front() {
                return Poll::Ready(Event::Hints(payload));
            }
            (
                reply.head.is_some() || reply.failure.is_some(),
                reply.wanted,
            )
        };
        if let Some(tunnel) = tunnel {
            match tunnel.poll_answer(context, is_there) {
                Poll::Ready(Ok(head_len)) => return Poll::Ready(Event::Upgraded(head_len)),
                Poll::Ready(Err(bad)) => return Poll::Ready(Event::BadUpgrade(bad)),
                Poll::Pending => {}
            }
        }
        if is_there {
            return Poll::Ready(Event::Reply);
        }
        if !upload.is_done() {
            if upload.is_wanted(wanted) {
                return Poll::Ready(Event::ContentWanted);
            }
        } else if self.buf.len() < self.request_end + PIPELINED_BYTES {
            match self.stream.poll_read(context, &mut self.buf) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ClientGone),
                Poll::Ready(Ok(_)) => context.waker().wake_by_ref(),
                Poll::Pending => {}
            }
        }
        self.poll_deadline(context).map(|broken| match broken {
            Broken::Late => Event::Late,
            Broken::CutOff | Broken::Gone => Event::ClientGone,
        })
    }
}

/// What to answer, and what to write down.
pub(super) fn problem_of(failure: Option<Failure>, record: &mut Record) -> Problem {
    match failure {
        Some(Failure::Problem(problem)) => {
            record.error = Some(problem.code().to_owned());
            problem
        }
        Some(Failure::Raised { error, place }) => {
            record.error = Some(if error.is_empty() {
                "the app gave no answer".to_owned()
            } else if place.is_empty() {
                error
            } else {
                format!("{error} at {place}")
            });
            Problem::AppFailed
        }
        None => Problem::Internal,
    }
}
