//! Escaping what clients send, by the rules of each format.

/// As nginx: `"`, `\`, controls and everything beyond ASCII become `\xHH`.
pub(super) fn escape_combined(bytes: &[u8], out: &mut Vec<u8>) {
    let bytes = copy_plain(bytes, out);
    for &byte in bytes {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => push_hex(b"\\x", byte, out),
            _ => out.push(byte),
        }
    }
}

/// For a terminal: valid UTF-8 stays, controls do not, and a backslash is doubled.
///
/// The C1 controls (U+0080 to U+009F) move cursors too, and U+202E and its like
/// turn the line around.
pub(super) fn escape_text(bytes: &[u8], out: &mut Vec<u8>) {
    let bytes = copy_plain(bytes, out);
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char == '\\' {
                out.extend_from_slice(b"\\\\");
            } else if char.is_control() || is_bidi_control(char) {
                out.extend_from_slice(char.escape_unicode().to_string().as_bytes());
            } else {
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        for &byte in chunk.invalid() {
            push_hex(b"\\x", byte, out);
        }
    }
}

/// Inside of a JSON string: always valid UTF-8, always ASCII where it matters.
///
/// A byte that is not UTF-8 becomes the character of its number, `\u00XX`.
pub(super) fn escape_json(bytes: &[u8], out: &mut Vec<u8>) {
    let bytes = copy_plain(bytes, out);
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => {
                    out.push(b'\\');
                    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                }
                '\0'..' ' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                    push_u_escape(char, out);
                }
                _ if is_bidi_control(char) => push_u_escape(char, out),
                _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for &byte in chunk.invalid() {
            push_hex(b"\\u00", byte, out);
        }
    }
}

/// A logfmt value: bare if it may, else quoted as in JSON.
pub(super) fn escape_logfmt(bytes: &[u8], out: &mut Vec<u8>) {
    let is_plain = |&byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
    if !bytes.is_empty() && bytes.iter().all(is_plain) {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    escape_json(bytes, out);
    out.push(b'"');
}

/// Copy what no format escapes, in one go; the rest from the first other byte on.
/// Nearly every value is plain to its end.
fn copy_plain<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let is_special = |&byte: &u8| !(b' '..0x7f).contains(&byte) || byte == b'"' || byte == b'\\';
    let plain = bytes.iter().position(is_special).unwrap_or(bytes.len());
    let (plain, rest) = bytes.split_at(plain);
    out.extend_from_slice(plain);
    rest
}

const fn is_bidi_control(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_hex(prefix: &[u8], byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(prefix);
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 0xf)]);
}

/// All escaped characters lie in the basic plane: four digits are enough.
fn push_u_escape(char: char, out: &mut Vec<u8>) {
    let [.., high, low] = u32::from(char).to_be_bytes();
    push_hex(b"\\u", high, out);
    push_hex(b"", low, out);
}

static DIGITS: &[u8; 16] = b"0123456789abcdef";
