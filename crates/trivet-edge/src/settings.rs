//! What the configuration says, made ready: whole, unchanging, and replaced as a whole.
//!
//! Strategy: everything that a reload may change lies in one [`Settings`], and everything
//! that lives on over a reload (pools with their workers, counters, watches) in
//! [`Shared`](crate::shared::Shared). A connection takes the present settings when a request
//! begins and answers it by them, whatever comes meanwhile. What is expensive to make or holds
//! state of its own is taken over from the settings before where its part of the configuration
//! has not changed, as the access log is.

use std::sync::Arc;

use trivet_core::forwarded::TrustedProxies;
use trivet_core::gate::{GatePolicy, UnderscorePolicy};
use trivet_core::health::{Condition, ProbePaths};
use trivet_core::http1::{ChunkedLimits, HeadLimits};
use trivet_wire::edge_config::{self, EdgeConfig, EdgeConfigError, Underscores};

use crate::access_log::{AccessLog, Logs};
use crate::compression::Compression;
use crate::lists::{ListError, Lists};
use crate::mount::Mounts;
use crate::pool::Pool;
use crate::routing::{RouteError, Routes};
use crate::spool::SpoolFolder;

/// Why the edge cannot work with a configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// The access log cannot be opened.
    #[error("cannot open the access log {path}: {source}")]
    AccessLog {
        /// Where it should be.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A list of addresses cannot be used.
    #[error(transparent)]
    List(#[from] ListError),
    /// A type to compress is not written as one.
    #[error("compression: `{0}` is no media type")]
    MediaType(String),
    /// Two apps are to answer the same paths.
    #[error("apps `{0}` and `{1}` have the same path `{2}/`")]
    Mount(String, String, String),
    /// Values that do not go together with the other contracts.
    #[error(transparent)]
    Document(#[from] EdgeConfigError),
    /// What an edge that runs cannot change.
    #[error("{0} cannot change while the edge runs")]
    Fixed(&'static str),
    /// A route has a part that cannot be used.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A trusted proxy is not an address or network.
    #[error("trusted proxies: {0}")]
    TrustedProxies(String),
}

/// One whole configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: EdgeConfig,
    pub(crate) apps: Mounts,
    pub(crate) spool: SpoolFolder,
    pub(crate) trusted: TrustedProxies,
    pub(crate) gate: GatePolicy,
    pub(crate) head_limits: HeadLimits,
    pub(crate) chunked_limits: ChunkedLimits,
    /// Where probes are answered, if anywhere.
    pub(crate) probes: Option<ProbePaths>,
    pub(crate) lists: Lists,
    pub(crate) routes: Routes,
    pub(crate) compression: Compression,
    access_log: Option<Arc<AccessLog>>,
}

impl Settings {
    /// Make ready what the configuration asks for, before `pools`, the apps' workers.
    ///
    /// `logs` are the files that are open; what `before` has, and still holds, is taken over.
    /// Blocks: it opens files.
    ///
    /// # Errors
    /// [`SetupError`] for what only this process can find out; nothing has changed then.
    pub(crate) fn new(
        config: EdgeConfig,
        pools: &[Arc<Pool>],
        logs: &Logs,
        before: Option<&Self>,
    ) -> Result<Self, SetupError> {
        config.check()?;
        if config.apps.len() != pools.len() {
            return Err(SetupError::Fixed("the number of apps"));
        }
        if let Some(before) = before {
            fits(&config, &before.config)?;
        }
        tell_apart(&config.apps)?;
        let trusted =
            TrustedProxies::parse(&config.trusted_proxies).map_err(SetupError::TrustedProxies)?;
        let routes = Routes::new(&config.routes, before.map(|before| &before.routes))?;
        let lists = Lists::new(&config.lists, before.map(|before| &before.lists))?;
        let compression = Compression::new(&config.compression).map_err(SetupError::MediaType)?;
        Ok(Self {
            apps: Mounts::new(&config.apps, pools),
            spool: SpoolFolder::new(config.buffers.folder.as_deref()),
            trusted,
            gate: gate_policy(&config),
            head_limits: head_limits(&config),
            chunked_limits: ChunkedLimits::default(),
            probes: Some(probe_paths(&config.health)).filter(|paths| !paths.is_empty()),
            lists,
            routes,
            compression,
            access_log: match before {
                Some(before) if before.config.access_log == config.access_log => {
                    before.access_log.clone()
                }
                _ => open_access_log(&config.access_log, logs)?,
            },
            config,
        })
    }

    pub(crate) fn access_log(&self) -> Option<&AccessLog> {
        self.access_log.as_deref()
    }

    /// What a probe is to be told.
    pub(crate) fn condition(&self, is_leaving: bool) -> Condition<'_> {
        if is_leaving {
            return Condition::Draining;
        }
        match self.apps.unserved() {
            // A mount came as text.
            Some(mount) => Condition::NoWorker(std::str::from_utf8(mount).unwrap_or_default()),
            None => Condition::Serving,
        }
    }

    /// Go by these from now on, as far as it is the pools that do.
    pub(crate) fn apply_to_pools(&self) {
        let response_memory = u64::from(self.config.buffers.response_memory_bytes);
        for (app, settings) in self.apps.by_number().zip(&self.config.apps) {
            app.pool.configure(settings, response_memory);
        }
    }
}

/// Every app needs paths of its own.
fn tell_apart(apps: &[edge_config::App]) -> Result<(), SetupError> {
    let mut rest = apps;
    while let [app, others @ ..] = rest {
        if let Some(other) = others.iter().find(|other| other.mount == app.mount) {
            let (one, other) = (app.name.clone(), other.name.clone());
            return Err(SetupError::Mount(one, other, app.mount.clone()));
        }
        rest = others;
    }
    Ok(())
}

/// Whether an edge that runs by `before` can go on by `config`.
fn fits(config: &EdgeConfig, before: &EdgeConfig) -> Result<(), SetupError> {
    if config.listeners != before.listeners {
        return Err(SetupError::Fixed("listeners"));
    }
    if config.threads != before.threads {
        return Err(SetupError::Fixed("the number of threads"));
    }
    Ok(())
}

/// What the gate lets through.
pub(crate) fn gate_policy(config: &EdgeConfig) -> GatePolicy {
    GatePolicy {
        underscores: match config.underscores {
            Underscores::Allow => UnderscorePolicy::Allow,
            Underscores::Drop => UnderscorePolicy::Drop,
            Underscores::Refuse => UnderscorePolicy::Refuse,
        },
    }
}

/// What a request head may cost.
pub(crate) fn head_limits(config: &EdgeConfig) -> HeadLimits {
    HeadLimits {
        head_bytes: config.limits.request_head_bytes as usize,
        fields: usize::from(config.limits.request_fields),
        target_bytes: config.limits.request_target_bytes as usize,
    }
}

pub(crate) fn probe_paths(health: &edge_config::Health) -> ProbePaths {
    let path = |path: &Option<String>| path.as_ref().map(|path| path.clone().into_bytes());
    ProbePaths {
        live: path(&health.live),
        ready: path(&health.ready),
    }
}

fn open_access_log(
    config: &edge_config::AccessLog,
    logs: &Logs,
) -> Result<Option<Arc<AccessLog>>, SetupError> {
    use trivet_core::access_log::AccessFormat;

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
    let log = logs
        .open(format, path)
        .map_err(|source| SetupError::AccessLog {
            path: path.unwrap_or("on standard output").to_owned(),
            source,
        })?;
    Ok(Some(Arc::new(log)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::tests::{config, shared_by};

    fn refusal(before: &EdgeConfig, after: EdgeConfig) -> String {
        let shared = shared_by(before.clone());
        let refused = shared.prepare(after).unwrap_err();
        // What was refused has left no trace.
        assert_eq!(&shared.settings().config, before);
        refused.to_string()
    }

    #[test]
    fn what_belongs_to_the_process_cannot_change() {
        let before = config();
        let mut after = before.clone();
        after.threads += 1;
        assert_eq!(
            refusal(&before, after),
            "the number of threads cannot change while the edge runs"
        );
        let mut after = before.clone();
        after.listeners.clear();
        assert_eq!(
            refusal(&before, after),
            "listeners cannot change while the edge runs"
        );
        let mut after = before.clone();
        after.apps.clear();
        assert_eq!(
            refusal(&before, after),
            "the number of apps cannot change while the edge runs"
        );
    }

    #[test]
    fn two_apps_at_one_place_are_named() {
        let mut before = config();
        let mut second = before.apps[0].clone();
        second.name = "blog:app".to_owned();
        second.mount = "/blog".to_owned();
        before.apps.push(second);
        let mut after = before.clone();
        after.apps[1].mount = "/shop".to_owned();
        assert_eq!(
            refusal(&before, after),
            "apps `shop:create_app()` and `blog:app` have the same path `/shop/`"
        );
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named() {
        let before = config();
        let mut after = before.clone();
        after.trusted_proxies = vec!["10.0.0.0/99".to_owned()];
        assert!(refusal(&before, after).starts_with("trusted proxies: "));
        let mut after = before.clone();
        after.limits.request_head_bytes = u32::MAX;
        assert!(refusal(&before, after).contains("`limits.request_head_bytes` is 4294967295"));
        let mut after = before.clone();
        after.version += 1;
        assert!(refusal(&before, after).contains("two Trivet installations are mixed"));
        let mut after = before.clone();
        after.access_log.format = edge_config::AccessFormat::Json;
        after.access_log.path = Some("/nowhere/access.log".to_owned());
        assert!(
            refusal(&before, after).starts_with("cannot open the access log /nowhere/access.log")
        );
    }

    #[test]
    fn an_access_log_lives_on_while_its_configuration_does() {
        let mut with_log = config();
        with_log.access_log.format = edge_config::AccessFormat::Json;
        with_log.access_log.path = None;
        let shared = shared_by(with_log.clone());
        let before = shared.settings();
        let mut after = with_log.clone();
        after.limits.connections += 1;
        shared.adopt(shared.prepare(after).unwrap());
        let same = shared.settings();
        assert!(std::ptr::eq(
            before.access_log().unwrap(),
            same.access_log().unwrap()
        ));
        with_log.access_log.format = edge_config::AccessFormat::Logfmt;
        shared.adopt(shared.prepare(with_log).unwrap());
        assert!(!std::ptr::eq(
            before.access_log().unwrap(),
            shared.settings().access_log().unwrap()
        ));
    }
}
