from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from trivet.config import Loaded, Settings, to_edge_config
from trivet.wire.edge_config import AccessFormat, EdgeConfig, Listener

Load = Callable[..., Loaded]
LISTENER = Listener(name="127.0.0.1:8000", port=8000, unix=False)


def test_the_defaults_become_this_document() -> None:
    document = to_edge_config(Settings(), [LISTENER], apps=[("app:app", Settings())]).to_json()
    assert json.loads(document) == {
        "version": 1,
        "listeners": [{"name": "127.0.0.1:8000", "port": 8000, "unix": False}],
        "threads": 1,
        "limits": {
            "request_head_bytes": 32768,
            "request_fields": 100,
            "request_target_bytes": 8192,
            "request_body_bytes": 104857600,
            "connections": 16384,
            "connections_per_address": 1024,
        },
        "timeouts": {
            "request_head_ms": 10000,
            "keep_alive_ms": 95000,
            "body_grace_ms": 5000,
            "body_minimum_rate": 240,
            "write_stall_ms": 60000,
            "queue_wait_ms": 10000,
            "linger_ms": 2000,
            "response_stall_ms": 300000,
            "interrupt_grace_ms": 5000,
        },
        "buffers": {
            "request_memory_bytes": 65536,
            "response_memory_bytes": 1048576,
            "response_file_bytes": 0,
            "folder": None,
        },
        "compression": {
            "enabled": False,
            "codings": ["zstd", "br", "gzip"],
            "types": list(Settings().compression.types),
            "min_bytes": 1024,
            "br_level": 4,
            "gzip_level": 5,
            "zstd_level": 3,
            "memory_bytes": 128 << 20,
        },
        "websocket": {
            "max_message_bytes": 1 << 20,
            "ping_interval_ms": 20_000,
            "ping_timeout_ms": 20_000,
            "idle_ms": 0,
            "compression": False,
            "drain_ms": 30_000,
        },
        "health": {"live": None, "ready": None, "drain_delay_ms": 0, "log": False},
        "trusted_proxies": ["unix"],
        "underscores": "drop",
        "access_log": {"format": "text", "colour": False, "path": None},
        "server_field": "Trivet",
        "apps": [
            {
                "name": "app:app",
                "mount": "",
                "queue": 1024,
                "concurrency": None,
                "window": 0,
                "request_ms": 30_000,
            }
        ],
        "lists": [],
        "access": {"allow": None, "deny": []},
        "routes": [],
    }


def test_a_route_may_have_a_time_of_its_own_or_none(load_in: Load, project: Path) -> None:
    (project / "trivet.toml").write_text(
        '[timeouts]\nrequest = "off"\nresponse_stall = 0\n'
        '[[route]]\npath = "/a"\ntimeout = "2m"\ncancel_on_disconnect = true\n'
        '[[route]]\npath = "/b"\ntimeout = "off"\n[[route]]\npath = "/c"\n'
    )
    settings = load_in().settings
    config = to_edge_config(settings, [LISTENER], apps=[("app:app", settings)])
    assert (config.apps[0].request_ms, config.timeouts.response_stall_ms) == (0, 0)
    assert [each.policy.timeout_ms for each in config.routes] == [120_000, 0, None]
    assert [each.policy.cancel_on_disconnect for each in config.routes] == [True, None, None]


def test_a_document_survives_the_round_trip(load_in: Load, project: Path) -> None:
    (project / "trivet.toml").write_text('[[route]]\npath="/a"\nrequest_body="1k"\n')
    config = to_edge_config(load_in().settings, [LISTENER], apps=())
    assert EdgeConfig.from_json(config.to_json()) == config
    assert config.apps == ()
    assert config.routes[0].policy.request_body_bytes == 1024


def test_an_unknown_key_in_a_document_is_refused() -> None:
    document = json.loads(to_edge_config(Settings(), [], apps=()).to_json())
    document["more"] = 1
    with pytest.raises(msgspec.ValidationError):
        EdgeConfig.from_json(json.dumps(document).encode())


def test_no_access_log_is_the_format_off(load_in: Load) -> None:
    settings = load_in({"log.access": False}).settings
    assert to_edge_config(settings, [], apps=()).access_log.format is AccessFormat.OFF


def test_a_folder_allows_files(load_in: Load, tmp_path: Path) -> None:
    settings = load_in(spool_folder=tmp_path).settings
    buffers = to_edge_config(settings, [], apps=()).buffers
    assert (buffers.folder, buffers.response_file_bytes) == (str(tmp_path), 1 << 30)


def test_colours_are_for_text_on_standard_output_only(load_in: Load) -> None:
    logs = [
        to_edge_config(load_in(flags, is_terminal=True).settings, [], apps=(), colour=True)
        for flags in ({}, {"log.access_file": "a"}, {"log.format": "json"})
    ]
    assert [each.access_log.colour for each in logs] == [True, False, False]


def test_the_delay_of_a_stop_is_for_those_who_ask_whether_it_is_ready(load_in: Load) -> None:
    delays = [
        to_edge_config(load_in({}, environ).settings, [], apps=()).health.drain_delay_ms
        for environ in ({}, {"TRIVET_HEALTH_READY": "/readyz"})
    ]
    assert delays == [0, 5000]
