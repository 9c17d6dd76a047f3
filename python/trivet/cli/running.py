"""What the commands to a running stand have in common: which one, the question, the answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from trivet.cli import stands
from trivet.errors import ConfigError, ControlError
from trivet.wire import stand_control as wire

Answer = TypeVar("Answer")

_VERSION = wire.STAND_CONTROL_VERSION


def addressed(name: str, text: str) -> Callable[..., Any]:
    """Make a command to a running stand: with `--pid`, `--socket` and `--json`."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Answer as one JSON document."),
            click.option("--socket", metavar="PATH", help="The stand with this control socket."),
            click.option("--pid", type=int, metavar="N", help="The stand with this process id."),
        ):
            function = option(function)
        return click.command(
            name,
            help=text,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        )(function)

    return decorate


class Conversation:
    """A connection to the one stand that is meant."""

    def __init__(self, pid: int | None, socket: str | None) -> None:
        """Find the stand.

        Raises:
            ConfigError: There is none, or more than one.
        """
        self._found = _the_one(pid, socket)

    @property
    def pid(self) -> int:
        """The stand's process, as seen from here; 0 if it cannot be."""
        return self._found.pid

    def ask(
        self,
        request: wire.Request,
        kind: type[Answer],
        patience_s: float | None = stands.PATIENCE_S,
    ) -> Answer:
        """Ask, and return the answer.

        Raises:
            ControlError: It refused, or did not answer, or not so that it can be understood.
        """
        reply = _ask(self._found, request, patience_s)
        if not isinstance(reply, kind):
            raise _strange()
        return reply

    def wait_for_end(self) -> None:
        """Wait until the stand closes the connection, and its process is gone."""
        self._found.connection.settimeout(None)
        while self._found.connection.recv(4096):
            pass
        if self.pid:
            _wait_for_exit(self.pid)


def show_json(value: msgspec.Struct) -> None:
    """Print an answer as a document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def _the_one(pid: int | None, path: str | None) -> stands.Found:
    try:
        found = stands.find(pid, path)
    except OSError as error:
        text = f"nobody listens at `{path or os.environ.get(stands.VARIABLE)}`: {error.strerror}"
        raise ConfigError(text, code="control.no_stand", hint="is the stand running?") from None
    except stands.SeveralStandsError as several:
        lines = [
            f"{each.pid:>8}  {_apps(who)}  in {who['folder']}" if who else f"{each.pid:>8}  silent"
            for each, who in several.known
        ]
        raise ConfigError(
            str(several),
            code="control.several",
            detail="\n".join(lines),
            hint="name one with --pid",
        ) from None
    if found is None:
        raise _none(pid)
    return found


def _apps(who: dict[str, object]) -> str:
    apps = who.get("apps")
    return ", ".join(map(str, apps)) or "no app" if isinstance(apps, list) else "?"


def _none(pid: int | None) -> ConfigError:
    if pid:
        return ConfigError(
            f"process {pid} is no stand that listens for commands",
            code="control.no_stand",
            hint="`trivet status` without `--pid` looks for one",
        )
    return ConfigError(
        "no stand of this user is running here",
        code="control.no_stand",
        hint="`--pid` or `--socket` names one of another user, container or network",
    )


def _ask(found: stands.Found, request: wire.Request, patience_s: float | None) -> wire.Reply:
    try:
        line = stands.ask(found, wire.encode(request), wire.MAX_REPLY_BYTES, patience_s)
    except TimeoutError:
        text = f"the stand has not answered for {patience_s:g} s"
        raise ControlError(text, code="control.no_answer", hint=_by_hand(found.pid)) from None
    except OSError:
        raise ControlError(
            "the stand closed the connection", code="control.broken", hint=_by_hand(found.pid)
        ) from None
    try:
        reply = wire.decode_reply(line)
    except wire.StandVersionError as error:
        raise ControlError(
            f"the stand is of another installation: {error}",
            code="control.version",
            hint=_by_hand(found.pid),
        ) from None
    except msgspec.DecodeError:
        raise _strange() from None
    if isinstance(reply, wire.Refused):
        raise ControlError(reply.message, code=reply.code, hint=reply.hint or None)
    return reply


def _strange() -> ControlError:
    return ControlError("the stand gave an answer to something else", code="control.broken")


def _by_hand(pid: int) -> str | None:
    return (
        f"signals always work: kill -TERM {pid} stops it, kill -HUP {pid} reloads" if pid else None
    )


def _wait_for_exit(pid: int) -> None:
    import select

    try:
        process = os.pidfd_open(pid)
    except OSError:  # gone already
        return
    select.select([process], [], [])
    os.close(process)
