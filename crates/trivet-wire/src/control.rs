//! Control messages: one JSON object per line, supervisor ↔ edge.
//!
//! A message may own descriptors, which travel with its bytes (`SCM_RIGHTS`);
//! `fds` says how many, and the receiver takes that many in order.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::edge_config::{EdgeConfig, EdgeConfigError, check_version};
use crate::exact::exact;

/// Longest line that a receiver accepts.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// Supervisor to edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, tag = "type")]
pub enum ToEdge {
    /// First message. Descriptors: the listeners, in the document's order.
    Configure {
        /// Must equal [`crate::WIRE_VERSION`].
        version: u32,
        /// Number of descriptors that come along.
        fds: u32,
        /// The configuration.
        config: Box<EdgeConfig>,
    },
    /// Another configuration, for the edge as it runs: its listeners, threads and number of
    /// apps cannot differ. Answered with [`FromEdge::Reconfigured`].
    Reconfigure {
        /// Given back in the answer.
        id: u64,
        /// Whether the edge only says if it could use it, and goes on as it is.
        trial: bool,
        /// The configuration. Its types are the contract's; its values are the operator's, so
        /// [`EdgeConfig::check`] is left to the edge, which refuses them and lives on.
        config: Box<EdgeConfig>,
    },
    /// A worker has loaded the app. Descriptors: its link, its claim page, its doorbell.
    AddWorker {
        /// Number of descriptors that come along: 3.
        fds: u32,
        /// The worker's number, never used twice.
        worker: u32,
        /// The app's place in [`EdgeConfig::apps`].
        app: u32,
        /// Its process.
        pid: u32,
        /// Threads that run requests; 1 for an event loop.
        threads: u32,
        /// Requests that an event loop may run at once; 0 for threads, which
        /// hold as many as the window says.
        concurrency: u32,
        /// What it is to answer before it serves, which [`FromEdge::WorkerWarmed`] tells of;
        /// `null` lets it serve at once.
        warm_up: Option<WarmUp>,
    },
    /// Hand requests to a worker that has been warmed up.
    ServeWorker {
        /// The worker's number.
        worker: u32,
    },
    /// Hand the worker no further request, and say when it has none left.
    DrainWorker {
        /// The worker's number.
        worker: u32,
    },
    /// Tell the clients of this worker's requests that it died, as the signal or exit code says.
    WorkerDied {
        /// The worker's number.
        worker: u32,
        /// For incidents: `SIGKILL`, `exit 3`, …
        reason: String,
    },
    /// Accept nothing new, finish what is in flight, then exit.
    Drain {
        /// After this the rest is cut off.
        deadline_ms: u32,
    },
    /// Exit now.
    Stop,
    /// Open the log files anew.
    ReopenLogs,
    /// Answer with [`FromEdge::Status`].
    Status {
        /// Given back in the answer.
        id: u64,
    },
}

/// Edge to supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, tag = "type")]
pub enum FromEdge {
    /// Connections are accepted.
    Ready {
        /// This build's [`crate::WIRE_VERSION`].
        version: u32,
        /// The edge's process.
        pid: u32,
    },
    /// The configuration cannot be used; the edge exits.
    Refused {
        /// What is wrong.
        reason: String,
    },
    /// Answer to [`ToEdge::Reconfigure`].
    Reconfigured {
        /// As asked.
        id: u64,
        /// Why the configuration cannot be used, and the one before it stays; `null` where it can.
        refused: Option<String>,
    },
    /// A worker's connection ended or broke its contract.
    WorkerLost {
        /// The worker's number.
        worker: u32,
        /// What was seen.
        reason: String,
        /// Requests that Python had started on it.
        started: u32,
        /// Requests that were sent to another worker, or will be.
        retried: u32,
        /// Whether it said what no worker may say.
        broke_contract: bool,
    },
    /// A worker has answered what it was to answer before it serves, or it has not.
    WorkerWarmed {
        /// The worker's number.
        worker: u32,
        /// Which path was not answered well, and how; `null` if all were.
        failed: Option<String>,
    },
    /// A request went wrong: the app raised, or its worker was lost (then this
    /// comes before the worker's `WorkerLost`).
    RequestFailed {
        /// The worker's number.
        worker: u32,
        /// Which request, and how far it had come.
        request: Box<FailedRequest>,
        /// What the app raised; `null` where the worker was lost.
        raised: Option<Raised>,
        /// Failures that were not told since the edge's start: there were too many.
        dropped: u64,
    },
    /// A draining worker has no request left; its connection is closed.
    WorkerDrained {
        /// The worker's number.
        worker: u32,
    },
    /// A running request has to end: nobody waits for its answer any more.
    RequestOverdue {
        /// The number of the worker that runs it.
        worker: u32,
        /// Its number in the frames.
        request: u64,
        /// Why.
        cause: Overdue,
        /// For how long it has been running; `null` where it has ended by itself since.
        running_ms: Option<u32>,
        /// Its method.
        method: String,
        /// Its path, decoded, below the app's mount.
        path: String,
        /// The id that its log lines carry.
        id: String,
        /// The incident that it makes. `null` for none: it has not failed where just its client
        /// has left, and too many may have been told.
        failed: Option<Box<FailedRequest>>,
        /// Failures that were not told since the edge's start: there were too many.
        dropped: u64,
    },
    /// A request that was overdue has let go of its worker, or its worker is gone.
    RequestReleased {
        /// The worker's number.
        worker: u32,
        /// The request's number in the frames.
        request: u64,
    },
    /// An overdue request has not let go in its time of grace: the worker is to be replaced.
    RequestStuck {
        /// The worker's number.
        worker: u32,
        /// The request's number in the frames.
        request: u64,
    },
    /// What there is to do: every second in which a request was answered or waited.
    Load {
        /// Each app's queue.
        apps: Vec<AppLoad>,
        /// The workers that it hands requests to, or waits for.
        workers: Vec<WorkerLoad>,
    },
    /// A line for the operator's log.
    Log {
        /// `info`, `warning` or `error`.
        level: String,
        /// The text.
        text: String,
    },
    /// Answer to [`ToEdge::Status`].
    Status {
        /// As asked.
        id: u64,
        /// Open client connections.
        connections: u32,
        /// Requests that wait for a worker.
        queued: u32,
        /// Requests handed to workers.
        in_flight: u32,
        /// Requests answered since the start.
        requests: u64,
        /// The workers that it hands requests to, or waits for.
        workers: Vec<WorkerLoad>,
    },
}

