"""What the operator sees on standard error: the screen at the start, and lines after it."""

import datetime
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import trivet
from trivet.errors import Notice, TrivetError, render
from trivet.wire.worker_control import Loaded

_LEVELS = ("debug", "info", "warning", "error")
_COLOURS: Mapping[str, str] = {"warning": "33", "error": "31"}
_ADDRESSES_SHOWN = 3
_APPS_SHOWN = 5
_FOLDERS_SHOWN = 3
_BOLD, _DIM = "1", "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppLine:
    """What the start screen tells of one app, each value with its reason.

    `name` is empty where there is only one app.
    """

    name: str
    target: str
    because: str
    mount: str
    workers: int
    threads: int
    workers_because: str

    def crew(self, interface: str) -> str:
        """Say what runs it: `2 x up to 40 threads`, or `2 x 1 event loop`."""
        if interface == "asgi":
            return f"{self.workers} x 1 event loop"
        threads = "1 thread" if self.threads == 1 else f"up to {self.threads} threads"
        return f"{self.workers} x {threads}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What the start screen tells, each value with its reason; all but what the apps know."""

    apps: Sequence[AppLine]
    serving: Sequence[tuple[str, str]]
    watching: str
    """Folders that are watched for `--reload`, or `""`."""
    stop: str
    """How to stop it: `Ctrl-C stops`."""
    tasks: Sequence[str] = ()
    """Names of the background tasks."""
    folders: Sequence[tuple[str, str]] = ()
    """Paths and the folders that are served there."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How things are said: `json` for collectors, `colour` for terminals, from `level` on.

    What is said until the stand serves is read by a person more often than not, so it is JSON
    only where that was asked for: `json_from_start`.
    """

    json: bool
    colour: bool
    level: str = "info"
    json_from_start: bool = False

    def at_start(self) -> "Voice":
        """Return the voice for what is said until the stand serves, its screen included."""
        return replace(self, json=self.json_from_start)

    def screen(self, screen: Screen, loaded: Sequence[Loaded], seconds: float) -> str:
        """Return the screen of a stand that has begun to serve; `loaded` is by app."""
        if self.json:
            return self._screen_json(screen, loaded, seconds)
        python = f"Python {platform.python_version()}"
        frameworks = dict.fromkeys(each.framework for each in loaded)
        names = [f"Trivet {trivet.__version__}", python, *frameworks]
        title = self._styled("  ".join(filter(None, names)), _BOLD)
        rows = _rows(screen, loaded)
        ready = f"ready in {seconds:.2f} s"
        label = max(len(name) for name, _, _ in rows)
        width = max(len(ready) - label - 2, *(len(value) for _, value, _ in rows))
        lines = [
            f"  {name:<{label}}  {value:<{width}}  {self._styled(because, _DIM)}".rstrip()
            for name, value, because in rows
        ]
        how = self._styled(f"{screen.stop}, SIGHUP reloads", _DIM)
        lines.append(f"  {ready:<{label + 2 + width}}  {how}")
        return "\n".join([title, "", *lines, "", ""])

    def line(self, text: str, level: str) -> str:
        """Return a line with its time, or nothing if it does not weigh enough."""
        if _LEVELS.index(level) < _LEVELS.index(self.level):
            return ""
        if self.json:
            return _json(level, text)
        now = datetime.datetime.now().astimezone().strftime("%H:%M:%S")
        return f"{now}  {self._styled(text, _COLOURS.get(level, ''))}\n"

    def notice(self, notice: Notice) -> str:
        """Return a warning with the line that it is about."""
        if not self.json:
            return f"{render(notice, colour=self.colour)}\n"
        parts = {"code": notice.code, "place": str(notice.place or ""), "hint": notice.hint}
        return _json(notice.severity, notice.message, **parts)

    def failure(self, error: TrivetError) -> str:
        """Return the box that says why the app was not loaded, or what is misconfigured."""
        if not self.json:
            return f"\n{render(error, colour=self.colour)}\n\n"
        parts = {"code": error.code, "place": str(error.place or ""), "detail": error.detail}
        return _json("error", error.message, **parts, hint=error.hint)

    def _screen_json(self, screen: Screen, loaded: Sequence[Loaded], seconds: float) -> str:
        apps = [
            {
                "name": app.name,
                "app": app.target,
                "path": app.mount,
                "framework": each.framework,
                "workers": app.workers,
                "threads": app.threads,
            }
            for app, each in zip(screen.apps, loaded, strict=True)
        ]
        # One app is told flat: that is what most logs are searched for.
        only = apps[0] if len(apps) == 1 else {"apps": apps}
        return _json(
            "info",
            "serving",
            version=trivet.__version__,
            **only,
            addresses=[address for address, _ in screen.serving],
            tasks=list(screen.tasks),
            files=[folder for folder, _ in screen.folders],
            seconds=round(seconds, 3),
        )

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour and style and text else text


def _rows(screen: Screen, loaded: Sequence[Loaded]) -> list[tuple[str, str, str]]:
    is_alone = len(screen.apps) == 1
    rows = _alone(screen.apps[0], loaded[0]) if is_alone else _several(screen.apps, loaded)
    rows += _several_of("files", screen.folders, _FOLDERS_SHOWN)
    rows += _several_of("serving", screen.serving, _ADDRESSES_SHOWN)
    if is_alone:
        crew = screen.apps[0].crew(loaded[0].interface)
        rows.append(("workers", crew, screen.apps[0].workers_because))
    if screen.tasks:
        rows.append(("tasks", ", ".join(screen.tasks), "one process each"))
    if screen.watching:
        rows.append(("reload", screen.watching, "new code takes over once it has loaded"))
    return rows


def _several_of(
    name: str, told: Sequence[tuple[str, str]], most: int
) -> Iterator[tuple[str, str, str]]:
    for number, (value, because) in enumerate(told[:most]):
        yield ("" if number else name, value, because)
    if (more := len(told) - most) > 0:
        yield ("", f"and {more} more", "")


def _alone(app: AppLine, loaded: Loaded) -> list[tuple[str, str, str]]:
    return [("app", app.target, f"{app.because} ({loaded.interface.upper()})")]


def _several(apps: Sequence[AppLine], loaded: Sequence[Loaded]) -> list[tuple[str, str, str]]:
    shown = list(zip(apps, loaded, strict=True))[:_APPS_SHOWN]
    rows = [
        (
            "" if number else "apps",
            f"{app.mount or '/'} -> {app.name}",
            f"{app.target} ({each.interface.upper()}), {app.crew(each.interface)}",
        )
        for number, (app, each) in enumerate(shown)
    ]
    if (more := len(apps) - len(shown)) > 0:
        rows.append(("", f"and {more} more", ""))
    return rows


def _json(level: str, event: str, **more: object) -> str:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
    entry: dict[str, object] = {"timestamp": now, "level": level, "event": event}
    entry |= {name: value for name, value in more.items() if value}
    return json.dumps(entry, ensure_ascii=False) + "\n"


def time_of_day(monotonic: float) -> str:
    """Return the time of day at a moment of the monotonic clock."""
    seconds_ago = time.monotonic() - monotonic
    return time.strftime("%H:%M:%S", time.localtime(time.time() - seconds_ago))
