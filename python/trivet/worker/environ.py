"""The entries of `environ` that are the same for every request of a process (PEP 3333)."""

import sys
from typing import Any

from trivet import _trivet
from trivet.wire.worker_control import Start
from trivet.worker.file_wrapper import FileWrapper


def constant_environ(start: Start) -> dict[str, Any]:
    """Return them; the native loop copies the dict for each request and adds the rest."""
    return {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"Trivet/{_trivet.VERSION}",
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.errors": ErrorStream(),
        "wsgi.multithread": start.threads > 1,
        "wsgi.multiprocess": start.multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        # The edge has found the end of the content, so reading to the end is safe
        # without a Content-Length (Werkzeug, Flask and Django look for this).
        "wsgi.input_terminated": True,
    }


class ErrorStream:
    """`wsgi.errors`: standard error, as it is at the time of writing.

    Tests, and apps that redirect `sys.stderr` after they were loaded, get what they expect.
    """

    def write(self, text: str, /) -> int:
        """Write text, unbuffered by line."""
        return sys.stderr.write(text)

    def writelines(self, lines: list[str], /) -> None:
        """Write several texts."""
        sys.stderr.writelines(lines)

    def flush(self) -> None:
        """Pass on what is buffered."""
        sys.stderr.flush()