/// What a worker is to answer before it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUp {
    /// Paths below the app's mount, with their queries, in this order.
    pub paths: Vec<String>,
    /// Value of the `Host` field.
    pub host: String,
    /// For all of them together.
    pub timeout_ms: u32,
}

/// A request that went wrong. Holds no field and no content of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedRequest {
    /// The id that log lines and error pages of this request carry.
    pub id: String,
    /// The method.
    pub method: String,
    /// The target as sent, with secrets in its query replaced.
    pub target: String,
    /// The path prefix of its app, without a slash at its end.
    pub mount: String,
    /// The name of the first route that was for it; `null` where none was.
    pub route: Option<String>,
    /// The client's address; empty for a Unix socket.
    pub client: String,
    /// How many workers had it, this one included.
    pub attempts: u32,
    /// When it had come, µs since 1970. All further times count from here, in µs.
    pub received_unix_us: u64,
    /// When it was handed to the worker.
    pub handed_out_us: Option<u64>,
    /// When Python began with it.
    pub started_us: Option<u64>,
    /// How long the app took until the head of its answer was there.
    pub answered_us: Option<u64>,
    /// When it failed.
    pub failed_us: u64,
    /// What the client gets.
    pub outcome: Outcome,
    /// The status of that; 0 where there is none, or none yet.
    pub status: u32,
}

/// What becomes of a request that went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The client gets an error page.
    Answered,
    /// The client had a part of the answer, and sees that no more comes.
    Cut,
    /// The client had gone away.
    Gone,
    /// Another worker gets it.
    Retried,
    /// The client had all of the answer: it failed behind that.
    Whole,
}

/// What the app raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raised {
    /// `ZeroDivisionError: division by zero`.
    pub error: String,
    /// `app.py:17 in boom`.
    pub place: String,
    /// The traceback.
    pub trace: String,
}

/// What waits for an app, as the edge sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppLoad {
    /// The app's place in [`EdgeConfig::apps`].
    pub app: u32,
    /// Requests that wait for a worker.
    pub queued: u32,
    /// How long the first of them has waited.
    pub oldest_wait_us: u64,
}

/// What a worker has to do, as the edge sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerLoad {
    /// The worker's number.
    pub worker: u32,
    /// Requests that it holds.
    pub in_flight: u32,
    /// Requests that it has answered.
    pub requests: u64,
    /// How long all of these waited in sum, from their arrival until the app was called.
    pub waited_us: u64,
}

/// Why a running request has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overdue {
    /// Its client has left, and its route says that this is a reason.
    Disconnect,
    /// The response stalled behind its head.
    Stall,
    /// Its time is over.
    Timeout,
}

/// A line that is no message.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Its configuration, or its version, cannot be used.
    #[error(transparent)]
    Config(#[from] EdgeConfigError),
    /// Not the expected JSON.
    #[error("control message: {0}")]
    Json(#[from] serde_json::Error),
}

impl ToEdge {
    /// Decode one line.
    ///
    /// The version of a [`ToEdge::Configure`] is compared before anything else of it.
    ///
    /// # Errors
    /// [`ControlError`] for anything but a whole message.
    pub fn from_line(line: &[u8]) -> Result<Self, ControlError> {
        let value: Value = serde_json::from_slice(line)?;
        if value.get("type").and_then(Value::as_str) == Some("configure") {
            check_version(&value)?;
            if let Some(config) = value.get("config") {
                EdgeConfig::from_value(config)?;
            }
        }
        Ok(exact(&value)?)
    }

    /// Descriptors that belong to this message.
    pub fn descriptors(&self) -> usize {
        match self {
            Self::Configure { fds, .. } | Self::AddWorker { fds, .. } => *fds as usize,
            _ => 0,
        }
    }
}

impl FromEdge {
    /// Decode one line.
    ///
    /// # Errors
    /// [`ControlError`] for anything but a whole message.
    pub fn from_line(line: &[u8]) -> Result<Self, ControlError> {
        Ok(exact(&serde_json::from_slice(line)?)?)
    }

    /// The message as a line, with its line end.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}
