"""A Flask app with what apps use of a server, made by factories of several kinds."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import flask
from flask import Flask, Response, request, session, stream_with_context


def create_app(greeting: str = "made by a factory") -> Flask:
    app = Flask(__name__)
    app.secret_key = "for tests"
    app.config["GREETING"] = greeting
    app.register_blueprint(views)
    return app


views = flask.Blueprint("views", __name__)


@views.get("/")
def index() -> str:
    return str(flask.current_app.config["GREETING"])


@views.get("/file")
def file() -> Response:
    return flask.send_file(
        Path(os.environ["FOLDER"], "large.bin"),
        mimetype="application/octet-stream",
        conditional="conditional" in request.args,
    )


@views.get("/stream")
def stream() -> Response:
    def lines() -> Iterator[str]:
        for number in range(3):
            yield f"{request.args['name']} {number}\n"

    return Response(stream_with_context(lines()), mimetype="text/plain")


@views.get("/live")
def live() -> Response:
    """Server-sent events: each must leave before the next is made."""

    def events() -> Iterator[str]:
        yield "data: first\n\n"
        gate = Path(os.environ["FOLDER"], "gate-live")
        while not gate.exists():
            time.sleep(0.005)  # slow on purpose
        yield "data: second\n\n"

    return Response(events(), mimetype="text/event-stream")


@views.get("/later")
async def later() -> str:
    return "from an async view"


@views.get("/count")
def count() -> dict[str, int]:
    session["count"] = session.get("count", 0) + 1
    return {"count": session["count"]}


@views.post("/upload")
def upload() -> dict[str, object]:
    sent = request.files["file"]
    digest = hashlib.sha256()
    while piece := sent.stream.read(65536):
        digest.update(piece)
    return {"name": sent.filename, "sha256": digest.hexdigest(), **request.form}


@views.post("/json")
def json() -> Response:
    return flask.jsonify(request.get_json())


@views.post("/large/body")
def body() -> dict[str, int]:
    return {"length": len(request.get_data())}


@views.get("/url")
def url() -> str:
    return flask.url_for("views.index", _external=True)


@views.get("/unicode/<text>")
def unicode(text: str) -> str:
    return text


app = create_app("made at import")
