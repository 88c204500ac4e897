"""Which constraint holds between two hosts on a network. Pure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from enos.config.constraints import ConstraintSpec, NetworkConstraints, pairs
from enos.errors import EmulationError
from enos.netem.shaping import NO_DELAY, NO_LOSS, Shaping
from enos.testbed import Host, Network, Testbed

SPECIFIC, DEFAULT = 1, 2
Names = frozenset[str]
Held = tuple[Shaping, str, int]  # what holds, the constraint it follows, its priority


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A constraint for one ordered pair of names, and where it stands in the file."""

    spec: ConstraintSpec
    place: int
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Decides which constraint holds between two sets of names on a network."""

    constraints: NetworkConstraints
    asked: Mapping[tuple[str, str], tuple[_Asked, ...]]
    names: Names  # that constraints use: other roles tell no two hosts apart
    groups: Names

    @classmethod
    def of(cls, constraints: NetworkConstraints, testbed: Testbed) -> "Selection":
        """Return the selection; EmulationError for a name the testbed lacks."""
        groups = frozenset(group for host in testbed.hosts for group in host.groups)
        roles = frozenset(role for host in testbed.hosts for role in host.roles)
        table: dict[tuple[str, str], tuple[_Asked, ...]] = {}
        for place, spec in enumerate(constraints.constraints):
            one = _Asked(
                spec=spec, place=place, network=spec.network or constraints.network
            )
            for pair in _directions(spec):
                table[pair] = (*table.get(pair, ()), one)
        named = {name for pair in table for name in pair}
        _check_names({*named, *constraints.groups}, groups | roles)
        networks = {constraints.network, *(s.network for s in constraints.constraints)}
        _check_networks(networks - {""}, testbed.networks)
        return cls(
            constraints=constraints,
            asked=table,
            names=groups | (named & roles),
            groups=groups,
        )

    def wishes(self) -> Iterator[tuple[str, str, str]]:
        """Yield each constraint as (source, destination, network or "")."""
        for (src, dst), several in self.asked.items():
            for one in several:
                yield src, dst, one.network

    def names_of(self, host: Host) -> Names:
        """Return what constraints may call a host: its groups, then its roles."""
        roles = frozenset(host.roles) & self.names - self.groups
        return frozenset(host.groups) | roles

    def between(self, src: Names, dst: Names, network: Network) -> Held | None:
        """Return what holds from one set of names to another, None for nothing."""
        default = self._default(src, dst, network)
        candidates = [
            (bool(one.spec.network), one.place, pair, one.spec)
            for pair in ((s, d) for s in src for d in dst)
            for one in self.asked.get(pair, ())
            if is_on(one.network, network)
        ]
        if candidates:
            _, _, (source, target), spec = max(candidates, key=lambda one: one[:3])
            return _overlaid(default, spec), f"{source} > {target}", SPECIFIC
        return None if default.idle else (default, "default", DEFAULT)

    def _default(self, src: Names, dst: Names, network: Network) -> Shaping:
        asked = self.constraints
        sides = (src & self.groups, dst & self.groups)
        among = frozenset(asked.groups) or self.groups
        outside = (
            not all(side & among for side in sides)
            or bool(sides[0] & sides[1])
            or any(side & frozenset(asked.exclude) for side in sides)
            or not is_on(asked.network, network)
        )
        if outside:
            return Shaping()
        return Shaping(
            delay=asked.default_delay or NO_DELAY,
            loss=asked.default_loss or NO_LOSS,
            rate=asked.default_rate,
        )


def _directions(spec: ConstraintSpec) -> Iterator[tuple[str, str]]:
    for src, dst in pairs(spec.src, spec.dst):
        yield src, dst
        if spec.symmetric and src != dst:
            yield dst, src


def _overlaid(default: Shaping, spec: ConstraintSpec) -> Shaping:
    return replace(
        default,
        delay=default.delay if spec.delay is None else spec.delay,
        jitter=default.jitter if spec.jitter is None else spec.jitter,
        loss=default.loss if spec.loss is None else spec.loss,
        rate=default.rate if spec.rate is None else spec.rate,
    )


def is_on(wanted: str, network: Network) -> bool:
    """Tell whether a network has that name or role; "" stands for every network."""
    return not wanted or wanted == network.name or wanted in network.roles


def _check_names(asked: Iterable[str], known: Names) -> None:
    for name in sorted(asked):
        if name not in known:
            raise _unknown("group or role", name, sorted(known))


def _check_networks(asked: Iterable[str], networks: Sequence[Network]) -> None:
    known = [word for one in networks for word in (one.name, *one.roles)]
    for name in sorted(asked):
        if name not in known:
            raise _unknown("network", name, list(dict.fromkeys(known)))


def _unknown(kind: str, name: str, known: Sequence[str]) -> EmulationError:
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean `{near[0]}`? " if near else ""
    listed = ", ".join(f"`{one}`" for one in known)
    return EmulationError(
        f"a network constraint names `{name}`, which is no {kind} of the testbed",
        hint=f"{guess}known: {listed}" if listed else "the testbed has none",
    )
