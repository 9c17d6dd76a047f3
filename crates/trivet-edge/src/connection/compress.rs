//! Compressing an app's answer on its way to the client.
//!
//! Strategy: a whole answer that is small is coded at once, so that it keeps a
//! `Content-Length`. Anything else is coded as it comes, in slices after each of which
//! other connections get their turn, and flushed where nothing more waits: whoever reads
//! a stream of events gets each when it comes.

use bytes::Bytes;
use trivet_core::content_coding::{Coding, Content, HeadChange, Plan, plan};
use trivet_core::http1::KnownField;
use trivet_wire::frames::ResponseView;

use super::Connection;
use super::relay::RelayEnd;
use crate::compression::CodedStream;

/// Content that is coded without a break: about half a millisecond for gzip.
pub(super) const SLICE_BYTES: usize = 64 << 10;
/// Coded content that is sent before more is made.
const SENT_BYTES: usize = 64 << 10;

/// What becomes of an answer's content, and what its head says.
#[derive(Debug, Default)]
pub(super) struct Compressed {
    pub(super) head: HeadChange,
    pub(super) content: CodedContent,
}

/// Content in its coding.
#[derive(Debug, Default)]
pub(super) enum CodedContent {
    /// It is not coded.
    #[default]
    AsItIs,
    /// It is not sent at all (HEAD): only the head tells of it.
    Unsent,
    /// All of it.
    Whole(Vec<u8>),
    /// It is coded as it comes.
    Stream(Box<CodedStream>),
}

impl CodedContent {
    /// What frames it: the length that the app `declared`, and the one that is `known`.
    pub(super) fn lengths(
        &self,
        declared: Option<u64>,
        known: Option<u64>,
    ) -> (Option<u64>, Option<u64>) {
        match self {
            Self::AsItIs => (declared, known),
            Self::Unsent | Self::Stream(_) => (None, None),
            Self::Whole(coded) => (None, Some(coded.len() as u64)),
        }
    }
}

impl Connection {
    /// Compress the answer `view` with the `fields` that the routes have left, if it is to
    /// be. `length` is what the app says of its content, or has sent of it if it `is_whole`.
    pub(super) fn compress<'a>(
        &self,
        view: &ResponseView<'_>,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
        length: Option<u64>,
        is_whole: bool,
    ) -> Compressed {
        let compression = &self.settings.compression;
        let is_wanted = self.way.treatment.compress;
        if !is_wanted.unwrap_or(compression.is_enabled) {
            return Compressed::default();
        }
        let values = |known| self.head.values(&self.buf, known);
        if view.head.status == 304 {
            return Compressed {
                head: HeadChange::of_not_modified(fields, values(KnownField::IfNoneMatch)),
                content: CodedContent::AsItIs,
            };
        }
        let mut content = Content::of_response(view.head.status, fields.clone(), length);
        content.forbids_transform |=
            trivet_core::content_coding::forbids_transform(values(KnownField::CacheControl));
        let wished = plan(
            &content,
            &compression.policy(),
            &compression.codings,
            values(KnownField::AcceptEncoding),
        );
        let coded = match wished {
            Plan::Coded(coding) => self.code(coding, view, length, is_whole),
            Plan::AsIs | Plan::Varies => CodedContent::AsItIs,
        };
        let done = match (wished, &coded) {
            // It got no smaller, or there is no memory for it.
            (Plan::Coded(_), CodedContent::AsItIs) => Plan::Varies,
            _ => wished,
        };
        Compressed {
            head: HeadChange::by_plan(done, fields),
            content: coded,
        }
    }

    fn code(
        &self,
        coding: Coding,
        view: &ResponseView<'_>,
        length: Option<u64>,
        is_whole: bool,
    ) -> CodedContent {
        let compression = &self.settings.compression;
        if self.head.method.of(&self.buf) == b"HEAD" {
            return CodedContent::Unsent;
        }
        if is_whole && view.content.len() <= SLICE_BYTES {
            let coded = compression.code_whole(coding, view.content);
            return coded.map_or(CodedContent::AsItIs, CodedContent::Whole);
        }
        let stream = compression.stream(coding, length, &self.shared.coded_streams);
        stream.map_or(CodedContent::AsItIs, |stream| {
            CodedContent::Stream(Box::new(stream))
        })
    }
}

/// What is coded, slice by slice.
#[derive(Debug)]
pub(super) struct Coder {
    stream: Box<CodedStream>,
    out: Vec<u8>,
}

impl Coder {
    pub(super) fn new(stream: Box<CodedStream>) -> Self {
        Self {
            stream,
            out: Vec::new(),
        }
    }

    /// Code a slice; the coded bytes that should be sent now, if any.
    pub(super) fn push(&mut self, slice: &[u8]) -> Result<Option<Bytes>, RelayEnd> {
        let done = self.stream.encoder.push(slice, &mut self.out);
        done.map_err(|_| RelayEnd::App)?;
        Ok((self.out.len() >= SENT_BYTES).then(|| self.take()))
    }

    /// All that was pushed, so that the client can read it.
    pub(super) fn flush(&mut self) -> Result<Bytes, RelayEnd> {
        let done = self.stream.encoder.flush(&mut self.out);
        done.map_err(|_| RelayEnd::App)?;
        Ok(self.take())
    }

    /// The end.
    pub(super) fn finish(&mut self) -> Result<Bytes, RelayEnd> {
        let done = self.stream.encoder.finish(&mut self.out);
        done.map_err(|_| RelayEnd::App)?;
        Ok(self.take())
    }

    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.out))
    }
}
