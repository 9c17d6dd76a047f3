//! What all connections of the edge share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use trivet_core::http_date;
use trivet_wire::edge_config::EdgeConfig;

use crate::access_log::Logs;
use crate::clock::coarse_unix_us;
use crate::pool::Pool;
use crate::settings::{Settings, SetupError};
use crate::watch::Watches;

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    settings: RwLock<Arc<Settings>>,
    /// Which settings these are: whoever holds some compares before it asks for them.
    edition: AtomicU64,
    /// The workers of each app, by number; as many as there were at the start.
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) logs: Logs,
    pub(crate) watches: Watches,
    date: Mutex<(u64, [u8; http_date::LEN])>,
    leaving: AtomicBool,
    draining: AtomicBool,
    cut_off: AtomicBool,
    connections: AtomicU32,
    /// Connections beyond the limits that are being told so.
    refused: AtomicU32,
    by_address: Mutex<HashMap<IpAddr, u32>>,
    pub(crate) requests: AtomicU64,
    /// Bytes that streams hold which are being compressed.
    pub(crate) coded_streams: Arc<AtomicU64>,
}

impl Shared {
    /// Make ready what the configuration asks for.
    ///
    /// # Errors
    /// [`SetupError`] for what only this process can find out.
    pub(crate) fn new(config: EdgeConfig) -> Result<Self, SetupError> {
        let pools: Vec<_> = config.apps.iter().map(|_| Arc::default()).collect();
        let logs = Logs::default();
        let settings = Settings::new(config, &pools, &logs, None)?;
        settings.apply_to_pools();
        Ok(Self {
            settings: RwLock::new(Arc::new(settings)),
            edition: AtomicU64::new(1),
            pools,
            logs,
            watches: Watches::default(),
            date: Mutex::new((0, http_date::format(0))),
            leaving: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            connections: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            by_address: Mutex::default(),
            requests: AtomicU64::new(0),
            coded_streams: Arc::default(),
        })
    }

    /// The settings that hold now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read())
    }

    /// Which settings hold now: it changes when they do.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::SeqCst)
    }

    /// Make other settings ready, which do not hold yet. Blocks.
    ///
    /// # Errors
    /// [`SetupError`] where they cannot be used; nothing has changed then.
    pub(crate) fn prepare(&self, config: EdgeConfig) -> Result<Settings, SetupError> {
        let before = self.settings();
        Settings::new(config, &self.pools, &self.logs, Some(&before))
    }

    /// Go by these settings from the next request on. Idle connections take them at once, so
    /// that none of them holds the settings before.
    pub(crate) fn adopt(&self, settings: Settings) {
        settings.apply_to_pools();
        *self.settings.write() = Arc::new(settings);
        self.edition.fetch_add(1, Ordering::SeqCst);
        self.watches.wake_idle();
    }

    /// The time now as an IMF-fixdate (RFC 9110 section 5.6.7).
    pub(crate) fn date(&self) -> [u8; http_date::LEN] {
        let now = coarse_unix_us() / 1_000_000;
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
    /// limit by address is not for them. One that was admitted stays, whatever
    /// limits a reload brings.
    pub(crate) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Admission {
        let settings = self.settings();
        let limits = &settings.config.limits;
        let counted = peer.filter(|addr| !addr.is_loopback() && !settings.trusted.trusts(*addr));
        let has_room = self.connections.fetch_add(1, Ordering::Relaxed) < limits.connections;
        let is_refused = !(has_room && self.count_address(counted, limits.connections_per_address));
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

    fn count_address(&self, addr: Option<IpAddr>, most: u32) -> bool {
        let Some(addr) = addr else { return true };
        let mut by_address = self.by_address.lock();
        let count = by_address.entry(addr).or_default();
        let has_room = *count < most;
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

#[cfg(test)]
pub(crate) mod tests {
    use trivet_wire::edge_config::AccessFormat;

    use super::*;

    /// What the edge gets for an app on one listener.
    pub(crate) fn config() -> EdgeConfig {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/vectors/edge_config/valid/001-every-part.json"
        );
        let vector = std::fs::read(path).unwrap();
        let mut vector: serde_json::Value = serde_json::from_slice(&vector).unwrap();
        let mut config: EdgeConfig = serde_json::from_value(vector["document"].take()).unwrap();
        config.access_log.format = AccessFormat::Off;
        config
    }

    pub(crate) fn shared_by(config: EdgeConfig) -> Arc<Shared> {
        Arc::new(Shared::new(config).unwrap())
    }

    fn shared(connections: u32, per_address: u32, trusted: &str) -> Arc<Shared> {
        let mut config = config();
        config.limits.connections = connections;
        config.limits.connections_per_address = per_address;
        config.trusted_proxies = vec![trusted.to_owned()];
        shared_by(config)
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

    #[test]
    fn other_settings_hold_whole_and_for_those_who_ask_from_then_on() {
        let shared = shared(1, 1, "unix");
        let before = (shared.settings(), shared.edition());
        let mut wanted = before.0.config.clone();
        wanted.limits.connections = 2;
        let prepared = shared.prepare(wanted).unwrap();
        assert_eq!(shared.edition(), before.1);
        shared.adopt(prepared);
        assert_ne!(shared.edition(), before.1);
        assert_eq!(before.0.config.limits.connections, 1);
        let held = [shared.admit(None), shared.admit(None)];
        assert!(held.iter().all(|admission| !admission.is_refused()));
        assert!(shared.admit(None).is_refused());
    }

    #[test]
    fn a_connection_beyond_a_lower_limit_stays() {
        let shared = shared(2, 1, "unix");
        let held = [shared.admit(None), shared.admit(None)];
        let mut wanted = shared.settings().config.clone();
        wanted.limits.connections = 1;
        shared.adopt(shared.prepare(wanted).unwrap());
        assert_eq!(shared.connections(), 2);
        assert!(shared.admit(None).is_refused());
        drop(held);
        assert!(!shared.admit(None).is_refused());
    }

    #[test]
    fn the_pools_of_the_apps_live_on() {
        let shared = shared(1, 1, "unix");
        let pools: Vec<_> = shared.pools.iter().map(Arc::as_ptr).collect();
        let mut wanted = shared.settings().config.clone();
        for app in &mut wanted.apps {
            app.mount.push_str("/moved");
        }
        shared.adopt(shared.prepare(wanted).unwrap());
        let settings = shared.settings();
        let found: Vec<_> = settings
            .apps
            .by_number()
            .map(|app| Arc::as_ptr(&app.pool))
            .collect();
        assert_eq!(found, pools);
        let mounts = settings.apps.by_number().map(|app| app.mount().to_vec());
        assert!(mounts.into_iter().all(|mount| mount.ends_with(b"/moved")));
    }
}
