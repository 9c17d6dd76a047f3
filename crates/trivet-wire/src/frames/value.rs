//! Frames as values: for vectors, fuzzing and reading by people, not for the
//! data path. Strings are latin-1 text, so that every byte has a character.

use serde::{Deserialize, Serialize};

use super::{
    Content, FieldView, Flags, FrameError, Header, Kind, Reader, RequestHead, RequestView,
    ResponseHead, ResponseView, encode_request, encode_response, put_failed, put_frame,
    split_frame,
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
        method: String,
        path: String,
        target: String,
        query: String,
        mount: String,
        client: String,
        server_name: String,
        request_id: String,
        fields: Vec<(u8, String, String)>,
        inline: String,
    },
    Body {
        data: String,
    },
    Credit {
        bytes: u32,
    },
    Cancel,
    Response {
        status: u16,
        app_us: u32,
        declared_length: u64,
        reason: String,
        fields: Vec<(String, String)>,
        data: String,
    },
    Data {
        data: String,
    },
    File {
        offset: u64,
        length: u64,
    },
    Failed {
        error: String,
        place: String,
    },
    Read {
        bytes: u32,
    },
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
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
        Ok(Some((frame, super::HEADER_BYTES + payload.len())))
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
    let mut reader = Reader::new(payload);
    let value = match header.kind {
        Kind::Hello => FrameValue::Hello {
            version: reader.u32()?,
            pid: reader.u32()?,
        },
        Kind::Request => return request_value(payload),
        Kind::Response => return response_value(payload),
        Kind::Body => {
            return Ok(FrameValue::Body {
                data: text(payload),
            });
        }
        Kind::Data => {
            return Ok(FrameValue::Data {
                data: text(payload),
            });
        }
        Kind::Credit => FrameValue::Credit {
            bytes: reader.u32()?,
        },
        Kind::Cancel => FrameValue::Cancel,
        Kind::File => FrameValue::File {
            offset: reader.u64()?,
            length: reader.u64()?,
        },
        Kind::Failed => FrameValue::Failed {
            error: text(reader.bytes16()?),
            place: text(reader.bytes16()?),
        },
        Kind::Read => FrameValue::Read {
            bytes: reader.u32()?,
        },
    };
    reader.end()?;
    Ok(value)
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
        method: text(head.method),
        path: text(head.path),
        target: text(head.target),
        query: text(head.query),
        mount: text(head.mount),
        client: text(head.client),
        server_name: text(head.server_name),
        request_id: text(head.request_id),
        fields: view
            .fields()
            .map(|f| (f.known, text(f.name), text(f.value)))
            .collect(),
        inline: text(view.inline),
    })
}

fn response_value(payload: &[u8]) -> Result<FrameValue, FrameError> {
    let view = ResponseView::parse(payload)?;
    Ok(FrameValue::Response {
        status: view.head.status,
        app_us: view.head.app_us,
        declared_length: view.head.declared_length,
        reason: text(view.head.reason),
        fields: view
            .fields()
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
        data: text(view.content),
    })
}

fn encode_value(out: &mut Vec<u8>, address: (u16, u64, Flags), value: &FrameValue) {
    let (slot, request, flags) = address;
    let mut payload = Vec::new();
    let kind = match value {
        FrameValue::Request { .. } => return encode_request_value(out, address, value),
        FrameValue::Response {
            status,
            app_us,
            declared_length,
            reason,
            fields,
            data,
        } => {
            let fields: Vec<_> = fields.iter().map(|(n, v)| (bytes(n), bytes(v))).collect();
            let head = ResponseHead {
                status: *status,
                app_us: *app_us,
                declared_length: *declared_length,
                reason: &bytes(reason),
            };
            let fields = fields.iter().map(|(n, v)| (n.as_slice(), v.as_slice()));
            return encode_response(out, address, &head, fields, &bytes(data));
        }
        FrameValue::Hello { version, pid } => {
            payload.extend_from_slice(&version.to_le_bytes());
            payload.extend_from_slice(&pid.to_le_bytes());
            Kind::Hello
        }
        FrameValue::Body { data } => {
            payload = bytes(data);
            Kind::Body
        }
        FrameValue::Data { data } => {
            payload = bytes(data);
            Kind::Data
        }
        FrameValue::Credit { bytes } => {
            payload.extend_from_slice(&bytes.to_le_bytes());
            Kind::Credit
        }
        FrameValue::Read { bytes } => {
            payload.extend_from_slice(&bytes.to_le_bytes());
            Kind::Read
        }
        FrameValue::Cancel => Kind::Cancel,
        FrameValue::File { offset, length } => {
            payload.extend_from_slice(&offset.to_le_bytes());
            payload.extend_from_slice(&length.to_le_bytes());
            Kind::File
        }
        FrameValue::Failed { error, place } => {
            return put_failed(out, (slot, request), &bytes(error), &bytes(place));
        }
    };
    put_frame(out, kind, flags, slot, request, &payload);
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
        method: &bytes(method),
        path: &bytes(path),
        target: &bytes(target),
        query: &bytes(query),
        mount: &bytes(mount),
        client: &bytes(client),
        server_name: &bytes(server_name),
        request_id: &bytes(request_id),
    };
    let fields: Vec<_> = fields
        .iter()
        .map(|(k, n, v)| (*k, bytes(n), bytes(v)))
        .collect();
    let views = fields.iter().map(|(known, name, value)| FieldView {
        known: *known,
        name,
        value,
    });
    encode_request(out, address, &head, views, &bytes(inline));
}
