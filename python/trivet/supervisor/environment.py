"""The environment that edge and workers get: the supervisor's, without what is only for it."""

from collections.abc import Mapping

_OURS = frozenset({"LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a child gets."""
    return {name: value for name, value in environ.items() if name not in _OURS}
