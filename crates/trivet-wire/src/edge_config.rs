//! The edge's configuration: one JSON document from the supervisor.
//!
//! Defaults live in Python only (`python/trivet/config/`): this side has none
//! and refuses unknown keys, so that a forgotten place fails loudly.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exact::exact;
use crate::frames::{MAX_HEAD_BYTES, MAX_INLINE_BYTES};

/// All that the edge is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeConfig {
    /// Must equal [`crate::WIRE_VERSION`].
    pub version: u32,
    /// Listening sockets, in the order of the descriptors that come along.
    pub listeners: Vec<Listener>,
    /// Runtime threads that serve connections.
    pub threads: u32,
    /// How much a client may send or hold.
    pub limits: Limits,
    /// How long the edge waits before it gives up on somebody.
    pub timeouts: Timeouts,
    /// How much the edge keeps in memory or on disk for slow clients.
    pub buffers: Buffers,
    /// How the content of responses is coded on its way.
    pub compression: Compression,
    /// What WebSockets may do.
    pub websocket: WebSocket,
    /// Where and how health probes are answered.
    pub health: Health,
    /// Peers whose forwarding fields are believed: addresses, networks, `*`, `unix`, `private`, `loopback`.
    pub trusted_proxies: Vec<String>,
    /// What becomes of field names with an underscore (they alias others in CGI names).
    pub underscores: Underscores,
    /// Where and how each request is written down.
    pub access_log: AccessLog,
    /// Value of the `Server` field; `null` for none.
    pub server_field: Option<String>,
    /// The apps behind the edge, by the number that `add_worker` gives; a path belongs to the
    /// one with the longest mount.
    pub apps: Vec<App>,
    /// Lists of addresses, by the number that `access` and the routes give.
    pub lists: Vec<AddressList>,
    /// Whose requests are answered at all.
    pub access: Access,
    /// What is done with some requests, in order.
    pub routes: Vec<Route>,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// As the operator wrote it, for messages.
    pub name: String,
    /// Port where clients find it, 0 for a Unix socket.
    pub port: u16,
    /// Whether it is a Unix socket.
    pub unix: bool,
}

/// How much a client may send or hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a request head (431).
    pub request_head_bytes: u32,
    /// Fields of a request head (431).
    pub request_fields: u16,
    /// Bytes of a request target (414).
    pub request_target_bytes: u32,
    /// Bytes of a request's content (413).
    pub request_body_bytes: u64,
    /// Connections in total.
    pub connections: u32,
    /// Connections of one client address.
    pub connections_per_address: u32,
}

/// How long the edge waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// For a whole request head, from its first byte (408).
    pub request_head_ms: u32,
    /// For the next request on an idle connection.
    pub keep_alive_ms: u32,
    /// Before a body must come at `body_minimum_rate` (408).
    pub body_grace_ms: u32,
    /// Bytes per second that a request body must reach on average.
    pub body_minimum_rate: u32,
    /// Longest time without any progress in sending to a client.
    pub write_stall_ms: u32,
    /// Longest wait of a request in the queue (503).
    pub queue_wait_ms: u32,
    /// For more of a response whose head is out, while its client waits; 0 for ever.
    pub response_stall_ms: u32,
    /// For an interrupted request to let go of its thread, before its process is replaced.
    pub interrupt_grace_ms: u32,
    /// How long a closed connection is still read, so that its last answer arrives.
    pub linger_ms: u32,
}

/// What the edge keeps for slow clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffers {
    /// Largest request content that stays in memory; larger is spooled to a file.
    pub request_memory_bytes: u32,
    /// Content of one response kept in memory while its client is slow.
    pub response_memory_bytes: u32,
    /// Content of one response kept in a file after that; 0 for no file.
    pub response_file_bytes: u64,
    /// Folder of the unlinked files; `null` where none can be written.
    pub folder: Option<String>,
}

/// How the content of responses is coded on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compression {
    /// Whether an app's responses are, where no route says otherwise.
    pub enabled: bool,
    /// The codings, the preferred first.
    pub codings: Vec<Coding>,
    /// Media types that are: `text/html`, `text/*` or `application/*+json`.
    pub types: Vec<String>,
    /// Content shorter than this is not.
    pub min_bytes: u32,
    /// Quality of Brotli.
    pub br_level: u8,
    /// Level of gzip.
    pub gzip_level: u8,
    /// Level of Zstandard.
    pub zstd_level: u8,
    /// Bytes that all streams that are being coded may hold together.
    pub memory_bytes: u64,
}

