//! What clients may ask of a route: so many requests in a time, so many at once.
//!
//! The verdict about a rate is `trivet_core::rate_limit`'s. Here is what it needs: who a
//! request counts for, a table for each route, and locks around its shards. A limit lives on
//! over a reload while its route asks for the same requests and the same limit.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use trivet_core::rate_limit::{Rate, Table, Verdict};
use trivet_wire::edge_config::{self, LimitKey};

use crate::clock::now_us;

/// Keys that a route's rate is remembered for: 2 MiB, of which only what is used is taken.
const KEYS: usize = 1 << 17;
/// Tables that a route's keys are spread over, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// What a request is told apart by.
pub(crate) trait Asked {
    /// The client's address; `None` for one on a Unix socket.
    fn client(&self) -> Option<IpAddr>;
    /// The first value of a field; its name is in lower case.
    fn field(&self, name: &str) -> Option<&[u8]>;
    /// The value of a cookie.
    fn cookie(&self, name: &str) -> Option<&[u8]>;
}

/// Who requests count for, as numbers that nobody outside can foresee.
#[derive(Debug)]
struct Keys {
    by: LimitKey,
    state: RandomState,
}

impl Keys {
    fn new(by: &LimitKey) -> Self {
        Self {
            by: by.clone(),
            state: RandomState::new(),
        }
    }

    /// The key of a request. One that lacks the field or cookie counts for its address.
    fn of(&self, asked: &impl Asked) -> u64 {
        let given = match &self.by {
            LimitKey::Route {} => return 0,
            LimitKey::Address {
                v4_prefix,
                v6_prefix,
            } => return self.of_address(asked.client(), *v4_prefix, *v6_prefix),
            LimitKey::Field { name } => asked.field(name),
            LimitKey::Cookie { name } => asked.cookie(name),
        };
        match given {
            Some(value) if !value.is_empty() => self.state.hash_one((1, value)),
            _ => self.of_address(asked.client(), 32, 64),
        }
    }

    fn of_address(&self, client: Option<IpAddr>, v4_prefix: u8, v6_prefix: u8) -> u64 {
        self.state
            .hash_one((2, client.map(|addr| network(addr, v4_prefix, v6_prefix))))
    }
}

/// The network of so many bits that an address is in.
fn network(addr: IpAddr, v4_prefix: u8, v6_prefix: u8) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V4(addr) => {
            let host_bits = 32_u32.saturating_sub(v4_prefix.into());
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            Ipv4Addr::from_bits(addr.to_bits() & mask).into()
        }
        IpAddr::V6(addr) => {
            let host_bits = 128_u32.saturating_sub(v6_prefix.into());
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            Ipv6Addr::from_bits(addr.to_bits() & mask).into()
        }
    }
}

/// The limits of a route.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) rate: Option<Arc<RateLimit>>,
    pub(crate) concurrency: Option<Arc<ConcurrencyLimit>>,
}

impl Limits {
    /// What `policy` asks for; what `before` has counted by the same limit goes on.
    pub(crate) fn new(policy: &edge_config::Policy, before: Option<&Self>) -> Self {
        let rate = policy.rate_limit.as_ref().filter(|rate| rate.requests > 0);
        let rate = rate.map(|config| {
            let known = before.and_then(|before| before.rate.clone());
            let known = known.filter(|known| known.config == *config);
            known.unwrap_or_else(|| Arc::new(RateLimit::new(config)))
        });
        let most = policy.max_concurrency.as_ref();
        let concurrency = most.filter(|most| most.requests > 0).map(|config| {
            let known = before.and_then(|before| before.concurrency.clone());
            let known = known.filter(|known| known.config == *config);
            known.unwrap_or_else(|| Arc::new(ConcurrencyLimit::new(config)))
        });
        Self { rate, concurrency }
    }
}

/// How many requests a route takes in a time.
#[derive(Debug)]
pub(crate) struct RateLimit {
    pub(crate) config: edge_config::RateLimit,
    pub(crate) rate: Rate,
    keys: Keys,
    shards: Box<[Mutex<Table>]>,
}

impl RateLimit {
    pub(crate) fn new(config: &edge_config::RateLimit) -> Self {
        let rate = Rate::new(config.requests, config.per_s, config.burst);
        let (shards, keys) = match config.by {
            LimitKey::Route {} => (1, 1),
            _ => (SHARDS, KEYS),
        };
        let tables = (0..shards).map(|_| Mutex::new(Table::new(rate, keys / shards)));
        Self {
            config: config.clone(),
            rate,
            keys: Keys::new(&config.by),
            shards: tables.collect(),
        }
    }

    /// Count a request.
    pub(crate) fn judge(&self, asked: &impl Asked) -> Verdict {
        let key = self.keys.of(asked);
        let now_ns = now_us().saturating_mul(1000);
        // There is a power of two of them, and their keys differ in the upper half.
        let at = (key & 0xffff) as usize & (self.shards.len() - 1);
        match self.shards.get(at) {
            Some(shard) => shard.lock().judge(key, now_ns),
            None => Verdict::Granted { remaining: 0 },
        }
    }
}

/// How many requests of a route run at once.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    pub(crate) config: edge_config::MaxConcurrency,
    keys: Keys,
    /// Only keys with requests that run: there are never more than connections.
    running: Mutex<HashMap<u64, u32>>,
}

impl ConcurrencyLimit {
    pub(crate) fn new(config: &edge_config::MaxConcurrency) -> Self {
        Self {
            config: config.clone(),
            keys: Keys::new(&config.by),
            running: Mutex::default(),
        }
    }

