//! What all connections of the edge share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use trivet_core::access_log::AccessFormat;
use trivet_core::forwarded::TrustedProxies;
use trivet_core::gate::{GatePolicy, UnderscorePolicy};
use trivet_core::health::{Condition, ProbePaths};
use trivet_core::http_date;
use trivet_core::http1::{ChunkedLimits, HeadLimits};
use trivet_wire::edge_config::{self, EdgeConfig, Underscores};

use crate::access_log::AccessLog;
use crate::clock::unix_us;
use crate::mount::Mounts;
use crate::spool::SpoolFolder;
use crate::watch::Watches;

/// Why the edge cannot work with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A trusted proxy is not an address or network.
    #[error("trusted proxies: {0}")]
    TrustedProxies(String),
    /// The access log cannot be opened.
    #[error("cannot open the access log {path}: {source}")]
    AccessLog {
        /// Where it should be.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// A policy by path, ready to be compared.
#[derive(Debug)]
pub(crate) struct RoutePolicy {
    /// Its path as configured; `None` for what applies where there is no route.
    pub(crate) name: Option<Arc<str>>,
    path: Vec<u8>,
    is_prefix: bool,
    pub(crate) buffers_request: bool,
    pub(crate) body_bytes: u64,
    /// From a request's arrival to the head of its response, µs; 0 for ever.
    /// `None` for the app's own.
    pub(crate) timeout_us: Option<u64>,
    pub(crate) cancel_on_disconnect: bool,
}

impl RoutePolicy {
    fn matches(&self, path: &[u8]) -> bool {
        if self.is_prefix {
            path.starts_with(&self.path)
        } else {
            path == self.path
        }
    }
}

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    pub(crate) config: EdgeConfig,
    pub(crate) apps: Mounts,
    pub(crate) watches: Watches,
    pub(crate) spool: SpoolFolder,
    pub(crate) trusted: TrustedProxies,
    pub(crate) gate: GatePolicy,
    pub(crate) head_limits: HeadLimits,
    pub(crate) chunked_limits: ChunkedLimits,
    /// Where probes are answered, if anywhere.
    pub(crate) probes: Option<ProbePaths>,
    routes: Vec<RoutePolicy>,
    default_route: RoutePolicy,
    access_log: Option<AccessLog>,
    date: Mutex<(u64, [u8; http_date::LEN])>,
    leaving: AtomicBool,
    draining: AtomicBool,
    cut_off: AtomicBool,
    connections: AtomicU32,
    /// Connections beyond the limits that are being told so.
    refused: AtomicU32,
    by_address: Mutex<HashMap<IpAddr, u32>>,
    pub(crate) requests: AtomicU64,
}

