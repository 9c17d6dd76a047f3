"""The process that starts, watches and stops the others; it never touches a request.

`policy` decides what happens next, without clock or I/O; `stand` carries it out.
"""

from trivet.supervisor.serve import run

__all__ = ["run"]
