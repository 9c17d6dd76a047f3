//! The edge's life: configured, ready, told about workers, drained.

pub mod scheduling;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use trivet_wire::WIRE_VERSION;
use trivet_wire::control::{FromEdge, ToEdge, WarmUp};
use trivet_wire::edge_config::EdgeConfig;

use crate::claim_map::ClaimMap;
use crate::clock::now_us;
use crate::connection::Connection;
use crate::control::{Control, ControlEnd, Outbox};
use crate::link::{Link, LinkEnd};
use crate::listen::{Arrival, Listener, Servers};
use crate::lists;
use crate::load;
use crate::pool::{Capacity, Pool};
use crate::shared::Shared;
use crate::stream::Stream;
use crate::warm_up::warm_up;
use crate::watch::SWEEP;
use scheduling::Scheduling;

/// How often the rescue looks at the pool while somebody waits.
const RESCUE: Duration = Duration::from_millis(1);
/// How often a draining edge looks whether its connections have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// How long connections that were cut off may take to write their log lines.
const CUT_OFF_GRACE: Duration = Duration::from_millis(200);

/// Be the edge, until the supervisor says stop or is gone.
///
/// Returns the process's exit code: 0, 2 for a configuration that cannot be
/// used, or 1 for anything else.
pub fn run(control: OwnedFd) -> i32 {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_name("edge-disk")
        .build();
    let Ok(runtime) = runtime else { return 1 };
    let code = runtime.block_on(live(control));
    runtime.shutdown_background();
    code
}

/// Allow as many descriptors as the operator's hard limit does: each
/// connection takes one, and the soft limit is often 1024.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

async fn live(control: OwnedFd) -> i32 {
    let Ok((mut control, outbox, writer)) = Control::new(control) else {
        return 1;
    };
    let writer = tokio::spawn(writer.run());
    let (shared, listeners) = match setup(&mut control, &outbox).await {
        Ok(ready) => ready,
        Err(reason) => {
            outbox.send(FromEdge::Refused { reason });
            drop(outbox);
            let _ = writer.await;
            return 2;
        }
    };
    let servers = start_servers(&shared);
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            tokio::spawn(listener.accept(Arc::clone(&shared), servers.clone(), outbox.clone()))
        })
        .collect();
    let mut tasks = vec![
        tokio::spawn(sweep(Arc::clone(&shared), outbox.clone())),
        tokio::spawn(keep_pace(Arc::clone(&shared))),
        tokio::spawn(load::report(Arc::clone(&shared), outbox.clone())),
        tokio::spawn(lists::keep(Arc::clone(&shared), outbox.clone())),
    ];
    for pool in &shared.pools {
        tasks.push(tokio::spawn(rescue(Arc::clone(pool))));
    }
    for pool in &shared.pools {
        pool.report_to(outbox.clone());
    }
    outbox.send(FromEdge::Ready {
        version: WIRE_VERSION,
        pid: std::process::id(),
    });
    let stage = Stage {
        shared: &shared,
        outbox: &outbox,
        accepting: Some(accepting),
    };
    let code = stage.obey(&mut control).await;
    shared.logs.close();
    for task in tasks {
        task.abort();
    }
    code
}

async fn setup(
    control: &mut Control,
    outbox: &Outbox,
) -> Result<(Arc<Shared>, Vec<Listener>), String> {
    let (message, descriptors) = control.next().await.map_err(|error| error.to_string())?;
    let ToEdge::Configure {
        version, config, ..
    } = message
    else {
        return Err("the first message was not `configure`".into());
    };
    if version != WIRE_VERSION || config.version != WIRE_VERSION {
        return Err(format!(
            "the supervisor speaks wire version {version}, this edge {WIRE_VERSION}: two Trivet installations are mixed"
        ));
    }
    let config: EdgeConfig = *config;
    if descriptors.len() != config.listeners.len() {
        return Err(format!(
            "{} listeners, but {} descriptors",
            config.listeners.len(),
            descriptors.len()
        ));
    }
    let listeners: Result<Vec<_>, _> = descriptors
        .into_iter()
        .zip(&config.listeners)
        .map(|(socket, settings)| {
            Listener::new(socket, settings).map_err(|error| format!("{}: {error}", settings.name))
        })
        .collect();
    let listeners = listeners?;
    let shared = Shared::new(config).map_err(|error| error.to_string())?;
    if shared.settings().config.buffers.folder.is_none() {
        outbox.log(
            "warning",
            "no folder for files: large requests are streamed to the app, and slow responses hold their workers",
        );
    }
    Ok((Arc::new(shared), listeners))
}