impl Shared {
    /// Make ready what the configuration asks for.
    ///
    /// # Errors
    /// [`SetupError`] for what only this process can find out.
    pub fn new(config: EdgeConfig) -> Result<Self, SetupError> {
        let trusted =
            TrustedProxies::parse(&config.trusted_proxies).map_err(SetupError::TrustedProxies)?;
        let access_log = open_access_log(&config.access_log)?;
        let response_memory = u64::from(config.buffers.response_memory_bytes);
        let body_bytes = config.limits.request_body_bytes;
        let route = |route: &edge_config::Route| {
            let path = route.path.strip_suffix('*');
            RoutePolicy {
                name: Some(Arc::from(route.path.as_str())),
                is_prefix: path.is_some(),
                path: path.unwrap_or(&route.path).into(),
                buffers_request: route.request_buffering.unwrap_or(true),
                body_bytes: route.request_body_bytes.unwrap_or(body_bytes),
                timeout_us: route
                    .timeout_ms
                    .map(|timeout_ms| u64::from(timeout_ms) * 1000),
                cancel_on_disconnect: route.cancel_on_disconnect.unwrap_or(false),
            }
        };
        Ok(Self {
            apps: Mounts::new(&config.apps, response_memory),
            watches: Watches::default(),
            spool: SpoolFolder::new(config.buffers.folder.as_deref()),
            trusted,
            gate: GatePolicy {
                underscores: match config.underscores {
                    Underscores::Allow => UnderscorePolicy::Allow,
                    Underscores::Drop => UnderscorePolicy::Drop,
                    Underscores::Refuse => UnderscorePolicy::Refuse,
                },
            },
            head_limits: HeadLimits {
                head_bytes: config.limits.request_head_bytes as usize,
                fields: usize::from(config.limits.request_fields),
                target_bytes: config.limits.request_target_bytes as usize,
            },
            chunked_limits: ChunkedLimits::default(),
            probes: Some(probe_paths(&config.health)).filter(|paths| !paths.is_empty()),
            routes: config.routes.iter().map(route).collect(),
            default_route: RoutePolicy {
                name: None,
                path: Vec::new(),
                is_prefix: true,
                buffers_request: true,
                body_bytes,
                timeout_us: None,
                cancel_on_disconnect: false,
            },
            access_log,
            date: Mutex::new((0, http_date::format(0))),
            leaving: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            connections: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            by_address: Mutex::default(),
            requests: AtomicU64::new(0),
            config,
        })
    }

    pub(crate) fn access_log(&self) -> Option<&AccessLog> {
        self.access_log.as_ref()
    }

    /// The policy for a path: the first route that matches.
    pub(crate) fn route(&self, path: &[u8]) -> &RoutePolicy {
        self.routes
            .iter()
            .find(|route| route.matches(path))
            .unwrap_or(&self.default_route)
    }

    /// The time now as an IMF-fixdate (RFC 9110 section 5.6.7).
    pub(crate) fn date(&self) -> [u8; http_date::LEN] {
        let now = unix_us() / 1_000_000;
        let mut date = self.date.lock();
        if date.0 != now {
            *date = (now, http_date::format(now));
        }
        date.1
    }

    /// Whether the edge drains, or is about to: no connection is kept for another request.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Be ready for no further requests, though those that come are answered.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// What a probe is to be told.
    pub(crate) fn condition(&self) -> Condition<'_> {
        if self.is_leaving() {
            return Condition::Draining;
        }
        match self.apps.unserved() {
            // A mount came as text.
            Some(mount) => Condition::NoWorker(std::str::from_utf8(mount).unwrap_or_default()),
            None => Condition::Serving,
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Let each connection end with its present request.
    pub fn drain(&self) {
        self.leave();
        self.draining.store(true, Ordering::SeqCst);
        self.watches.wake_idle();
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// End every connection now.
    pub fn cut_off(&self) {
        self.drain();
        self.cut_off.store(true, Ordering::Relaxed);
        self.watches.wake_all();
    }

    /// Open connections.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Count a connection, or say that it is one too many.
    ///
    /// Trusted proxies and this machine itself speak for many clients, so the
    /// limit by address is not for them.
    pub(crate) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Admission {
        let limit = self.config.limits.connections;
        let counted = peer.filter(|addr| !addr.is_loopback() && !self.trusted.trusts(*addr));
        let has_room = self.connections.fetch_add(1, Ordering::Relaxed) < limit;
        let is_refused = !(has_room && self.count_address(counted));
        if is_refused {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        Admission {
            shared: Arc::clone(self),
            is_refused,
            counted,
        }
    }

    fn count_address(&self, addr: Option<IpAddr>) -> bool {
        let Some(addr) = addr else { return true };
        let mut by_address = self.by_address.lock();
        let count = by_address.entry(addr).or_default();
        let has_room = *count < self.config.limits.connections_per_address;
        *count += u32::from(has_room);
        has_room
    }
}

/// A connection as it was counted; no longer counted when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    shared: Arc<Shared>,
    /// It is not among the served ones, whose number is limited.
    is_refused: bool,
    /// The address that it counts for.
    counted: Option<IpAddr>,
}

impl Admission {
    /// Whether the limits forbid to serve it.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Whether a refused connection may stay until its client has read why:
    /// only a few may, for they come on top of the limit.
    pub(crate) fn may_linger(&self) -> bool {
        const MOST_REFUSED: u32 = 64;
        self.shared.refused.load(Ordering::Relaxed) <= MOST_REFUSED
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.is_refused {
            self.shared.refused.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(addr) = self.counted else { return };
        let mut by_address = self.shared.by_address.lock();
        if let Some(count) = by_address.get_mut(&addr) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&addr);
            }
        }
    }
}

