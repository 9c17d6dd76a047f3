"""Every exception of Trivet, grouped by who must act, and how each is shown in a terminal.

An exception of another class that leaves Trivet is a bug in Trivet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal, NamedTuple, TextIO

CODES: Final[Mapping[str, str]] = {
    # config: the operator acts; exit code 2
    "config.bad_address": "An address cannot be listened on: it is not of this machine.",
    "config.bad_descriptor": "A descriptor that was handed over is not a listening socket.",
    "config.bad_env_file": "A line of an environment file is not `NAME=value`.",
    "config.bad_python": "The Python that an app is to run in cannot run it.",
    "config.bad_socket": "A Unix socket cannot be made at the path.",
    "config.bad_toml": "The configuration file is not valid TOML.",
    "config.bad_value": "An option has a value of another type, form or range than it takes.",
    "config.conflict": "Two options that were set contradict each other.",
    "config.edge_refused": "The edge says why it cannot use the configuration, and keeps its own.",
    "config.file_missing": "A file or folder does not exist or cannot be read.",
    "config.kubernetes_link": (
        "A variable was ignored: Kubernetes sets it in every pod for a Service called `trivet`."
    ),
    "config.loopback_in_container": (
        "The listener was asked for on a loopback address inside a container, "
        "where nothing outside the container can reach it."
    ),
    "config.missing_option": "A table lacks an option that it cannot do without.",
    "config.not_root": "Only root can run workers as another user.",
    "config.pid_file": "The pid file cannot be written.",
    "config.pid_file_taken": "The pid file belongs to another process, which lives.",
    "config.platform_port": (
        "`PORT`, which a hosting platform sets, took the place of what the file says."
    ),
    "config.port_forbidden": "The port is below 1024, and this user may not listen there.",
    "config.port_taken": "Another process listens on the address already.",
    "config.several": "More than one thing is wrong; each is listed above this line.",
    "config.socket_taken": "Another process listens on the Unix socket already.",
    "config.text_number": "A number was written as text; it was read as the number.",
    "config.trusts_everyone": (
        "Every client is believed when it says where it comes from (`proxy.trusted` has `*`)."
    ),
    "config.unknown_option": "No option has this name.",
    "config.unknown_variable": "A variable starts with `TRIVET_`, but no option has it.",
    "config.unknown_user": "There is no such user or group.",
    # usage: the operator acts; exit code 2
    "usage.bad_argument": "An argument on the command line has the wrong form.",
    "usage.foreign_option": "An option of another server was used that Trivet does not have.",
    "usage.unknown_command": "Trivet has no such command.",
    "usage.unknown_option": "The command has no such option.",
    # control: a command to a running stand was not carried out; the operator acts
    "control.bad_request": "The stand did not understand the command.",
    "control.bad_scale": "A stand cannot have so many workers.",
    "control.broken": "The connection to the stand broke off before it had answered.",
    "control.forbidden": "Only the user who runs the stand, or root, may tell it what to do.",
    "control.no_app": "The stand has no app of this name.",
    "control.no_answer": "The stand did not answer in time.",
    "control.no_incident": "The stand keeps no incident with this id.",
    "control.no_stand": "No stand was found that the command could be for.",
    "control.no_worker": "The stand has no worker of this number.",
    "control.several": "Several stands run, and nothing says which one is meant.",
    "control.stopping": "The stand is stopping, and does nothing else any more.",
    "control.version": "Command and stand are of two installations that do not go together.",
    # app: the app's developer acts; exit code 3
    "app.ambiguous": "Several apps were found, and nothing says which one to serve.",
    "app.bad_call": "The factory cannot be called like this, or returned no app.",
    "app.bad_target": "The name of the app is not `module:attribute` or `module:factory(…)`.",
    "app.died": "The process that loaded the app ended before it was done.",
    "app.folder_closed": "The user that workers run as may not read the app's folder.",
    "app.hook": "A hook does not exist, or raised an exception before the worker could serve.",
    "app.lifespan": "The ASGI app's lifespan said that it cannot start.",
    "app.load_timeout": "The app took longer to load than `server.load_timeout` allows.",
    "app.missing_module": "The app imports a module that is not installed.",
    "app.no_app": "The module has nothing that looks like an app.",
    "app.no_attribute": "The module has no attribute of this name.",
    "app.no_module": "There is no module of this name.",
    "app.not_an_app": "What was found under the name cannot be called as an app is.",
    "app.not_found": "No app was named, and none was found in the folder.",
    "app.preload_loop": "An event loop was made while the app was imported, before a fork.",
    "app.preload_socket": "A socket was opened while the app was imported, before a fork.",
    "app.preload_thread": "A thread was started while the app was imported, before a fork.",
    "app.raised": "The app's own code raised an exception while it was loaded.",
    "app.runs_server": "The app starts a server of its own while it is imported.",
    "app.warm_up": "A new worker did not answer a path of `reload.warm_up` well, or not in time.",
    "app.syntax_error": "The app's source is not valid Python.",
}
"""Every code, and what it means. `docs/reference/errors.md` is made from it."""


class Place(NamedTuple):
    """Where in a file something stands: `line` and `column` count from 1, 0 is not known."""

    file: str
    line: int = 0
    column: int = 0
    width: int = 1
    text: str = ""
    """The whole line, for showing it with a caret; empty if not at hand."""

    def __str__(self) -> str:
        numbers = [str(number) for number in (self.line, self.column) if number]
        return ":".join([self.file, *numbers])


class TrivetError(Exception):
    """What Trivet says when it cannot go on: what happened, where, and one next step.

    Attributes:
        message: What happened, lower-case first word, no full stop, literals in backticks.
        code: A key of `CODES`, stable over releases.
        hint: The next step.
        place: File and line that the reader should open.
        detail: More lines, such as the app's traceback.
        problems: What is wrong, one by one; just this error unless made by `together`.
    """

    exit_code: ClassVar[int] = 1
    """What the process exits with when this ends it."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        hint: str | None = None,
        place: Place | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.place = place
        self.detail = detail
        self.problems: tuple[TrivetError, ...] = (self,)

    def __str__(self) -> str:
        return f"{self.message} ({self.place})" if self.place else self.message


