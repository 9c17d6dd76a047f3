"""Datasette over a small database: a large ASGI app with templates, static files and threads."""

import sqlite3
from contextlib import closing
from pathlib import Path

from datasette.app import Datasette

ROWS = 50
DATABASE = Path("plants.db")

if not DATABASE.exists():
    with closing(sqlite3.connect(DATABASE)) as database, database:
        database.execute("create table plants (id integer primary key, name text)")
        names = [(f"plant {number}",) for number in range(ROWS)]
        database.executemany("insert into plants (name) values (?)", names)

app = Datasette([str(DATABASE)], immutables=[]).app()
