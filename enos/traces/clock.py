"""Putting the clocks of hosts right by what their spans saw of each other. Pure.

Nothing can begin before it was called, and most requests end before their caller goes
on (some are made by threads that their caller does not wait for). So each pair of hosts
that call each other bounds how far their clocks are apart. Clocks that keep the bounds
are left alone, others are moved by the least that does.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A call, each time by the clock of the host it happened on.

    Attributes:
        answered: when the caller was done, None when unknown.
        end: when the callee was, None when the caller need not have waited for it.

    """

    caller: str
    callee: str
    asked: float
    answered: float | None
    begin: float
    end: float | None


@dataclass(slots=True)
class _Bounds:
    """What must be added to one host's clock, given another's is right.

    Attributes:
        low: least, by what was called on it; `high` most, by what it called.
        ends: most, by each of its requests that ended; `returns` least, likewise.

    """

    low: float = float("-inf")
    high: float = float("inf")
    ends: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)

    def nearest(self) -> float:
        """Return the value closest to 0 within; causes outweigh ends."""
        low = statistics.median(self.returns) if self.returns else self.low
        high = statistics.median(self.ends) if self.ends else self.high
        near = min(max(0.0, low), high) if low <= high else 0.0
        if self.low > self.high:
            return (self.low + self.high) / 2
        return min(max(near, self.low), self.high)


def shifts(sightings: Sequence[Sighting]) -> dict[str, float]:
    """Return host → seconds to be added to its clock, without those of 0.

    The host of the first sighting has the right time by definition, the others follow
    in the order they are reached from it; hosts out of reach keep their clocks.
    """
    bounds = _bounds(sightings)
    found: dict[str, float] = {}
    for start in dict.fromkeys(one.callee for one in sightings):
        ahead = [] if start in found else [start]
        found.setdefault(start, 0.0)
        while ahead:
            here = ahead.pop(0)
            for (right, other), pair in bounds.items():
                if right == here and other not in found:
                    found[other] = found[here] + pair.nearest()
                    ahead.append(other)
    return {host: shift for host, shift in found.items() if shift}


def _bounds(sightings: Iterable[Sighting]) -> Mapping[tuple[str, str], _Bounds]:
    """Return (right host, other host) → bounds of what to add to the other's clock."""
    pairs: dict[tuple[str, str], _Bounds] = {}
    for one in sightings:
        if one.caller == one.callee:
            continue
        least = one.asked - one.begin
        there = pairs.setdefault((one.caller, one.callee), _Bounds())
        back = pairs.setdefault((one.callee, one.caller), _Bounds())
        there.low, back.high = max(there.low, least), min(back.high, -least)
        if one.answered is not None and one.end is not None:
            most = one.answered - one.end
            there.ends.append(most)
            back.returns.append(-most)
    return pairs
