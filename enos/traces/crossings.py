"""Calls from one host to another, and the round trips they wait for. Pure.

A request is a round trip, whoever waits for it. An RPC is one when its caller waits and
half of one when not; which of them an operation does is seen from those of its spans
whose caller was still under way when they began: most of them then end before it, or
not. A statement sent from a host other than the database's is a round trip too, though
no span shows the other end; and so is each trace point sent from a host other than
their store's, which makes traced requests slower than others on a slow link.
What a trace cannot show (a TCP handshake, a broker's confirmation) is not counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from enos.traces import names
from enos.traces.tree import Span, Tree

CAST = 0.5
POINTS = ("OSProfiler", names.DATABASE, "trace points")
SLACK = 0.001  # seconds a callee may seem to outlast a caller that waited for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """The hosts a trace comes from, and what lay between them.

    Attributes:
        groups: host → groups of the experiment.
        rtt: pair of hosts, either way → seconds that were added to each round trip.
        database: host all statements go to, empty when unknown.
        store: host all trace points go to, likewise.

    """

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rtt: Mapping[tuple[str, str], float] = field(default_factory=dict)
    database: str = ""
    store: str = ""

    def place(self, host: str) -> str:
        """Return the groups of a host, else its name."""
        return "+".join(self.groups.get(host, ())) or host

    def between(self, one: str, other: str) -> float:
        """Return the seconds added to a round trip between two hosts."""
        return self.rtt.get((one, other), self.rtt.get((other, one), 0.0))

    def sending(self, host: str) -> float:
        """Return the seconds added to the sending of a point, which is waited for."""
        return self.between(host, self.store) if self.store else 0.0

    def farthest(self, hosts: Iterable[str], before: "Lab") -> float:
        """Return by how much the round trip from these hosts grew the most."""
        pairs = product(hosts, self.groups)
        grown = (self.between(*pair) - before.between(*pair) for pair in pairs)
        return max(grown, default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Calls of one kind from one place to another.

    Attributes:
        source: groups of the callers' host; `target` of the callees'.
        calls: how many.
        round_trips: how many they waited for, one after another or not.
        rtt: seconds added to a round trip on this way, 0 on one that is not shaped.

    """

    source: str
    target: str
    service: str
    category: str
    operation: str
    calls: int
    round_trips: float
    rtt: float


def crossings(trees: Sequence[Tree], lab: Lab) -> tuple[Crossing, ...]:
    """Return the calls between hosts, those that cost the most time first."""
    waited = _waited_for(trees)
    found: dict[tuple[str, ...], list[tuple[float, float]]] = _points(trees, lab)
    for tree in trees:
        for span, source, target in _between(tree, lab):
            trips = 1.0 if waited.get(_rpc(span), True) else CAST
            way = (lab.place(source), lab.place(target))
            what = (*way, span.service, span.category, span.operation)
            found.setdefault(what, []).append((trips, lab.between(source, target)))
    rows = [_row(key, several) for key, several in found.items()]
    return tuple(
        sorted(rows, key=lambda one: (-one.round_trips * one.rtt, -one.round_trips))
    )


def _row(key: tuple[str, ...], several: list[tuple[float, float]]) -> Crossing:
    source, target, service, category, operation = key
    return Crossing(
        source=source,
        target=target,
        service=service,
        category=category,
        operation=operation,
        calls=len(several),
        round_trips=sum(trips for trips, _ in several),
        rtt=max(rtt for _, rtt in several),
    )


def _between(tree: Tree, lab: Lab) -> Iterator[tuple[Span, str, str]]:
    for span in tree.spans.values():
        caller = tree.spans.get(span.parent)
        if caller and caller.host != span.host:
            yield span, caller.host, span.host
        away = lab.database and span.host != lab.database
        if away and span.category == names.DATABASE:
            yield span, span.host, lab.database


def _points(
    trees: Iterable[Tree], lab: Lab
) -> dict[tuple[str, ...], list[tuple[float, float]]]:
    """Return the way of the trace points themselves, as `crossings` gathers calls."""
    found: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for tree in trees:
        for span in tree.spans.values():
            if lab.store and span.host != lab.store:
                way = (lab.place(span.host), lab.place(lab.store))
                both = [(1.0, lab.between(span.host, lab.store))] * 2
                found.setdefault((*way, *POINTS), []).extend(both)
    return found


def _waited_for(trees: Iterable[Tree]) -> dict[tuple[str, str], bool]:
    """Return service and operation of an RPC → whether its callers wait for it."""
    seen: dict[tuple[str, str], list[bool]] = {}
    for tree in trees:
        for span in tree.spans.values():
            caller = tree.spans.get(span.parent)
            if span.category == names.RPC and caller:
                several = seen.setdefault(_rpc(span), [])
                if span.begin <= caller.end:
                    several.append(span.end <= caller.end + SLACK)
    return {rpc: sum(several) * 2 > len(several) for rpc, several in seen.items()}


def _rpc(span: Span) -> tuple[str, str]:
    return span.service, span.operation


def to_json(lab: Lab) -> dict[str, Any]:
    """Return the lab as JSON values."""
    return {
        "groups": {host: list(groups) for host, groups in lab.groups.items()},
        "rtt": [[*pair, seconds] for pair, seconds in sorted(lab.rtt.items())],
        "database": lab.database,
        "store": lab.store,
    }


def from_json(plain: Mapping[str, Any]) -> Lab:
    """Return the lab that `to_json` wrote."""
    return Lab(
        groups={host: tuple(several) for host, several in plain["groups"].items()},
        rtt={(one, other): seconds for one, other, seconds in plain["rtt"]},
        database=str(plain["database"]),
        store=str(plain.get("store", "")),
    )
