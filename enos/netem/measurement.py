"""What is measured between two hosts, and between which. Values and pure functions."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from itertools import chain, combinations
from math import comb
from typing import Any, Self

from enos.netem.expected import correlation
from enos.netem.plan import EmulationPlan, Interface
from enos.netem.shaping import Shaping
from enos.testbed import Host, Network, Testbed

MOST_PAIRS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two hosts on a network and what was asked between them.

    Attributes:
        address: of the destination.
        back_address: of the source.
        there: asked from source to destination.
        back: asked from destination to source.

    """

    source: str
    destination: str
    network: str
    address: str
    back_address: str
    there: Shaping
    back: Shaping

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what tells it from other pairs."""
        return self.source, self.destination, self.network

    @property
    def turned(self) -> "Pair":
        """Return the pair seen from its destination."""
        return Pair(
            source=self.destination,
            destination=self.source,
            network=self.network,
            address=self.back_address,
            back_address=self.address,
            there=self.back,
            back=self.there,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trips:
    """Round trips in milliseconds, of those that came back; NaN-free: None for none.

    Attributes:
        middle: width of their middle half (interquartile range).
        correlation: of each with the next; other traffic on the link lessens it.
        extra: replies that came again.
        early: how many overtook.

    """

    sent: int
    lost: int
    median: float | None
    mean: float | None
    low: float | None
    high: float | None
    deviation: float | None
    middle: float | None = None
    correlation: float | None = None
    extra: int = 0
    early: int = 0

    @classmethod
    def of(
        cls,
        trips: Sequence[float | None],
        *,
        extra: int = 0,
        early: float | None = None,
    ) -> Self:
        """Return the summary of round trips, None standing for a lost one.

        Those shorter than `early` have overtaken.
        """
        back = [trip for trip in trips if trip is not None]
        quarters = statistics.quantiles(back) if len(back) > 1 else []
        return cls(
            sent=len(trips),
            lost=len(trips) - len(back),
            median=statistics.median(back) if back else None,
            mean=statistics.fmean(back) if back else None,
            low=min(back, default=None),
            high=max(back, default=None),
            deviation=statistics.pstdev(back) if back else None,
            middle=quarters[2] - quarters[0] if quarters else None,
            correlation=correlation(back),
            extra=extra,
            early=sum(trip < early for trip in back) if early is not None else 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPair:
    """What was found between two hosts.

    Attributes:
        trips: from source to destination and back.
        trips_back: from destination to source and back, None where not measured.
        rate_there: bits per second on the wire from source to destination, None where
            it was not measured; likewise `rate_back`.
        why_not_there: why a rate that was to be measured was not, else empty; likewise
            `why_not_back`.
        attempts: how often it was measured; the last time counts.

    """

    pair: Pair
    trips: Trips
    trips_back: Trips | None = None
    rate_there: float | None = None
    rate_back: float | None = None
    why_not_there: str = ""
    why_not_back: str = ""
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All pairs, in the order of the plan; the archive keeps it as JSON."""

    pairs: tuple[MeasuredPair, ...]
    facts: Mapping[str, str] = field(default_factory=dict)

    def of(self, pair: Pair) -> MeasuredPair | None:
        """Return what was found between the same two hosts on the same network."""
        return next((one for one in self.pairs if one.pair.key == pair.key), None)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "facts": dict(self.facts),
            "pairs": [_pair_to_json(one) for one in self.pairs],
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return the measurement that `to_json` wrote."""
        return cls(
            facts=dict(plain["facts"]),
            pairs=tuple(_pair_from_json(one) for one in plain["pairs"]),
        )


_PLACES = ("source", "destination", "network", "address", "back_address")
_FIGURES = (
    *("sent", "lost", "median", "mean", "low", "high", "deviation"),
    *("middle", "correlation", "extra", "early"),
)


def _pair_to_json(one: MeasuredPair) -> dict[str, Any]:
    return {
        **{name: getattr(one.pair, name) for name in _PLACES},
        "there": one.pair.there.to_json(),
        "back": one.pair.back.to_json(),
        "rtt_ms": _trips_to_json(one.trips),
        "rtt_back_ms": _trips_to_json(one.trips_back) if one.trips_back else None,
        "rate_there_bits": one.rate_there,
        "rate_back_bits": one.rate_back,
        "rate_there_why_not": one.why_not_there,
        "rate_back_why_not": one.why_not_back,
        "attempts": one.attempts,
    }


def _trips_to_json(trips: Trips) -> dict[str, Any]:
    return {name: getattr(trips, name) for name in _FIGURES}


def _trips_from_json(plain: Mapping[str, Any]) -> Trips:
    return Trips(**{name: plain[name] for name in _FIGURES if name in plain})


def _pair_from_json(plain: Mapping[str, Any]) -> MeasuredPair:
    back = plain.get("rtt_back_ms")
    return MeasuredPair(
        pair=Pair(
            **{name: plain[name] for name in _PLACES},
            there=Shaping.from_json(plain["there"]),
            back=Shaping.from_json(plain["back"]),
        ),
        trips=_trips_from_json(plain["rtt_ms"]),
        trips_back=_trips_from_json(back) if back else None,
        rate_there=plain["rate_there_bits"],
        rate_back=plain["rate_back_bits"],
        why_not_there=plain.get("rate_there_why_not", ""),
        why_not_back=plain.get("rate_back_why_not", ""),
        attempts=plain.get("attempts", 1),
    )


def pairs_to_measure(
    plan: EmulationPlan, testbed: Testbed, *, every: bool = False
) -> tuple[Pair, ...]:
    """Return the pairs that prove a plan, 200 at most.

    One pair of hosts stands for each two kinds of hosts (and for each kind with itself,
    where nothing may have changed) on each network; with `every`, all pairs of hosts
    do. Hosts are of one kind when no constraint tells them apart. Where that is more
    than 200 pairs, one for each different thing that is asked is among them.
    """
    kinds = _kinds_on_each(plan, testbed, every=every)
    ends: Iterator[_Ends] = (
        (place, *two)
        for place, several in enumerate(kinds)
        for two in _representatives(several)
    )
    if _number(kinds) > MOST_PAIRS:
        ends = chain(_asked_differently(plan, testbed), ends)
    chosen: dict[_Ends, None] = {}
    for one in ends:
        chosen.setdefault(one)
        if len(chosen) == MOST_PAIRS:
            break
    interfaces = {(one.host, one.network): one for one in plan.interfaces}
    hosts, found = testbed.hosts, testbed.networks
    return tuple(
        _pair(hosts[one], hosts[other], found[place], interfaces)
        for place, one, other in chosen
    )


def pairs_in_all(plan: EmulationPlan, testbed: Testbed) -> int:
    """Return how many pairs it takes to see all that `pairs_to_measure` stands for."""
    return _number(_kinds_on_each(plan, testbed))


_Ends = tuple[int, int, int]  # places of a network and two hosts in the testbed
_Kinds = Sequence[Sequence[int]]  # places of hosts, those of a kind together


def _number(kinds: Iterable[_Kinds]) -> int:
    return sum(
        comb(len(several), 2) + sum(len(alike) > 1 for alike in several)
        for several in kinds
    )


def _kinds_on_each(
    plan: EmulationPlan, testbed: Testbed, *, every: bool = False
) -> list[_Kinds]:
    """Return the kinds of hosts that have an address on each of the networks."""
    places = {host.name: place for place, host in enumerate(testbed.hosts)}
    kinds = tuple((name,) for name in places) if every else plan.alike
    found: list[_Kinds] = []
    for network in testbed.networks:
        there = {h.name for h in testbed.hosts if _address(h, network)}
        on_it = ([places[name] for name in kind if name in there] for kind in kinds)
        found.append(sorted(kind for kind in on_it if kind))
    return found


def _representatives(kinds: _Kinds) -> Iterator[tuple[int, int]]:
    for alike in kinds:
        if len(alike) > 1:
            yield alike[0], alike[1]
    for some, others in combinations(kinds, 2):
        yield some[0], others[0]


def _asked_differently(plan: EmulationPlan, testbed: Testbed) -> Iterator[_Ends]:
    """Yield a pair for each different thing that is asked on each network."""
    hosts = {host.name: place for place, host in enumerate(testbed.hosts)}
    networks = {network.name: place for place, network in enumerate(testbed.networks)}
    there = {
        (network.name, host.name)
        for network in testbed.networks
        for host in testbed.hosts
        if _address(host, network)
    }
    seen = set()
    for one in plan.interfaces:
        for flow in one.outgoing if (one.network, one.host) in there else ():
            what = (one.network, flow.asked, flow.shaping)
            peers = (p.host for p in flow.peers if (one.network, p.host) in there)
            peer = None if what in seen else next(peers, None)
            if peer:
                seen.add(what)
                ends = sorted((hosts[one.host], hosts[peer]))
                yield networks[one.network], ends[0], ends[1]


def _pair(
    one: Host,
    other: Host,
    network: Network,
    interfaces: Mapping[tuple[str, str], Interface],
) -> Pair:
    def asked(source: Host, destination: Host) -> Shaping:
        there = interfaces.get((source.name, network.name))
        for flow in there.outgoing if there else ():
            if any(peer.host == destination.name for peer in flow.peers):
                return flow.shaping
        return Shaping()

    return Pair(
        source=one.name,
        destination=other.name,
        network=network.name,
        address=_address(other, network),
        back_address=_address(one, network),
        there=asked(one, other),
        back=asked(other, one),
    )


def _address(host: Host, network: Network) -> str:
    """Return an address of the host on the network, one of its range if there is.

    Empty where it has none of the network's version: IPv6 that an interface still
    announces when its IPv4 address was given to a bridge proves nothing.
    """
    several = (one for nic in host.nics_on(network.name) for one in nic.addresses)
    cidr = _range(network.cidr)
    found = [
        ip for one in several if (ip := ip_interface(one).ip).version == cidr.version
    ]
    best = [one for one in found if one in cidr] or found
    return str(best[0]) if best else ""


@cache
def _range(cidr: str) -> IPv4Network | IPv6Network:
    return ip_network(cidr, strict=False)
