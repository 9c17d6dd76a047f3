"""A stand on a fake edge and real workers: `python -m tests.unit.supervisor.run_stand JSON`."""

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

from trivet.config import Bind, Settings, to_edge_config
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.supervisor.listen.listeners import open_listeners
from trivet.supervisor.plan import AppPlan, Plan
from trivet.supervisor.screen import AppLine, Screen, Voice
from trivet.supervisor.spawn import Programs, Surroundings
from trivet.supervisor.stand import Stand
from trivet.wire.edge_config import Listener
from trivet.wire.worker_control import NO_HOOKS, AppTarget

from tests.unit.supervisor import conftest  # noqa: F401 - brings the fake native module

PYTHON = [sys.executable, "-m"]


PR_SET_CHILD_SUBREAPER = 36


def main(options: dict[str, Any]) -> int:
    if options["subreaper"]:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = Path(options["folder"])
    listeners = open_listeners([Bind.parse(each) for each in options["binds"]])
    names = [Listener(name=each.name, port=each.port, unix=each.is_unix) for each in listeners]
    plan = Plan(
        edge_config=to_edge_config(Settings(), names, apps=[("app:app", Settings())]),
        listeners=listeners,
        apps=[
            AppPlan(
                fleet=FleetPlan(
                    name="",
                    workers=options["workers"],
                    graceful_s=options["graceful_s"],
                    load_s=20.0,
                    grace_s=5.0,
                    folder=folder,
                ),
                target=AppTarget(
                    name="app:app",
                    module="app",
                    expression="app",
                    factory=False,
                    directory=str(folder),
                    interface="auto",
                    async_views="shared",
                ),
                threads=2,
                mount="",
                hooks=NO_HOOKS,
                around=Surroundings(environment={}, folder=folder, python=(), identity=None),
                preload=False,
            )
        ],
        graceful_s=options["graceful_s"],
        tasks=[],
        control=None,
        identity=None,
        incidents=Settings().incidents,
        watch=([folder], ["*.py"], ["__pycache__"]) if options["watch"] else None,
        touch=None,
        screen=Screen(
            apps=[
                AppLine(
                    name="",
                    target="app:app",
                    because="found in app.py",
                    mount="",
                    workers=2,
                    threads=2,
                    workers_because="",
                )
            ],
            serving=[(each.name, "asked for") for each in listeners],
            watching="",
            stop="SIGTERM stops",
        ),
        voice=Voice(json=options["json"], colour=False),
    )
    programs = Programs(
        edge=[*PYTHON, "tests.unit.supervisor.fake_edge"], worker=[*PYTHON, "tests.unit.run_worker"]
    )
    return Stand(plan, programs).run()


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
