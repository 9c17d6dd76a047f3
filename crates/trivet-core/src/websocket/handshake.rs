//! The opening handshake over HTTP/1.1 (RFC 6455 section 4.2).

use crate::Problem;
use crate::field::list_elements;
use crate::http1::{Head, KnownField};

/// What a valid handshake offers, beside its subprotocols, which are the app's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The key, to be answered with [`accept_value`].
    pub key: [u8; 24],
    /// permessage-deflate can be agreed on; the number is the largest window that the
    /// client allows us, in bits (RFC 7692 section 7.1.2.1).
    pub deflate: Option<DeflateOffer>,
}

/// An offer of permessage-deflate that can be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateOffer {
    /// Bits of our window, from 9 to 15.
    pub window_bits: u8,
    /// Whether the client has named them, so that the answer has to.
    pub is_named: bool,
}

/// Whether a request that asks for an upgrade asks for this one.
pub fn asks_for_websocket(head: &Head, buf: &[u8]) -> bool {
    head.method.of(buf) == b"GET"
        && head
            .values(buf, KnownField::Upgrade)
            .flat_map(list_elements)
            .any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// Judge a handshake. `has_content` is whether the request has any.
///
/// # Errors
/// [`Problem::UpgradeRequired`] for another version, which the answer names, and
/// [`Problem::BadRequest`] for what is no handshake.
pub fn judge(head: &Head, buf: &[u8], has_content: bool) -> Result<Offer, Problem> {
    if only(head, buf, KnownField::SecWebSocketVersion) != Some(b"13") {
        return Err(Problem::UpgradeRequired);
    }
    if has_content {
        return Err(Problem::BadRequest(
            "A WebSocket handshake must not have content.",
        ));
    }
    let key = only(head, buf, KnownField::SecWebSocketKey)
        .and_then(|key| <[u8; 24]>::try_from(key).ok())
        .filter(is_key)
        .ok_or(Problem::BadRequest(
            "The Sec-WebSocket-Key is not the base64 form of 16 bytes.",
        ))?;
    let deflate = head
        .values(buf, KnownField::SecWebSocketExtensions)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .find_map(deflate_offer);
    Ok(Offer { key, deflate })
}

/// The value of a field that must be there once.
fn only<'a>(head: &'a Head, buf: &'a [u8], field: KnownField) -> Option<&'a [u8]> {
    let mut values = head.values(buf, field);
    values.next().filter(|_| values.next().is_none())
}

/// 22 characters of base64 stand for 16 bytes and four bits; RFC 4648 section 3.5
/// wants these to be 0, but some clients choose them at random.
fn is_key(key: &[u8; 24]) -> bool {
    let (digits, padding) = key.split_at(22);
    padding == b"=="
        && digits
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

/// One offer of an extension, if it is one that can be accepted.
fn deflate_offer(offer: &[u8]) -> Option<DeflateOffer> {
    let mut parts = offer.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    if !parts.next()?.eq_ignore_ascii_case(b"permessage-deflate") {
        return None;
    }
    let mut ours = None;
    let mut seen = [false; 4];
    for part in parts {
        let equals = part.iter().position(|&byte| byte == b'=');
        let (name, value) = match equals {
            Some(at) => {
                let (name, value) = part.split_at(at);
                (name.trim_ascii(), value.get(1..).map(unquoted))
            }
            None => (part, None),
        };
        let (place, is_fine) = match name {
            b"server_no_context_takeover" => (0, value.is_none()),
            b"client_no_context_takeover" => (1, value.is_none()),
            b"client_max_window_bits" => {
                (2, value.is_none_or(|value| window_bits(value, 8).is_some()))
            }
            b"server_max_window_bits" => {
                // zlib has no raw window of 8 bits.
                ours = value.and_then(|value| window_bits(value, 9));
                (3, ours.is_some())
            }
            _ => return None,
        };
        if !is_fine
            || seen
                .get_mut(place)
                .is_none_or(|seen| std::mem::replace(seen, true))
        {
            return None;
        }
    }
    Some(DeflateOffer {
        window_bits: ours.unwrap_or(15),
        is_named: ours.is_some(),
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value
        .strip_prefix(b"\"")
        .and_then(|inner| inner.strip_suffix(b"\""))
        .unwrap_or(value)
}

fn window_bits(value: &[u8], least: u8) -> Option<u8> {
    let bits = match *value {
        [digit @ b'8'..=b'9'] => digit - b'0',
        [b'1', digit @ b'0'..=b'5'] => 10 + digit - b'0',
        _ => return None,
    };
    (bits >= least).then_some(bits)
}

impl DeflateOffer {
    /// The value of `Sec-WebSocket-Extensions` that accepts the offer.
    pub fn acceptance(self) -> String {
        let mut value =
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover".to_owned();
        if self.is_named {
            value.push_str("; server_max_window_bits=");
            value.push_str(&self.window_bits.to_string());
        }
        value
    }
}

/// The value of `Sec-WebSocket-Accept` for a key (RFC 6455 section 4.2.2).
pub fn accept_value(key: &[u8; 24]) -> String {
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(key);
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(&sha1.digest().bytes())
}

/// RFC 4648 section 4, for a number of bytes that leaves two over.
fn base64(bytes: &[u8; 20]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(28);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=group.len() {
            let digit = bits >> (18 - 6 * at) & 63;
            text.push(char::from(DIGITS[digit as usize]));
        }
    }
    text.push('=');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{HeadLimits, Parse};

    fn judged(lines: &str) -> Result<Offer, Problem> {
        let text = format!("GET /chat HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut head = Head::default();
        let parsed = head.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
        assert_eq!(parsed, Parse::Complete);
        judge(&head, text.as_bytes(), false)
    }

    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

    // RFC 6455 section 1.3.
    #[test]
    fn the_key_of_the_standard_is_answered_as_there() {
        let offer = judged(&format!("{KEY}{VERSION}")).unwrap();
        assert_eq!(accept_value(&offer.key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(offer.deflate, None);
    }

    #[test]
    fn another_version_is_told_which_one_we_speak() {
        for version in [
            "",
            "Sec-WebSocket-Version: 8\r\n",
            "Sec-WebSocket-Version: 13, 8\r\n",
        ] {
            assert_eq!(
                judged(&format!("{KEY}{version}")),
                Err(Problem::UpgradeRequired)
            );
        }
        let twice = format!("{KEY}{VERSION}{VERSION}");
        assert_eq!(judged(&twice), Err(Problem::UpgradeRequired));
    }

    #[test]
    fn a_key_is_16_bytes_once() {
        for key in [
            "",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE=\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBs-SBub25jZQ==\r\n",
            &KEY.repeat(2),
        ] {
            let refused = judged(&format!("{key}{VERSION}"));
            assert!(matches!(refused, Err(Problem::BadRequest(_))), "{key}");
        }
    }

    #[test]
    fn compression_is_agreed_on_where_it_can_be() {
        let deflate = |offer: &str| {
            let line = format!("{KEY}{VERSION}Sec-WebSocket-Extensions: {offer}\r\n");
            judged(&line)
                .unwrap()
                .deflate
                .map(|offer| (offer.window_bits, offer.is_named))
        };
        assert_eq!(deflate("permessage-deflate"), Some((15, false)));
        assert_eq!(
            deflate("permessage-deflate; client_max_window_bits, permessage-deflate"),
            Some((15, false))
        );
        assert_eq!(
            deflate("permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"),
            Some((12, true))
        );
        assert_eq!(
            deflate("x-other, permessage-deflate; server_max_window_bits=\"10\""),
            Some((10, true))
        );
        for declined in [
            "x-webkit-deflate-frame",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; unknown",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover=1",
        ] {
            assert_eq!(deflate(declined), None, "{declined}");
        }
    }

    #[test]
    fn an_acceptance_names_what_was_named() {
        let offer = deflate_offer(b"permessage-deflate; server_max_window_bits=11").unwrap();
        assert_eq!(
            offer.acceptance(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=11"
        );
    }
}
