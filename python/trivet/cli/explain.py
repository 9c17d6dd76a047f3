"""`trivet explain`: what becomes of a request, and why."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from trivet.cli.framework import discovered, edge_config_of, routes_of, target_of
from trivet.cli.options import configured, load_configuration
from trivet.cli.routes import aligned
from trivet.config.explain import written
from trivet.config.request import asked as request_of
from trivet.config.route_table import Row, decided_text, table
from trivet.config.suggestion import nearest
from trivet.errors import CODES, ConfigError
from trivet.wire import edge_config, routes
from trivet.wire.worker_control import AppRoutes, RoutesAsked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trivet.config import Loaded
    from trivet.wire.routes import Asked, Explained, Step

_CODE: Final = re.compile(r"[a-z]+\.[a-z_]+")
_MARKS: Final = ("✓", "✗")
_PLAIN_MARKS: Final = ("+", "-")


@click.option("--no-app", "without", is_flag=True, help="Do not load the app for its own route.")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON document.")
@click.option(
    "--client", default="127.0.0.1", metavar="ADDR", help="Who sends it.  [default: 127.0.0.1]"
)
@click.option("-H", "--field", "fields", multiple=True, metavar="FIELD", help="`Field: value`.")
@click.option("-X", "--method", default="GET", metavar="METHOD", help="[default: GET]")
@click.argument("url", metavar="URL|CODE")
@click.argument("app", required=False)
def _explain(
    *,
    url: str,
    method: str,
    fields: Sequence[str],
    client: str,
    as_json: bool,
    without: bool,
    **parameters: Any,  # noqa: ANN401 - one per option
) -> int:
    """Say what becomes of a request, and why: by the code and the configuration of the edge.

    URL may leave out scheme and host. The request goes through the gate, the routes with the
    options that each of them sets, and to the app, whose framework is asked for its route.

    A code of an error (`config.bad_value`) is explained in a sentence.
    """
    if _CODE.fullmatch(url):
        click.echo(_meaning(url))
        return 0
    asked = request_of(url, method=method, fields=fields, client=client)
    loaded = load_configuration(parameters)
    account = _Account(loaded, asked, without=without)
    if as_json:
        sys.stdout.write(msgspec.json.format(account.json(), indent=2).decode() + "\n")
    else:
        click.echo("\n".join(account.lines()))
    return 0


def _meaning(code: str) -> str:
    if code not in CODES:
        meant = nearest(code, CODES)
        hint = f"did you mean `{meant}`?" if meant else "a path begins with `/`"
        text = f"no error has the code `{code}`"
        raise ConfigError(text, code="usage.bad_argument", hint=hint)
    return f"{code}: {CODES[code]}"


class _Account:
    """The way of one request, ready to be told."""

    def __init__(self, loaded: Loaded, asked: Asked, *, without: bool) -> None:
        self.loaded = loaded
        self.asked = asked
        found = discovered(loaded)
        config = edge_config_of(loaded, found)
        self.explained = routes.explain(config, asked)
        self.steps = list(_with_rows(self.explained, table(loaded)))
        self.app: dict[str, str] | None = None
        self.framework: AppRoutes | None = None
        if (number := self.explained.app) is not None:
            app = loaded.apps[number]
            mount = app.settings.server.root_path
            target = target_of(app, found[number])
            self.app = {"name": app.name, "target": target, "mount": mount}
            if not without:
                question = RoutesAsked(
                    method=asked.method,
                    scheme=self.explained.scheme,
                    host=self.explained.authority or "localhost",
                    mount=mount,
                    path=self.explained.final_path.removeprefix(mount) or "/",
                )
                self.framework = routes_of(app, found[number], question)

    def json(self) -> bytes:
        """Say it for programs."""
        taken = self.framework.taken if self.framework else None
        return msgspec.json.encode(
            {
                **msgspec.structs.asdict(self.explained),
                "steps": [
                    {**msgspec.structs.asdict(step), "from": row.origin} for step, row in self.steps
                ],
                "policy": [{"set": text, "from": origin} for text, origin in self._policy()],
                "app": self.app,
                "endpoint": taken
                and {
                    "methods": list(taken.methods),
                    "path": taken.path,
                    "endpoint": taken.endpoint,
                },
                "note": self.framework.problem if self.framework else "",
            }
        )

    def lines(self) -> Iterator[str]:
        """Say it for people."""
        told, asked = self.explained, self.asked
        yes, no = _PLAIN_MARKS if not _can_be_shown(_MARKS) else _MARKS
        yield f"{asked.method} {asked.target}"
        yield ""
        if told.refused:
            yield f"  {no} the gate: {told.refused.detail} ({told.refused.code})"
            yield ""
            yield f"the gate refuses it: {told.refused.status} {told.refused.reason}"
            return
        cells = [(yes, "the gate", self._gate(), "")]
        for step, row in self.steps:
            mark, text = (no, self._mismatch(step, row)) if step.mismatch else (yes, _does(step))
            cells.append((mark, row.name, text, row.origin))
        yield from (f"  {line}" for line in aligned(cells))
        if policy := list(self._policy()):
            yield ""
            yield from (f"  {line}" for line in aligned(policy))
        yield ""
        yield from self._answer()

    def _gate(self) -> str:
        told = self.explained
        client = told.client or "an unknown client"
        return f"lets it pass: {told.scheme}://{told.authority}, path {told.path}, from {client}"

    def _mismatch(self, step: Step, row: Row) -> str:
        told, wanted = self.explained, row.requests
        texts = {
            "path": f"it is not {wanted.path.text if wanted.path else ''}",
            "method": f"{self.asked.method} is not {' or '.join(wanted.methods)}",
            "host": f"{told.authority} is not {' or '.join(wanted.hosts)}",
            "secure": f"it comes over {told.scheme}",
            "field": f"one is not {_named(wanted.fields)}",
            "query": f"one is not {_named(wanted.query)}",
            "client": f"{told.client} is not {' or '.join(row.clients)}",
        }
        part = step.mismatch or ""
        return f"{part}: {texts.get(part, 'it is another')}"

    def _policy(self) -> Iterator[tuple[str, str]]:
        """List what decides how the request is treated, and where that was written."""
        decided = set()
        for step, row in self.steps:
            for part in step.decides:
                decided.add(part)
                yield decided_text(row, part), f"{row.name}, {row.origin}"
        if (number := self.explained.app) is None:
            return
        app = self.loaded.apps[number]
        for option, path, value in (
            ("request_body", "limits.request_body", app.settings.limits.request_body),
            ("timeout", "timeouts.request", app.settings.timeouts.request),
        ):
            if option not in decided:
                yield f"{option} = {written(value)}", f"{path}, {app.origins[path]}"

    def _answer(self) -> Iterator[str]:
        told = self.explained
        if told.is_circle:
            yield "the routes rewrite it in a circle: 500 Internal Server Error"
        elif told.answerer == "access":
            yield f"the stand is not for {told.client} (`[access]`): 403 Forbidden"
        elif told.is_forbidden:
            yield f"the routes do not let {told.client} have it: 403 Forbidden"
        elif told.answerer == "probe":
            yield "the edge answers by itself: it is a health probe"
        elif told.answerer == "nobody":
            yield f"no app has the path {told.final_path}: 404 Not Found"
        elif self.app is None:
            yield f"answered by {self.steps[-1][1].name}: {self.steps[-1][0].action}"
        else:
            name = f"{self.app['name']}: " if self.app["name"] else ""
            below = f", mounted at {self.app['mount']}" if self.app["mount"] else ""
            moved = f", as {told.final_path}" if told.final_path != told.path else ""
            unless = "if no such file is there, " if self._may_be_a_file() else ""
            yield f"{unless}answered by the app {name}{self.app['target']}{below}{moved}"
            yield from self._endpoint()

    def _may_be_a_file(self) -> bool:
        actions = [row.action for step, row in self.steps if step.mismatch is None]
        return any(isinstance(each, edge_config.Files) for each in actions)

    def _endpoint(self) -> Iterator[str]:
        if self.framework and self.framework.taken:
            taken = self.framework.taken
            yield f"  {taken.endpoint}, which has {taken.path}"
        elif self.framework and self.framework.problem:
            yield f"  {self.framework.problem}"


def _with_rows(explained: Explained, rows: Sequence[Row]) -> Iterator[tuple[Step, Row]]:
    """Pair each step with its route: steps go down the list, and from its top after a rewrite."""
    at = 0
    for step in explained.steps:
        row = rows[at]
        yield step, row
        is_rewrite = isinstance(row.action, edge_config.Rewrite) and step.mismatch is None
        at = 0 if is_rewrite else at + 1


def _does(step: Step) -> str:
    sets = f"sets {', '.join(step.decides)}" if step.decides else ""
    return "; ".join(filter(None, [sets, step.action])) or "goes on"


def _named(values: Sequence[edge_config.NamedValue]) -> str:
    return " or ".join(f"`{each.name}` = `{each.value}`" for each in values)


def _can_be_shown(marks: Sequence[str]) -> bool:
    try:
        "".join(marks).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


command = configured("explain", takes_app=False)(_explain)
