"""`trivet stack`: where the code of each worker is just now."""

from __future__ import annotations

import click

from trivet.cli.running import Conversation, addressed, show_json
from trivet.wire import stand_control as wire

_MOST_NUMBER = (1 << 32) - 1


@click.argument("worker", required=False, metavar="[WORKER]", type=click.IntRange(0, _MOST_NUMBER))
def _stack(*, worker: int | None, pid: int | None, socket: str | None, as_json: bool) -> int:
    request = wire.StackAsked(version=wire.STAND_CONTROL_VERSION, worker=worker)
    reply = Conversation(pid, socket).ask(request, wire.Stacks)
    if as_json:
        show_json(reply)
    elif reply.workers:
        click.echo("\n\n".join("\n".join(_shown(each)) for each in reply.workers))
    else:
        click.echo("no worker runs")
    return 0 if any(each.stacks for each in reply.workers) else 1


def _shown(worker: wire.WorkerStacks) -> list[str]:
    pid = "no process" if worker.pid is None else f"pid {worker.pid}"
    facts = [f"worker {worker.worker}", worker.app, pid, worker.state]
    lines = [", ".join(filter(None, facts))]
    # File and function names are the app's own: none of them may move a terminal's cursor.
    lines += [
        f"  {''.join(c if c.isprintable() else ascii(c)[1:-1] for c in line)}".rstrip()
        for line in worker.stacks.splitlines()
    ]
    if worker.is_cut:
        lines.append("  … (the rest is left out: `trivet stack WORKER` shows more of one)")
    if worker.problem:
        lines.append(f"  no stacks: {worker.problem}")
    return lines


command: click.Command = addressed(
    "stack",
    "Show the Python stack of every thread of each worker, or of the one with this number, as it "
    "is just now. Works for a worker that is blocked, too: it is not asked, but made to write by "
    "a signal.",
)(_stack)