fn probe_paths(health: &edge_config::Health) -> ProbePaths {
    let path = |path: &Option<String>| path.as_ref().map(|path| path.clone().into_bytes());
    ProbePaths {
        live: path(&health.live),
        ready: path(&health.ready),
    }
}

fn open_access_log(config: &edge_config::AccessLog) -> Result<Option<AccessLog>, SetupError> {
    use edge_config::AccessFormat as Wanted;
    let format = match config.format {
        Wanted::Combined => AccessFormat::Combined,
        Wanted::Json => AccessFormat::Json,
        Wanted::Logfmt => AccessFormat::Logfmt,
        Wanted::Text => AccessFormat::Text {
            colour: config.colour,
        },
        Wanted::Off => return Ok(None),
    };
    let path = config.path.as_deref();
    AccessLog::open(format, path)
        .map(Some)
        .map_err(|source| SetupError::AccessLog {
            path: path.unwrap_or("on standard output").to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the edge gets for an app on one listener, with these limits.
    fn shared(connections: u32, per_address: u32, trusted: &str) -> Arc<Shared> {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/vectors/edge_config/valid/001-every-part.json"
        );
        let vector = std::fs::read(path).unwrap();
        let mut vector: serde_json::Value = serde_json::from_slice(&vector).unwrap();
        let mut config: EdgeConfig = serde_json::from_value(vector["document"].take()).unwrap();
        config.limits.connections = connections;
        config.limits.connections_per_address = per_address;
        config.trusted_proxies = vec![trusted.to_owned()];
        config.access_log.format = edge_config::AccessFormat::Off;
        Arc::new(Shared::new(config).unwrap())
    }

    fn address(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn one_address_may_hold_so_many_connections_and_no_more() {
        let shared = shared(100, 2, "10.0.0.0/8");
        let stranger = address("203.0.113.7");
        let held = [shared.admit(stranger), shared.admit(stranger)];
        assert!(held.iter().all(|admission| !admission.is_refused()));
        assert!(shared.admit(stranger).is_refused());
        assert!(!shared.admit(address("203.0.113.8")).is_refused());
        drop(held);
        assert!(!shared.admit(stranger).is_refused());
        assert_eq!(shared.connections(), 0);
        assert!(shared.by_address.lock().is_empty());
    }

    #[test]
    fn who_speaks_for_many_may_hold_more() {
        let shared = shared(100, 1, "10.0.0.0/8");
        for peer in [
            address("127.0.0.1"),
            address("::1"),
            address("10.1.2.3"),
            None,
        ] {
            let held: Vec<_> = (0..5).map(|_| shared.admit(peer)).collect();
            assert!(
                held.iter().all(|admission| !admission.is_refused()),
                "{peer:?}"
            );
        }
    }

    #[test]
    fn a_refused_connection_is_counted_apart() {
        let shared = shared(1, 1, "unix");
        let held = shared.admit(None);
        let refused: Vec<_> = (0..65).map(|_| shared.admit(None)).collect();
        assert!(refused.iter().all(Admission::is_refused));
        assert!(!held.is_refused());
        assert_eq!(shared.connections(), 1);
        assert!(refused.iter().all(|admission| !admission.may_linger()));
        drop(refused);
        assert!(shared.admit(None).may_linger());
    }
}
