"""Beside a benchmark: events at their time, leases renewed, everything healed after."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from enos.errors import EmulationError, EnosError
from enos.events import field
from enos.events.field import Field
from enos.events.plan import EventsPlan, Step, starts
from enos.events.record import Happened, Outcome, punctuality

PULSE = 5.0
"""Seconds between two renewals of the leases."""


class Conductor:
    """Runs a plan of events in threads of its own, for as long as a `with` block.

    `began` starts the clock. What fails is recorded and the rest goes on. When the
    block ends, however it does, all that events left is undone. An event that cannot be
    told of ends them: a block that went well then raises EmulationError.

    Args:
        plan: of `plan_events`.
        where: the machines.
        tell: called with each event as it begins and ends, from a thread.
        pulse: seconds between two renewals.

    Attributes:
        healed: True once nothing that events changed is left.

    """

    def __init__(
        self,
        plan: EventsPlan,
        where: Field,
        tell: Callable[[Happened], None],
        *,
        pulse: float = PULSE,
    ) -> None:
        self.healed = False
        self._plan = plan
        self._where = where
        self._tell = tell
        self._pulse = pulse
        self._start = threading.Event()
        self._over = threading.Event()
        self._clock = self._epoch = self._free = 0.0
        self._scenario = ""
        self._failed = False
        self._away: frozenset[str] = frozenset()
        self._warned: set[str] = set()
        self._told: dict[int, Happened] = {}
        self._broken: Exception | None = None
        self._threads = (
            threading.Thread(target=self._play, name="events", daemon=True),
            threading.Thread(target=self._keep, name="leases", daemon=True),
        )

    def __enter__(self) -> Self:
        field.arm(self._plan, self._where)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._failed = error is not None
        self._over.set()
        for thread in self._threads:
            thread.join()
        try:
            self._finish()
            self._account()
        except Exception as failed:
            if error is None:
                raise
            self._where.progress.warn(f"the events did not end well: {_said(failed)}")

    def began(self, scenario: str) -> None:
        """Take note that the load of a scenario has begun; the first starts the clock.

        With an `origin`, the first scenario of that name does.
        """
        self._scenario = scenario
        if not self._start.is_set() and starts(self._plan.origin, scenario):
            self._clock, self._epoch = time.monotonic(), time.time()
            self._start.set()

    def _play(self) -> None:
        """Do each step when it is due; what breaks this off is kept for the end."""
        try:
            self._steps()
        except Exception as broken:  # noqa: BLE001 - told, and raised, by `_account`
            self._broken = broken
            said = f"no further events, they broke off: {_said(broken)}"
            self._where.progress.warn(said)

    def _account(self) -> None:
        """Tell what became of the rest where the events broke off, and raise why."""
        if self._broken is None:
            return
        said = f"the events of the run broke off: {_said(self._broken)}"
        for step in self._plan.steps:
            one = self._told.get(step.number, self._record(step))
            if one.outcome == "running":
                one = replace(one, ended=time.time(), outcome="failed")
            elif step.number in self._told:
                continue
            self._tell(replace(one, errors={field.HERE: said}))
        hint = "the run is not what the file asks for; run it again"
        raise EmulationError(said, hint=hint) from self._broken

    def _note(self, one: Happened) -> None:
        """Tell of a step, and remember that it was told."""
        self._tell(one)
        self._told[one.number] = one

    def _steps(self) -> None:
        """Do each step when it is due, until the block ends."""
        while not self._start.wait(0.1):
            if self._over.is_set():
                self._miss_all()
                return
        for step in self._plan.steps:
            due = self._clock + step.event.at
            if self._over.wait(max(0.0, due - time.monotonic())):
                self._note(replace(self._record(step), outcome=_missed(step)))
            else:
                self._do(step)

    def _miss_all(self) -> None:
        """Tell that nothing happened, unless a failure says that nothing ran."""
        if self._scenario or not self._failed:
            self._epoch = time.time()
            for step in self._plan.steps:
                self._note(replace(self._record(step), outcome="not reached"))

    def _do(self, step: Step) -> None:
        due = self._clock + step.event.at
        punctual = punctuality(due, time.monotonic(), free=self._free)
        begun = replace(self._record(step), at=time.time(), outcome="running")
        self._note(begun)
        self._away |= step.away
        try:
            errors = field.do(step, self._where, self._plan)
        except Exception as failed:  # noqa: BLE001 - the run goes on, and says so
            errors = dict.fromkeys(step.hosts or (field.HERE,), _said(failed))
        self._away = step.away
        self._free = time.monotonic()
        outcome: Outcome = "failed" if errors else punctual
        self._note(replace(begun, ended=time.time(), outcome=outcome, errors=errors))

    def _record(self, step: Step) -> Happened:
        return Happened(
            number=step.number,
            what=step.event.text,
            kind=step.event.kind,
            asked=step.event.at,
            outcome="not reached",
            began=self._epoch,
            hosts=step.hosts,
            scenario=self._scenario,
        )

    def _keep(self) -> None:
        """Renew the leases until the block ends."""
        beat = 0
        while not self._over.wait(self._pulse):
            beat += 1
            names = set(self._plan.hosts) - self._away
            here = bool(self._plan.switched)
            try:
                failed = field.renew(names, self._where, str(beat), here=here)
            except Exception as error:  # noqa: BLE001 - a later beat may do
                failed = {field.HERE: _said(error)}
            for host in failed.keys() - self._warned:
                self._warned.add(host)
                said = f"{host}: its lease could not be renewed: {failed[host]}"
                self._where.progress.warn(said)

    def _finish(self) -> None:
        """Undo what is left; tell of it, and of machines that did so themselves."""
        began = time.time()
        with self._where.progress.step("Heal what events left"):
            healed, errors = field.finish(
                self._plan.hosts, self._where, here=bool(self._plan.switched)
            )
        self.healed = not errors
        for host, moment in healed.items():
            after = moment - (self._epoch or began)
            errors[host] = f"it healed itself {after:.0f} s after the clock was started"
        if errors or self._start.is_set():
            self._tell(
                Happened(
                    number=0,
                    what="heal what is left",
                    kind="end",
                    asked=0.0,
                    outcome="failed" if errors else "done",
                    began=self._epoch or began,
                    at=began,
                    ended=time.time(),
                    hosts=self._plan.hosts,
                    scenario=self._scenario,
                    errors=errors,
                )
            )


def _missed(step: Step) -> Outcome:
    """Return what an event is that the end of the benchmark came before."""
    return "at the end" if step.mends else "not reached"


def _said(error: Exception) -> str:
    """Return what an error says; one that is no finding of enos's, with its class."""
    return str(error) if isinstance(error, EnosError) else repr(error)
