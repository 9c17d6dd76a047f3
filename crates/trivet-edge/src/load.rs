//! Telling the supervisor what there is to do, so that it can add workers, or end some.

use std::sync::Arc;
use std::time::Duration;

use trivet_wire::control::{AppLoad, FromEdge};

use crate::control::Outbox;
use crate::shared::Shared;

/// How often, while there is something to do.
const EVERY: Duration = Duration::from_secs(1);

/// Report until aborted. An edge without a request is silent.
pub(crate) async fn report(shared: Arc<Shared>, outbox: Outbox) {
    let mut told = 0;
    loop {
        tokio::time::sleep(EVERY).await;
        let apps: Vec<_> = shared.pools.iter().zip(0..).map(app_load).collect();
        let workers: Vec<_> = shared
            .pools
            .iter()
            .flat_map(|pool| pool.worker_loads())
            .collect();
        let answered: u64 = workers.iter().map(|load| load.requests).sum();
        let is_busy =
            apps.iter().any(|app| app.queued > 0) || workers.iter().any(|load| load.in_flight > 0);
        if is_busy || answered != told {
            told = answered;
            outbox.send(FromEdge::Load { apps, workers });
        }
    }
}

fn app_load((pool, app): (&Arc<crate::pool::Pool>, u32)) -> AppLoad {
    let (queued, oldest_wait_us) = pool.queue_load();
    AppLoad {
        app,
        queued: u32::try_from(queued).unwrap_or(u32::MAX),
        oldest_wait_us,
    }
}