/// What WebSockets may do, and how long the edge waits for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSocket {
    /// Bytes of a message (close code 1009).
    pub max_message_bytes: u32,
    /// Silence after which a client is pinged; 0 for never.
    pub ping_interval_ms: u32,
    /// How long it may take to be heard then.
    pub ping_timeout_ms: u32,
    /// Longest time without a message in either direction; 0 for any.
    pub idle_ms: u32,
    /// Whether permessage-deflate is agreed to.
    pub compression: bool,
    /// How long the WebSockets of a worker that stops may take to be closed.
    pub drain_ms: u32,
}

/// Health probes, which the edge answers by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Path that says whether edge and supervisor live; `null` for none.
    pub live: Option<String>,
    /// Path that says whether requests should come; `null` for none.
    pub ready: Option<String>,
    /// How long new connections are still served once the edge drains and is not ready any
    /// more; a part of the time that it has to drain.
    pub drain_delay_ms: u32,
    /// Whether probes are written to the access log.
    pub log: bool,
}

/// What becomes of field names with an underscore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Underscores {
    /// They reach the app.
    Allow,
    /// The field is left out.
    Drop,
    /// The request is refused with 400.
    Refuse,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// How a line looks.
    pub format: AccessFormat,
    /// Whether the text format uses colours.
    pub colour: bool,
    /// File to append to; `null` for standard output.
    pub path: Option<String>,
}

/// How an access log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessFormat {
    /// Apache combined, with times and request id behind.
    Combined,
    /// A JSON object.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// No lines at all.
    Off,
    /// For people at a terminal.
    Text,
}

/// An app behind the edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// As the operator wrote it, for messages.
    pub name: String,
    /// Path prefix below which the app is mounted; no slash at its end.
    pub mount: String,
    /// Requests that may wait for a worker (503 above).
    pub queue: u32,
    /// Requests that may wait and run at once (503 above), accepted WebSockets included; `null` for any number.
    pub concurrency: Option<u32>,
    /// Requests that one process may hold, the running one included and long-running ones
    /// aside; 0 chooses by service time.
    pub window: u16,
    /// For the head of a response, from the arrival of its request (504); 0 for ever. A route
    /// may say otherwise.
    pub request_ms: u32,
}

/// Addresses and networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressList {
    /// For messages.
    pub name: String,
    /// Addresses, networks, `*`, `unix`, `private`, `loopback`.
    pub networks: Vec<String>,
    /// A file with more of them, one on each line, that the edge reads, and reads again when it
    /// changes; `null` for none.
    pub file: Option<String>,
}

/// Whose requests are answered at all; health probes always are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Only clients in one of these lists; `null` for all.
    pub allow: Option<Vec<u32>>,
    /// No client in one of these lists, allowed or not.
    pub deny: Vec<u32>,
}

/// What is done with some requests. Of the routes that a request matches, in their order, the
/// first that says something about a policy counts for that policy, and the first with an action
/// for the action; without any, the app with the longest mount above the path answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// For messages: what the operator wrote, and where.
    pub name: String,
    /// Which requests it is for.
    pub requests: Match,
    /// How they are treated.
    pub policy: Policy,
    /// Who answers them; `null` leaves that to the next routes.
    pub action: Option<Action>,
}

/// Which requests a route is for: every part must hold, and an empty one does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// `example.com`, `*.example.com`, `*`: one of them.
    pub hosts: Vec<String>,
    /// Whether over TLS; `null` for either.
    pub secure: Option<bool>,
    /// The path; `null` for any.
    pub path: Option<PathPattern>,
    /// One of these methods.
    pub methods: Vec<String>,
    /// A field each.
    pub fields: Vec<NamedValue>,
    /// A query parameter each.
    pub query: Vec<NamedValue>,
    /// The client is in one of these lists.
    pub clients: Vec<u32>,
}

/// How a path is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathPattern {
    /// Whether `text` is a regular expression, and not a path, a prefix that ends with `*`, or
    /// a pattern with `{names}`.
    pub is_regex: bool,
    /// The pattern.
    pub text: String,
}

