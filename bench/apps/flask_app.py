"""A Flask app with a constant view and a template view."""

from __future__ import annotations

from flask import Flask, render_template

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
