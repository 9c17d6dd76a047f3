//! Answers from files: conditions, ranges, codings, and the listing of a folder.

use std::borrow::Cow;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use trivet_core::Problem;
use trivet_core::conditional::{EntityTag, Validators, Verdict, evaluate, last_modified};
use trivet_core::content_coding::{Coding, negotiate};
use trivet_core::http_date;
use trivet_core::http1::{BodyFraming, KnownField, ResponseFacts, encode_head, reason_phrase};
use trivet_core::problem::PageFormat;
use trivet_core::range::{
    ByteRange, Multipart, Selection, select, write_content_range, write_unsatisfied,
};
use trivet_core::route::{Template, Use};

use super::answer::REQUEST_ID;
use super::log::Record;
use super::send_file::SendEnd;
use super::{After, Connection};
use crate::clock::unix_us;
use crate::files::{Content, Folder, Listing, Lookup, Refused, Representation, Stored};
use crate::request_id;

/// Content copied behind its head, so that both go out in one piece.
const COPIED_BYTES: usize = 16 << 10;

/// A part of a representation, with what stands before it: the head of a part of several.
struct Piece<'a> {
    head: Cow<'a, [u8]>,
    /// Where it begins, and its length, in bytes.
    part: (u64, u64),
}

impl Piece<'_> {
    const fn alone(first: u64, length: u64) -> Self {
        Self {
            head: Cow::Borrowed(&[]),
            part: (first, length),
        }
    }
}

/// The content of an answer.
struct Body<'a> {
    content: &'a Content,
    pieces: &'a [Piece<'a>],
    end: &'a [u8],
}

impl Body<'_> {
    fn length(&self) -> u64 {
        let length = |piece: &Piece<'_>| piece.head.len() as u64 + piece.part.1;
        self.pieces.iter().map(length).sum::<u64>() + self.end.len() as u64
    }
}

/// What of a representation is sent.
enum Selected {
    /// All of it.
    Whole,
    /// One part.
    Part(ByteRange),
    /// Several.
    Parts(Vec<ByteRange>),
}

impl Connection {
    /// Answer from a folder; `None` where that is left to further routes and the app.
    pub(super) async fn answer_from(
        &mut self,
        folder: &Folder,
        record: &mut Record,
    ) -> Option<After> {
        let method = self.head.method.of(&self.buf);
        if !matches!(method, b"GET" | b"HEAD") {
            if folder.files.falls_through {
                return None;
            }
            return Some(
                self.answer_without_app(Problem::MethodNotAllowed, record)
                    .await,
            );
        }
        // A rewritten path was never sent.
        let raw_path = if self.way.is_rewritten() {
            &[][..]
        } else {
            self.admitted.raw_path.of(&self.buf)
        };
        let found = folder.find(&self.admitted.path, raw_path).await;
        record.keep_alive &= !self.has_content();
        match found {
            Lookup::File(stored) => self.answer_stored(&stored, 200, record).await,
            Lookup::NotFound(page) => self.answer_stored(&page, 404, record).await,
            Lookup::AddSlash => self.add_slash(record).await,
            Lookup::Listing(listing) => self.answer_listing(&listing, record).await,
            Lookup::Missing if folder.files.falls_through => return None,
            Lookup::Missing => self.answer_problem(Problem::NotFound, record).await,
            Lookup::Failed(refused) => {
                record.error = Some(format!("{}: {}", folder.files.folder, words(refused)));
                self.answer_problem(Problem::Internal, record).await;
            }
        }
        self.log(record);
        Some(if record.aborted {
            After::Close
        } else {
            self.after_head(record)
        })
    }

