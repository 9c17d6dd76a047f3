"""The edge's configuration: one JSON document from the supervisor.

The same names as in `crates/trivet-wire/src/edge_config.rs`, whose comments hold here too.
Nothing has a default: `trivet.config` decides every value.
"""

import enum
from typing import Annotated

import msgspec

from trivet.wire import check_version

U8 = Annotated[int, msgspec.Meta(ge=0, le=2**8 - 1)]
U16 = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
# msgspec's limits end at 2**63 - 1; the crate refuses what is beyond 2**64 - 1.
U64 = Annotated[int, msgspec.Meta(ge=0)]


class Underscores(enum.Enum):
    """What becomes of field names with an underscore (they alias others in CGI names)."""

    ALLOW = "allow"
    DROP = "drop"
    REFUSE = "refuse"


class AccessFormat(enum.Enum):
    """How an access log line looks."""

    COMBINED = "combined"
    JSON = "json"
    LOGFMT = "logfmt"
    OFF = "off"
    TEXT = "text"


class Coding(enum.Enum):
    """A content coding (RFC 9110 section 8.4.1)."""

    BR = "br"
    GZIP = "gzip"
    ZSTD = "zstd"


class Listener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A listening socket."""

    name: str
    """As the operator wrote it, for messages."""
    port: U16
    """Port where clients find it, 0 for a Unix socket."""
    unix: bool


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a client may send or hold."""

    request_head_bytes: U32
    request_fields: U16
    request_target_bytes: U32
    request_body_bytes: U64
    connections: U32
    connections_per_address: U32


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the edge waits."""

    request_head_ms: U32
    keep_alive_ms: U32
    body_grace_ms: U32
    body_minimum_rate: U32
    """Bytes per second that a request body must reach on average."""
    write_stall_ms: U32
    queue_wait_ms: U32
    response_stall_ms: U32
    """0 for ever."""
    interrupt_grace_ms: U32
    linger_ms: U32


class Buffers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the edge keeps for slow clients."""

    request_memory_bytes: U32
    response_memory_bytes: U32
    response_file_bytes: U64
    """0 for no file."""
    folder: str | None
    """Folder of the unlinked files; `None` where none can be written."""