/// A name, and the value that goes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedValue {
    /// The name of a field in lower case, or of a parameter.
    pub name: String,
    /// A value; in a [`Match`] also `*` for any, or `~` and a regular expression.
    pub value: String,
}

/// How a request is treated; `null` says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Whether the whole content is read before the app gets the request.
    pub request_buffering: Option<bool>,
    /// Bytes of a request's content (413).
    pub request_body_bytes: Option<u64>,
    /// As [`App::request_ms`]; `null` for that.
    pub timeout_ms: Option<u32>,
    /// Whether a request that runs is interrupted when its client leaves.
    pub cancel_on_disconnect: Option<bool>,
    /// As [`Compression::enabled`]; `null` for that.
    pub compress: Option<bool>,
    /// Only clients in one of these lists (403).
    pub allow: Option<Vec<u32>>,
    /// No client in one of these lists, allowed or not (403).
    pub deny: Option<Vec<u32>>,
    /// How many requests are taken in a time (429).
    pub rate_limit: Option<RateLimit>,
    /// How many requests run at once (503).
    pub max_concurrency: Option<MaxConcurrency>,
    /// What changes about the fields that the app gets; per name, the first route counts.
    pub request_fields: Vec<FieldChange>,
    /// What changes about the fields that the client gets; likewise.
    pub response_fields: Vec<FieldChange>,
}

/// A change of the fields with one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FieldChange {
    /// Another line comes to those that are there.
    Add {
        /// The name, as it is to be written.
        name: String,
        /// The value, with `{names}` of the path.
        value: String,
    },
    /// They go.
    Remove {
        /// The name.
        name: String,
    },
    /// They go, and this takes their place.
    Set {
        /// The name, as it is to be written.
        name: String,
        /// The value, with `{names}` of the path.
        value: String,
    },
}

/// How many requests are taken in a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// So many; 0 for any number.
    pub requests: u32,
    /// In so many seconds.
    pub per_s: u32,
    /// So many of them may come at once.
    pub burst: u32,
    /// Who they count for.
    pub by: LimitKey,
}

/// How many requests run at once, accepted WebSockets included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxConcurrency {
    /// So many; 0 for any number.
    pub requests: u32,
    /// Who they count for.
    pub by: LimitKey,
}

/// Who a request counts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LimitKey {
    /// The network of so many bits that the client is in.
    Address {
        /// Of an IPv4 address, 32 at the most.
        v4_prefix: u8,
        /// Of an IPv6 address, 128 at the most.
        v6_prefix: u8,
    },
    /// The value of this cookie; the address (32 and 64 bits) without one.
    Cookie {
        /// Its name.
        name: String,
    },
    /// The first value of this field; the address (32 and 64 bits) without one.
    Field {
        /// Its name, in lower case.
        name: String,
    },
    /// All requests together.
    Route {},
}

/// Who answers a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// The app with the longest mount above the path.
    App {},
    /// Files of a folder.
    Files(Files),
    /// A redirection to another place.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`, with `{names}` of the path.
        location: String,
    },
    /// This answer.
    Respond {
        /// The status code.
        status: u16,
        /// The media type of `content`.
        content_type: String,
        /// The content; `null` for the page that the edge has for the status.
        content: Option<String>,
    },
    /// The same request with another path, which the routes judge anew.
    Rewrite {
        /// The path, with `{names}` of the present one.
        path: String,
    },
}

/// Files below a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent option of the operator's"
)]
pub struct Files {
    /// The folder, absolute.
    pub folder: String,
    /// What stands before the name of a file in the path; ends with a slash.
    pub prefix: String,
    /// Files that stand for their folder, in order.
    pub index: Vec<String>,
    /// Whether a folder without such a file is listed.
    pub listing: bool,
    /// What is looked for below the folder where there is no such file, in order, with `{path}`
    /// for the name asked for.
    pub fallback: Vec<String>,
    /// The page for 404 below the folder; `null` for the edge's own.
    pub not_found: Option<String>,
    /// Whether the next routes and the app are asked where there is no file at all.
    pub falls_through: bool,
    /// Content codings of files that may lie beside another (`app.js.br`), the preferred first.
    pub precompressed: Vec<Coding>,
    /// `Cache-Control` by pattern of the name; the first that matches counts.
    pub cache_control: Vec<NamedValue>,
    /// Whether a name with a fingerprint is told to be immutable.
    pub immutable: bool,
    /// Media types by ending (without its dot), before the known ones.
    pub types: Vec<NamedValue>,
    /// Whether `/.well-known/` is served; no other name with a dot before it ever is.
    pub well_known: bool,
    /// Bytes of small files that are kept in memory.
    pub memory_bytes: u64,
}

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// Brotli (RFC 7932).
    Br,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// Why a document is not a configuration that this edge can use.