    /// Answer with a file: all of it, a part, or that the client has it already.
    async fn answer_stored(&mut self, stored: &Stored, status: u16, record: &mut Record) {
        let Some(chosen) = self.choose(stored) else {
            return self.answer_problem(Problem::Internal, record).await;
        };
        record.status = status;
        let now_s = unix_us() / 1_000_000;
        let modified_s = u64::try_from(chosen.facts.modified.0).ok();
        let last_modified_s = modified_s.and_then(|modified_s| last_modified(modified_s, now_s));
        let validators = Validators {
            etag: EntityTag::parse(chosen.etag.as_bytes()),
            last_modified_s,
        };
        let mut selected = Selected::Whole;
        if status == 200 {
            let (head, buf) = (&self.head, &self.buf);
            let fields = head
                .fields
                .iter()
                .map(|field| (field.known, field.value.of(buf)));
            match evaluate(head.method.of(buf), fields, &validators, now_s) {
                Verdict::NotModified => record.status = 304,
                Verdict::PreconditionFailed => {
                    return self
                        .answer_problem(Problem::PreconditionFailed, record)
                        .await;
                }
                Verdict::Proceed { range: None } => {}
                Verdict::Proceed { range: Some(range) } => {
                    match select(range, chosen.facts.length) {
                        Selection::Whole => {}
                        Selection::Part(part) => selected = Selected::Part(part),
                        Selection::Parts(parts) => selected = Selected::Parts(parts),
                        Selection::NotSatisfiable => {
                            return self.answer_unsatisfiable(chosen, record).await;
                        }
                    }
                }
            }
        }
        let date = last_modified_s.map(http_date::format);
        let mut fields: Vec<(&[u8], &[u8])> = Vec::with_capacity(12);
        fields.push((b"ETag", chosen.etag.as_bytes()));
        if let Some(date) = &date {
            fields.push((b"Last-Modified", date));
        }
        if let Some(value) = &stored.cache_control {
            fields.push((b"Cache-Control", value.as_bytes()));
        }
        if stored.representations.len() > 1 {
            fields.push((b"Vary", b"Accept-Encoding"));
        }
        if record.status == 304 {
            self.send_stored(&fields, None, record).await;
            return;
        }
        fields.push((b"Accept-Ranges", b"bytes"));
        if chosen.coding != Coding::Identity {
            fields.push((b"Content-Encoding", chosen.coding.name().as_bytes()));
        }
        let content_type = stored.content_type.as_bytes();
        let mut value = Vec::new();
        match selected {
            Selected::Whole => {
                fields.push((b"Content-Type", content_type));
                let pieces = [Piece::alone(0, chosen.facts.length)];
                let body = Body {
                    content: &chosen.content,
                    pieces: &pieces,
                    end: &[],
                };
                self.send_stored(&fields, Some(body), record).await;
            }
            Selected::Part(part) => {
                record.status = 206;
                fields.push((b"Content-Type", content_type));
                write_content_range(part, chosen.facts.length, &mut value);
                fields.push((b"Content-Range", &value));
                let pieces = [Piece::alone(part.first, part.length())];
                let body = Body {
                    content: &chosen.content,
                    pieces: &pieces,
                    end: &[],
                };
                self.send_stored(&fields, Some(body), record).await;
            }
            Selected::Parts(parts) => {
                record.status = 206;
                let boundary = request_id::fresh();
                let length = chosen.facts.length;
                let plan = Multipart::new(&parts, length, content_type, boundary.as_bytes());
                let Some(plan) = plan else {
                    return self.answer_problem(Problem::Internal, record).await;
                };
                plan.write_content_type(&mut value);
                fields.push((b"Content-Type", &value));
                let pieces: Vec<_> = parts
                    .iter()
                    .enumerate()
                    .map(|(index, part)| {
                        let mut head = Vec::new();
                        plan.write_part_head(index, &mut head);
                        Piece {
                            head: Cow::Owned(head),
                            part: (part.first, part.length()),
                        }
                    })
                    .collect();
                let mut end = Vec::new();
                plan.write_end(&mut end);
                let body = Body {
                    content: &chosen.content,
                    pieces: &pieces,
                    end: &end,
                };
                self.send_stored(&fields, Some(body), record).await;
            }
        }
    }

