"""What holds on the testbed at a moment of a run, and what that means for a host.

Events are folded into a `Situation`; a host's share of it is a `HostState`. What a host
has to do is the way from one `HostState` to the next, so events may overlap and be
undone in any order. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.config.events import Event, Heal, LinkChange, Partition, Switch, Verb
from enos.errors import CapabilityError, ConfigError, listed
from enos.events.cut import Cut, cuts
from enos.netem import (
    Backend,
    EmulationPlan,
    Flow,
    HostCommands,
    Interface,
    Vip,
    commands,
    plan_emulation,
)
from enos.testbed import Host, Testbed

Argv = tuple[str, ...]
Container = tuple[str, str]  # host, container
UNDOES: Mapping[Verb, Verb] = {"start": "stop", "unpause": "pause"}


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the events happen on.

    Attributes:
        constraints: what is emulated before the run; nothing where nothing is.
        vips, controller: as `plan_emulation` takes them.
        egress: hosts whose kernel can drop packets as they leave an interface.
        containers: host name → names of its containers; None when nobody looked.
        switch: returns the commands that switch a machine, run where enos runs; None
            when the provider cannot.

    """

    testbed: Testbed
    constraints: NetworkConstraints = field(default_factory=NetworkConstraints)
    backend: Backend = Backend.NETEM
    vips: tuple[Vip, ...] = ()
    controller: tuple[str, ...] = ()
    egress: frozenset[str] = frozenset()
    containers: Mapping[str, tuple[str, ...]] | None = None
    switch: Callable[[Host, Verb], tuple[Argv, ...]] | None = None

    @cached_property
    def before(self) -> Mapping[str, "Emulation"]:
        """Return what each host emulates before the run."""
        return self.emulation(())

    def planned(self, changes: tuple[ConstraintSpec, ...]) -> EmulationPlan:
        """Return what is emulated once these changes hold, whatever does it.

        Raises EmulationError for what cannot be emulated.
        """
        laid = (*self.constraints.overrides, *changes)
        return plan_emulation(
            replace(self.constraints, overrides=laid),
            self.testbed,
            vips=self.vips,
            controller=self.controller,
        )

    def emulation(
        self, changes: tuple[ConstraintSpec, ...]
    ) -> Mapping[str, "Emulation"]:
        """Return what each host emulates once these changes hold; as `planned`."""
        plan = self.planned(changes)
        interfaces: dict[str, tuple[Interface, ...]] = {}
        for one in plan.interfaces:
            interfaces[one.host] = (*interfaces.get(one.host, ()), _bare(one))
        return {
            host: Emulation(
                plan=EmulationPlan(interfaces=own, spared_ports=plan.spared_ports),
                backend=self.backend,
            )
            for host, own in interfaces.items()
        }

    def places(self, names: tuple[str, ...]) -> tuple[Host, ...]:
        """Return the hosts that machines, groups or roles stand for, all for none."""
        return tuple(
            host
            for host in self.testbed.hosts
            if not names or {host.name, *host.groups, *host.roles} & set(names)
        )

    def machines(self, event: Switch) -> tuple[Host, ...]:
        """Return the machines an event switches; () when it names a service."""
        if event.on:
            return ()
        host = self.testbed.host(event.name)
        return (host,) if host else self.testbed.in_group(event.name)

    def services(self, event: Switch) -> frozenset[Container]:
        """Return the containers an event switches.

        A service stands for the containers called so, in Kolla's way of writing
        (`nova_compute`), and those whose name goes on with an underscore: `nova`.

        Raises ConfigError where there is none.
        """
        stem = event.name.replace("-", "_")
        hosts = self.places(event.on)
        if self.containers is None:
            return frozenset((host.name, stem) for host in hosts)
        found = frozenset(
            (host.name, name)
            for host in hosts
            for name in self.containers.get(host.name, ())
            if name == stem or name.startswith(f"{stem}_")
        )
        if not found:
            where = listed(event.on) if event.on else "any host"
            raise ConfigError(
                f"`{event.text}`: there is no machine, and no container on {where}, "
                f"called `{event.name}`",
                hint=f"machines: {listed(h.name for h in self.testbed.hosts)}; "
                "containers: `docker ps` on the host",
            )
        return found


@dataclass(frozen=True, kw_only=True)
class Emulation:
    """What one host emulates; its commands are made when somebody needs them.

    Attributes:
        plan: the host's interfaces and nothing else.

    """

    plan: EmulationPlan
    backend: Backend

    @cached_property
    def commands(self) -> HostCommands:
        """Return what the host does for it.

        Raises CapabilityError or EmulationError where the back end cannot.
        """
        return next(iter(commands(self.plan, self.backend).values()))


