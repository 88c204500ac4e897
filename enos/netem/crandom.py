"""The correlated random numbers of sch_netem, and what to ask to get a share. Pure.

netem draws each number from the last one and a fresh one, x = (1 - c) u + c x', and
compares it with the share that was asked. Such numbers crowd around one half: asked
for 25 % with a correlation of 50 %, it gives 7 %. (linux/net/sched/sch_netem.c)
"""

from functools import lru_cache
from itertools import accumulate, pairwise

from enos.units import Percent

GRID = 2000
CLOSE, MOST_ROUNDS = 1e-7, 3000  # until the distribution of x is that of x'


def threshold(share: Percent, correlation: Percent) -> Percent:
    """Return what to ask of netem so that it happens to a share of the packets.

    >>> threshold(Percent(25), Percent(0))
    Percent(value=25)
    >>> round(threshold(Percent(25), Percent(50)).value, 1)
    37.3
    """
    if not correlation.value or not 0 < share.value < 100:  # noqa: PLR2004
        return share
    return _threshold(share.value / 100, correlation.value / 100)


@lru_cache(maxsize=256)
def _threshold(share: float, correlation: float) -> Percent:
    below = _below(correlation)
    place = next(n for n, one in enumerate(below) if one >= share)
    step = below[place] - below[place - 1]
    found = (place - 1 + (share - below[place - 1]) / step) / GRID
    return Percent(round(100 * found, 4))


@lru_cache(maxsize=32)
def _below(correlation: float) -> tuple[float, ...]:
    """Return the share of numbers up to each point of a grid from 0 to 1."""
    points = [place / GRID for place in range(GRID + 1)]
    below, reach = points, correlation / (1 - correlation)
    for _ in range(MOST_ROUNDS):
        slices = ((a + b) / 2 / GRID for a, b in pairwise(below))
        area = (0.0, *accumulate(slices))
        before, below = (
            below,
            [
                reach
                * (
                    _area(area, point / correlation)
                    - _area(area, (point - 1 + correlation) / correlation)
                )
                for point in points
            ],
        )
        if max(abs(a - b) for a, b in zip(before, below, strict=True)) < CLOSE:
            break
    return tuple(below)


def _area(area: tuple[float, ...], point: float) -> float:
    """Return the integral from 0 to a point; beyond 1 the share is 1."""
    if point <= 0:
        return 0.0
    if point >= 1:
        return area[-1] + point - 1
    place, rest = divmod(point * GRID, 1)
    low = area[int(place)]
    return low + rest * (area[int(place) + 1] - low)
