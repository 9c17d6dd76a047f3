//! From an admitted request to the frame that a worker gets.

use trivet_core::forwarded::is_forwarding_field;
use trivet_core::http1::{KnownField, Version};
use trivet_wire::frames::{
    Content as Kind, FieldView, Flags, RequestHead, UNKNOWN_LENGTH, encode_request,
};

use super::Connection;
use super::content::Content;
use super::log::Record;
use crate::mount::MountedApp;

impl Connection {
    /// The frame of the present request for an app, addressed to no worker yet.
    pub(super) fn frame(&self, app: &MountedApp, record: &Record, content: &Content) -> Vec<u8> {
        let (head, buf, admitted) = (&self.head, &self.buf, &self.admitted);
        let path = app.below(&admitted.path).unwrap_or(&admitted.path);
        let (kind, content_length, inline) = match content {
            Content::None => (Kind::None, 0, &[][..]),
            Content::Inline { start, length } => {
                let inline = buf.get(*start..start + length).unwrap_or_default();
                (Kind::Inline, *length as u64, inline)
            }
            Content::Decoded(bytes) => (Kind::Inline, bytes.len() as u64, bytes.as_slice()),
            Content::File(spool) => (Kind::File, spool.length(), &[][..]),
            Content::WebSocket => (Kind::WebSocket, 0, &[][..]),
            Content::Upgrade => (Kind::Upgrade, 0, &[][..]),
            Content::Stream(length) => (Kind::Stream, length.unwrap_or(UNKNOWN_LENGTH), &[][..]),
        };
        let flags = if matches!(kind, Kind::File | Kind::Upgrade) {
            Flags::DESCRIPTOR
        } else {
            Flags::default()
        };
        let host = record
            .host
            .map_or_else(|| admitted.host.of(buf), |host| host.of(buf));
        let is_secure = record.scheme == "https";
        let (server_name, server_port) = split_port(host, if is_secure { 443 } else { 80 });
        let client = self.client_text(record);
        let request = RequestHead {
            attempt: 0,
            secure: is_secure,
            version: if head.version == Version::Http10 {
                10
            } else {
                11
            },
            content: kind,
            received_us: record.received_us,
            deadline_us: record.due_us,
            content_length,
            client_port: record.client_port,
            server_port,
            method: head.method.of(buf),
            path,
            target: head.target.of(buf),
            query: admitted.query.of(buf),
            mount: app.mount(),
            client: client.as_bytes(),
            server_name: if server_name.is_empty() {
                b"localhost"
            } else {
                server_name
            },
            request_id: record.id.as_bytes(),
        };
        let forwarded = admitted
            .forward
            .iter()
            .filter_map(|&at| head.fields.get(usize::from(at)));
        let edits = &self.way.treatment.request_fields;
        let seen = forwarded.filter(|field| {
            (record.is_trusted || !is_forwarding_field(field.known))
                && (edits.is_empty() || !edits.drops(field.name.of(buf)))
        });
        let new = edits.new_fields().map(|(known, name, value)| FieldView {
            known: known as u8,
            name,
            value,
        });
        let fields = seen.map(|field| {
            let known = field.known;
            let value = if known == KnownField::Host {
                host
            } else {
                field.value.of(buf)
            };
            let name = if known == KnownField::Other {
                field.name.of(buf)
            } else {
                &[]
            };
            FieldView {
                known: known as u8,
                name,
                value,
            }
        });
        let mut frame = Vec::with_capacity(head.len + 192 + inline.len());
        encode_request(
            &mut frame,
            (0, 0, flags),
            &request,
            fields.chain(new),
            inline,
        );
        frame
    }
}

/// Host and port of an authority that the gate has accepted.
fn split_port(authority: &[u8], default: u16) -> (&[u8], u16) {
    let after_address = authority
        .iter()
        .rposition(|&byte| byte == b']')
        .map_or(0, |at| at + 1);
    let colon = authority
        .iter()
        .skip(after_address)
        .position(|&byte| byte == b':');
    let Some(colon) = colon.map(|at| at + after_address) else {
        return (authority, default);
    };
    let (name, port) = authority.split_at(colon);
    let digits = port
        .get(1..)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    (
        name,
        digits
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(default),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_split_from_names_and_addresses() {
        assert_eq!(split_port(b"example.com", 80), (&b"example.com"[..], 80));
        assert_eq!(
            split_port(b"example.com:18008", 80),
            (&b"example.com"[..], 18008)
        );
        assert_eq!(split_port(b"[::1]:8000", 80), (&b"[::1]"[..], 8000));
        assert_eq!(split_port(b"[::1]", 443), (&b"[::1]"[..], 443));
        assert_eq!(split_port(b"example.com:", 80), (&b"example.com"[..], 80));
    }
}
