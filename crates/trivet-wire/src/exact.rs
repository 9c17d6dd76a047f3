//! JSON that says everything, and nothing else.
//!
//! serde's derived types are more lenient than the contracts: a field that may be
//! `null` may also be missing, an object may be written as a list, and a variant
//! without fields takes any. So what was read is written again and compared.

use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Error, Value};

/// Decode `value`, every field of which must be there.
pub(crate) fn exact<T: DeserializeOwned + Serialize>(value: &Value) -> Result<T, Error> {
    let decoded = T::deserialize(value)?;
    match difference(value, &serde_json::to_value(&decoded)?) {
        None => Ok(decoded),
        Some(difference) => Err(Error::custom(difference)),
    }
}

/// Where `given` is not what the type writes.
fn difference(given: &Value, written: &Value) -> Option<String> {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => {
            let unknown = given.keys().find(|key| !written.contains_key(*key));
            if let Some(key) = unknown {
                return Some(format!("unknown field `{key}`"));
            }
            written
                .iter()
                .find_map(|(key, value)| match given.get(key) {
                    None => Some(format!("missing field `{key}`")),
                    Some(given) => difference(given, value),
                })
        }
        (Value::Array(given), Value::Array(written)) if given.len() == written.len() => given
            .iter()
            .zip(written)
            .find_map(|(given, written)| difference(given, written)),
        (Value::Array(_), Value::Object(_)) => {
            Some("invalid type: sequence, expected an object".into())
        }
        _ if given == written => None,
        _ => Some(format!("{given} is written as {written}")),
    }
}
