"""An edge that speaks the control contract and serves nobody: `… --control-fd N`.

Writes every message that it gets to the file `FAKE_EDGE_LOG`, one JSON object a line, and takes
orders as lines of the file `FAKE_EDGE_ORDERS`: `die`, `rubbish`, `log TEXT`.
`FAKE_EDGE` holds how it behaves from the start: `refuse`, `refuse_another`,
`die_early`, `never_drained`.
"""

import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

import msgspec
from trivet.wire import WIRE_VERSION, control
from trivet.wire.line_socket import LineSocket


class FakeEdge:
    def __init__(self, control_fd: int) -> None:
        self.control = LineSocket(socket.socket(fileno=control_fd))
        self.log = Path(os.environ["FAKE_EDGE_LOG"])
        self.orders = Path(os.environ["FAKE_EDGE_ORDERS"])
        self.ways = os.environ.get("FAKE_EDGE", "").split(",")
        self.links: dict[int, socket.socket] = {}
        self.draining = False

    def run(self) -> int:
        if "die_early" in self.ways:
            return 7
        while True:
            links = {link.fileno(): worker for worker, link in self.links.items()}
            ready = select.select([self.control.fileno(), *links], [], [], 0.02)[0]
            for fileno in ready:
                if fileno in links:
                    self.on_link(links[fileno])
            self.take_orders()
            for line in self.control.receive():
                if self.on_message(control.decode_to_edge(line)):
                    return 0
            if self.control.at_eof:
                self.write({"type": "eof"})
                return 0

    def write(self, entry: dict[str, object]) -> None:
        with self.log.open("a") as file:
            file.write(json.dumps({**entry, "edge": os.getpid()}) + "\n")

    def send(self, message: control.FromEdge) -> None:
        self.control.send(control.encode(message))

    def on_link(self, worker: int) -> None:
        link = self.links[worker]
        if answer := link.recv(4096):
            self.write({"type": "answer", "worker": worker, "text": answer.decode()})
            return
        self.links.pop(worker).close()
        lost = control.WorkerLost(
            worker=worker, reason="EOF", started=1, retried=0, broke_contract=False
        )
        self.send(lost)

    def take_orders(self) -> None:
        if not self.orders.exists():
            return
        order, _, rest = self.orders.read_text().strip().partition(" ")
        self.orders.unlink()
        if order == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif order == "rubbish":
            self.control.send(b"rubbish\n")
        elif order == "log":
            self.send(control.Log(level="warning", text=rest))
        elif order == "send":
            for link in self.links.values():
                link.sendall(rest.encode() + b"\n")

    def on_message(self, message: control.ToEdge) -> bool:
        entry = json.loads(msgspec.json.encode(message))
        entry.pop("config", None)
        fds = self.control.take_descriptors(entry.get("fds", 0))
        self.write({**entry, "got": len(fds)})
        if isinstance(message, control.Configure):
            if "refuse" in self.ways:
                self.send(control.Refused(reason="no reason"))
                return True
            self.send(control.Ready(version=WIRE_VERSION, pid=os.getpid()))
        elif isinstance(message, control.Reconfigure):
            reason = "no reason" if "refuse_another" in self.ways else None
            self.send(control.Reconfigured(id=message.id, refused=reason))
        elif isinstance(message, control.AddWorker):
            self.links[message.worker] = socket.socket(fileno=fds[0])
        elif isinstance(message, control.DrainWorker):
            if "never_drained" not in self.ways:
                self.links.pop(message.worker).close()
                self.send(control.WorkerDrained(worker=message.worker))
        elif isinstance(message, control.Drain):
            return "never_drained" not in self.ways
        return isinstance(message, control.Stop)


if __name__ == "__main__":
    sys.exit(FakeEdge(int(sys.argv[-1])).run())