/// Start the further threads that serve connections.
fn start_servers(shared: &Arc<Shared>) -> Servers {
    let count = shared.settings().config.threads.saturating_sub(1);
    let mut others = Vec::new();
    for number in 0..count {
        let (sender, mut arrivals) = unbounded_channel::<Arrival>();
        let shared = Arc::clone(shared);
        let serve = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(8)
                .build()
            else {
                return;
            };
            runtime.block_on(async move {
                tokio::spawn(keep_pace(Arc::clone(&shared)));
                while let Some((stream, accepted, admission)) = arrivals.recv().await {
                    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
                        continue;
                    };
                    let stream = Stream::Tcp(stream);
                    tokio::spawn(
                        Connection::new(stream, Arc::clone(&shared), accepted, admission).serve(),
                    );
                }
            });
        };
        let thread = std::thread::Builder::new().name(format!("edge-{}", number + 1));
        if thread.spawn(serve).is_ok() {
            others.push(sender);
        }
    }
    Servers::new(others)
}

async fn sweep(shared: Arc<Shared>, outbox: Outbox) {
    loop {
        tokio::time::sleep(SWEEP).await;
        shared.watches.sweep();
        for pool in &shared.pools {
            pool.look_over();
            for message in pool.keep_vigil(now_us()) {
                outbox.send(message);
            }
        }
    }
}

/// Have the calling thread scheduled for batches while requests rush in.
///
/// Worth 10 to 20 % where edge and workers share processors (`ENGINE.md` section
/// 11): the edge then finds several answers at each wake-up instead of one.
async fn keep_pace(shared: Arc<Shared>) {
    let mut scheduling = Scheduling::of_this_thread();
    let count = || shared.requests.load(std::sync::atomic::Ordering::Relaxed);
    let mut before = count();
    loop {
        tokio::time::sleep(SWEEP).await;
        let requests = count();
        scheduling.wake(requests.saturating_sub(before), now_us());
        before = requests;
    }
}

async fn rescue(pool: Arc<Pool>) {
    loop {
        pool.someone_waits().await;
        loop {
            tokio::time::sleep(RESCUE).await;
            if !pool.rescue() {
                break;
            }
        }
    }
}

/// The running edge.
struct Stage<'a> {
    shared: &'a Arc<Shared>,
    outbox: &'a Outbox,
    /// The tasks that accept; `None` once the edge drains.
    accepting: Option<Vec<JoinHandle<()>>>,
}

