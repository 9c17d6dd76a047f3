"""The supervisor's loop: events of the world in, `policy` asked, its actions carried out.

One thread and one selector; nothing here waits for anything else than the next event.

Length: one loop, with every action that it carries out.
"""

import contextlib
import dataclasses
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from trivet.errors import AppLoadError, ConfigError, Notice, TrivetError
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor import notify, spawn
from trivet.supervisor.control.desk import Desk, Standing
from trivet.supervisor.control.server import ControlServer, ControlSocketError
from trivet.supervisor.control.snapshot import Snapshot
from trivet.supervisor.deaths import Death, OutOfMemoryCounter, death_from_status, ended_children
from trivet.supervisor.fleet.gauge import Gauge, Running, memory
from trivet.supervisor.fleet.machine import free_memory
from trivet.supervisor.fleet.plan import LOOP_CAPACITY, FleetPlan
from trivet.supervisor.fleet.surge import surge
from trivet.supervisor.incidents.box import BlackBox
from trivet.supervisor.output import OutputCollector
from trivet.supervisor.overdue.requests import sighted
from trivet.supervisor.plan import AppPlan, Plan
from trivet.supervisor.policy import Policy
from trivet.supervisor.reload.renewal import Renewed, Renewer
from trivet.supervisor.reload.watch import TouchFile, Watcher, describe_changes
from trivet.supervisor.screen import time_of_day
from trivet.supervisor.signals import STOP_SIGNALS, SignalSocket
from trivet.supervisor.start.fork_servers import ForkServers, Key
from trivet.supervisor.tasks.processes import TaskProcesses
from trivet.wire import WIRE_VERSION, control, fork_control, worker_control
from trivet.wire.line_socket import LineSocket, LineTooLongError
from trivet.wire.record import RecordError
from trivet.wire.stand_address import ABSTRACT
from trivet.wire.worker_control import LoadFailure

_STDERR = 2

KILLED_S = 2.0
"""How long killed processes may take to be gone before the supervisor goes without them."""

FLUSH_S = 2.0
"""How long the last lines may take when nobody reads them."""


