"""From measures to lanes of a time line: which, and whose. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from enos.report.timeline import Line, Plot, Point

MOST = 8
"""Lines of a lane with several of each machine; of more, those with the greatest means
are drawn. Of a lane with one line for each machine, all are."""

NICS = re.compile(r"(eth|en|ib|wl|bond)\w*")
"""Names of network interfaces; bridges, taps and tunnels would count twice."""

DISKS = re.compile(
    r"(?!((sd|vd|xvd|hd|dasd)[a-z]+\d+|(nvme\d+n\d+|mmcblk\d+)(p|boot)\d+|md\d+\w*)$).*"
)
"""Names of disks; partitions and arrays would count twice."""


class Sampled(Protocol):
    """A measure of one thing over time, as `enos.metrics.series.Series`."""

    @property
    def measure(self) -> str:
        """What was measured."""

    @property
    def host(self) -> str:
        """Where."""

    @property
    def instance(self) -> str:
        """Which of several there, or empty."""

    @property
    def unit(self) -> str:
        """Unit of the values."""

    @property
    def points(self) -> tuple[Point, ...]:
        """Epoch seconds and values, in order of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Several of one host added up, a `Sampled` itself."""

    measure: str
    host: str
    unit: str
    points: tuple[Point, ...]
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A lane that is drawn when there is something for it.

    Attributes:
        summed: over these instances of a host; None for a line for each.

    """

    title: str
    measure: str
    summed: re.Pattern[str] | None = None


USUAL = (
    Wanted(title="CPU", measure="cpu"),
    Wanted(title="Memory", measure="memory"),
    Wanted(title="Queued messages", measure="rabbitmq_messages"),
    Wanted(title="Network, received", measure="net_rx", summed=NICS),
    Wanted(title="Network, sent", measure="net_tx", summed=NICS),
    Wanted(title="Disk, written", measure="disk_write", summed=DISKS),
    Wanted(title="Database queries", measure="mariadb_queries"),
    Wanted(title="CPU of containers", measure="container_cpu"),
)
"""What a time line shows unless other measures are asked for."""


def wanted(measures: Sequence[str]) -> tuple[Wanted, ...]:
    """Return the lanes of some measures, the usual ones of none."""
    known = {one.measure: one for one in USUAL}
    chosen = (known.get(name, Wanted(title=name, measure=name)) for name in measures)
    return tuple(chosen) or USUAL


def plots(
    series: Iterable[Sampled], lanes: Sequence[Wanted] = USUAL
) -> tuple[Plot, ...]:
    """Return the lanes that have lines, in their order, one for each unit."""
    by_measure: dict[str, list[Sampled]] = {}
    for one in series:
        by_measure.setdefault(one.measure, []).append(one)
    return tuple(
        plot
        for lane in lanes
        for plot in _plots(lane, by_measure.get(lane.measure, []))
    )


def _plots(lane: Wanted, several: Iterable[Sampled]) -> Iterator[Plot]:
    drawn = [one for one in several if one.points]
    if lane.summed:
        drawn = _sums(drawn, lane.summed)
    for unit in dict.fromkeys(one.unit for one in drawn):
        lines = [one for one in drawn if one.unit == unit]
        most = MOST if any(one.instance for one in lines) else len(lines)
        shown = sorted(lines, key=_mean, reverse=True)[:most]
        left_out = len(lines) - len(shown)
        more = f" (the {most} greatest, {left_out} left out)" if left_out else ""
        yield Plot(
            title=lane.title + more,
            unit=unit,
            lines=tuple(_line(one, lines) for one in lines if one in shown),
        )


def _sums(several: Iterable[Sampled], instances: re.Pattern[str]) -> list[Sampled]:
    """Return a line for each host: the sum, where every one of them was sampled."""
    hosts: dict[tuple[str, str], list[Sampled]] = {}
    for one in several:
        if instances.fullmatch(one.instance):
            hosts.setdefault((one.host, one.unit), []).append(one)
    return [_sum(members) for members in hosts.values()]


def _sum(members: Sequence[Sampled]) -> Sampled:
    values: dict[float, list[float]] = {}
    for one in members:
        for at, value in one.points:
            values.setdefault(at, []).append(value)
    whole = ((at, sum(v)) for at, v in values.items() if len(v) == len(members))
    first = members[0]
    return Sum(
        measure=first.measure,
        host=first.host,
        unit=first.unit,
        points=tuple(sorted(whole)),
    )


def _line(one: Sampled, among: Sequence[Sampled]) -> Line:
    alone = len({other.instance for other in among}) == 1
    words = (one.host,) if alone else (one.instance, one.host)
    return Line(label=" ".join(filter(None, words)) or one.measure, points=one.points)


def _mean(one: Sampled) -> float:
    return fmean(value for _, value in one.points)