impl Stage<'_> {
    /// Do as the supervisor says, until the edge is to end.
    async fn obey(mut self, control: &mut Control) -> i32 {
        let mut leaving = None;
        let mut deadline = None;
        loop {
            let message = tokio::select! {
                message = control.next() => message,
                end = left(leaving), if leaving.is_some() => {
                    leaving = None;
                    self.drain(end);
                    deadline = Some(end);
                    continue;
                }
                () = drained(self.shared, deadline), if deadline.is_some() => return 0,
            };
            match message {
                Ok((ToEdge::Drain { deadline_ms }, _)) => {
                    leaving = Some(self.leave(deadline_ms));
                }
                Ok((ToEdge::Stop, _)) | Err(ControlEnd::Closed) => {
                    self.stop_accepting();
                    self.shared.cut_off();
                    tokio::time::sleep(CUT_OFF_GRACE).await;
                    return 0;
                }
                Ok((ToEdge::Reconfigure { id, trial, config }, _)) => {
                    let refused = self.reconfigure(*config, trial).await.err();
                    self.outbox.send(FromEdge::Reconfigured { id, refused });
                }
                Ok((message, descriptors)) => self.act(&message, descriptors),
                Err(error) => {
                    self.outbox.log("error", &error.to_string());
                    return 1;
                }
            }
        }
    }

    /// Go by another configuration, or only see whether that could be done.
    async fn reconfigure(&self, config: EdgeConfig, is_trial: bool) -> Result<(), String> {
        let shared = Arc::clone(self.shared);
        let prepared = tokio::task::spawn_blocking(move || shared.prepare(config))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        if !is_trial {
            self.shared.adopt(prepared);
        }
        Ok(())
    }

    /// Be ready no more. Returns when new connections end, and when all do.
    fn leave(&self, deadline_ms: u32) -> (Instant, Instant) {
        self.shared.leave();
        let delay_ms = self
            .shared
            .settings()
            .config
            .health
            .drain_delay_ms
            .min(deadline_ms);
        if delay_ms > 0 {
            let seconds = f64::from(delay_ms) / 1000.0;
            let text = format!("not ready any more; new connections are served for {seconds} s");
            self.outbox.log("info", &text);
        }
        let now = Instant::now();
        let after = |milliseconds: u32| now + Duration::from_millis(milliseconds.into());
        (after(delay_ms), after(deadline_ms))
    }

    /// Take no new connections, and let those there are end.
    fn drain(&mut self, deadline: Instant) {
        self.stop_accepting();
        self.shared.drain();
        let left = deadline.saturating_duration_since(Instant::now());
        for pool in &self.shared.pools {
            pool.drain_sockets(u64::try_from(left.as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn stop_accepting(&mut self) {
        for task in self.accepting.take().into_iter().flatten() {
            task.abort();
        }
    }

    fn act(&self, message: &ToEdge, descriptors: Vec<OwnedFd>) {
        let pools = &self.shared.pools;
        match *message {
            ToEdge::AddWorker {
                worker,
                app,
                pid,
                threads,
                concurrency,
                ref warm_up,
                ..
            } => {
                let capacity = Capacity {
                    threads,
                    concurrency,
                };
                let added = pools
                    .get(app as usize)
                    .ok_or_else(|| format!("there is no app number {app}"))
                    .and_then(|pool| self.add_worker(pool, worker, pid, capacity, descriptors));
                if added.is_ok() {
                    match warm_up {
                        Some(wanted) => self.warm_up(app, worker, wanted.clone()),
                        None => self.serve_worker(worker),
                    }
                }
                if let Err(reason) = added {
                    self.outbox.send(FromEdge::WorkerLost {
                        worker,
                        reason,
                        started: 0,
                        retried: 0,
                        broke_contract: false,
                    });
                }
            }
            ToEdge::ServeWorker { worker } => self.serve_worker(worker),
            ToEdge::DrainWorker { worker } => {
                // Only the pool that has it does anything.
                let most_us = u64::from(self.shared.settings().config.websocket.drain_ms) * 1000;
                for pool in pools {
                    pool.drain_worker(worker, most_us);
                }
            }
            ToEdge::ReopenLogs => self.shared.logs.reopen(),
            ToEdge::Status { id } => {
                let (queued, in_flight) = pools
                    .iter()
                    .map(|pool| pool.load())
                    .fold((0, 0), |sum, load| (sum.0 + load.0, sum.1 + load.1));
                self.outbox.send(FromEdge::Status {
                    id,
                    connections: self.shared.connections(),
                    queued: u32::try_from(queued).unwrap_or(u32::MAX),
                    in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
                    requests: self
                        .shared
                        .requests
                        .load(std::sync::atomic::Ordering::Relaxed),
                    workers: pools.iter().flat_map(|pool| pool.worker_loads()).collect(),
                });
            }
            // Its connection tells of a worker's death earlier than this.
            ToEdge::WorkerDied { .. }
            | ToEdge::Configure { .. }
            | ToEdge::Reconfigure { .. }
            | ToEdge::Drain { .. }
            | ToEdge::Stop => {}
        }
    }

    fn serve_worker(&self, worker: u32) {
        // Only the pool that has it does anything.
        for pool in &self.shared.pools {
            pool.serve_worker(worker);
        }
    }

    fn warm_up(&self, app: u32, worker: u32, wanted: WarmUp) {
        let (settings, outbox) = (self.shared.settings(), self.outbox.clone());
        tokio::spawn(async move {
            let Some(app) = settings.apps.by_number().nth(app as usize) else {
                return;
            };
            let failed = warm_up(app, worker, &wanted).await.err();
            outbox.send(FromEdge::WorkerWarmed { worker, failed });
        });
    }

    fn add_worker(
        &self,
        pool: &Arc<Pool>,
        worker: u32,
        pid: u32,
        capacity: Capacity,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), String> {
        let [link, claim, doorbell] = <[OwnedFd; 3]>::try_from(descriptors)
            .map_err(|descriptors| format!("{} descriptors instead of 3", descriptors.len()))?;
        let claim = ClaimMap::open(&claim).map_err(|error| error.to_string())?;
        let link = Link::new(Arc::clone(pool), worker, link).map_err(|error| error.to_string())?;
        pool.add_worker(worker, pid, capacity, claim, doorbell);
        tokio::spawn(converse(
            link,
            worker,
            Arc::clone(pool),
            self.outbox.clone(),
        ));
        Ok(())
    }
}

/// Carry a worker's conversation, and tell the supervisor how it ended.
async fn converse(link: Link, worker: u32, pool: Arc<Pool>, outbox: Outbox) {
    let end = link.run().await;
    let losses = pool.lose_worker(worker);
    outbox.send(match end {
        LinkEnd::Drained => FromEdge::WorkerDrained { worker },
        end => FromEdge::WorkerLost {
            worker,
            broke_contract: matches!(end, LinkEnd::Frame(_)),
            reason: end.to_string(),
            started: losses.started,
            retried: losses.retried,
        },
    });
}

/// Wait until new connections end; returns when all do.
async fn left(leaving: Option<(Instant, Instant)>) -> Instant {
    let Some((until, deadline)) = leaving else {
        return std::future::pending().await;
    };
    tokio::time::sleep_until(until).await;
    deadline
}

/// Wait until all connections have ended; at the deadline, end them.
async fn drained(shared: &Shared, deadline: Option<Instant>) {
    while shared.connections() > 0 {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            shared.cut_off();
            tokio::time::sleep(CUT_OFF_GRACE).await;
            return;
        }
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}
