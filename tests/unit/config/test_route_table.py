"""The list of routes as people and programs see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trivet.config import Loaded
from trivet.config.route_table import (
    Row,
    action_text,
    decided_text,
    policy_text,
    requests_text,
    table,
)

CONFIG = """
[[site]]
host = ["a.example"]
https = true

[[route]]
path = "/upload"
method = ["POST", "PUT"]
query = { v = "2" }
field = { X-Beta = "~yes|1" }
timeout = "5s"
set_request_fields = { X-A = "1" }
remove_request_fields = ["X-B"]
cancel_on_disconnect = true

[[route]]
regex = '/(?<year>\\d{4})'
scheme = "https"
rewrite = "/by-year/{year}"

[[route]]
path = "/gone"
status = 410

[[route]]
path = "/stay/*"
app = true

[[static]]
path = "/"
folder = "."
next = true
"""


def rows(load_in: Callable[..., Loaded], project: Path) -> list[Row]:
    (project / "trivet.toml").write_text(CONFIG)
    return table(load_in())


def test_each_route_says_where_it_was_written(
    load_in: Callable[..., Loaded], project: Path
) -> None:
    assert [(row.number, row.name, row.origin) for row in rows(load_in, project)] == [
        (1, "site 1 (https)", "trivet.toml:2"),
        (2, "route 1 (/upload)", "trivet.toml:6"),
        (3, "route 2 (/(?<year>\\d{4}))", "trivet.toml:16"),
        (4, "route 3 (/gone)", "trivet.toml:21"),
        (5, "route 4 (/stay/*)", "trivet.toml:25"),
        (6, "static 1 (/)", "trivet.toml:29"),
    ]


def test_each_route_says_what_it_is_for_and_what_it_does(
    load_in: Callable[..., Loaded], project: Path
) -> None:
    told = [
        (requests_text(row), policy_text(row), action_text(row)) for row in rows(load_in, project)
    ]
    assert told == [
        ("http a.example", "", "308, to https://{hostname}{path}{?query}"),
        (
            "POST, PUT /upload ?v=2 [x-beta: ~yes|1]",
            (
                'timeout = "5s", cancel_on_disconnect = true, set_request_fields = { X-A = "1" }, '
                'remove_request_fields = ["X-B"]'
            ),
            "on",
        ),
        ("https ~/(?<year>\\d{4})", "", "again as /by-year/{year}"),
        ("/gone", "", "410"),
        ("/stay/*", "", "the app"),
        ("/*", "", f"files of {project}, else on"),
    ]


def test_a_part_of_the_treatment_is_told_as_it_was_written(
    load_in: Callable[..., Loaded], project: Path
) -> None:
    row = rows(load_in, project)[1]
    assert decided_text(row, "timeout") == 'timeout = "5s"'
    assert decided_text(row, "request_fields") == (
        'set_request_fields = { X-A = "1" }, remove_request_fields = ["X-B"]'
    )
