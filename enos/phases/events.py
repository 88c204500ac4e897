"""Events beside a benchmark: planned for the testbed, kept with its results.

While machines can be changed, `changed.json` in the experiment's directory names them:
whatever became of enos, the next command that changes the experiment finds it and
undoes what is left.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from enos import events, netem
from enos.config.constraints import NetworkConstraints
from enos.config.events import Partition, Timeline
from enos.config.timeline import load_timeline
from enos.errors import CapabilityError, ConfigError, listed
from enos.events import EventsPlan, Field, Found, Ground, Happened, Place
from enos.events.scripts import REACHING
from enos.netem.backend import mixes_copies, queues_ipv6
from enos.phases import deployed, tc
from enos.phases.session import Session
from enos.progress import Progress
from enos.provider import SwitchesMachines
from enos.state.directory import Directory, write_atomically

RECORD, ROWS = "events.json", "events.csv"
FOLDER = "events"


@dataclass(slots=True, kw_only=True)
class Beside:
    """The events of a run under way, and what became of them.

    Attributes:
        began: to be called with the name of each scenario whose load begins.
        happened: of this run, in order; whole once the run has ended.

    """

    began: Callable[[str], None] = field(default=lambda _: None)
    happened: tuple[Happened, ...] = ()


def asked(session: Session, file: Path | None = None) -> Timeline:
    """Return the events of the experiment, or those of another file.

    Raises ConfigError for a file that is wrong.
    """
    experiment = session.experiment
    return load_timeline(file, experiment.demand) if file else experiment.events


def planned(session: Session, timeline: Timeline) -> EventsPlan:
    """Return the plan for the testbed as it is; the hosts are asked, nothing changes.

    Raises what `plan_events` raises, and CapabilityError for hosts that lack a program.
    """
    found = events.look(_field(session))
    blind = [h.name for h in session.testbed.hosts if h.name not in found.egress]
    if blind and any(isinstance(event, Partition) for event in timeline.events):
        session.progress.decision(
            f"{', '.join(blind)}: no egress hook in the kernel, so a partition lets "
            "through what passes no IP layer, such as the tunnels of a switch in user "
            "space"
        )
    return events.plan_events(timeline, _ground(session, timeline, found))


def text(plan: EventsPlan) -> str:
    """Return every command of every event, host by host, and what undoes it."""
    return "\n".join(step.text for step in plan.steps)


@contextmanager
def beside(
    session: Session,
    timeline: Timeline,
    scenarios: Iterable[str],
    folder: Path,
    console: Progress,
) -> Iterator[Beside]:
    """Let events happen while the block runs; all they left is undone after it.

    Args:
        session: of the phase.
        timeline: the events.
        scenarios: names of those that are run, to find the one that starts the clock.
        folder: of the results, where `events.json` and `events.csv` are kept.
        console: is told of each event.

    Raises:
        ConfigError: no scenario is called as the one that starts the clock.
        EmulationError: the machines cannot be made to heal themselves.

    """
    if not timeline.events:
        yield Beside()
        return
    names = tuple(scenarios)
    if not any(events.starts(timeline.origin, name) for name in names):
        raise ConfigError(
            f"the events count from `{timeline.origin}`, which is no scenario of the "
            "workload",
            hint=f"known: {listed(names)}",
        )
    plan, where = planned(session, timeline), _field(session)
    record = _Record(session=session, folder=folder, console=console)
    _mark(session.directory, plan)
    conductor = events.Conductor(plan, where, record.tell)
    running = Beside(began=conductor.began)
    try:
        with conductor:
            yield running
    finally:
        running.happened = record.happened
        if conductor.healed:
            _unmark(session.directory)


def recover(session: Session) -> None:
    """Undo what the events of a killed run left; harmless when there is nothing."""
    mark, state = session.directory.changed, session.directory.load()
    if not mark.exists():
        return
    if state.testbed is None:
        _unmark(session.directory)
        return
    plain = json.loads(mark.read_text(encoding="utf-8"))
    with session.progress.step("Heal what an interrupted run left"):
        healed, errors = events.finish(
            plain["hosts"], _field(session), here=plain["here"]
        )
    journal = session.directory.journal
    for host, moment in healed.items():
        said = f"{host} healed itself after enos was gone"
        journal.append("event", said, status="healed", at=moment, hosts=[host])
        session.progress.decision(said)
    for host, why in errors.items():
        session.progress.warn(f"{host}: what events left is not undone: {why}")
    if not errors:
        journal.append("event", "heal what is left", status="finished", **plain)
        _unmark(session.directory)


@dataclass(slots=True, kw_only=True)
class _Record:
    """Writes down what happens, as it happens, from several threads."""

    session: Session
    folder: Path
    console: Progress
    _events: list[Happened] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def happened(self) -> tuple[Happened, ...]:
        return tuple(self._events)

    def tell(self, one: Happened) -> None:
        """Take note of an event that begins or has ended."""
        with self._lock:
            rest = [other for other in self._events if other.number != one.number]
            self._events = [*rest, one]
            self._keep()
        facts: dict[str, Any] = {"at": one.at, "asked": one.asked}
        self.session.directory.journal.append(
            "event",
            one.what,
            phase="bench",
            status=_status(one),
            hosts=list(one.hosts),
            **facts,
            **({"errors": dict(one.errors)} if one.errors else {}),
        )
        where = f" on {', '.join(one.hosts)}" if one.hosts else ""
        if one.outcome == "running" or (one.ok and not one.number):
            self.console.decision(f"event {one.what}{where}")
        elif one.outcome == "waited" or not one.ok:
            self.console.warn(f"event {one.what}: {events.why(one)}")

    def _keep(self) -> None:
        file = self.folder / RECORD
        several = (*_earlier(file, self._events[0].began), *self._events)
        text = json.dumps([one.to_json() for one in several], indent=2) + "\n"
        write_atomically(file, text)
        write_atomically(self.folder / ROWS, events.as_csv(several))


def _status(one: Happened) -> str:
    """Return how the journal calls what became of an event."""
    if one.outcome == "running":
        return "started"
    return "finished" if one.ok or one.outcome == "late" else "failed"


def _earlier(file: Path, began: float) -> Iterator[Happened]:
    """Yield the events of earlier parts of the run, which was interrupted."""
    if not file.exists():
        return
    for plain in json.loads(file.read_text(encoding="utf-8")):
        one = Happened.from_json(plain)
        if one.began != began:
            cut_short = one.outcome == "running"
            yield replace(one, outcome="interrupted") if cut_short else one


def _ground(session: Session, timeline: Timeline, found: Found) -> Ground:
    testbed, provider = session.testbed, session.provider
    switch = provider.switching if isinstance(provider, SwitchesMachines) else None
    ground = Ground(
        testbed=testbed,
        constraints=_in_force(session),
        vips=deployed.vips(session),
        controller=netem.controller_addresses(session.shell),
        egress=found.egress,
        containers=found.containers,
        switch=switch,
    )
    return replace(ground, backend=_backend(session, timeline, ground))


def _in_force(session: Session) -> NetworkConstraints:
    """Return what is emulated at present: nothing unless `tc` was run."""
    if not session.directory.load().done("tc"):
        return NetworkConstraints()
    return tc.constraints(session)


def _backend(session: Session, timeline: Timeline, ground: Ground) -> netem.Backend:
    """Return what emulates the links: what does so already, or the hosts' best.

    Raises CapabilityError for events that what does so already is not capable of.
    """
    plans = tuple(events.emulations(timeline, ground))
    record = session.directory.load().phases.get("tc")
    told = record.facts.get("backend") if record else None
    present = netem.Backend(str(told)) if told else None
    asks = mixes_copies if present is netem.Backend.NETEM else queues_ipv6
    if present and not any(map(asks, plans)):
        return present
    if not plans:
        return netem.Backend.NETEM  # nothing is emulated: either will do
    try:
        return netem.probe_backend(
            session.testbed,
            session.shell,
            session.progress,
            wanted=present,
            plans=plans,
            sockets=session.directory.sockets,
        ).backend
    except CapabilityError as lacking:
        if not present:
            raise
        raise _too_much(present, lacking) from None


def _too_much(present: netem.Backend, lacking: CapabilityError) -> CapabilityError:
    """Return the error of events that ask more than the file, for which `tc` chose."""
    what = "changes links that carry IPv6"
    other = "load ip6table_raw where it is missing"
    if present is netem.Backend.NETEM:
        what = "duplicates packets on one link beside others"
        other = "give a link `duplicate` there, too"
    return CapabilityError(
        f"an event {what}: {lacking.message}",
        hint=f"`enos tc` chose {present}, which is enough for the file: {other}, or "
        "leave it out of the events",
        details=lacking.details,
    )


def _field(session: Session) -> Field:
    directory = session.directory
    folder = (directory.path / FOLDER).resolve()
    unit = f"enos-events-{directory.load().session}"
    return Field(
        testbed=session.testbed,
        shell=session.shell,
        progress=session.progress,
        here=Place(folder=str(folder), unit=unit, kept=REACHING),
        sockets=directory.sockets,
    )


def _mark(directory: Directory, plan: EventsPlan) -> None:
    plain = {"hosts": list(plan.hosts), "here": bool(plan.switched)}
    write_atomically(directory.changed, json.dumps(plain) + "\n")


def _unmark(directory: Directory) -> None:
    directory.changed.unlink(missing_ok=True)
