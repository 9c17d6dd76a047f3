"""What systemd is told about the service (`sd_notify`, Type=notify)."""

import os
import socket
import time


def notify(state: str) -> None:
    """Send a state to the service manager, where `NOTIFY_SOCKET` names one.

    A manager that cannot be reached is no reason to stop serving, so that is passed over.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), socket.MSG_DONTWAIT, address)
        except OSError:
            return


def ready(pid: int) -> None:
    """Say that requests are answered; ends a reload too."""
    notify(f"READY=1\nMAINPID={pid}\n")


def reloading() -> None:
    """Say that a reload goes on; newer managers wait five minutes without the time stamp."""
    microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify(f"RELOADING=1\nMONOTONIC_USEC={microseconds}\n")


def stopping() -> None:
    """Say that the service is ending."""
    notify("STOPPING=1\n")