class ConfigError(TrivetError):
    """The command line, the environment or the configuration file is wrong: the operator acts."""

    exit_code = 2

    @classmethod
    def together(cls, problems: Sequence[ConfigError]) -> ConfigError:
        """Make one error of all that is wrong, so that it can be mended in one go."""
        if len(problems) == 1:
            return problems[0]
        error = cls(f"{len(problems)} errors, nothing started", code="config.several")
        error.problems = tuple(problems)
        return error

    def __str__(self) -> str:
        if self.problems == (self,):
            return super().__str__()
        return "; ".join(map(str, self.problems))


class AppLoadError(TrivetError):
    """The app was not found or did not load: the app's developer acts."""

    exit_code = 3


class ControlError(TrivetError):
    """A running stand could not be told something: the operator acts."""


class DeployError(TrivetError):
    """A deployment file or target is wrong: the operator acts."""


class WireError(TrivetError):
    """Two processes of Trivet do not understand each other: two versions are mixed, or a bug."""


class WorkerError(TrivetError):
    """A worker process failed while running."""


class EdgeError(TrivetError):
    """The edge process failed while running."""


class RequestInterrupted(BaseException):
    """Raised in the app's own code, while it runs a request that nobody waits for any more.

    Not an `Exception`, so that the `except Exception` of a retry loop does not swallow it:
    `finally` and `with` run, and it should be let through. It comes at a point of the thread's
    Python code; a wait in C code goes on, and the process is replaced after
    `timeouts.interrupt_grace`. At most one comes for a request.
    """


class RequestTimeout(RequestInterrupted):
    """The request's time is over (`timeouts.request`, or its route's; `response_stall`)."""

    def __str__(self) -> str:
        return "the request's time is over"


class ClientDisconnected(RequestInterrupted):
    """The client has left, and the route says that this is a reason (`cancel_on_disconnect`)."""

    def __str__(self) -> str:
        return "the client has left"


class Notice(NamedTuple):
    """Something that the operator should know, but that stops nothing."""

    severity: Literal["note", "warning"]
    message: str
    code: str
    hint: str | None = None
    place: Place | None = None


_STYLES: Final = {"error": "1;31", "warning": "1;33", "note": "1;36", "dim": "34", "hint": "1;32"}


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether text for this stream may be coloured (https://no-color.org).

    `NO_COLOR` beats `FORCE_COLOR`; without either, terminals other than `TERM=dumb` get colours.
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM") != "dumb" and stream.isatty()


def render(problem: TrivetError | Notice, *, colour: bool = False) -> str:
    """Write an error or a notice down for a terminal, without a line end behind the last line.

    The form is that of rustc and uv: `error[code]: …`, `  --> file:line`, the line with a caret
    below, `  hint: …`. An error made by `ConfigError.together` shows each problem, then the count.
    """
    if isinstance(problem, TrivetError) and problem.problems != (problem,):
        parts = [render(each, colour=colour) for each in problem.problems]
        return "\n\n".join([*parts, problem.message])
    severity = "error" if isinstance(problem, TrivetError) else problem.severity
    message = problem.message
    label = _styled(f"{severity}[{problem.code}]:", severity, colour)
    lines = [f"{label} {message}"]
    if problem.place:
        lines += _place_lines(problem.place, colour)
    if isinstance(problem, TrivetError) and problem.detail:
        lines += [f"  {line}".rstrip() for line in problem.detail.splitlines()]
    if problem.hint:
        first, *rest = problem.hint.splitlines()
        lines.append(f"  {_styled('hint:', 'hint', colour)} {first}")
        lines += [f"        {line}" for line in rest]
    return "\n".join(lines)


def _place_lines(place: Place, colour: bool) -> list[str]:  # noqa: FBT001 - private, and read at once
    lines = [f"  {_styled('-->', 'dim', colour)} {place}"]
    if not place.text or not place.line:
        return lines
    number = str(place.line)
    margin = " " * (len(number) + 2)
    bar = _styled("|", "dim", colour)
    text = place.text.expandtabs(1)
    lines += [f"{margin}{bar}", f" {_styled(number, 'dim', colour)} {bar} {text}".rstrip()]
    if place.column:
        indent = " " * (place.column - 1)
        caret = _styled("^" * max(1, place.width), "error", colour)
        lines.append(f"{margin}{bar} {indent}{caret}")
    return lines


def _styled(text: str, style: str, colour: bool) -> str:  # noqa: FBT001 - private, and read at once
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colour else text
