"""A Flask app of about 150 MB: large tables, and small objects that a collector would walk."""

from __future__ import annotations

from flask import Flask

MODEL = bytearray(range(256)) * (90 << 12)
PRICES = {f"article {number}": (number, number * 1.25) for number in range(150_000)}

app = Flask(__name__)


@app.route("/")
def hello() -> str:
    """Answer with a little of what is there."""
    return f"{len(MODEL)} {PRICES['article 7'][1]}\n"
