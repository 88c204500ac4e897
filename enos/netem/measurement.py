"""What is measured between two hosts, and between which. Values and pure functions."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any, Self

from enos.netem.expected import correlation
from enos.netem.plan import EmulationPlan
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
        attempts: how often it was measured; the last time counts.

    """

    pair: Pair
    trips: Trips
    trips_back: Trips | None = None
    rate_there: float | None = None
    rate_back: float | None = None
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
        attempts=plain.get("attempts", 1),
    )


def pairs_to_measure(
    plan: EmulationPlan, testbed: Testbed, *, every: bool = False
) -> tuple[Pair, ...]:
    """Return the pairs that prove a plan, 200 at most.

    One pair of hosts stands for each two groups (and for each group with itself, where
    nothing may have changed) on each network; with `every`, all pairs of hosts do.
    """
    found: list[Pair] = []
    for network in testbed.networks:
        members = [host for host in testbed.hosts if _address(host, network)]
        chosen = combinations(members, 2) if every else _representatives(members)
        some = islice(chosen, MOST_PAIRS - len(found))
        found += [_pair(one, other, network, plan) for one, other in some]
    return tuple(found)


def _representatives(members: Sequence[Host]) -> Iterator[tuple[Host, Host]]:
    alike: dict[tuple[str, ...], list[Host]] = {}
    for host in members:
        alike.setdefault(host.groups, []).append(host)
    for several in alike.values():
        if len(several) > 1:
            yield several[0], several[1]
    for some, others in combinations(alike.values(), 2):
        yield some[0], others[0]


def _pair(one: Host, other: Host, network: Network, plan: EmulationPlan) -> Pair:
    return Pair(
        source=one.name,
        destination=other.name,
        network=network.name,
        address=_address(other, network),
        back_address=_address(one, network),
        there=_asked(one, other, network, plan),
        back=_asked(other, one, network, plan),
    )


def _asked(one: Host, other: Host, network: Network, plan: EmulationPlan) -> Shaping:
    for interface in plan.interfaces:
        if (interface.host, interface.network) == (one.name, network.name):
            for flow in interface.outgoing:
                if any(peer.host == other.name for peer in flow.peers):
                    return flow.shaping
    return Shaping()


def _address(host: Host, network: Network) -> str:
    nic = host.nic_on(network.name)
    return nic.addresses[0].partition("/")[0] if nic and nic.addresses else ""
