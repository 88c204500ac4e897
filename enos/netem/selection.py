"""Which constraint holds between two hosts on a network. Pure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from enos.config.constraints import (
    QUANTITIES,
    REFINES,
    ConstraintSpec,
    NetworkConstraints,
    contradiction,
    pairs,
)
from enos.errors import EmulationError
from enos.netem.shaping import NO_DELAY, NO_LOSS, Shaping
from enos.testbed import Host, Network, Testbed

OVERRIDE, SPECIFIC, DEFAULT = 0, 1, 2
PLAIN = Shaping()
REMEDY = "`topology` makes groups, and `groups` takes roles for groups"
Names = frozenset[str]
Held = tuple[Shaping, str, int]  # what holds, the constraint it follows, its priority


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A constraint for one ordered pair of names, and where it stands in the file."""

    spec: ConstraintSpec
    pair: tuple[str, str]
    place: int
    network: str


Table = Mapping[tuple[str, str], tuple[_Asked, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Decides which constraint holds between two sets of names on a network."""

    constraints: NetworkConstraints
    asked: Table
    over: Table
    default: Shaping
    names: Names  # that constraints use: other roles tell no two hosts apart
    groups: Names

    @classmethod
    def of(cls, constraints: NetworkConstraints, testbed: Testbed) -> "Selection":
        """Return the selection; EmulationError for a name the testbed lacks."""
        groups = frozenset(group for host in testbed.hosts for group in host.groups)
        roles = frozenset(role for host in testbed.hosts for role in host.roles)
        asked = _table(constraints.constraints, constraints.network)
        over = _table(constraints.overrides, "")
        named = {name for pair in (*asked, *over) for name in pair}
        named |= {*constraints.groups, *constraints.exclude}
        _check_names(named, groups | roles)
        several = (*constraints.constraints, *constraints.overrides)
        networks = {constraints.network, *(spec.network for spec in several)}
        _check_networks(networks - {""}, testbed.networks)
        return cls(
            constraints=constraints,
            asked=asked,
            over=over,
            default=Shaping(
                delay=constraints.default_delay or NO_DELAY,
                loss=constraints.default_loss or NO_LOSS,
                rate=constraints.default_rate,
            ),
            names=groups | (named & roles),
            groups=groups,
        )

    def wishes(self) -> Iterator[tuple[str, str, str]]:
        """Yield each constraint as (source, destination, network or "")."""
        for (src, dst), several in (*self.asked.items(), *self.over.items()):
            for one in several:
                yield src, dst, one.network

    def names_of(self, host: Host) -> Names:
        """Return what constraints may call a host: its groups, then its roles."""
        roles = self.names.intersection(host.roles) - self.groups
        return frozenset(host.groups) | roles

    def alike(self, testbed: Testbed) -> tuple[tuple[str, ...], ...]:
        """Return the names of the hosts, those together that go by the same names."""
        found: dict[Names, list[str]] = {}
        for host in testbed.hosts:
            found.setdefault(self.names_of(host), []).append(host.name)
        return tuple(tuple(several) for several in found.values())

    def pairs_of(self, several: Sequence[Names]) -> Iterator[tuple[Names, Names]]:
        """Yield the ordered pairs of these between which something may hold.

        All of them where there are defaults, else those that constraints name: ten
        thousand groups are a hundred million pairs.
        """
        if self.defaults:
            yield from product(several, several)
            return
        by_name: dict[str, list[int]] = {}
        for place, names in enumerate(several):
            for name in names:
                by_name.setdefault(name, []).append(place)
        found = {
            places
            for src, dst in (*self.asked, *self.over)
            for places in product(by_name.get(src, ()), by_name.get(dst, ()))
        }
        yield from ((several[one], several[other]) for one, other in sorted(found))

    @property
    def defaults(self) -> bool:
        """Tell whether anything is asked between groups that no constraint names."""
        return not self.default.idle

    def between(self, src: Names, dst: Names, network: Network) -> Held | None:
        """Return what holds from one set of names to another, None for nothing.

        Raises EmulationError when the quantities that come together there do not fit.
        """
        held = self._of_file(src, dst, network)
        over = self._matching(self.over, src, dst, network) if self.over else []
        for one in sorted(over, key=_order):
            under = held[0] if held else PLAIN
            held = _overlaid(under, one.spec), _named(one.pair), OVERRIDE
        if held and held[1] != "default":
            _check_fit(held[0], held[1])
        return held

    def _of_file(self, src: Names, dst: Names, network: Network) -> Held | None:
        default = self._default(src, dst, network)
        asked = self.asked
        candidates = self._matching(asked, src, dst, network) if asked else []
        if candidates:
            best = max(
                candidates, key=lambda one: (bool(one.spec.network), _order(one))
            )
            return _overlaid(default, best.spec), _named(best.pair), SPECIFIC
        return None if default.idle else (default, "default", DEFAULT)

    def _matching(
        self, table: Table, src: Names, dst: Names, network: Network
    ) -> list[_Asked]:
        return [
            one
            for pair in ((s, d) for s in src for d in dst)
            for one in table.get(pair, ())
            if is_on(one.network, network)
        ]

    def _default(self, src: Names, dst: Names, network: Network) -> Shaping:
        sides = self.side(src), self.side(dst)
        apart = all(sides) and not sides[0] & sides[1]
        holds = apart and is_on(self.constraints.network, network)
        return self.default if holds else PLAIN

    def side(self, names: Names) -> Names:
        """Return which of its names the defaults know a host by, none if it has none.

        They hold between hosts that are known by different names: groups, or whatever
        is listed under `groups`, where a role does as well.
        """
        if names & frozenset(self.constraints.exclude):
            return frozenset()
        return names & (frozenset(self.constraints.groups) or self.groups)

    def idle_among(self, hosts: Iterable[Host]) -> str:
        """Return why the defaults hold between no two of these, "" where they do."""
        known = {self.side(self.names_of(host)) for host in hosts} - {Names()}
        if any(not one & other for one, other in combinations(known, 2)):
            return ""
        if not known:
            return "`groups` and `except` leave no machine"
        names = ", ".join(f"`{name}`" for name in sorted(frozenset.union(*known)))
        return f"no two machines are of different groups ({names}); {REMEDY}"


def _table(specs: Sequence[ConstraintSpec], network: str) -> Table:
    """Return constraints by the pairs they are for, with the network they hold on."""
    table: dict[tuple[str, str], tuple[_Asked, ...]] = {}
    for place, spec in enumerate(specs):
        on = spec.network or network
        for pair in _directions(spec):
            one = _Asked(spec=spec, pair=pair, place=place, network=on)
            table[pair] = (*table.get(pair, ()), one)
    return table


def _order(one: _Asked) -> tuple[int, tuple[str, str]]:
    return one.place, one.pair


def _named(pair: tuple[str, str]) -> str:
    source, target = pair
    return f"{source} > {target}"


def _directions(spec: ConstraintSpec) -> Iterator[tuple[str, str]]:
    for src, dst in pairs(spec.src, spec.dst):
        yield src, dst
        if spec.symmetric and src != dst:
            yield dst, src


def _overlaid(under: Shaping, spec: ConstraintSpec) -> Shaping:
    """Return a shaping with what a constraint asks in the place of what was there.

    A quantity takes with it what was said more about it, such as its correlation.
    """
    asked = {
        name: value for name in QUANTITIES if (value := getattr(spec, name)) is not None
    }
    gone = {name for name, of in REFINES.items() if of in asked and name not in asked}
    changes = {name: getattr(PLAIN, name) for name in gone} | asked
    if "limit" in changes:
        changes["room"] = changes.pop("limit")
    return replace(under, **changes)


def _check_fit(shaping: Shaping, where: str) -> None:
    asked = {
        name: value
        for name in (*REFINES, *REFINES.values(), "delay")
        if (value := getattr(shaping, name)) != getattr(PLAIN, name)
    }
    name, why = contradiction(asked)
    if name:
        raise EmulationError(
            f"the `{name}` asked from {where} does not fit: {why}",
            hint="constraints inherit from the defaults, and what is set later from "
            "them: give all quantities that belong together",
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