#[derive(Debug, thiserror::Error)]
pub enum EdgeConfigError {
    /// Not the expected JSON.
    #[error("edge configuration: {0}")]
    Json(#[from] serde_json::Error),
    /// A list of addresses that is not there.
    #[error("edge configuration: there is no list number {0}")]
    NoSuchList(u32),
    /// Larger than a frame can carry: [`crate::frames`] has the limits.
    #[error("edge configuration: `{field}` is {value}, and frames carry at most {most}")]
    TooLarge {
        /// The option's place in the document.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The most that it may be.
        most: u64,
    },
    /// Written by another version.
    #[error(
        "the supervisor speaks wire version {theirs}, this edge {ours}: two Trivet installations are mixed"
    )]
    Version {
        /// The document's version, 0 where it has none.
        theirs: u32,
        /// This build's version.
        ours: u32,
    },
}

impl EdgeConfig {
    /// Decode and check a document.
    ///
    /// The version is compared first, so that a document of another version is
    /// called that, and not by the first field in which it differs.
    ///
    /// # Errors
    /// [`EdgeConfigError`] for anything but a whole document of this version.
    pub fn from_json(json: &[u8]) -> Result<Self, EdgeConfigError> {
        Self::from_value(&serde_json::from_slice(json)?)
    }

    pub(crate) fn from_value(value: &Value) -> Result<Self, EdgeConfigError> {
        check_version(value)?;
        let config: Self = exact(value)?;
        config.check()?;
        Ok(config)
    }

    /// Compare the values with what the other contracts can carry.
    ///
    /// # Errors
    /// [`EdgeConfigError::Version`] for another version than this build's,
    /// [`EdgeConfigError::TooLarge`] where what the edge would accept from a client does
    /// not fit the frames that it sends, [`EdgeConfigError::NoSuchList`] for a number that
    /// no list of addresses has.
    pub fn check(&self) -> Result<(), EdgeConfigError> {
        same_version(self.version)?;
        let mounts = self.apps.iter().map(|app| app.mount.len() as u64);
        let checks = [
            (
                "buffers.request_memory_bytes",
                u64::from(self.buffers.request_memory_bytes),
                u64::from(MAX_INLINE_BYTES),
            ),
            (
                "limits.request_head_bytes",
                u64::from(self.limits.request_head_bytes),
                u64::from(MAX_HEAD_BYTES),
            ),
            ("apps.mount", mounts.max().unwrap_or(0), u64::from(u16::MAX)),
        ];
        for (field, value, most) in checks {
            if value > most {
                return Err(EdgeConfigError::TooLarge { field, value, most });
            }
        }
        let count = self.lists.len();
        match self.named_lists().find(|&number| number as usize >= count) {
            Some(number) => Err(EdgeConfigError::NoSuchList(number)),
            None => Ok(()),
        }
    }

    /// The numbers of lists that anything is decided by.
    fn named_lists(&self) -> impl Iterator<Item = u32> {
        let routes = self.routes.iter().flat_map(|route| {
            let allow = route.policy.allow.iter().flatten();
            let deny = route.policy.deny.iter().flatten();
            route.requests.clients.iter().chain(allow).chain(deny)
        });
        let allow = self.access.allow.iter().flatten();
        allow.chain(&self.access.deny).chain(routes).copied()
    }
}

/// Compare the `version` of a JSON object with this build's.
pub(crate) fn check_version(value: &Value) -> Result<(), EdgeConfigError> {
    let theirs = value.get("version").and_then(Value::as_u64).unwrap_or(0);
    same_version(u32::try_from(theirs).unwrap_or(u32::MAX))
}

fn same_version(theirs: u32) -> Result<(), EdgeConfigError> {
    let ours = crate::WIRE_VERSION;
    if theirs == ours {
        Ok(())
    } else {
        Err(EdgeConfigError::Version { theirs, ours })
    }
}
