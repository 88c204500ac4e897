"""Putting the clocks of hosts right by what their spans saw of each other. Pure.

Nothing can begin before it was called, nor can a request end after its caller went on.
Each pair of caller and callee on two hosts so bounds how far their clocks are apart.
Clocks that keep the bounds are left alone, others are moved by the least that does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


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
    """What must be added to one host's clock, given another's is right."""

    low: float = float("-inf")
    high: float = float("inf")

    def nearest(self) -> float:
        """Return the value closest to 0 within; the middle when there is none."""
        if self.low > self.high:
            return (self.low + self.high) / 2
        return min(max(0.0, self.low), self.high)


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
            there.high, back.low = min(there.high, most), max(back.low, -most)
    return pairs
