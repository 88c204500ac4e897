"""A quantity measured many times, and its statistics. Pure."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one test measured in one place.

    Attributes:
        place: whose traffic it was, ``compute-1 to compute-2``.
        concurrency: how many places measured at once, 0 where it was always the same.
        metric: ``throughput``, ``rtt``, ``loss``…
        unit: empty for a count.
        values: in the order they were measured.
        mean: over time, which the mean of the values need not be.

    """

    test: str
    place: str
    concurrency: int = 0
    metric: str
    unit: str = ""
    values: tuple[float, ...] = ()
    mean: float | None = None

    @property
    def label(self) -> str:
        """Return test and place: `TCP, compute-1 to compute-2`."""
        at_once = f"{self.concurrency} at once" if self.concurrency else ""
        return ", ".join(filter(None, (self.test, self.place, at_once)))

    @property
    def statistics(self) -> Mapping[str, float | int | None]:
        """Return count, mean, standard deviation and quantiles of the values."""
        values = sorted(self.values)
        if not values:
            return {"count": 0, "mean": self.mean}
        return {
            "count": len(values),
            "mean": self.mean,
            "stdev": statistics.stdev(values) if len(values) > 1 else None,
            "min": values[0],
            "median": statistics.median(values),
            "p95": quantile(values, 0.95),
            "max": values[-1],
        }


def quantile(values: list[float], share: float) -> float:
    """Return a quantile of sorted values, linear between them (Hyndman-Fan 7).

    >>> quantile([1.0, 2.0, 3.0], 0.5), quantile([1.0, 2.0], 0.25)
    (2.0, 1.25)
    """
    at = share * (len(values) - 1)
    below = int(at)
    above = min(below + 1, len(values) - 1)
    return values[below] + (at - below) * (values[above] - values[below])
