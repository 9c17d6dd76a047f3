//! Which app a path belongs to.

use std::sync::Arc;

use trivet_wire::edge_config::App;

use crate::pool::Pool;

/// An app below its path prefix, with its workers.
#[derive(Debug)]
pub(crate) struct MountedApp {
    mount: Vec<u8>,
    /// For the head of a response, from the arrival of its request, in µs; 0 for ever.
    pub(crate) request_us: u64,
    /// Its workers and queue.
    pub(crate) pool: Arc<Pool>,
}

impl MountedApp {
    /// The prefix, without a slash at its end.
    pub(crate) fn mount(&self) -> &[u8] {
        &self.mount
    }

    #[cfg(test)]
    pub(crate) fn for_tests(mount: &str) -> Self {
        Self {
            mount: mount.as_bytes().to_vec(),
            request_us: 0,
            pool: Arc::default(),
        }
    }

    /// The part of `path` below the mount; `None` where it is not below it.
    pub(crate) fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        below(path, &self.mount)
    }
}

/// The apps of the edge.
#[derive(Debug)]
pub(crate) struct Mounts {
    /// As configured.
    by_number: Vec<Arc<MountedApp>>,
    /// Longest mount first, so that the first match is the nearest.
    by_length: Vec<Arc<MountedApp>>,
}

impl Mounts {
    /// Mount each of the apps before its workers, of which `pools` has as many.
    pub(crate) fn new(apps: &[App], pools: &[Arc<Pool>]) -> Self {
        let mounted = |(app, pool): (&App, &Arc<Pool>)| {
            Arc::new(MountedApp {
                mount: app.mount.as_bytes().to_vec(),
                request_us: u64::from(app.request_ms) * 1000,
                pool: Arc::clone(pool),
            })
        };
        let by_number: Vec<_> = apps.iter().zip(pools).map(mounted).collect();
        let mut by_length = by_number.clone();
        by_length.sort_by_key(|app| std::cmp::Reverse(app.mount.len()));
        Self {
            by_number,
            by_length,
        }
    }

    /// The app that answers `path`: the one with the longest mount above it.
    ///
    /// `*` asks about the server as a whole (RFC 9110 section 9.3.7), which
    /// the app with the shortest mount speaks for.
    pub(crate) fn of(&self, path: &[u8]) -> Option<&Arc<MountedApp>> {
        if path == b"*" {
            return self.by_length.last();
        }
        self.by_length.iter().find(|app| app.below(path).is_some())
    }

    /// The number of the app that answers `path`.
    pub(crate) fn number_of(&self, path: &[u8]) -> Option<usize> {
        let found = self.of(path)?;
        self.by_number
            .iter()
            .position(|app| Arc::ptr_eq(app, found))
    }

    /// The mount of an app that has no worker to take requests, if there is one.
    pub(crate) fn unserved(&self) -> Option<&[u8]> {
        let unserved = |app: &&Arc<MountedApp>| !app.pool.takes_requests();
        self.by_number.iter().find(unserved).map(|app| app.mount())
    }

    /// The apps, as configured.
    pub(crate) fn by_number(&self) -> impl Iterator<Item = &Arc<MountedApp>> {
        self.by_number.iter()
    }
}

fn below<'a>(path: &'a [u8], mount: &[u8]) -> Option<&'a [u8]> {
    if path == b"*" {
        return Some(path);
    }
    let rest = path.strip_prefix(mount)?;
    match rest.first() {
        None | Some(b'/') => Some(rest),
        Some(_) if mount.is_empty() => Some(rest),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(paths: &[&str]) -> Mounts {
        let app = |mount: &&str| App {
            name: "app".to_owned(),
            mount: (*mount).to_owned(),
            queue: 1,
            concurrency: None,
            request_ms: 0,
            window: 0,
        };
        let pools: Vec<_> = paths.iter().map(|_| Arc::default()).collect();
        Mounts::new(&paths.iter().map(app).collect::<Vec<_>>(), &pools)
    }

    fn found<'a>(mounts: &'a Mounts, path: &str) -> Option<&'a str> {
        let app = mounts.of(path.as_bytes())?;
        std::str::from_utf8(app.mount()).ok()
    }

    #[test]
    fn a_mount_is_taken_off_at_a_slash_only() {
        assert_eq!(below(b"/shop/cart", b"/shop"), Some(&b"/cart"[..]));
        assert_eq!(below(b"/shop", b"/shop"), Some(&b""[..]));
        assert_eq!(below(b"/shopping", b"/shop"), None);
        assert_eq!(below(b"/other", b"/shop"), None);
        assert_eq!(below(b"/other", b""), Some(&b"/other"[..]));
        assert_eq!(below(b"*", b""), Some(&b"*"[..]));
        assert_eq!(below(b"*", b"/shop"), Some(&b"*"[..]));
    }

    #[test]
    fn the_longest_mount_above_a_path_answers() {
        let mounts = mounts(&["/shop", "", "/shop/admin"]);
        assert_eq!(found(&mounts, "/shop/admin/users"), Some("/shop/admin"));
        assert_eq!(found(&mounts, "/shop/administration"), Some("/shop"));
        assert_eq!(found(&mounts, "/shopping"), Some(""));
        assert_eq!(found(&mounts, "*"), Some(""));
    }

    #[test]
    fn a_path_may_belong_to_nobody() {
        let mounts = mounts(&["/shop", "/blog"]);
        assert_eq!(found(&mounts, "/"), None);
        assert!(Mounts::new(&[], &[]).of(b"/").is_none());
    }

    #[test]
    fn numbers_go_by_the_configuration() {
        let mounts = mounts(&["", "/shop"]);
        let numbered: Vec<_> = mounts.by_number().map(|app| app.mount()).collect();
        assert_eq!(numbered, [&b""[..], b"/shop"]);
        let second = mounts.by_number().nth(1).unwrap();
        assert!(Arc::ptr_eq(second, mounts.of(b"/shop").unwrap()));
    }
}
