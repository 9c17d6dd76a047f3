//! Text with names in it: where a redirect leads, what a path is rewritten to.

use std::borrow::Cow;

/// What a template makes, which decides how values are written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A `Location` (RFC 9110 section 10.2.2): values are percent-encoded, but for their slashes.
    Location,
    /// A decoded path: values go in as they are.
    Path,
    /// A field's value: control characters are left out.
    Field,
}

/// Text with `{names}`; `{?query}` is the query with its question mark, `{:port}` the port with
/// its colon, and each of them nothing where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    made_for: Use,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Value(String),
    /// `{?query}` or `{:port}`: this byte and the value, or nothing.
    Marked(u8, &'static str),
}

/// Why a text is no template: completes "`option` …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be sent.
    #[error("has a character that a URL or field does not hold")]
    BadCharacter,
    /// A brace has no partner.
    #[error("has `{{` or `}}` without its partner")]
    Braces,
    /// Nothing has that name.
    #[error("names `{{{name}}}`, which the path does not: known are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
}

/// Names that every request has.
const ALWAYS: [&str; 6] = ["host", "hostname", "path", "port", "query", "scheme"];

impl Template {
    /// Parse a text that may use `names`, and `host`, `hostname`, `path`, `port`, `query`,
    /// `scheme`, `?query`, `:port`.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] says what is wrong.
    pub fn parse(text: &str, made_for: Use, names: &[&str]) -> Result<Self, TemplateError> {
        if text.chars().any(char::is_control) {
            return Err(TemplateError::BadCharacter);
        }
        if made_for == Use::Location && text.bytes().any(|byte| byte == b' ' || !byte.is_ascii()) {
            return Err(TemplateError::BadCharacter);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (literal, behind) = rest.split_at(open);
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.into()));
            }
            let inside = behind.strip_prefix('{').ok_or(TemplateError::Braces)?;
            let (name, behind) = inside.split_once('}').ok_or(TemplateError::Braces)?;
            pieces.push(match name {
                "?query" => Piece::Marked(b'?', "query"),
                ":port" => Piece::Marked(b':', "port"),
                _ if names.contains(&name) || ALWAYS.contains(&name) => {
                    Piece::Value(name.to_owned())
                }
                _ => {
                    let all = names.iter().chain(&ALWAYS);
                    let known: Vec<_> = all.map(|name| format!("`{{{name}}}`")).collect();
                    return Err(TemplateError::Unknown {
                        name: name.to_owned(),
                        known: known.join(", "),
                    });
                }
            });
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.into()));
        }
        Ok(Self { pieces, made_for })
    }

    /// The text for a request, of which `value` knows the named values and `query`.
    ///
    /// A `Location` that would begin with two slashes through a value begins with one: else
    /// a path `//evil.example/` could lead a browser to another host.
    pub fn render<'a>(&self, value: impl Fn(&str) -> Cow<'a, [u8]>) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Value(name) => self.add(name, &value(name), &mut out),
                Piece::Marked(mark, name) => {
                    let value = value(name);
                    if !value.is_empty() {
                        out.push(*mark);
                        self.add(name, &value, &mut out);
                    }
                }
            }
        }
        if self.made_for == Use::Location && !self.names_a_host() {
            let slashes = out
                .iter()
                .take_while(|&&byte| byte == b'/' || byte == b'\\')
                .count();
            if slashes > 1 {
                out.drain(1..slashes);
            }
        }
        out
    }

    /// Whether the operator's own text says which host it leads to.
    fn names_a_host(&self) -> bool {
        match self.pieces.as_slice() {
            [Piece::Literal(text), ..] => {
                text.starts_with(b"//") || memchr::memmem::find(text, b"://").is_some()
            }
            [Piece::Value(name), Piece::Literal(text), ..] => {
                name == "scheme" && text.starts_with(b"://")
            }
            _ => false,
        }
    }

    fn add(&self, name: &str, value: &[u8], out: &mut Vec<u8>) {
        match self.made_for {
            // It is encoded already; what no URL holds is encoded all the same.
            Use::Location if name == "query" => {
                for &byte in value {
                    if byte.is_ascii_graphic() {
                        out.push(byte);
                    } else {
                        add_encoded(byte, out);
                    }
                }
            }
            Use::Path => out.extend_from_slice(value),
            Use::Field => out.extend(value.iter().filter(|byte| !byte.is_ascii_control())),
            Use::Location => {
                for &byte in value {
                    if is_path_byte(byte) {
                        out.push(byte);
                    } else {
                        add_encoded(byte, out);
                    }
                }
            }
        }
    }
}

fn add_encoded(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
}

/// `pchar` without `%`, and `/` (RFC 3986 section 3.3); `:` and brackets serve hosts with ports.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/[]".contains(&byte)
}
