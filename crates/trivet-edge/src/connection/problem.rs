//! Answers that the edge gives by itself: small, honest, with the request's id.

use trivet_core::Problem;
use trivet_core::gate::Framing;
use trivet_core::http1::{BodyFraming, KnownField, ResponseFacts, encode_head};
use trivet_core::problem::{PageFormat, page};

use super::answer::REQUEST_ID;
use super::log::Record;
use super::{After, Connection};

impl Connection {
    /// Answer with a page about `problem`.
    pub(super) async fn answer_problem(&mut self, problem: Problem, record: &mut Record) {
        self.answer_problem_with(problem, &[], record).await;
    }

    /// As [`Connection::answer_problem`], with further fields.
    pub(super) async fn answer_problem_with(
        &mut self,
        problem: Problem,
        more: &[(&[u8], &[u8])],
        record: &mut Record,
    ) {
        record.status = problem.status();
        if record.error.is_none() {
            record.error = Some(problem.code().to_owned());
        }
        let accept = self
            .head
            .values(&self.buf, KnownField::Accept)
            .next()
            .unwrap_or_default();
        let (content_type, content) = page(&problem, &record.id, PageFormat::from_accept(accept));
        record.keep_alive &= !problem.closes_connection();
        let retry_after = problem.retry_after_s().map(|seconds| seconds.to_string());
        let mut fields: Vec<(&[u8], &[u8])> = vec![
            (b"Content-Type", content_type.as_bytes()),
            (b"Cache-Control", b"no-store"),
        ];
        if problem == Problem::UpgradeRequired {
            // RFC 6455 section 4.4, and RFC 9110 section 15.5.22.
            fields.push((b"Sec-WebSocket-Version", b"13"));
            fields.push((b"Upgrade", b"websocket"));
        }
        if problem == Problem::MethodNotAllowed {
            fields.push((b"Allow", b"GET, HEAD"));
        }
        fields.extend_from_slice(more);
        let rate = self.rate_fields(problem);
        if let Some((policy, left)) = &rate {
            fields.push((b"RateLimit-Policy", policy.as_bytes()));
            fields.push((b"RateLimit", left.as_bytes()));
        }
        if let Some(seconds) = &retry_after {
            fields.push((b"Retry-After", seconds.as_bytes()));
        }
        // What the routes say about storing and reading is meant for other answers.
        let own = fields.iter().map(|(name, _)| *name);
        self.way.treatment.response_fields.spare(own);
        let reason = problem.reason();
        self.answer_by_itself(reason, &fields, &content, record)
            .await;
    }

    /// Answer a request that reaches no app, of which only the head was read.
    pub(super) async fn answer_without_app(
        &mut self,
        problem: Problem,
        record: &mut Record,
    ) -> After {
        record.keep_alive &= !self.has_content();
        self.answer_problem(problem, record).await;
        self.log(record);
        self.after_head(record)
    }

    /// Whether content follows the head, which must not be read as the next request.
    pub(super) fn has_content(&self) -> bool {
        !matches!(self.admitted.framing, Framing::None | Framing::Length(0))
    }

    /// What follows the answer to a request of which only the head was read.
    pub(super) fn after_head(&self, record: &Record) -> After {
        if record.keep_alive {
            After::Next(self.head.len)
        } else {
            After::Linger
        }
    }

    /// Send a small answer of the edge's own, with `record.status`.
    pub(super) async fn answer_by_itself(
        &mut self,
        reason: &str,
        fields: &[(&[u8], &[u8])],
        content: &[u8],
        record: &mut Record,
    ) {
        let is_head = self.head.method.of(&self.buf) == b"HEAD";
        record.keep_alive &= !self.shared.is_leaving();
        let length = content.len().to_string();
        let mut all = fields.to_vec();
        if is_head {
            all.push((b"Content-Length", length.as_bytes()));
        }
        let id = record.id.clone();
        all.push((REQUEST_ID, id.as_bytes()));
        let date = self.shared.date();
        let edits = &self.way.treatment.response_fields;
        let facts = ResponseFacts {
            version: self.head.version,
            head_request: is_head,
            keep_alive: record.keep_alive,
            date: &date,
            server: self
                .settings
                .config
                .server_field
                .as_deref()
                .map(str::as_bytes)
                .filter(|_| !edits.drops(b"Server")),
        };
        let framing = if is_head {
            BodyFraming::NoBody
        } else {
            BodyFraming::Length(content.len() as u64)
        };
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let written = encode_head(
            &mut out,
            record.status,
            reason.as_bytes(),
            edits.over(all.into_iter()),
            framing,
            &facts,
        );
        if !is_head {
            out.extend_from_slice(content);
        }
        if written.is_err() || self.send(&[&out]).await.is_err() {
            record.keep_alive = false;
            record.aborted = true;
        } else if !is_head {
            record.bytes_out = content.len() as u64;
        }
        self.out = out;
    }
}
