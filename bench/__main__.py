"""The command line of the benchmark: `python -m bench [VERB] [OPTIONS]`, from the repository."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench import paths, report
from bench.facts import facts
from bench.measure import Plan, measure
from bench.servers import TRIVET, Server, catalogue
from bench.verbs import install
from bench.verbs.accidents import PLAYERS, accidents
from bench.verbs.idle import idle
from bench.verbs.memory import memory
from bench.verbs.mix import mix
from bench.verbs.soak import soak
from bench.verbs.start import start
from bench.verbs.static import static
from bench.verbs.upload import upload
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from bench.section import Section

USAGE_ERROR = 2
INTERRUPTED = 130
QUICK = Plan(rounds=3, seconds=2, warm_up_seconds=1)


def main(arguments: list[str]) -> int:
    """Run one verb; give the exit code: 0, 1 if a tool is missing, 2 for bad usage, 130 stopped."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help"}):
        arguments = ["run", *arguments]
    options = parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        return run_verb(options)
    except KeyboardInterrupt:
        tell("stopped; all servers are down")
        return INTERRUPTED


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Leave by an exception, so that every `with` stops its servers; ignore further signals."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def run_verb(options: argparse.Namespace) -> int:
    """Do what the command line asks."""
    if options.verb == "setup":
        return install.setup(tell)
    trivet_options = tuple(shlex.split(options.trivet_options))
    if options.verb == "upload" and not trivet_options:
        trivet_options = ("--config", str(paths.BENCH / "upload.toml"))
    servers = catalogue(options.trivet.absolute(), trivet_options)
    if options.verb == "page":
        write_page(servers)
        return 0
    if options.verb == "run" and "wrk" in install.missing_tools():
        tell(install.hint("wrk"))
        return 1
    found = facts(servers, options.trivet)
    for name, value in found.items():
        tell(f"{name}: {value}")
    for each in sections(options, servers):
        done = dataclasses.replace(each, facts=found)
        print(done.text(), flush=True)
        if options.write:
            done.save(paths.RESULTS)
    if options.write:
        write_page(servers)
    return 0


def sections(options: argparse.Namespace, servers: list[Server]) -> Iterator[Section]:
    """Measure, one section after another."""
    if options.verb == "run":
        for workload in WORKLOADS:
            if workload.name in options.workloads:
                tell(workload.title)
                fit = [server for server in servers if workload.interface in server.interfaces]
                fit = chosen(fit, options.servers)
                yield report.workload_section(
                    workload, measure(workload, fit, plan(options), tell), fit
                )
        return
    tell(options.verb)
    yield one_section(options, servers)


def one_section(options: argparse.Namespace, servers: list[Server]) -> Section:
    """Measure what a verb of one section asks for."""
    wsgi = [server for server in servers if "wsgi" in server.interfaces]
    fit = chosen(servers, options.servers or [TRIVET])
    verbs: dict[str, Callable[[], Section]] = {
        "accidents": lambda: accidents(chosen(servers, options.servers or list(PLAYERS)), tell),
        "start": lambda: start(chosen(wsgi, options.servers), options.runs, options.trivet, tell),
        "memory": lambda: memory(options.trivet, tell),
        "mix": lambda: mix(chosen(wsgi, options.servers), options.rounds, options.seconds, tell),
        "soak": lambda: soak(fit[0], options.seconds, tell),
        "static": lambda: static(options.trivet, options.rounds, options.seconds, tell),
        "idle": lambda: idle(fit, options.connections, tell),
        "upload": lambda: upload(fit, options.mebibytes, tell),
    }
    return verbs[options.verb]()


def chosen(servers: list[Server], names: list[str]) -> list[Server]:
    """Give the named servers, or all."""
    return [server for server in servers if not names or server.name in names]


def plan(options: argparse.Namespace) -> Plan:
    """Give the plan that the options ask for."""
    base = QUICK if options.quick else Plan()
    return Plan(
        rounds=options.rounds or base.rounds,
        seconds=options.seconds or base.seconds,
        warm_up_seconds=base.warm_up_seconds,
    )


def write_page(servers: list[Server]) -> None:
    """Write docs/benchmarks.md from all saved results."""
    paths.PAGE.parent.mkdir(parents=True, exist_ok=True)
    paths.PAGE.write_text(report.page(paths.RESULTS, servers))
    tell(f"written: {paths.PAGE} and {paths.RESULTS}")


def tell(text: str) -> None:
    """Say what is going on, beside the tables."""
    print(text, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python -m bench", description="Measure Trivet beside its peers, interleaved."
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("setup", help="create bench/.venv with the peers")
    run = verb(verbs, "run", "all workloads, or those named (the default verb)")
    default = [workload.name for workload in WORKLOADS if workload.is_default]
    run.add_argument(
        "--workloads",
        type=names({workload.name for workload in WORKLOADS}),
        default=default,
        help="comma-separated, of: " + ", ".join(workload.name for workload in WORKLOADS),
    )
    run.add_argument("--rounds", type=int, help="default 5")
    run.add_argument("--seconds", type=int, help="of one turn; default 4")
    run.add_argument("--quick", action="store_true", help="3 rounds of 2 s")
    count = verb(verbs, "idle", "memory of idle connections (Trivet alone, or --servers)")
    count.add_argument("--connections", type=int, default=10_000, help="default 10000")
    size = verb(verbs, "upload", "memory of one large upload (Trivet alone, or --servers)")
    size.add_argument("--mebibytes", type=int, default=2048, help="default 2048")
    runs = verb(verbs, "start", "time from exec to the first answer")
    runs.add_argument("--runs", type=int, default=10, help="default 10")
    verb(verbs, "memory", "what Trivet's processes cost, and what `--preload` saves")
    mixed = verb(verbs, "mix", "fast views beside slow ones: the latency of each")
    mixed.add_argument("--rounds", type=int, default=3, help="default 3")
    mixed.add_argument("--seconds", type=int, default=4, help="of one turn; default 4")
    soaked = verb(verbs, "soak", "kills and reloads under load (Trivet alone)")
    soaked.add_argument("--seconds", type=int, default=60, help="of each; default 60")
    files = verb(verbs, "static", "files of many sizes, beside nginx")
    files.add_argument("--rounds", type=int, default=3, help="default 3")
    files.add_argument("--seconds", type=int, default=3, help="of one turn; default 3")
    verb(verbs, "accidents", "five accidents, and what clients see of them")
    verb(verbs, "page", "write docs/benchmarks.md from bench/results again")
    return top


def verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    """Add a verb with the options that all have."""
    added = verbs.add_parser(name, help=text)
    known = {server.name for server in catalogue()}
    added.add_argument(
        "--servers", type=names(known), default=[], help="comma-separated; all if not given"
    )
    added.add_argument(
        "--trivet", type=Path, default=paths.TRIVET, help="another trivet executable"
    )
    added.add_argument(
        "--trivet-options", default="", help="more options for `trivet serve`, in one word"
    )
    added.add_argument(
        "--write", action="store_true", help="keep bench/results, write docs/benchmarks.md"
    )
    return added


class names:  # noqa: N801 - reads as a function in `type=`
    """An argparse type: comma-separated names, each of which must be known."""

    def __init__(self, known: set[str]) -> None:
        """Remember the known names."""
        self.known = known

    def __call__(self, text: str) -> list[str]:
        """Split and check."""
        found = [name.strip() for name in text.split(",")]
        if unknown := sorted(set(found) - self.known):
            message = f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(self.known))}"
            raise argparse.ArgumentTypeError(message)
        return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