def _bare(interface: Interface) -> Interface:
    """Return the interface without the constraints that its flows go back to."""

    def bare(flows: tuple[Flow, ...]) -> tuple[Flow, ...]:
        return tuple(replace(flow, asked="", priority=0) for flow in flows)

    return replace(
        interface,
        outgoing=bare(interface.outgoing),
        incoming=bare(interface.incoming),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the events up to a moment have come to.

    Attributes:
        changes: of links, in the order in which they came.
        cut: pairs of groups without connection.
        stopped: containers, and machines with "" for one; likewise `paused`.

    """

    changes: tuple[ConstraintSpec, ...] = ()
    cut: tuple[tuple[str, str], ...] = ()
    stopped: frozenset[Container] = frozenset()
    paused: frozenset[Container] = frozenset()

    @property
    def away(self) -> frozenset[str]:
        """Return the machines that cannot be reached."""
        return frozenset(
            host for host, container in self.stopped | self.paused if not container
        )

    @property
    def broken(self) -> frozenset[frozenset[str]]:
        """Return the pairs of groups whose links are not what they were."""
        changed = ((spec.src, spec.dst) for spec in self.changes)
        return frozenset(frozenset(pair) for pair in (*self.cut, *changed))

    def after(self, event: Event, ground: Ground) -> "Situation":
        """Return the situation after one more event.

        Raises ConfigError for an event that names nothing there is or mends nothing,
        CapabilityError for a machine that the provider cannot switch.
        """
        match event:
            case LinkChange():
                return replace(self, changes=(*self.changes, *event.specs))
            case Partition():
                cut = dict.fromkeys((*self.cut, *event.pairs))
                return replace(self, cut=tuple(cut))
            case Heal():
                return self._healed(event)
            case Switch():
                return self._switched(event, ground)

    def _healed(self, event: Heal) -> "Situation":
        """Return it without what was done to the links of an event, or to all."""
        healed = {frozenset(pair) for pair in event.pairs} or self.broken
        if not healed & self.broken:
            others = listed(sorted("|".join(sorted(pair)) for pair in self.broken))
            raise ConfigError(
                f"`{event.text}`: at that time there is nothing to heal",
                hint=f"the links that were changed: {others}"
                if others
                else "let a partition or a change of links come before; `start` and "
                "`unpause` are for what was stopped or paused",
            )
        return replace(
            self,
            changes=tuple(
                spec
                for spec in self.changes
                if frozenset((spec.src, spec.dst)) not in healed
            ),
            cut=tuple(pair for pair in self.cut if frozenset(pair) not in healed),
        )

    def _switched(self, event: Switch, ground: Ground) -> "Situation":
        machines = ground.machines(event)
        if machines and ground.switch is None:
            raise CapabilityError(
                f"`{event.text}`: the provider `{ground.testbed.provider}` cannot "
                f"{event.verb} a machine",
                hint="stop or pause a service on it instead: `stop nova-compute on …`",
            )
        things = frozenset((host.name, "") for host in machines)
        things = things or ground.services(event)
        deed = UNDOES.get(event.verb, event.verb)
        before = self.stopped if deed == "stop" else self.paused
        if event.verb not in UNDOES:
            after = before | things
        elif before & things:
            after = before - things
        else:
            raise ConfigError(
                f"`{event.text}`: at that time there is nothing to {event.verb}",
                hint=f"let an event `{deed} {event.name}` come before",
            )
        if deed == "stop":
            return replace(self, stopped=after)
        return replace(self, paused=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """A host's share of a situation.

    Attributes:
        emulation: None for none.
        cut: from whom it is cut off, None for nobody.
        stopped: names of containers, likewise `paused`.

    """

    emulation: Emulation | None = None
    cut: Cut | None = None
    stopped: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()


def states(situation: Situation, ground: Ground) -> dict[str, HostState]:
    """Return host name → its share of a situation, for all hosts."""
    emulation = (
        ground.emulation(situation.changes) if situation.changes else ground.before
    )
    severed = cuts(
        situation.cut,
        ground.testbed,
        vips=ground.vips,
        controller=ground.controller,
        egress=ground.egress,
    )
    return {
        host.name: HostState(
            emulation=emulation.get(host.name),
            cut=severed.get(host.name),
            stopped=tuple(sorted(_on(host, situation.stopped))),
            paused=tuple(sorted(_on(host, situation.paused))),
        )
        for host in ground.testbed.hosts
    }


def _on(host: Host, containers: frozenset[Container]) -> Iterator[str]:
    return (name for place, name in containers if name and place == host.name)
