//! Frames as values: for vectors, fuzzing and reading by people, not for the
//! data path.

use serde::{Deserialize, Serialize};

use super::small::whole;
use super::{
    Content, FieldView, Flags, FrameError, HEADER_BYTES, Header, Kind, Latin1, RaisedView, Reader,
    RequestHead, RequestView, ResponseHead, ResponseView, TrailersView, encode_request,
    encode_response, encode_trailers, put_close, put_failed, put_frame, read_amount, read_close,
    read_failed, read_file_part, split_frame,
};

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// The last frame of its message.
    pub end: bool,
    /// Whether a descriptor belongs to the frame.
    pub descriptor: bool,
    /// Place on the claim page.
    pub slot: u16,
    /// The request's number.
    pub request: u64,
    /// What it says.
    pub value: FrameValue,
}

/// The payload of a frame, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, tag = "kind")]
#[allow(
    missing_docs,
    reason = "the parts are those of the frames, which are documented there"
)]
pub enum FrameValue {
    Hello {
        version: u32,
        pid: u32,
    },
    Request {
        attempt: u8,
        secure: bool,
        version: u8,
        content: Content,
        received_us: u64,
        deadline_us: u64,
        content_length: u64,
        client_port: u16,
        server_port: u16,
        method: Latin1,
        path: Latin1,
        target: Latin1,
        query: Latin1,
        mount: Latin1,
        client: Latin1,
        server_name: Latin1,
        request_id: Latin1,
        fields: Vec<(u8, Latin1, Latin1)>,
        inline: Latin1,
    },
    Body {
        data: Latin1,
    },
    Credit {
        bytes: u32,
    },
    // Braces, so that serde refuses fields here too.
    Cancel {},
    Response {
        status: u16,
        app_us: u32,
        declared_length: u64,
        reason: Latin1,
        fields: Vec<(Latin1, Latin1)>,
        data: Latin1,
    },
    Data {
        data: Latin1,
    },
    File {
        offset: u64,
        length: u64,
    },
    Failed {
        error: Latin1,
        place: Latin1,
        trace: Latin1,
    },
    Read {
        bytes: u32,
    },
    Trailers {
        fields: Vec<(Latin1, Latin1)>,
    },
    Message {
        text: bool,
        data: Latin1,
    },
    Close {
        code: u16,
        reason: Latin1,
    },
}

impl Frame {
    /// Decode the frame at the start of `buf` and say how many bytes it took.
    ///
    /// # Errors
    /// [`FrameError`] where header or payload break the layout.
    pub fn decode(buf: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((header, payload)) = split_frame(buf)? else {
            return Ok(None);
        };
        let value = decode_value(&header, payload)?;
        let frame = Self {
            end: header.flags.has(Flags::END),
            descriptor: header.flags.has(Flags::DESCRIPTOR),
            slot: header.slot,
            request: header.request,
            value,
        };
        Ok(Some((frame, HEADER_BYTES + payload.len())))
    }

    /// The frame's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut flags = Flags::default();
        if self.end {
            flags = flags.with(Flags::END);
        }
        if self.descriptor {
            flags = flags.with(Flags::DESCRIPTOR);
        }
        let mut out = Vec::new();
        encode_value(&mut out, (self.slot, self.request, flags), &self.value);
        out
    }
}

fn decode_value(header: &Header, payload: &[u8]) -> Result<FrameValue, FrameError> {
    Ok(match header.kind {
        // Of any version, for people to read: `check_hello` is what compares it.
        Kind::Hello => whole(payload, |reader| {
            Ok(FrameValue::Hello {
                version: reader.u32()?,
                pid: reader.u32()?,
            })
        })?,
        Kind::Request => request_value(payload)?,
        Kind::Response => response_value(payload)?,
        Kind::Body => FrameValue::Body {
            data: payload.into(),
        },
        Kind::Data => FrameValue::Data {
            data: payload.into(),
        },
        Kind::Credit => FrameValue::Credit {
            bytes: read_amount(payload)?,
        },
        Kind::Read => FrameValue::Read {
            bytes: read_amount(payload)?,
        },
        Kind::Cancel => {
            Reader::new(payload).end()?;
            FrameValue::Cancel {}
        }
        Kind::File => {
            let (offset, length) = read_file_part(payload)?;
            FrameValue::File { offset, length }
        }
        Kind::Failed => {
            let raised = read_failed(payload)?;
            FrameValue::Failed {
                error: raised.error.into(),
                place: raised.place.into(),
                trace: raised.trace.into(),
            }
        }
        Kind::Trailers => FrameValue::Trailers {
            fields: TrailersView::parse(payload)?
                .fields()
                .map(|(name, value)| (Latin1::from(name), Latin1::from(value)))
                .collect(),
        },
        Kind::Message => FrameValue::Message {
            text: header.flags.has(Flags::TEXT),
            data: payload.into(),
        },
        Kind::Close => {
            let (code, reason) = read_close(payload)?;
            FrameValue::Close {
                code,
                reason: reason.into(),
            }
        }
    })
}

