"""The course of a reload: one step after the other, and only one reload at a time.

Strategy: the configuration is read; the edge tries its part of it and changes nothing; the fleets
roll their workers over; and only when all of them have, the edge goes by its part. So what the
edge refuses starts no worker, and an app that does not load leaves the edge as it was. Whoever
asks meanwhile gets one more reload afterwards.

Like `policy`, which calls it, it has neither clock nor I/O: it returns the actions to carry out.
"""

import enum
from collections.abc import Callable, Sequence

from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.fleet.fleet import Actions, Fleet
from trivet.supervisor.fleet.roster import EdgeState, StandState
from trivet.supervisor.tasks.terms import TaskTerms
from trivet.wire.worker_control import LoadFailure

EDGE_ANSWER_S = 10.0
"""How long the edge may take to say whether it can use a configuration; it opens files for it."""


class Step(enum.Enum):
    """Where a reload is."""

    NONE = enum.auto()
    """There is none."""
    READING = enum.auto()
    """The configuration is being read."""
    TRYING = enum.auto()
    """The edge says whether it could use it."""
    ROLLING = enum.auto()
    """New workers load."""
    SETTLING = enum.auto()
    """They serve, and the edge goes over to its part of the configuration."""


class Course:
    """The reload that goes on, if there is one, and the one that is asked for."""

    def __init__(
        self,
        fleets: Sequence[Fleet],
        stand: StandState,
        on_done: Callable[[Sequence[bool], Sequence[TaskTerms], float], Actions],
    ) -> None:
        """Begin without one; `on_done` is told for which apps it was done, and tasks' terms."""
        self._fleets = fleets
        self._stand = stand
        self._on_done = on_done
        self._step = Step.NONE
        self._again: str | None = None
        self._read: on.ConfigurationRead | None = None
        self._asked = 0
        self._due: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a reload that has not ended."""
        return self._step is not Step.NONE

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        return self._due

    def ask(self, because: str, *, may_begin: bool) -> Actions:
        """Begin a reload, or remember that one is wanted."""
        if self.is_running or not may_begin:
            self._again = because
            return []
        self._step = Step.READING
        return [do.ReloadBegan(), do.Notify("reloading"), do.ReadConfiguration(because)]

    def begin_if_asked(self) -> Actions:
        """Begin the reload that was asked for while none could begin."""
        because, self._again = self._again, None
        return self.ask(because, may_begin=True) if because else []

    def stop(self) -> None:
        """Go no step further: the stand stops."""
        self._again, self._due = None, None

    # The steps

    def on_read(self, event: on.ConfigurationRead, now: float) -> Actions:
        """Have the edge try its part, if that is another and there is an edge."""
        self._read = event
        if not event.changes_edge or self._stand.edge is EdgeState.NONE:
            return self._roll(event, now)
        return self._ask_edge(Step.TRYING, now)

    def on_refused(self, event: on.ConfigurationRefused) -> Actions:
        """End it: the configuration has errors, or an app of it is not there."""
        text = f"{event.because}: not reloaded, all goes on as it was"
        ended = do.ReloadEnded(
            is_done=False, text=text, failure=event.failure, problems=event.problems
        )
        return [do.Say(text, "error"), *self._end(ended)]

    def on_edge_answer(self, event: on.EdgeReconfigured, now: float) -> Actions:
        """Go on as the edge says."""
        if self._due is None or event.number != self._asked:
            return []
        self._due = None
        return self._refused(event.refused) if event.refused else self._accepted(now)

    def on_edge_gone(self, now: float) -> Actions:
        """Go on without the edge: the next one starts with what the step before has left."""
        if self._due is None:
            return []
        self._due = None
        return self._accepted(now)

    def tick(self, now: float) -> Actions:
        """Give up an edge that does not answer."""
        if self._due is None or now < self._due:
            return []
        self._due = None
        return self._refused(f"it has not answered within {EDGE_ANSWER_S:g} s")

    def follow_up(self, now: float) -> Actions:
        """Do what follows from where the fleets have got to."""
        if self._step is not Step.ROLLING or any(fleet.is_rolling for fleet in self._fleets):
            return []
        if not self._read or not self._read.changes_edge:
            return self._finish(now)
        if not all(fleet.outcome.is_done for fleet in self._fleets):
            text = "the edge keeps its settings, for not every app was reloaded"
            return [do.Say(text, "warning"), *self._finish(now)]
        if self._stand.edge is EdgeState.NONE:
            return [do.SettleEdge(), *self._finish(now)]
        return self._ask_edge(Step.SETTLING, now)

    def _ask_edge(self, step: Step, now: float) -> Actions:
        self._step, self._due = step, now + EDGE_ANSWER_S
        self._asked += 1
        return [do.ReconfigureEdge(self._asked, is_trial=step is Step.TRYING)]

    def _accepted(self, now: float) -> Actions:
        if self._step is Step.TRYING and self._read:
            return self._roll(self._read, now)
        return [do.SettleEdge(), *self._finish(now)]

    def _refused(self, reason: str) -> Actions:
        because = self._read.because if self._read else ""
        text = f"{because}: not reloaded, all goes on as it was"
        if self._step is Step.SETTLING:
            text = f"{because}: new workers serve, but the edge keeps its settings"
        problem = LoadFailure(
            code="config.edge_refused",
            message=f"the edge cannot use the configuration: {reason}",
            hint="",
            place=None,
            detail="",
        )
        ended = do.ReloadEnded(is_done=False, text=text, failure=None, problems=(problem,))
        return [do.ShowProblem(problem), do.Say(text, "error"), *self._end(ended)]

    def _roll(self, event: on.ConfigurationRead, now: float) -> Actions:
        self._step = Step.ROLLING
        actions: Actions = [do.TakeConfiguration()]
        for fleet, plan in zip(self._fleets, event.fleets, strict=True):
            actions += fleet.begin_rollout(event.because, plan, now)
        return actions

    def _finish(self, now: float) -> Actions:
        outcomes = [fleet.outcome for fleet in self._fleets]
        tasks = self._read.tasks if self._read else ()
        if not outcomes and self._read:
            text = f"{self._read.because}: reloaded, the edge goes by the configuration as it is"
            ended = do.ReloadEnded(is_done=True, text=text, failure=None)
            return self._end(ended, [do.Say(text), *self._on_done([], tasks, now)])
        done = self._on_done([each.is_done for each in outcomes], tasks, now)
        return self._end(do.ReloadEnded.of_all(outcomes), done)

    def _end(self, ended: do.ReloadEnded, done: Sequence[do.Action] = ()) -> Actions:
        self._step, self._read, self._due = Step.NONE, None, None
        return [ended, do.Notify("ready"), *done, *self.begin_if_asked()]
