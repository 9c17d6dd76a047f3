"""Says what the environ holds."""

import json
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    entries = {
        key: [type(value).__name__, value if type(value) in {str, bool} else repr(value)]
        for key, value in environ.items()
    }
    entries["its own type"] = ["str", type(environ).__name__]
    print(f"said to the log by {environ['PATH_INFO']}", file=environ["wsgi.errors"])
    environ["left behind"] = "yes"
    environ.pop("wsgi.version")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(entries).encode()]