class Stand:
    """Edge and workers, from `run` to its return."""

    def __init__(
        self, plan: Plan, programs: spawn.Programs, renewer: Renewer | None = None
    ) -> None:
        """Make a stand; without a `renewer` a reload goes by the same plan."""
        self._plan = plan
        self._renewer = renewer
        self._renewed: Renewed | None = None
        """What was read for a reload and is not in force yet."""
        self._edge_config = plan.edge_config
        """What the edge goes by; where a reload has failed, not what the plan says."""
        self._pending = ""
        self._generations: dict[tuple[int, int], AppPlan] = {}
        """By app and generation: what its workers are started from."""
        self._programs = programs
        self._policy = Policy(
            [app.fleet for app in plan.apps],
            [task.terms for task in plan.tasks],
            time_of_day=time_of_day,
            graceful_s=plan.graceful_s,
        )
        self._selector = selectors.DefaultSelector()
        self._signals = SignalSocket()
        self._edge: spawn.EdgeProcess | None = None
        self._workers: dict[int, spawn.WorkerProcess] = {}
        self._fork_servers = ForkServers(self)
        self._events: deque[on.Event] = deque()
        self._memory = OutOfMemoryCounter()
        self._output = OutputCollector(self._selector, self._signals.wake, as_json=plan.voice.json)
        self._tasks = TaskProcesses(plan.tasks, self._output, self._events.append)
        self._had_terminal = os.isatty(_STDERR)
        self._voice = plan.voice.at_start()
        self._watcher: Watcher | None = None
        self._touch: TouchFile | None = None
        standing = Standing(
            apps=[(app.target.name, app.mount) for app in plan.apps],
            addresses=[address for address, _ in plan.screen.serving],
            graceful_s=self._graceful_s(),
            folder=os.getcwd(),
        )
        self._box = BlackBox(
            most=plan.incidents.keep,
            most_bytes=plan.incidents.memory.bytes,
            directory=plan.incidents.directory,
            warn=lambda text: self._write_error(self._voice.line(text, "warning")),
            snapshot=self.snapshot,
        )
        self._desk = Desk(self, standing, self._box, self._events.append)
        self._control: ControlServer | None = None
        is_measured = any(app.fleet.is_measured for app in plan.apps)
        self._gauge = Gauge(len(plan.apps), time.monotonic()) if is_measured else None
        self._exit_code: int | None = None

    def run(self) -> int:
        """Hold the stand until it is told to stop, and return the exit code."""
        self._selector.register(self._signals, selectors.EVENT_READ, self._on_signals)
        if any(app.preload for app in self._plan.apps):
            spawn.adopt_orphans()
        try:
            self._open_control()
            self._watch_files()
            self._watch_touch()
            self._carry_out(self._policy.start(time.monotonic()))
            while self._exit_code is None:
                self._turn(self._timeout())
        finally:
            self._end()
        return self._exit_code

    # What the control socket sees

    def snapshot(self) -> Snapshot:
        """Return how the stand is now."""
        return self._policy.snapshot(time.monotonic())

    def edge_pid(self) -> int | None:
        """Return the edge's process, if it lives."""
        return self._edge.process.pid if self._edge else None

    def worker_pid(self, number: int) -> int | None:
        """Return a worker's process, if it lives."""
        worker = self._workers.get(number)
        return worker.process.pid if worker else None

    def task_pid(self, number: int) -> int | None:
        """Return a background task's process, if it lives."""
        return self._tasks.pid(number)

    def ask_for_stacks(self, number: int) -> bool:
        """Have a worker write down where its threads are; `False` where it cannot."""
        worker = self._workers.get(number)
        return worker is not None and worker.ask_for_stacks(time.monotonic())

    def read_stacks(self, number: int) -> str | None:
        """Return what a worker has written down; `None` where it has ended."""
        worker = self._workers.get(number)
        return worker.stacks.read() if worker and worker.stacks else None

    def ask_edge(self, number: int) -> bool:
        """Ask the edge for its numbers; `False` if there is no edge."""
        self._tell_edge_with(control.StatusAsked(id=number), ())
        return self._edge is not None

    def _graceful_s(self) -> float:
        times = (app.fleet.graceful_s for app in self._plan.apps)
        return max(times, default=self._plan.graceful_s)

    def _open_control(self) -> None:
        """Listen for commands; without the abstract socket the stand serves all the same."""
        where = self._plan.control
        if where is None:
            return
        try:
            self._control = ControlServer(self._selector, where, self._desk.take)
        except ControlSocketError as error:
            if where != ABSTRACT:
                hint = "`control.socket` in trivet.toml names it"
                raise ConfigError(str(error), code="config.bad_socket", hint=hint) from error
            self._say(do.Say(f"{error}: commands such as `trivet status` find no stand", "warning"))

    # The loop

    def _turn(self, timeout: float | None) -> None:
        self._select(timeout)
        self._output.resume()
        self._output.flush_due(time.monotonic())
        self._look_for_changes()
        if self._gauge and self._gauge.next_deadline() <= time.monotonic():
            self._measure(self._gauge, None)
        self._take_events()
        self._carry_out(self._policy.tick(time.monotonic()))
        self._take_events()
        self._desk.tick(time.monotonic())
        self._box.tick(time.monotonic())
        if self._control:
            self._control.tick(time.monotonic())
        self._watch_for_room()

    def _select(self, timeout: float | None) -> None:
        for key, _ in self._selector.select(timeout):
            # A callback before this one may have buried the process whose socket this was.
            if self._selector.get_map().get(key.fd) is key:
                callback: Callable[[], None] = key.data
                callback()

    def _take_events(self) -> None:
        while self._events and self._exit_code is None:
            self._carry_out(self._policy.handle(self._events.popleft(), time.monotonic()))

    def _timeout(self) -> float | None:
        times = [
            self._policy.next_deadline(),
            self._output.next_deadline(),
            self._desk.next_deadline(),
            self._box.next_deadline(),
            self._control.next_deadline() if self._control else None,
            self._gauge.next_deadline() if self._gauge else None,
            self._touch.next_look if self._touch else None,
        ]
        deadline = min((time for time in times if time is not None), default=None)
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _carry_out(self, actions: Sequence[do.Action]) -> None:
        for action in actions:
            self._DO[type(action)](self, action)

    def _on_signals(self) -> None:
        for number in self._signals.take():
            if number in STOP_SIGNALS:
                self._events.append(on.StopAsked(number))
            elif number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGHUP and self._has_lost_its_terminal():
                self._events.append(on.StopAsked(number))
            else:
                self._events.append(_SIGNAL_EVENTS[number])

    def _has_lost_its_terminal(self) -> bool:
        """Tell the SIGHUP of a closed window from one that asks for a reload."""
        return self._had_terminal and not os.isatty(_STDERR)

    def _watch_files(self) -> None:
        """Watch what the plan says, and nothing else."""
        if self._watcher:
            self._watcher.stop()
        self._watcher = None
        if self._plan.watch:
            self._watcher = Watcher(*self._plan.watch, self._signals.wake)
            self._watcher.start()

    def _watch_touch(self) -> None:
        path = self._plan.touch
        self._touch = TouchFile(path, time.monotonic()) if path else None

    def _look_for_changes(self) -> None:
        if self._watcher and self._plan.watch and (changed := self._watcher.take()):
            because = describe_changes(changed, self._plan.watch[0])
            self._events.append(on.ReloadAsked(because))
        if self._touch and self._plan.touch and self._touch.is_touched(time.monotonic()):
            self._events.append(on.ReloadAsked(f"{self._plan.touch.name} touched"))

    # Processes

    def _start_edge(self, _: do.StartEdge) -> None:
        try:
            edge = spawn.start_edge(self._programs, self._plan.identity)
        except OSError as error:
            self._events.append(on.EdgeExited(Death(0, str(error), 0)))
            return
        self._edge = edge
        descriptors = [each.socket.fileno() for each in self._plan.listeners]
        message = control.Configure(
            version=WIRE_VERSION, fds=len(descriptors), config=self._edge_config
        )
        edge.control.send(control.encode(message), descriptors)
        self.watch(edge.control, lambda: self._read_edge(edge))

    def _start_worker(self, action: do.StartWorker) -> None:
        number, key = action.worker, (action.app, action.generation)
        # The first worker of a generation comes right after the plan that it is made from.
        app = self._generations.setdefault(key, self._plan.apps[action.app])
        start = app.start_message(number)
        if app.preload:
            self._fork_servers.order(key, start)
            return
        try:
            worker = spawn.start_worker(self._programs, app.around, action.app, app.threads)
        except OSError as error:
            self._events.append(on.WorkerExited(number, Death(0, str(error), 0)))
            return
        link, claim, doorbell = worker.inherited
        start = dataclasses.replace(start, link_fd=link, claim_fd=claim, doorbell_fd=doorbell)
        worker.control.send(worker_control.encode(start))
        self.on_born(number, worker)

    def _end_generation(self, action: do.EndGeneration) -> None:
        self._fork_servers.end_generation(action.app, action.generation)
        self._generations.pop((action.app, action.generation), None)

    def _add_worker(self, action: do.AddWorker) -> None:
        worker = self._workers.get(action.worker)
        if worker is None or self._edge is None:
            return
        message = control.AddWorker(
            fds=len(worker.descriptors),
            worker=action.worker,
            app=worker.app,
            pid=worker.process.pid,
            threads=1 if action.interface == "asgi" else worker.threads,
            concurrency=LOOP_CAPACITY if action.interface == "asgi" else 0,
            warm_up=action.warm_up,
        )
        self._tell_edge_with(message, worker.descriptors)
        worker.close_descriptors()
        self._box.on_serving(action.worker)

    def _stop_worker(self, action: do.StopWorker) -> None:
        """Say it both ways: a worker that still imports the app does not read messages."""
        if worker := self._workers.get(action.worker):
            worker.control.send(worker_control.encode(worker_control.StopWorker()))
            spawn.send_signal(worker.process, signal.SIGTERM)
        else:
            self._fork_servers.cancel(action.worker)

    def _interrupt(self, action: do.Interrupt) -> None:
        if worker := self._workers.get(action.worker):
            grace_s = self._plan.apps[worker.app].fleet.grace_s
            message = worker_control.Interrupt(
                request=action.request, cause=action.cause.value, last_s=grace_s / 2
            )
            worker.control.send(worker_control.encode(message))

    def _read_stacks(self, action: do.ReadStacks) -> None:
        if (text := self.read_stacks(action.worker)) is not None:
            self._events.append(on.StacksRead(action.worker, text))

    def _record_stack(self, action: do.RecordStack) -> None:
        self._box.on_stack(action.worker, action.request, action.stack)

    def _kill_worker(self, action: do.KillWorker) -> None:
        if worker := self._workers.get(action.worker):
            spawn.send_signal(worker.process, signal.SIGKILL)
        else:
            self._fork_servers.cancel(action.worker)

    def _kill_edge(self, _: do.KillEdge) -> None:
        if self._edge:
            spawn.send_signal(self._edge.process, signal.SIGKILL)

    def _tell_edge(self, action: do.TellEdge) -> None:
        self._tell_edge_with(action.message, ())

    def _tell_edge_with(self, message: control.ToEdge, descriptors: Sequence[int]) -> None:
        if self._edge:
            self._edge.control.send(control.encode(message), descriptors)

    def _reap(self) -> None:
        """Take note of every child that has ended: as PID 1 also of those of strangers."""
        ended = list(ended_children())
        # The edge first: the workers that died of its death are then expected to.
        ended.sort(key=lambda child: self._edge is None or child[0] != self._edge.process.pid)
        for pid, status, peak_bytes in ended:
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            self.bury(
                status,
                death_from_status(
                    pid,
                    status,
                    peak_bytes=peak_bytes,
                    out_of_memory=killed and self._memory.has_risen(),
                ),
            )

    def bury(self, status: int, death: Death) -> None:
        """Hear a dead child's last words, and only then that it is dead."""
        pid = death.pid
        if self._edge and self._edge.process.pid == pid:
            edge, self._edge = self._edge, None
            edge.process.returncode = os.waitstatus_to_exitcode(status)
            self._read_edge(edge)
            self.forget(edge.control)
            self._box.on_edge_exited(death)
            self._events.append(on.EdgeExited(death))
            return
        found = next((each for each in self._workers.items() if each[1].process.pid == pid), None)
        if found is None:
            if not self._tasks.bury(status, death):
                self._fork_servers.bury(status, death)
            return
        number, worker = found
        worker.process.returncode = os.waitstatus_to_exitcode(status)
        self._read_worker(number, worker)
        del self._workers[number]
        self.forget(worker.control)
        worker.close()
        self._box.on_worker_exited(number, death, self._output.last_words(number))
        self._events.append(on.WorkerExited(number, death))

    # What fork servers need (`fork_servers.Host`)

    def start_fork_server(self, key: Key) -> spawn.ForkServerProcess:
        """Start the process that imports an app for all workers of a generation."""
        return spawn.start_fork_server(self._programs, self._generations[key].around)

    def preload_message(self, key: Key) -> fork_control.Preload:
        """Say what it is to import."""
        return self._generations[key].preload_message()

    def collect_output(self, server: spawn.ForkServerProcess) -> None:
        """Pass on what it prints."""
        self._output.add(0, server.stdout, server.stderr)

    def on_born(self, number: int, worker: spawn.WorkerProcess) -> None:
        """Take a worker over: it runs, and its number is known."""
        self._workers[number] = worker
        self.watch(worker.control, lambda: self._read_worker(number, worker))
        self._output.add(number, worker.stdout, worker.stderr)
        self._box.on_start(number, worker.process.pid)

    def on_event(self, event: on.Event) -> None:
        """Hand an event to the policy, in its turn."""
        self._events.append(event)

    def tell(self, notice: Notice) -> None:
        """Show a warning."""
        self._write_error(self._voice.notice(notice))

    def say(self, text: str) -> None:
        """Write an error line."""
        self._say(do.Say(text, "error"))

    # Messages

    def _read_edge(self, edge: spawn.EdgeProcess) -> None:
        try:
            for line in self.receive(edge.control):
                self._hear_edge(control.decode_from_edge(line))
        except (msgspec.DecodeError, LineTooLongError) as error:
            self._say(do.Say(f"the edge sent no message but rubbish, so it goes: {error}", "error"))
            spawn.send_signal(edge.process, signal.SIGKILL)

    def _hear_edge(self, message: control.FromEdge) -> None:
        event: on.Event | None = None
        match message:
            case control.Ready() | control.Refused() | control.Reconfigured():
                event = _of_itself(message)
            case control.RequestFailed():
                self._box.on_request_failed(message)
            case control.WorkerLost():
                self._box.on_worker_lost(message)
                event = on.WorkerLost(
                    message.worker, message.reason, message.started, message.retried
                )
            case control.WorkerDrained() | control.WorkerWarmed():
                event = _of_worker(message)
            case control.RequestReleased() | control.RequestOverdue() | control.RequestStuck():
                if isinstance(message, control.RequestOverdue):
                    self._box.on_request_overdue(message)
                worker = self._workers.get(message.worker)
                event = sighted(message, worker.process.pid if worker else 0, time.monotonic())
            case control.Log() | control.Load() | control.Status():
                self._note(message)
        if event:
            self._events.append(event)

    def _note(self, message: control.Log | control.Load | control.Status) -> None:
        """Take what changes nothing by itself."""
        match message:
            case control.Log():
                level = message.level if message.level in _LEVELS else "info"
                self._desk.note(message.text, level)
                self._write_error(self._voice.line(message.text, level))
            case control.Load():
                if self._gauge:
                    self._measure(self._gauge, message)
            case control.Status():
                self._desk.on_edge_status(message)

    def _measure(self, gauge: Gauge, load: control.Load | None) -> None:
        self._events.append(gauge.look(time.monotonic(), self._running(), load))

    def _running(self) -> list[Running]:
        """List the worker processes; those that were forked share memory with each other."""
        return [
            Running(
                number,
                worker.app,
                worker.process.pid,
                shares=isinstance(worker.process, spawn.ForkedProcess),
            )
            for number, worker in self._workers.items()
        ]

    def _read_worker(self, number: int, worker: spawn.WorkerProcess) -> None:
        try:
            for line in self.receive(worker.control):
                match worker_control.decode_from_worker(line):
                    case worker_control.Loaded() as loaded:
                        worker.take_stacks()
                        self._events.append(on.WorkerLoaded(number, loaded))
                    case worker_control.LoadFailed(failure=failure):
                        self._events.append(on.WorkerFailed(number, failure))
                    case worker_control.Interrupted() as answer:
                        self._events.append(on.RequestInterrupted(number, answer))
        except (RecordError, LineTooLongError) as error:
            self._say(do.Say(f"worker {number} sent no message but rubbish: {error}", "error"))
            spawn.send_signal(worker.process, signal.SIGKILL)

    def receive(self, channel: LineSocket) -> list[bytes]:
        """Write what there is room for, and read what there is."""
        channel.flush()
        lines = channel.receive()
        if channel.at_eof:
            with contextlib.suppress(KeyError):  # its last words may be read twice
                self._selector.unregister(channel)
        return lines

    def watch(self, channel: LineSocket, callback: Callable[[], None]) -> None:
        """Call back when there is something to read."""
        self._selector.register(channel, selectors.EVENT_READ, callback)

    def _watch_for_room(self) -> None:
        """Select for room to write just where something waits to be written."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, LineSocket):
                wanted = selectors.EVENT_READ
                if key.fileobj.wants_write:
                    wanted |= selectors.EVENT_WRITE
                if key.events != wanted:
                    self._selector.modify(key.fileobj, wanted, key.data)

    def forget(self, channel: LineSocket) -> None:
        """Watch no more, and close."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(channel)
        channel.close()

    # What is said

    def _write_error(self, text: str) -> None:
        self._output.stderr.write(text.encode("utf-8", "backslashreplace"))

    def _say(self, action: do.Say) -> None:
        self._desk.note(action.text, action.level)
        self._write_error(self._voice.line(action.text, action.level))

    def _show_screen(self, action: do.ShowScreen) -> None:
        self._write_error(self._voice.screen(self._plan.screen, action.loaded, action.seconds))
        self._voice = self._plan.voice

    def _show_failure(self, action: do.ShowFailure) -> None:
        self._write_error(self._voice.failure(action.failure.to_error()))

    def _show_problem(self, action: do.ShowProblem) -> None:
        self._write_error(self._voice.failure(action.problem.to_config_error()))

    # The rest

    def _read_configuration(self, action: do.ReadConfiguration) -> None:
        """Read it; where it has errors, show them, and everything goes on as it was."""
        plan = self._plan
        if self._renewer:
            try:
                self._renewed = self._renewer.read(self._plan)
            except TrivetError as error:
                for each in error.problems:
                    self._write_error(self._voice.failure(each))
                problems = tuple(map(LoadFailure.from_error, error.problems))
                is_app = isinstance(error, AppLoadError)
                self._events.append(
                    on.ConfigurationRefused(
                        action.because,
                        problems=() if is_app else problems,
                        failure=problems[0] if is_app else None,
                    )
                )
                return
            plan = self._renewed.plan
        self._events.append(
            on.ConfigurationRead(
                action.because,
                tuple(self._with_surge(number, app) for number, app in enumerate(plan.apps)),
                tasks=tuple(task.terms for task in plan.tasks),
                changes_edge=plan.edge_config != self._edge_config,
            )
        )

    def _with_surge(self, number: int, app: AppPlan) -> FleetPlan:
        """Have no more new workers at once than there is memory for, now, for each of the apps."""
        free = free_memory()
        sizes = [memory(each) for each in self._running() if each.app == number]
        found = surge(
            app.fleet.surge,
            self.snapshot().apps[number].wanted,
            free_memory=None if free is None else free // len(self._plan.apps),
            worker_memory=max(sizes, default=0),
        )
        if found.remark:
            name = f"{app.fleet.name}: " if app.fleet.name else ""
            self._say(do.Say(name + found.remark, "warning"))
        return dataclasses.replace(app.fleet, surge=found.workers)

    def _reconfigure_edge(self, action: do.ReconfigureEdge) -> None:
        plan = self._renewed.plan if self._renewed else self._plan
        message = control.Reconfigure(
            id=action.number, trial=action.is_trial, config=plan.edge_config
        )
        self._tell_edge_with(message, ())

    def _settle_edge(self, _: do.SettleEdge) -> None:
        self._edge_config = self._plan.edge_config

    def _take_configuration(self, _: do.TakeConfiguration) -> None:
        renewed, self._renewed = self._renewed, None
        if renewed and self._renewer:
            self._renewer.take(renewed)
            self._renew(renewed)

    def _renew(self, renewed: Renewed) -> None:
        """Take another plan: for the next generation, and for what watches the files."""
        before, self._plan = self._plan, renewed.plan
        for notice in renewed.notices:
            self.tell(notice)
        if renewed.changed:
            self._say(do.Say(f"configuration: {', '.join(renewed.changed)} changed"))
        self._voice = self._plan.voice
        self._output.as_json = self._plan.voice.json
        self._pending = ""
        if renewed.pending:
            self._pending = f"changed, and needs a new start: {', '.join(renewed.pending)}"
            self._say(do.Say(f"configuration: {self._pending}", "warning"))
        if any(app.preload for app in self._plan.apps):
            spawn.adopt_orphans()
        if self._plan.watch != before.watch:
            self._watch_files()
        if self._plan.touch != before.touch:
            self._watch_touch()
        if self._gauge is None and any(app.fleet.is_measured for app in self._plan.apps):
            self._gauge = Gauge(len(self._plan.apps), time.monotonic())

    def _reload_began(self, _: do.ReloadBegan) -> None:
        self._desk.on_reload_began()

    def _reload_ended(self, action: do.ReloadEnded) -> None:
        self._renewed = None
        if action.is_done:
            self._tasks.plans = self._plan.tasks
            self._desk.on_renewed(
                [(app.target.name, app.mount) for app in self._plan.apps], self._graceful_s()
            )
        if self._pending and not action.problems:
            action = dataclasses.replace(action, text=f"{action.text}\n{self._pending}")
        self._desk.on_reload_ended(action)

    def _notify(self, action: do.Notify) -> None:
        if action.state == "ready":
            notify.ready(os.getpid())
        elif action.state == "reloading":
            notify.reloading()
        else:
            self._desk.stop_waiting()
            notify.stopping()

    def _close_listeners(self, _: do.CloseListeners) -> None:
        for listener in self._plan.listeners:
            listener.close()

    def _exit(self, action: do.Exit) -> None:
        self._exit_code = action.code

    def _end(self) -> None:
        """Leave nothing behind: no process, no socket file, no line that was read."""
        if self._watcher:
            self._watcher.stop()
        self._fork_servers.end_all()
        self._tasks.end_all()
        for process in self._processes():
            spawn.send_signal(process, signal.SIGKILL)
        until = time.monotonic() + KILLED_S
        while self._processes() and (rest := until - time.monotonic()) > 0:
            self._select(rest)
        if self._control:
            self._control.close()
        self._box.close()
        self._output.close(FLUSH_S)
        self._close_listeners(do.CloseListeners())
        self._selector.close()
        self._signals.close()

    def _processes(self) -> list[spawn.Process]:
        edge: list[spawn.Process] = [self._edge.process] if self._edge else []
        rest = [*self._fork_servers.processes(), *self._tasks.processes()]
        return [*edge, *rest, *(worker.process for worker in self._workers.values())]

    _DO: Mapping[type[do.Action], Callable[..., None]] = {
        do.StartEdge: _start_edge,
        do.TellEdge: _tell_edge,
        do.KillEdge: _kill_edge,
        do.StartWorker: _start_worker,
        do.EndGeneration: _end_generation,
        do.AddWorker: _add_worker,
        do.StopWorker: _stop_worker,
        do.KillWorker: _kill_worker,
        do.Interrupt: _interrupt,
        do.AskForStacks: lambda self, action: self.ask_for_stacks(action.worker),
        do.ReadStacks: _read_stacks,
        do.RecordStack: _record_stack,
        do.StartTask: lambda self, action: self._tasks.start(action),
        do.StopTask: lambda self, action: self._tasks.stop(action),
        do.KillTask: lambda self, action: self._tasks.kill(action),
        do.Say: _say,
        do.ShowScreen: _show_screen,
        do.ShowFailure: _show_failure,
        do.ShowProblem: _show_problem,
        do.ReadConfiguration: _read_configuration,
        do.TakeConfiguration: _take_configuration,
        do.ReconfigureEdge: _reconfigure_edge,
        do.SettleEdge: _settle_edge,
        do.ReloadBegan: _reload_began,
        do.ReloadEnded: _reload_ended,
        do.Notify: _notify,
        do.CloseListeners: _close_listeners,
        do.Exit: _exit,
    }


_LEVELS = frozenset({"info", "warning", "error"})

_SIGNAL_EVENTS: Mapping[signal.Signals, on.Event] = {
    signal.SIGHUP: on.ReloadAsked("SIGHUP"),
    signal.SIGTTIN: on.WorkersAsked(+1),
    signal.SIGTTOU: on.WorkersAsked(-1),
    signal.SIGUSR1: on.LogsAsked(),
}


def _of_worker(message: control.WorkerDrained | control.WorkerWarmed) -> on.Event:
    if isinstance(message, control.WorkerWarmed):
        return on.WorkerWarmed(message.worker, message.failed)
    return on.WorkerDrained(message.worker)


def _of_itself(message: control.Ready | control.Refused | control.Reconfigured) -> on.Event:
    """Take what the edge says of its configuration."""
    if isinstance(message, control.Reconfigured):
        return on.EdgeReconfigured(message.id, message.refused)
    if isinstance(message, control.Refused):
        return on.EdgeRefused(message.reason)
    if message.version == WIRE_VERSION:
        return on.EdgeReady()
    text = f"it speaks wire version {message.version}, the supervisor {WIRE_VERSION}"
    return on.EdgeRefused(f"{text}: two Trivet installations are mixed")
