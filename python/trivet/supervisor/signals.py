"""Signals as bytes on a socket, so that the loop meets them between two events, never within."""

import signal
import socket
from types import FrameType

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
"""All of them gracefully; nginx's images stop with SIGQUIT, Docker and systemd with SIGTERM."""

_WATCHED = STOP_SIGNALS | {
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
}


class SignalSocket:
    """Takes over the process's signals from `__init__` to `close`; main thread only."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._handlers_before = {
            number: signal.signal(number, _ignore_in_python) for number in _WATCHED
        }

    def fileno(self) -> int:
        """Return the descriptor to select on."""
        return self._reader.fileno()

    def take(self) -> list[signal.Signals]:
        """Return the signals that have come since the last call, in their order."""
        try:
            numbers = self._reader.recv(4096)
        except BlockingIOError:
            return []
        return [signal.Signals(number) for number in numbers if number in _WATCHED]

    def wake(self) -> None:
        """Make the loop turn once; from any thread."""
        try:
            self._writer.send(b"\0")
        except BlockingIOError:  # so full of bytes that it will wake anyway
            return

    def close(self) -> None:
        """Give the signals back as they were."""
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()


def _ignore_in_python(_: int, __: FrameType | None) -> None:
    """Do nothing: the byte on the wakeup descriptor is the message."""