class Compression(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the content of responses is coded on its way."""

    enabled: bool
    """Where no route says otherwise."""
    codings: tuple[Coding, ...]
    """The preferred first."""
    types: tuple[str, ...]
    """Media types: `text/html`, `text/*` or `application/*+json`."""
    min_bytes: U32
    br_level: U8
    gzip_level: U8
    zstd_level: U8
    memory_bytes: U64
    """Of all streams together."""


class WebSocket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What WebSockets may do, and how long the edge waits for them."""

    max_message_bytes: U32
    ping_interval_ms: U32
    """0 for no pings."""
    ping_timeout_ms: U32
    idle_ms: U32
    """0 for any time."""
    compression: bool
    drain_ms: U32
    """How long the WebSockets of a worker that stops may take to be closed."""


class Health(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Health probes, which the edge answers by itself."""

    live: str | None
    """Path that says whether edge and supervisor live; `None` for none."""
    ready: str | None
    """Path that says whether requests should come; `None` for none."""
    drain_delay_ms: U32
    """How long new connections are still served once the edge drains."""
    log: bool


class AccessLog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where and how each request is written down."""

    format: AccessFormat
    colour: bool
    path: str | None
    """File to append to; `None` for standard output."""


class App(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An app behind the edge."""

    name: str
    mount: str
    """Path prefix below which the app is mounted; no slash at its end."""
    queue: U32
    concurrency: U32 | None
    """Requests that may wait and run at once, WebSockets included; `None` for any number."""
    window: U16
    """Requests that a process may hold, the running one included; 0 chooses by service time."""
    request_ms: U32
    """For the head of a response, from the arrival of its request; 0 for ever."""


class AddressList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses and networks."""

    name: str
    """For messages."""
    networks: tuple[str, ...]
    """Addresses, networks, `*`, `unix`, `private`, `loopback`."""
    file: str | None
    """With more of them, one on each line; the edge reads it again when it changes."""


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose requests are answered at all, by the numbers of lists; health probes always are."""

    allow: tuple[U32, ...] | None
    """Only clients in one of these lists; `None` for all."""
    deny: tuple[U32, ...]
    """No client in one of these lists, allowed or not."""


class PathPattern(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a path is written."""

    is_regex: bool
    text: str
    """An expression, or a path, a prefix that ends with `*`, or a pattern with `{names}`."""


class NamedValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name, and the value that goes with it."""

    name: str
    """Of a field in lower case, or of a parameter."""
    value: str
    """In a `Match` also `*` for any value, or `~` and a regular expression."""


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests a route is for: every part must hold, and an empty one does."""

    hosts: tuple[str, ...]
    secure: bool | None
    """Whether over TLS; `None` for either."""
    path: PathPattern | None
    methods: tuple[str, ...]
    fields: tuple[NamedValue, ...]
    query: tuple[NamedValue, ...]
    clients: tuple[U32, ...]
    """Numbers of lists of addresses."""


class FieldChange(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """A change of the fields with one name."""

    name: str
    """As it is to be written."""


class AddField(FieldChange, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="add"):
    """Another line comes to those that are there."""

    value: str
    """With `{names}` of the path."""


class RemoveField(FieldChange, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="remove"):
    """They go."""


class SetField(FieldChange, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set"):
    """They go, and this takes their place."""

    value: str
    """With `{names}` of the path."""


class LimitKey(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """Who a request counts for."""


class AddressKey(LimitKey, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="address"):
    """The network of so many bits that the client is in."""

    v4_prefix: U8
    v6_prefix: U8


class CookieKey(LimitKey, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cookie"):
    """The value of this cookie; the address without one."""

    name: str


class FieldKey(LimitKey, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="field"):
    """The first value of this field; the address without one."""

    name: str
    """In lower case."""


class RouteKey(LimitKey, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="route"):
    """All requests together."""


class RateLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many requests are taken in a time."""

    requests: U32
    """0 for any number."""
    per_s: U32
    burst: U32
    """So many of them may come at once."""
    by: AddressKey | CookieKey | FieldKey | RouteKey


class MaxConcurrency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many requests run at once, accepted WebSockets included."""

    requests: U32
    """0 for any number."""
    by: AddressKey | CookieKey | FieldKey | RouteKey


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a request is treated; `None` says nothing."""

    request_buffering: bool | None
    request_body_bytes: U64 | None
    timeout_ms: U32 | None
    """In place of the app's `request_ms`; 0 for ever."""
    cancel_on_disconnect: bool | None
    compress: bool | None
    request_fields: tuple[AddField | RemoveField | SetField, ...]
    """What changes about the fields that the app gets; per name, the first route counts."""
    response_fields: tuple[AddField | RemoveField | SetField, ...]
    """What changes about the fields that the client gets; likewise."""
    allow: tuple[U32, ...] | None
    """Only clients in one of these lists."""
    deny: tuple[U32, ...] | None
    """No client in one of these lists, allowed or not."""
    rate_limit: RateLimit | None
    max_concurrency: MaxConcurrency | None


class Action(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """Who answers a request."""


class ToApp(Action, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="app"):
    """The app with the longest mount above the path."""


class Files(Action, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="files"):
    """Files below a folder."""

    folder: str
    """Absolute."""
    prefix: str
    """What stands before the name of a file in the path; ends with a slash."""
    index: tuple[str, ...]
    listing: bool
    fallback: tuple[str, ...]
    """Looked for where there is no such file, with `{path}` for the name asked for."""
    not_found: str | None
    """The page for 404 below the folder; `None` for the edge's own."""
    falls_through: bool
    """Whether the next routes and the app are asked where there is no file at all."""
    precompressed: tuple[Coding, ...]
    cache_control: tuple[NamedValue, ...]
    immutable: bool
    types: tuple[NamedValue, ...]
    well_known: bool
    memory_bytes: U64
    """Of small files that are kept in memory."""


class Redirect(Action, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="redirect"):
    """A redirection to another place."""

    status: U16
    location: str


class Respond(Action, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="respond"):
    """This answer."""

    status: U16
    content_type: str
    content: str | None
    """`None` for the page that the edge has for the status."""


class Rewrite(Action, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rewrite"):
    """The same request with another path, which the routes judge anew."""

    path: str


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with some requests."""

    name: str
    """For messages: what the operator wrote, and where."""
    requests: Match
    policy: Policy
    action: ToApp | Files | Redirect | Respond | Rewrite | None


class EdgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the edge is told."""

    version: U32
    listeners: tuple[Listener, ...]
    """In the order of the descriptors that come along."""
    threads: U32
    limits: Limits
    timeouts: Timeouts
    buffers: Buffers
    compression: Compression
    websocket: WebSocket
    health: Health
    trusted_proxies: tuple[str, ...]
    underscores: Underscores
    access_log: AccessLog
    server_field: str | None
    apps: tuple[App, ...]
    """By the number that `AddWorker` gives; a path belongs to the one with the longest mount."""
    lists: tuple[AddressList, ...]
    """By the number that `access` and the routes give."""
    access: Access
    routes: tuple[Route, ...]

    def __post_init__(self) -> None:
        check_version(self.version)

    def to_json(self) -> bytes:
        """Encode the document as the edge reads it."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, document: bytes) -> "EdgeConfig":
        """Decode a document.

        Raises:
            msgspec.ValidationError: For anything but a whole document of these types.
        """
        return msgspec.json.decode(document, type=cls)
