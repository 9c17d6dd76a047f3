"""A Flask app with a constant view and a template view."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Flask, Response, render_template, request

if TYPE_CHECKING:
    from collections.abc import Iterator

app = Flask(__name__)
ROWS = [{"name": f"row {number}", "price": number * 1.25} for number in range(20)]


@app.route("/")
def hello() -> str:
    """Answer a short constant text."""
    return "Hello, world!\n"


@app.route("/page/<name>")
def page(name: str) -> str:
    """Render a page of twenty escaped rows that extends a layout."""
    return render_template("page.html", name=name, rows=ROWS)


@app.route("/wait")
def wait() -> str:
    """Wait for half a second, as for a database."""
    time.sleep(0.5)
    return "waited\n"


@app.post("/post")
def post() -> str:
    """Answer with what was sent."""
    return request.get_data(as_text=True)


@app.route("/stream")
def stream() -> Response:
    """Answer in twenty pieces, a little apart."""

    def pieces() -> Iterator[str]:
        for number in range(20):
            time.sleep(0.005)
            yield f"piece {number}\n"

    return Response(pieces(), mimetype="text/plain")
