"""Which loopback port is free."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"
# Below Linux's default ephemeral range (32768 to 60999), so that no client connection of a run
# can take the port between our look and the server's bind.
PORTS = range(20_000, 32_000)
TRIES = 200


def free_port() -> int:
    """Give a loopback port that nobody listens on.

    Raises:
        OSError: if no tried port was free.
    """
    for _ in range(TRIES):
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port found in {PORTS.start} to {PORTS.stop}")
