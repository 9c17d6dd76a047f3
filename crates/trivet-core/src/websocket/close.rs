//! Close codes (RFC 6455 section 7.4, and IANA's registry).

/// The close codes that the edge sends or reports by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The purpose is fulfilled.
    Normal = 1000,
    /// The other side broke the protocol.
    ProtocolError = 1002,
    /// Never sent: a close frame without a code.
    NoStatus = 1005,
    /// Never sent: the connection ended without a close frame.
    Abnormal = 1006,
    /// A text that is no UTF-8, or data that cannot be inflated.
    InvalidData = 1007,
    /// A message over the limit.
    TooLarge = 1009,
    /// The app or its worker failed.
    InternalError = 1011,
    /// The server restarts; the client may come back after a short random time.
    ServiceRestart = 1012,
}

/// Longest reason: a control frame has 125 bytes, of which the code takes two.
pub const MAX_REASON_BYTES: usize = 123;

/// Whether a close frame may carry `code`: one that is registered for the wire, or
/// free for libraries and apps (RFC 6455 section 7.4.2).
pub const fn can_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_only_a_program_may_see_cannot_be_sent() {
        for code in [
            0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535,
        ] {
            assert!(!can_be_sent(code), "{code}");
        }
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4999] {
            assert!(can_be_sent(code), "{code}");
        }
    }
}
