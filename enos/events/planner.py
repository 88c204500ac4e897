"""Events and a testbed in, what each machine does at each event out. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from enos.config.constraints import NetworkConstraints
from enos.config.events import Event, LinkChange, Switch, Timeline, Verb
from enos.events.plan import EventsPlan, Step
from enos.events.scripts import HostTask, task
from enos.events.situation import (
    UNDOES,
    Argv,
    Ground,
    HostState,
    Situation,
    states,
)
from enos.netem import EmulationPlan, HostCommands
from enos.testbed import Host


def plan_events(timeline: Timeline, ground: Ground) -> EventsPlan:
    """Return the plan of all events, in order.

    Raises:
        ConfigError: an event names nothing there is, or undoes what was not done.
        EmulationError: links cannot be made what an event asks.
        CapabilityError: the provider cannot switch machines.

    """
    if not any(_moves_links(event, ground) for event in timeline.events):
        ground = replace(ground, constraints=NetworkConstraints())  # need not be known
    situation = Situation()
    reached = states(situation, ground)
    before = dict(reached)
    steps = []
    for number, event in enumerate(timeline.events, 1):
        situation = situation.after(event, ground)
        if isinstance(event, Switch) and event.verb == "stop":
            # A machine loses its memory, and with it all that enos put there.
            names = (host.name for host in ground.machines(event))
            reached |= dict.fromkeys(names, HostState())
        step, present = _step(number, event, situation, reached, ground)
        steps.append(step)
        reached |= present
    return EventsPlan(
        steps=tuple(steps),
        origin=timeline.origin,
        before={name: _told(before[name]) for name in _reshaped(steps)},
        switched=_brought_back(steps, ground),
    )


def emulations(timeline: Timeline, ground: Ground) -> Iterator[EmulationPlan]:
    """Yield what is emulated after each event that leaves links changed.

    The ground's back end plays no part: this is what it is chosen by. Raises as
    `plan_events`.
    """
    situation = Situation()
    for event in timeline.events:
        situation = situation.after(event, ground)
        if situation.changes:
            yield ground.planned(situation.changes)


def _told(state: HostState) -> HostCommands | None:
    return state.emulation.commands if state.emulation else None


def _step(
    number: int,
    event: Event,
    after: Situation,
    reached: Mapping[str, HostState],
    ground: Ground,
) -> tuple[Step, dict[str, HostState]]:
    """Return what an event does, and the states of the hosts it can reach then."""
    machines = ground.machines(event) if isinstance(event, Switch) else ()
    verb = event.verb if isinstance(event, Switch) and machines else None
    names = tuple(host.name for host in machines)
    wanted = states(after, ground)
    present = {name: one for name, one in wanted.items() if name not in after.away}
    step = Step(
        number=number,
        event=event,
        here=_switching(machines, verb, ground),
        tasks=_tasks(reached, present),
        undo={} if event.mends else _tasks(present, reached),
        undo_here=_switching(machines, _UNDONE_BY.get(verb), ground),
        back=names if verb in UNDOES else (),
        away=after.away,
        switched=names,
    )
    return step, present


def _moves_links(event: Event, ground: Ground) -> bool:
    """Tell whether the emulation of hosts changes, or is lost with a machine."""
    return isinstance(event, LinkChange) or (
        isinstance(event, Switch) and bool(ground.machines(event))
    )


def _tasks(
    old: Mapping[str, HostState], new: Mapping[str, HostState]
) -> dict[str, HostTask]:
    """Return what the hosts do to get from one to the other; those in both only."""
    several = {name: task(old[name], new[name]) for name in old if name in new}
    return {name: one for name, one in several.items() if one}


def _switching(
    machines: Sequence[Host], verb: Verb | None, ground: Ground
) -> tuple[Argv, ...]:
    if verb is None or ground.switch is None:
        return ()
    return tuple(argv for host in machines for argv in ground.switch(host, verb))


def _reshaped(steps: Sequence[Step]) -> tuple[str, ...]:
    """Return the hosts whose emulation may not be what it was, in some step."""
    changed = (
        host for step in steps for host, one in step.tasks.items() if one.emulates
    )
    stopped = (
        host for step in steps if step.event.kind == "stop" for host in step.switched
    )
    return tuple(dict.fromkeys((*changed, *stopped)))


def _switched(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(host for step in steps for host in step.switched))


def _brought_back(steps: Sequence[Step], ground: Ground) -> dict[str, tuple[Argv, ...]]:
    """Return what brings each switched machine back from whatever befell it."""
    hosts = [ground.testbed.host(name) for name in _switched(steps)]
    return {
        host.name: tuple(
            argv for verb in UNDOES for argv in _switching((host,), verb, ground)
        )
        for host in hosts
        if host
    }


_UNDONE_BY: Mapping[Verb | None, Verb] = {bad: good for good, bad in UNDOES.items()}
