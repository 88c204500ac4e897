"""What a handful of durations say: a summary, and a small picture of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Of a sample in one unit.

    Attributes:
        deviation: sample standard deviation, None for fewer than two values.
        p95: 95th percentile, by linear interpolation between order statistics.

    """

    count: int
    mean: float
    median: float
    p95: float
    least: float
    greatest: float
    deviation: float | None


def summary(values: Sequence[float]) -> Summary | None:
    """Return the summary of a sample, None of an empty one.

    >>> (found := summary([4.0, 2.0, 3.0])).median, found.p95, found.deviation
    (3.0, 3.9, 1.0)
    """
    if not values:
        return None
    return Summary(
        count=len(values),
        mean=fmean(values),
        median=median(values),
        p95=percentile(values, 0.95),
        least=min(values),
        greatest=max(values),
        deviation=stdev(values) if len(values) > 1 else None,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile as Rally computes it: linear between order statistics.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([7.0], 0.95)
    (2.5, 7.0)
    """
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A sample as dots over an axis, with its quartiles; all places are 0 to 1.

    Attributes:
        dots: place of each value and whether it passed.
        box: first and third quartile, None for fewer than four values.
        greatest: the value at the right end; the left end is 0.

    """

    dots: tuple[tuple[float, bool], ...]
    middle: float
    box: tuple[float, float] | None
    greatest: float


FEWEST = 4  # values below which quartiles are an invention
MOST_DOTS = 200  # more only darken the picture; failures and both ends are kept


def strip(values: Sequence[float], passed: Sequence[bool]) -> Strip | None:
    """Return the picture of a sample of values ≥ 0, None of an empty one.

    `passed` tells of each value whether it is of something that passed.
    """
    if not values:
        return None
    greatest = max(values)
    scale = greatest or 1.0
    box = None
    if len(values) >= FEWEST:
        box = percentile(values, 0.25) / scale, percentile(values, 0.75) / scale
    dots = sorted(zip(values, passed, strict=True))
    step = -(-len(dots) // MOST_DOTS)
    last = len(dots) - 1
    return Strip(
        dots=tuple(
            (value / scale, ok)
            for number, (value, ok) in enumerate(dots)
            if number % step == 0 or number == last or not ok
        ),
        middle=median(values) / scale,
        box=box,
        greatest=greatest,
    )
