"""`trivet serve`: listeners first, then the stand."""

import os
from collections.abc import Callable, Sequence

from trivet.config import Loaded
from trivet.config.discovery import Discovered
from trivet.supervisor.listen import listeners
from trivet.supervisor.plan import make_plan
from trivet.supervisor.reload.renewal import Renewer
from trivet.supervisor.spawn import Programs
from trivet.supervisor.stand import Stand
from trivet.supervisor.start.identity import identity_of
from trivet.supervisor.start.pid_file import pid_file


def run(
    loaded: Loaded,
    apps: Sequence[Discovered],
    programs: Programs | None = None,
    *,
    again: Callable[[], Loaded],
) -> int:
    """Hold a stand until it is told to stop; returns the process's exit code.

    Owns the process's signals meanwhile, so it is for the main thread. Leaves no process and no
    socket file behind.

    Args:
        loaded: the configuration.
        apps: what was found to be served, one for each of the configuration's.
        again: loads the configuration again, as it was loaded, for a reload.
        programs: what is run as edge and as worker; Trivet's own if `None`.

    Raises:
        ConfigError: if a listener cannot be opened, a user or a Python is not there, or the pid
            file is another's; nothing has been started then.
    """
    server = loaded.settings.server
    identity = identity_of(server.user, server.group)
    if server.umask is not None:
        os.umask(server.umask.bits)
    binds = server.bind
    if loaded.origins["server.bind"].text == "default":
        # A socket unit is a decision about where to listen; only another decision beats it.
        binds = tuple(listeners.systemd_binds(os.environ, os.getpid())) or binds
    opened = listeners.open_listeners(binds, server.backlog)
    try:
        for listener in opened:
            listener.give_to(identity)
        plan = make_plan(loaded, apps, opened)
        with pid_file(server.pidfile):
            return Stand(plan, programs or Programs(), Renewer(loaded, apps, again)).run()
    finally:
        for listener in opened:
            listener.close()
