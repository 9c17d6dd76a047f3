"""The edge's configuration: one JSON document from the supervisor.

The same names as in `crates/trivet-wire/src/edge_config.rs`, whose comments hold here too.
Nothing has a default: `trivet.config` decides every value.
"""

import enum

import msgspec


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


class Listener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A listening socket."""

    name: str
    """As the operator wrote it, for messages."""
    port: int
    """Port where clients find it, 0 for a Unix socket."""
    unix: bool


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a client may send or hold."""

    request_head_bytes: int
    request_fields: int
    request_target_bytes: int
    request_body_bytes: int
    connections: int
    connections_per_address: int


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the edge waits."""

    request_head_ms: int
    keep_alive_ms: int
    body_grace_ms: int
    body_minimum_rate: int
    """Bytes per second that a request body must reach on average."""
    write_stall_ms: int
    queue_wait_ms: int
    linger_ms: int


class Buffers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the edge keeps for slow clients."""

    request_memory_bytes: int
    response_memory_bytes: int
    response_file_bytes: int
    """0 for no file."""
    folder: str | None
    """Folder of the unlinked files; `None` where none can be written."""


class AccessLog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where and how each request is written down."""

    format: AccessFormat
    colour: bool
    path: str | None
    """File to append to; `None` for standard output."""


class App(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The app behind the edge."""

    name: str
    mount: str
    """Path prefix below which the app is mounted; no slash at its end."""
    queue: int
    window: int
    """Requests that a process may hold ahead of its running one; 0 chooses by service time."""


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy by path."""

    path: str
    """Exact path, or a prefix that ends with `*`."""
    request_buffering: bool | None
    request_body_bytes: int | None


class EdgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the edge is told."""

    version: int
    listeners: tuple[Listener, ...]
    """In the order of the descriptors that come along."""
    threads: int
    limits: Limits
    timeouts: Timeouts
    buffers: Buffers
    trusted_proxies: tuple[str, ...]
    underscores: Underscores
    access_log: AccessLog
    server_field: str | None
    app: App | None
    routes: tuple[Route, ...]

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
