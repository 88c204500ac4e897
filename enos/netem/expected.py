"""What a round trip comes to, by what is asked in each direction. Pure.

Draws follow one another as in sch_netem: a second copy, loss, a bit error, overtaking,
the delay. A probe with a bit error counts as lost, since its checksum fails.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise, product

from enos.netem.impairment import quantile
from enos.netem.shaping import Shaping
from enos.units import GilbertElliott

GRID = 48  # points that stand for the distribution of a one-way delay


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """The distribution of round trips, in milliseconds.

    Attributes:
        values: ascending.
        below: share of round trips up to each of the values.

    """

    values: tuple[float, ...]
    below: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """Return what that share of round trips is not above."""
        pairs = zip(self.values, self.below, strict=True)
        return next(
            (value for value, below in pairs if below >= share), self.values[-1]
        )

    def share_below(self, value: float) -> float:
        """Return the share of round trips shorter than that."""
        pairs = zip(self.values, self.below, strict=True)
        return max((below for one, below in pairs if one < value), default=0.0)


def round_trip(there: Shaping, back: Shaping) -> RoundTrip:
    """Return how round trips are distributed, a baseline apart."""
    return _round_trip(*(_held(one) for one in (there, back)))


Held = tuple[float, float, str, float]  # delay, jitter, distribution, reorder


def _held(one: Shaping) -> Held:
    return one.delay.ms, one.jitter.ms, one.distribution, one.reorder.value / 100


@lru_cache(maxsize=256)
def _round_trip(there: Held, back: Held) -> RoundTrip:
    weighted = sorted(
        (a + b, wa * wb)
        for (a, wa), (b, wb) in product(_one_way(there), _one_way(back))
    )
    return RoundTrip(
        values=tuple(value for value, _ in weighted),
        below=tuple(accumulate(weight for _, weight in weighted)),
    )


def _one_way(held: Held) -> list[tuple[float, float]]:
    """Return delays with the share of packets each stands for."""
    delay, jitter, kind, reorder = held
    number = GRID if jitter else 1
    shares = ((place + 0.5) / number for place in range(number))
    delays = [max(0.0, delay + jitter * quantile(kind, share)) for share in shares]
    found = [(one, (1 - reorder) / number) for one in delays]
    return [(0.0, reorder), *found] if reorder else found


def overtaken_below(there: Shaping, back: Shaping) -> float | None:
    """Return how short a round trip is that overtook, None when none does.

    Half a delay less than usual, of the shortest delay that may be skipped.
    """
    skipped = [one.delay.ms for one in (there, back) if one.reorder.value]
    return there.delay.ms + back.delay.ms - min(skipped) / 2 if skipped else None


def _copies(one: Shaping) -> tuple[float, float, float]:
    """Return the chances that no, one, or two copies of a packet leave a link."""
    lost, twice = one.loss.value / 100, one.duplicate.value / 100
    none, both = (1 - twice) * lost, twice * (1 - lost) ** 2
    return none, 1 - none - both, both


def lost(there: Shaping, back: Shaping) -> float:
    """Return the share of probes without any reply, 0 to 1."""
    silent = 0.0
    for way in (back, there):  # the chance that nothing comes of a packet on a way
        none, one, two = _copies(way)
        each = way.corrupt.value / 100
        each += (1 - each) * silent
        silent = none + one * each + two * each * each
    return silent


def cut_off(there: Shaping, back: Shaping) -> bool:
    """Tell whether no probe is to come back: no connection can be made either."""
    return lost(there, back) > 1 - 1e-9


def replies(there: Shaping, back: Shaping) -> tuple[float, float]:
    """Return mean and variance of the number of replies to a probe."""
    mean, variance = 1.0, 0.0
    for way in (there, back):
        _, one, two = _copies(way)
        whole = 1 - way.corrupt.value / 100
        copies = (one + 2 * two) * whole
        square = one * whole + two * (2 * whole + 2 * whole * whole)
        mean, variance = (
            mean * copies,
            mean * (square - copies * copies) + variance * copies * copies,
        )
    return mean, variance


def worth(there: Shaping, back: Shaping) -> float:
    """Return how many probes tell as much as one would if losses were independent.

    The factor by which bursts widen the variance of a share, 1 without bursts.
    """
    return max(_widening(one) for one in (there, back))


def _widening(one: Shaping) -> float:
    model = one.losses
    if not isinstance(model, GilbertElliott) or not 0 < model.value < 100:  # noqa: PLR2004
        return 1.0
    share = model.value / 100
    moves = model.p.value + model.back.value
    bad = model.p.value / moves
    apart = (model.bad.value - model.good.value) / 100
    common = bad * (1 - bad) * apart * apart / (share * (1 - share))
    return max(1.0, 1 + 2 * common * model.memory / max(1e-9, 1 - model.memory))


def correlation(trips: Sequence[float]) -> float | None:
    """Return the correlation of each round trip with the next, None for too few."""
    number = len(trips)
    if number < GRID:
        return None
    mean = math.fsum(trips) / number
    off = [trip - mean for trip in trips]
    variance = math.fsum(one * one for one in off)
    together = math.fsum(one * other for one, other in pairwise(off))
    return together / variance if variance else None