fn request_value(payload: &[u8]) -> Result<FrameValue, FrameError> {
    let view = RequestView::parse(payload)?;
    let head = view.head;
    Ok(FrameValue::Request {
        attempt: head.attempt,
        secure: head.secure,
        version: head.version,
        content: head.content,
        received_us: head.received_us,
        deadline_us: head.deadline_us,
        content_length: head.content_length,
        client_port: head.client_port,
        server_port: head.server_port,
        method: Latin1::from(head.method),
        path: Latin1::from(head.path),
        target: Latin1::from(head.target),
        query: Latin1::from(head.query),
        mount: Latin1::from(head.mount),
        client: Latin1::from(head.client),
        server_name: Latin1::from(head.server_name),
        request_id: Latin1::from(head.request_id),
        fields: view
            .fields()
            .map(|f| (f.known, Latin1::from(f.name), Latin1::from(f.value)))
            .collect(),
        inline: Latin1::from(view.inline),
    })
}

fn response_value(payload: &[u8]) -> Result<FrameValue, FrameError> {
    let view = ResponseView::parse(payload)?;
    Ok(FrameValue::Response {
        status: view.head.status,
        app_us: view.head.app_us,
        declared_length: view.head.declared_length,
        reason: Latin1::from(view.head.reason),
        fields: view
            .fields()
            .map(|(name, value)| (Latin1::from(name), Latin1::from(value)))
            .collect(),
        data: Latin1::from(view.content),
    })
}

fn encode_value(out: &mut Vec<u8>, address: (u16, u64, Flags), value: &FrameValue) {
    let (slot, request, flags) = address;
    let mut put = |kind, payload: &[u8]| put_frame(out, kind, flags, slot, request, payload);
    match value {
        FrameValue::Hello { version, pid } => put(
            Kind::Hello,
            &[version.to_le_bytes(), pid.to_le_bytes()].concat(),
        ),
        FrameValue::Body { data } => put(Kind::Body, &data.0),
        FrameValue::Data { data } => put(Kind::Data, &data.0),
        FrameValue::Credit { bytes } => put(Kind::Credit, &bytes.to_le_bytes()),
        FrameValue::Read { bytes } => put(Kind::Read, &bytes.to_le_bytes()),
        FrameValue::Cancel {} => put(Kind::Cancel, &[]),
        FrameValue::File { offset, length } => put(
            Kind::File,
            &[offset.to_le_bytes(), length.to_le_bytes()].concat(),
        ),
        FrameValue::Failed {
            error,
            place,
            trace,
        } => {
            let raised = RaisedView {
                error: &error.0,
                place: &place.0,
                trace: &trace.0,
            };
            put_failed(out, (slot, request), &raised);
        }
        FrameValue::Trailers { fields } => {
            let fields = fields.iter().map(|(n, v)| (n.0.as_slice(), v.0.as_slice()));
            encode_trailers(out, (slot, request), fields);
        }
        FrameValue::Message { text, data } => {
            let text = if *text { Flags::TEXT } else { Flags::default() };
            put_frame(out, Kind::Message, flags.with(text), slot, request, &data.0);
        }
        FrameValue::Close { code, reason } => {
            put_close(out, (slot, request), *code, &reason.0);
        }
        FrameValue::Request { .. } => encode_request_value(out, address, value),
        FrameValue::Response {
            status,
            app_us,
            declared_length,
            reason,
            fields,
            data,
        } => {
            let head = ResponseHead {
                status: *status,
                app_us: *app_us,
                declared_length: *declared_length,
                reason: &reason.0,
            };
            let fields = fields.iter().map(|(n, v)| (n.0.as_slice(), v.0.as_slice()));
            encode_response(out, address, &head, fields, &data.0);
        }
    }
}

fn encode_request_value(out: &mut Vec<u8>, address: (u16, u64, Flags), value: &FrameValue) {
    let FrameValue::Request {
        attempt,
        secure,
        version,
        content,
        received_us,
        deadline_us,
        content_length,
        client_port,
        server_port,
        method,
        path,
        target,
        query,
        mount,
        client,
        server_name,
        request_id,
        fields,
        inline,
    } = value
    else {
        return;
    };
    let head = RequestHead {
        attempt: *attempt,
        secure: *secure,
        version: *version,
        content: *content,
        received_us: *received_us,
        deadline_us: *deadline_us,
        content_length: *content_length,
        client_port: *client_port,
        server_port: *server_port,
        method: &method.0,
        path: &path.0,
        target: &target.0,
        query: &query.0,
        mount: &mount.0,
        client: &client.0,
        server_name: &server_name.0,
        request_id: &request_id.0,
    };
    let fields = fields.iter().map(|(known, name, value)| FieldView {
        known: *known,
        name: &name.0,
        value: &value.0,
    });
    encode_request(out, address, &head, fields, &inline.0);
}
