//! Bytes as text of which every character is one byte.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that are shown as latin-1 text, so that each of them has a character.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Latin1(pub Vec<u8>);

impl From<&[u8]> for Latin1 {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Latin1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.iter().copied().map(char::from).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Latin1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let byte = |c: char| {
            u8::try_from(u32::from(c)).map_err(|_| {
                let code = u32::from(c);
                D::Error::custom(format!("U+{code:04X} is not a latin-1 character"))
            })
        };
        String::deserialize(deserializer)?
            .chars()
            .map(byte)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}
