//! How many requests somebody may make in a time.
//!
//! Strategy: the generic cell rate algorithm (ITU-T I.371) keeps one number for
//! each key: the *theoretical arrival time*, up to which what was granted so far
//! fills the rate. A request moves it on by the interval between two requests of
//! the rate; it is refused where the time would then lie further ahead of now
//! than the burst allows. There are no windows at whose edges twice as much
//! passes, and nothing has to be counted down.
//!
//! [`Table`] keeps these times for many keys in a memory that never grows.

mod table;

#[cfg(test)]
mod tests;

pub use table::Table;

/// A second, in the unit of all times here.
pub const SECOND_NS: u64 = 1_000_000_000;

/// A rate that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    requests: u32,
    per_s: u32,
    burst: u32,
    interval_ns: u64,
}

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass, and so many more could right behind it.
    Granted {
        /// Of the burst.
        remaining: u32,
    },
    /// It is one too many.
    Refused {
        /// The next one is granted after so many nanoseconds.
        wait_ns: u64,
    },
}

impl Rate {
    /// So many requests in so many seconds, of which `burst` may come at once; none of these
    /// is 0, or it counts as 1.
    pub fn new(requests: u32, per_s: u32, burst: u32) -> Self {
        let (requests, per_s) = (requests.max(1), per_s.max(1));
        Self {
            requests,
            per_s,
            burst: burst.max(1),
            // At least a quarter of a nanosecond is no time: 4 thousand million in a second.
            interval_ns: (u64::from(per_s) * SECOND_NS / u64::from(requests)).max(1),
        }
    }

    /// Judge a request at `now_ns`, for a key whose theoretical arrival time is `tat_ns` (0 for
    /// a new key). Returns the time that the key has then; that of a refused request is the same.
    pub fn judge(&self, tat_ns: u64, now_ns: u64) -> (Verdict, u64) {
        let begins_ns = tat_ns.max(now_ns);
        let next_ns = begins_ns.saturating_add(self.interval_ns);
        let ahead_ns = next_ns - now_ns;
        let most_ns = self.interval_ns.saturating_mul(u64::from(self.burst));
        if let Some(wait_ns) = ahead_ns.checked_sub(most_ns).filter(|&wait_ns| wait_ns > 0) {
            return (Verdict::Refused { wait_ns }, tat_ns);
        }
        let remaining = (most_ns - ahead_ns) / self.interval_ns;
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
        (Verdict::Granted { remaining }, next_ns)
    }

    /// The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10 section 3): the
    /// quota, and the seconds that it is for.
    pub fn policy_field(&self) -> String {
        format!("\"route\";q={};w={}", self.requests, self.per_s)
    }

    /// The value of `RateLimit` (section 4 there) where nothing is left for `wait_s` seconds.
    pub fn refused_field(wait_s: u32) -> String {
        format!("\"route\";r=0;t={wait_s}")
    }
}

/// Whole seconds for `Retry-After` (RFC 9110 section 10.2.3): never too early.
pub const fn retry_after_s(wait_ns: u64) -> u64 {
    let seconds = wait_ns.div_ceil(SECOND_NS);
    if seconds == 0 { 1 } else { seconds }
}
