//! What proxies in front tell about the client.

use crate::http1::KnownField;
/// Whether proxies tell about the client in this field.
pub const fn is_forwarding_field(known: KnownField) -> bool {
    matches!(
        known,
        KnownField::Forwarded
            | KnownField::XForwardedFor
            | KnownField::XForwardedHost
            | KnownField::XForwardedPort
            | KnownField::XForwardedPrefix
            | KnownField::XForwardedProto
            | KnownField::XRealIp
    )
}
