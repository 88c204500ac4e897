"""Events and a testbed in, what each machine does at each event out. Pure."""

from collections.abc import Mapping, Sequence

from enos.config.events import Switch, Timeline, Verb
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
from enos.testbed import Host


def plan_events(timeline: Timeline, ground: Ground) -> EventsPlan:
    """Return the plan of all events, in order.

    Raises:
        ConfigError: an event names nothing there is, or undoes what was not done.
        EmulationError: links cannot be made what an event asks.
        CapabilityError: the provider cannot switch machines.

    """
    situation = Situation()
    reached = states(situation, ground)
    before = dict(reached)
    steps = []
    for number, event in enumerate(timeline.events, 1):
        following = situation.after(event, ground)
        wanted = states(following, ground)
        machines = ground.machines(event) if isinstance(event, Switch) else ()
        verb = event.verb if isinstance(event, Switch) and machines else None
        names = tuple(host.name for host in machines)
        if verb == "stop":  # memory is lost, and with it all that enos put there
            reached |= dict.fromkeys(names, HostState())
        present = {h: s for h, s in wanted.items() if h not in following.away}
        steps.append(
            Step(
                number=number,
                event=event,
                here=_switching(machines, verb, ground),
                tasks=_tasks(reached, present),
                undo={} if event.mends else _tasks(present, reached),
                undo_here=_switching(machines, _UNDONE_BY.get(verb), ground),
                back=names if verb in UNDOES else (),
                away=following.away,
                switched=names,
            )
        )
        reached |= present
        situation = following
    return EventsPlan(
        steps=tuple(steps),
        origin=timeline.origin,
        before={name: before[name].emulation for name in _reshaped(steps)},
        switched=_brought_back(steps, ground),
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
    return tuple(dict.fromkeys((*changed, *_switched(steps))))


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
