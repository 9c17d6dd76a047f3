"""Puts the lines of a traceback together again, so that a collector of logs gets one event.

Strategy: a state machine over lines, without clock or I/O. It holds lines back from a traceback's
first line on, or from the line that a worker writes before it, until one comes that cannot belong
to it. Whoever feeds it says when to give up waiting (`flush`). Lines of two threads that mix are
not told apart: the one that does not belong ends the traceback, and no line is ever lost.
"""

import re

FOLD_BYTES = 64 << 10
"""A longer traceback becomes several events."""

_FIRST = re.compile(rb"(  \+ Exception Group )?Traceback \(most recent call last\):")
_HEAD = re.compile(
    rb"\S+ .* (?:failed|failed after its response|broke off after its head), request id (\S+)"
)
_EXCEPTION = re.compile(rb"[A-Za-z_][\w.]*(?::.*)?")
_LINKS = (
    b"During handling of the above exception, another exception occurred:",
    b"The above exception was the direct cause of the following exception:",
)
_LINK_LINES = 3

Group = list[bytes]
"""Lines that are one event: a single one, or a whole traceback."""


class Folder:
    """Takes lines, and gives groups of them; their order stays."""

    def __init__(self) -> None:
        self._held: Group = []
        self._bytes = 0
        self._link: Group = []
        """What may lead from one traceback of a chain to the next: `""`, a sentence, `""`."""
        self._is_over = False
        """Whether the line with the exception has come."""

    @property
    def is_holding(self) -> bool:
        """Whether there are lines that wait for the next one."""
        return bool(self._held)

    def feed(self, line: bytes) -> list[Group]:
        """Take one line, and give what is complete now."""
        self._bytes += len(line)
        if self._held and self._bytes <= FOLD_BYTES and self._belongs(line):
            return []
        given = self.flush()
        if _FIRST.fullmatch(line) or _HEAD.fullmatch(line):
            self._held, self._bytes = [line], len(line)
            return given
        return [*given, [line]]

    def flush(self) -> list[Group]:
        """Give what is held as it is."""
        held, link = self._held, self._link
        self._held, self._link, self._is_over, self._bytes = [], [], False, 0
        return [group for group in (held, *([line] for line in link)) if group]

    def _belongs(self, line: bytes) -> bool:
        if self._is_over:
            return self._leads_on(line)
        if len(self._held) == 1 and _HEAD.fullmatch(self._held[0]):
            belongs = _FIRST.fullmatch(line) is not None
        elif not (belongs := line[:1].isspace()) and not self._is_group():
            belongs = self._is_over = _EXCEPTION.fullmatch(line) is not None
        if belongs:
            self._held.append(line)
        return belongs

    def _is_group(self) -> bool:
        """Say whether it is an exception group's: that has its exceptions within its frame."""
        firsts = (_FIRST.fullmatch(line) for line in reversed(self._held))
        return next((bool(first[1]) for first in firsts if first), False)

    def _leads_on(self, line: bytes) -> bool:
        """Follow a chain of exceptions: a link counts only when it is whole."""
        step = len(self._link)
        if step == _LINK_LINES:
            if not _FIRST.fullmatch(line):
                return False
            self._held += [*self._link, line]
            self._link, self._is_over = [], False
            return True
        if not step and line[:1].isspace():  # the message goes on
            self._held.append(line)
            return True
        if line in _LINKS if step == 1 else not line:
            self._link.append(line)
            return True
        return False


def described(group: Group) -> tuple[bytes, bytes]:
    """Return what happened in one line, and the id of the request; either may be empty."""
    if head := _HEAD.fullmatch(group[0]):
        return group[0], head[1]
    exceptions = [line for line in group[1:] if _EXCEPTION.fullmatch(line)]
    return (exceptions[-1] if exceptions else group[0]), b""