    /// Choose among the file and its precompressed siblings (RFC 9110 section 12.5.3).
    fn choose<'a>(&self, stored: &'a Stored) -> Option<&'a Representation> {
        let [only] = stored.representations.as_slice() else {
            let (head, buf) = (&self.head, &self.buf);
            let accepted = head.values(buf, KnownField::AcceptEncoding);
            let mut available = [Coding::Identity; Coding::ALL.len()];
            let count = stored.representations.len().min(available.len());
            for (place, each) in available.iter_mut().zip(&stored.representations) {
                *place = each.coding;
            }
            let available = available.get(..count).unwrap_or_default();
            // A client that takes nothing at all gets the file as it is.
            let coding = negotiate(accepted, available).unwrap_or(Coding::Identity);
            return stored
                .representations
                .iter()
                .find(|each| each.coding == coding);
        };
        Some(only)
    }

    async fn answer_unsatisfiable(&mut self, chosen: &Representation, record: &mut Record) {
        let mut value = Vec::new();
        write_unsatisfied(chosen.facts.length, &mut value);
        let fields: [(&[u8], &[u8]); 1] = [(b"Content-Range", &value)];
        self.answer_problem_with(Problem::RangeNotSatisfiable, &fields, record)
            .await;
    }

    /// Send a head and content; none at all for a 304.
    async fn send_stored(
        &mut self,
        fields: &[(&[u8], &[u8])],
        body: Option<Body<'_>>,
        record: &mut Record,
    ) {
        let length = body.as_ref().map(Body::length);
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let is_head = self.write_head(&mut out, fields, length, record);
        let result = match body.filter(|_| !is_head) {
            None => self.send(&[&out]).await.map_err(SendEnd::from),
            Some(body) => match body.content {
                Content::Memory(bytes) => self.send_memory(&mut out, bytes, &body, record).await,
                Content::File(file) => self.send_parts_of(&mut out, file, &body, record).await,
            },
        };
        if let Err(end) = result {
            record.keep_alive = false;
            record.aborted = end == SendEnd::Client;
            if end == SendEnd::File {
                record.error = Some("the file was changed while it was being sent".to_owned());
                // An orderly close would tell the client that this was all.
                self.stream.reset_on_close();
                record.aborted = true;
            }
        }
        out.clear();
        if out.capacity() <= 4 * COPIED_BYTES {
            self.out = out;
        }
    }

    /// Write the head of an answer from a file; whether it is for HEAD.
    fn write_head(
        &mut self,
        out: &mut Vec<u8>,
        fields: &[(&[u8], &[u8])],
        length: Option<u64>,
        record: &mut Record,
    ) -> bool {
        let is_head = self.head.method.of(&self.buf) == b"HEAD";
        record.keep_alive &= !self.shared.is_leaving();
        if record.status == 206 {
            // That of several ranges has their boundary in it.
            let own = [&b"Content-Type"[..]].into_iter();
            self.way.treatment.response_fields.spare(own);
        }
        let edits = &self.way.treatment.response_fields;
        let date = self.shared.date();
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
        let framing = match length {
            Some(length) if !is_head => BodyFraming::Length(length),
            _ => BodyFraming::NoBody,
        };
        let told = length.filter(|_| is_head).map(|length| length.to_string());
        let told = told
            .as_ref()
            .map(|length| (&b"Content-Length"[..], length.as_bytes()));
        let id = [(REQUEST_ID, record.id.as_bytes())];
        let reason = reason_phrase(record.status).as_bytes();
        let all = fields.iter().copied().chain(told).chain(id);
        if encode_head(out, record.status, reason, edits.over(all), framing, &facts).is_err() {
            // Values come from the configuration, which was checked.
            record.keep_alive = false;
        }
        is_head
    }

    async fn send_parts_of(
        &mut self,
        out: &mut Vec<u8>,
        file: &Arc<File>,
        body: &Body<'_>,
        record: &mut Record,
    ) -> Result<(), SendEnd> {
        for piece in body.pieces {
            out.extend_from_slice(&piece.head);
            let sent = &mut record.bytes_out;
            self.send_file_part(out, file, piece.part, sent).await?;
            out.clear();
        }
        if !body.end.is_empty() {
            self.send(&[body.end]).await?;
        }
        Ok(())
    }

    async fn send_memory(
        &mut self,
        out: &mut Vec<u8>,
        bytes: &Bytes,
        body: &Body<'_>,
        record: &mut Record,
    ) -> Result<(), SendEnd> {
        let slice = |(first, length): (u64, u64)| {
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            bytes
                .get(first..first.saturating_add(length))
                .unwrap_or_default()
        };
        let mut sent = 0;
        let result = match body.pieces {
            [only] if body.end.is_empty() && slice(only.part).len() > COPIED_BYTES => {
                sent = slice(only.part).len() as u64;
                self.send(&[out, slice(only.part)]).await
            }
            _ => {
                for piece in body.pieces {
                    out.extend_from_slice(&piece.head);
                    out.extend_from_slice(slice(piece.part));
                    sent += slice(piece.part).len() as u64;
                }
                out.extend_from_slice(body.end);
                self.send(&[out]).await
            }
        };
        if result.is_ok() {
            record.bytes_out = sent;
        }
        result.map_err(SendEnd::from)
    }

    /// Send the client to the same path with a slash at its end, so that relative references
    /// lead into the folder.
    async fn add_slash(&mut self, record: &mut Record) {
        let location = match Template::parse("{path}/{?query}", Use::Location, &[]) {
            Ok(template) => self.ask(record, |request| {
                crate::routing::render(&template, None, request)
            }),
            Err(_) => b"/".to_vec(),
        };
        record.status = 308;
        let fields: [(&[u8], &[u8]); 1] = [(b"Location", &location)];
        self.answer_by_itself(reason_phrase(308), &fields, b"", record)
            .await;
    }

    async fn answer_listing(&mut self, listing: &Listing, record: &mut Record) {
        let accept = self.head.values(&self.buf, KnownField::Accept).next();
        let format = PageFormat::from_accept(accept.unwrap_or_default());
        let (content_type, content) = listing.page(&self.admitted.path, format);
        record.status = 200;
        let fields: [(&[u8], &[u8]); 3] = [
            (b"Content-Type", content_type.as_bytes()),
            (b"Vary", b"Accept"),
            // Whoever looks again wants to see what is there now.
            (b"Cache-Control", b"no-cache"),
        ];
        self.answer_by_itself(reason_phrase(200), &fields, &content, record)
            .await;
    }
}

fn words(refused: Refused) -> &'static str {
    match refused {
        Refused::Missing => "there is no such file",
        Refused::Busy => "too many files are open",
        Refused::Failed => "the file cannot be read",
    }
}