    /// Let a request run, if another one may.
    pub(crate) fn begin(self: &Arc<Self>, asked: &impl Asked) -> Option<Permit> {
        let key = self.keys.of(asked);
        let mut running = self.running.lock();
        let count = running.get(&key).copied().unwrap_or(0);
        if count >= self.config.requests {
            return None;
        }
        running.insert(key, count + 1);
        drop(running);
        Some(Permit {
            limit: Arc::clone(self),
            key,
        })
    }
}

/// A request runs; no longer when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    limit: Arc<ConcurrencyLimit>,
    key: u64,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut running = self.limit.running.lock();
        if let Some(count) = running.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Request(&'static str, &'static str);

    impl Asked for Request {
        fn client(&self) -> Option<IpAddr> {
            self.0.parse().ok()
        }

        fn field(&self, name: &str) -> Option<&[u8]> {
            (name == "x-api-key").then_some(self.1.as_bytes())
        }

        fn cookie(&self, name: &str) -> Option<&[u8]> {
            (name == "session").then_some(self.1.as_bytes())
        }
    }

    fn address(v4_prefix: u8, v6_prefix: u8) -> LimitKey {
        LimitKey::Address {
            v4_prefix,
            v6_prefix,
        }
    }

    #[test]
    fn requests_count_for_what_the_key_says() {
        let field = LimitKey::Field {
            name: "x-api-key".to_owned(),
        };
        let cookie = LimitKey::Cookie {
            name: "session".to_owned(),
        };
        let absent = LimitKey::Cookie {
            name: "other".to_owned(),
        };
        let cases = [
            (address(32, 64), ("10.0.0.1", ""), ("10.0.0.1", "x"), true),
            (address(32, 64), ("10.0.0.1", ""), ("10.0.0.2", ""), false),
            (
                address(32, 64),
                ("10.0.0.1", ""),
                ("::ffff:10.0.0.1", ""),
                true,
            ),
            (address(24, 64), ("10.0.0.1", ""), ("10.0.0.2", ""), true),
            (address(24, 64), ("10.0.0.1", ""), ("10.0.1.1", ""), false),
            (address(0, 0), ("10.0.0.1", ""), ("203.0.113.1", ""), true),
            (
                address(32, 64),
                ("2001:db8::1", ""),
                ("2001:db8::2:1", ""),
                true,
            ),
            (
                address(32, 64),
                ("2001:db8::1", ""),
                ("2001:db8:0:1::1", ""),
                false,
            ),
            (
                address(32, 48),
                ("2001:db8::1", ""),
                ("2001:db8:0:1::1", ""),
                true,
            ),
            (
                address(32, 128),
                ("2001:db8::1", ""),
                ("2001:db8::2", ""),
                false,
            ),
            (address(32, 64), ("unix", ""), ("unix", ""), true),
            (address(32, 64), ("unix", ""), ("0.0.0.0", ""), false),
            (field.clone(), ("10.0.0.1", "a"), ("10.0.0.2", "a"), true),
            (field.clone(), ("10.0.0.1", "a"), ("10.0.0.1", "b"), false),
            (field, ("10.0.0.1", ""), ("10.0.0.2", ""), false),
            (cookie.clone(), ("10.0.0.1", "a"), ("10.0.0.2", "a"), true),
            (cookie, ("10.0.0.1", "a"), ("10.0.0.1", "b"), false),
            (absent, ("10.0.0.1", "a"), ("10.0.0.1", "b"), true),
            (
                LimitKey::Route {},
                ("10.0.0.1", "a"),
                ("10.0.0.2", "b"),
                true,
            ),
        ];
        for (by, one, other, is_same) in cases {
            let keys = Keys::new(&by);
            let (one, other) = (Request(one.0, one.1), Request(other.0, other.1));
            let equal = keys.of(&one) == keys.of(&other);
            assert_eq!(equal, is_same, "{by:?} {} {}", one.0, other.0);
        }
    }

    #[test]
    fn a_field_is_never_taken_for_an_address() {
        let field = LimitKey::Field {
            name: "x-api-key".to_owned(),
        };
        let keys = Keys::new(&field);
        assert_ne!(
            keys.of(&Request("10.0.0.1", "10.0.0.1")),
            keys.of(&Request("10.0.0.1", ""))
        );
    }

    #[test]
    fn a_rate_is_kept_for_each_key() {
        let limit = RateLimit::new(&edge_config::RateLimit {
            requests: 1,
            per_s: 3600,
            burst: 2,
            by: address(32, 64),
        });
        for (addr, expected) in [
            ("10.0.0.1", Some(1)),
            ("10.0.0.1", Some(0)),
            ("10.0.0.1", None),
            ("10.0.0.2", Some(1)),
        ] {
            let remaining = match limit.judge(&Request(addr, "")) {
                Verdict::Granted { remaining } => Some(remaining),
                Verdict::Refused { .. } => None,
            };
            assert_eq!(remaining, expected, "{addr}");
        }
    }

    #[test]
    fn places_are_free_again_when_requests_end() {
        let limit = Arc::new(ConcurrencyLimit::new(&edge_config::MaxConcurrency {
            requests: 2,
            by: address(32, 64),
        }));
        let (one, other) = (Request("10.0.0.1", ""), Request("10.0.0.2", ""));
        let held = [limit.begin(&one), limit.begin(&one)];
        assert!(held.iter().all(Option::is_some));
        assert!(limit.begin(&one).is_none());
        assert!(limit.begin(&other).is_some());
        drop(held);
        assert!(limit.running.lock().is_empty());
        assert!(limit.begin(&one).is_some());
    }
}
