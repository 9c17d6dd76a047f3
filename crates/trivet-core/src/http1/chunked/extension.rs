//! The grammar of chunk extensions (RFC 9112 section 7.1.1).
//!
//! They are ignored, but only if they are well-formed: a quoted string that hides
//! a line break, or a bare semicolon, is read differently by different parsers.

use crate::field::{is_tchar, is_value_byte};

/// Where in `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// In whitespace that only `;` may end.
    BeforeSemicolon,
    /// After `;`.
    BeforeName,
    Name,
    /// In whitespace after a name, which `=` or `;` may end.
    AfterName,
    /// After `=`.
    BeforeValue,
    Token,
    Quoted,
    /// After a backslash in a quoted string.
    Escaped,
    /// Right after the closing quote.
    AfterQuoted,
}

impl Extension {
    /// The state after the first byte behind the size.
    pub(super) const fn first(byte: u8) -> Option<Self> {
        match byte {
            b';' => Some(Self::BeforeName),
            b' ' | b'\t' => Some(Self::BeforeSemicolon),
            _ => None,
        }
    }

    /// The state after `byte`, or `None` if it does not fit.
    pub(super) const fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Quoted, b'"') => Some(Self::AfterQuoted),
            (Self::Quoted, b'\\') => Some(Self::Escaped),
            (Self::Quoted | Self::Escaped, byte) if is_value_byte(byte) => Some(Self::Quoted),
            (Self::BeforeSemicolon | Self::Token | Self::AfterQuoted, b' ' | b'\t') => {
                Some(Self::BeforeSemicolon)
            }
            (Self::BeforeName | Self::BeforeValue, b' ' | b'\t') => Some(self),
            (Self::Name | Self::AfterName, b' ' | b'\t') => Some(Self::AfterName),
            (Self::Name | Self::AfterName, b'=') => Some(Self::BeforeValue),
            (Self::BeforeValue, b'"') => Some(Self::Quoted),
            (
                Self::BeforeSemicolon
                | Self::Name
                | Self::AfterName
                | Self::Token
                | Self::AfterQuoted,
                b';',
            ) => Some(Self::BeforeName),
            (Self::BeforeName | Self::Name, byte) if is_tchar(byte) => Some(Self::Name),
            (Self::BeforeValue | Self::Token, byte) if is_tchar(byte) => Some(Self::Token),
            _ => None,
        }
    }

    /// Whether the line may end here.
    pub(super) const fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Token | Self::AfterQuoted)
    }
}
