"""From the settings to what the edge is told: a pure function, and the only place that does it."""

from collections.abc import Sequence

from trivet.config.access_lists import AccessLists
from trivet.config.routing import routes
from trivet.config.settings import Settings
from trivet.wire import WIRE_VERSION, edge_config
from trivet.wire.edge_config import AccessFormat, EdgeConfig, Listener, Underscores


def to_edge_config(
    settings: Settings,
    listeners: Sequence[Listener],
    *,
    apps: Sequence[tuple[str, Settings]],
    colour: bool = False,
) -> EdgeConfig:
    """Make the edge's document.

    Args:
        settings: As loaded.
        listeners: The open sockets, in the order in which their descriptors are handed over.
        apps: Name for messages and settings of each app, by number.
        colour: Whether the text format of the access log uses colours.
    """
    server = settings.server
    lists = AccessLists(settings)
    # They name the lists: only then is it known which there are.
    access = edge_config.Access(
        allow=lists.numbers_or_none(settings.access.allow),
        deny=lists.numbers(settings.access.deny),
    )
    all_routes = routes(settings, lists)
    return EdgeConfig(
        version=WIRE_VERSION,
        listeners=tuple(listeners),
        threads=server.edge_threads,
        limits=_limits(settings),
        timeouts=_timeouts(settings),
        buffers=_buffers(settings),
        compression=_compression(settings),
        websocket=_websocket(settings),
        health=_health(settings),
        trusted_proxies=tuple(map(str, settings.proxy.trusted)),
        underscores=Underscores(server.underscores),
        access_log=_access_log(settings, colour=colour),
        server_field=server.server_field,
        apps=tuple(_app(name, own) for name, own in apps),
        lists=lists.lists(),
        access=access,
        routes=all_routes,
    )


def _limits(settings: Settings) -> edge_config.Limits:
    limits = settings.limits
    return edge_config.Limits(
        request_head_bytes=limits.request_head.bytes,
        request_fields=limits.request_fields,
        request_target_bytes=limits.request_target.bytes,
        request_body_bytes=limits.request_body.bytes,
        connections=limits.connections,
        connections_per_address=limits.connections_per_address,
    )


def _timeouts(settings: Settings) -> edge_config.Timeouts:
    timeouts = settings.timeouts
    return edge_config.Timeouts(
        request_head_ms=timeouts.request_head.milliseconds,
        keep_alive_ms=timeouts.keep_alive.milliseconds,
        body_grace_ms=timeouts.body_grace.milliseconds,
        body_minimum_rate=timeouts.body_minimum_rate.bytes,
        write_stall_ms=timeouts.write_stall.milliseconds,
        queue_wait_ms=timeouts.queue_wait.milliseconds,
        linger_ms=timeouts.linger.milliseconds,
        response_stall_ms=timeouts.response_stall.milliseconds,
        interrupt_grace_ms=timeouts.interrupt_grace.milliseconds,
    )


def _buffers(settings: Settings) -> edge_config.Buffers:
    buffers = settings.buffers
    return edge_config.Buffers(
        request_memory_bytes=buffers.request_memory.bytes,
        response_memory_bytes=buffers.response_memory.bytes,
        response_file_bytes=buffers.response_file.bytes if buffers.folder else 0,
        folder=str(buffers.folder) if buffers.folder else None,
    )


def _compression(settings: Settings) -> edge_config.Compression:
    compression = settings.compression
    return edge_config.Compression(
        enabled=compression.enabled,
        codings=tuple(map(edge_config.Coding, compression.codings)),
        types=compression.types,
        min_bytes=compression.minimum.bytes,
        br_level=compression.br_level,
        gzip_level=compression.gzip_level,
        zstd_level=compression.zstd_level,
        memory_bytes=compression.memory.bytes,
    )


def _websocket(settings: Settings) -> edge_config.WebSocket:
    websocket = settings.websocket
    return edge_config.WebSocket(
        max_message_bytes=websocket.max_message.bytes,
        ping_interval_ms=websocket.ping_interval.milliseconds,
        ping_timeout_ms=websocket.ping_timeout.milliseconds,
        idle_ms=websocket.idle.milliseconds,
        compression=websocket.compression,
        drain_ms=settings.server.graceful_timeout.milliseconds,
    )


def _health(settings: Settings) -> edge_config.Health:
    health = settings.health
    return edge_config.Health(
        live=health.live,
        ready=health.ready,
        drain_delay_ms=health.drain_delay.milliseconds if health.ready else 0,
        log=health.log,
    )


def _access_log(settings: Settings, *, colour: bool) -> edge_config.AccessLog:
    log = settings.log
    path = str(log.access_file) if log.access_file else None
    return edge_config.AccessLog(
        format=AccessFormat(log.format) if log.access else AccessFormat.OFF,
        colour=colour and path is None and log.format == "text",
        path=path,
    )


def _app(name: str, settings: Settings) -> edge_config.App:
    return edge_config.App(
        name=name,
        mount=settings.server.root_path,
        queue=settings.limits.queue,
        concurrency=settings.limits.concurrency,
        window=settings.server.window,
        request_ms=settings.timeouts.request.milliseconds,
    )
