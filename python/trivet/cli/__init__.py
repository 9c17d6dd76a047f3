"""The command line: one file per command, and no logic beside words and order.

This module is what every process of Trivet imports first, so it imports nothing itself: edge and
workers never load click or the configuration.

Length: one file for each command, so that it is found by its name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code.

    Args:
        arguments: Behind the program's name; those of this process if `None`.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["edge"]:
        from trivet.cli.edge import main as run
    elif arguments[:1] == ["worker"]:
        from trivet.cli.worker import main as run
    elif arguments[:1] == ["preload"]:
        from trivet.cli.preload import main as run
    elif arguments[:1] == ["task"]:
        from trivet.cli.task import main as run
    else:
        if arguments[:1] == ["healthcheck"]:
            from trivet.cli.probe import main as probe

            if (code := probe(arguments[1:])) is not None:
                sys.exit(code)
        from trivet.cli.program import main as run

        sys.exit(run(arguments))
    sys.exit(run(arguments[1:]))
