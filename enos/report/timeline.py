"""What happened when: lanes under one another on a shared axis of time. Pure.

    Timeline(title="demo", span=(began, ended), lanes=(Bars(…), Plot(…)), marks=(…))
    as_json(timeline)                                what the page's script draws

All times are seconds since the epoch. `enos.report.page.timeline_page` makes the page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

Point = tuple[float, float]
Span = tuple[float, float]

MOST_POINTS = 2000
"""Points of a line that are drawn; a screen has no more columns."""

PERIODS = 3.0
"""A line is broken where nothing was sampled for longer than this many periods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Something that took time.

    Attributes:
        kind: decides the colour: `phase`, `step`, `scenario`, `iteration` or `event`.
        ok: False when it failed.
        note: more about it, for who points at it; of an iteration, its scenario.

    """

    start: float
    end: float
    label: str
    kind: str
    ok: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment, drawn through all lanes."""

    at: float
    label: str
    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A lane of bars; those of a row do not overlap."""

    title: str
    rows: tuple[tuple[Bar, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A measure of one host or instance, in order of time."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A lane of lines that share a unit."""

    title: str
    unit: str
    lines: tuple[Line, ...]


Lane = Bars | Plot


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the time that a click shows alone."""

    label: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A page's worth of lanes.

    Attributes:
        span: first and last moment of the axis.
        shown: the part that is shown at first, None for all of it.

    """

    title: str
    span: Span
    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...] = ()
    windows: tuple[Window, ...] = ()
    shown: Span | None = None


def packed(bars: Iterable[Bar]) -> tuple[tuple[Bar, ...], ...]:
    """Return bars in as few rows as keep them from overlapping (first fit by start).

    >>> spans = (0, 4), (1, 2), (2, 3)
    >>> bars = [Bar(start=a, end=b, label="", kind="step") for a, b in spans]
    >>> [[bar.start for bar in row] for row in packed(bars)]
    [[0], [1, 2]]
    """
    rows: list[list[Bar]] = []
    for bar in sorted(bars, key=lambda one: (one.start, one.end)):
        free = (row for row in rows if row[-1].end <= bar.start)
        row = next(free, None)
        if row is None:
            rows.append([bar])
        else:
            row.append(bar)
    return tuple(tuple(row) for row in rows)


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> tuple[Point, ...]:
    """Return at most that many points, the least and the greatest of each stretch.

    Of one, the greatest of all; `most` is at least 1.

    >>> thinned([(0, 1), (1, 9), (2, 0), (3, 1)], most=2)
    ((1, 9), (2, 0))
    """
    if len(points) <= most:
        return tuple(points)
    if most == 1:
        return (max(points, key=_value),)
    stretches = most // 2
    kept: list[Point] = []
    for number in range(stretches):
        first = number * len(points) // stretches
        last = (number + 1) * len(points) // stretches
        part = points[first:last]
        ends = {min(part, key=_value), max(part, key=_value)}
        kept.extend(sorted(ends))
    return tuple(kept)


def gaps(points: Sequence[Point], periods: float = PERIODS) -> tuple[Span, ...]:
    """Return where a line has no sample for more than some of its median periods.

    >>> gaps([(0, 1), (5, 1), (10, 1), (40, 1)])
    ((10, 40),)
    """
    pairs = list(pairwise(points))
    if not pairs:
        return ()
    longest = periods * median(after[0] - before[0] for before, after in pairs)
    return tuple(
        (before[0], after[0])
        for before, after in pairs
        if after[0] - before[0] > longest
    )


def as_json(timeline: Timeline) -> dict[str, Any]:
    """Return what the page's script draws: times in seconds after the first moment."""
    origin = timeline.span[0]

    def after(moment: float) -> float:
        return round(moment - origin, 3)

    def both(span: Span) -> list[float]:
        return [after(span[0]), after(span[1])]

    return {
        "origin": origin,
        "span": both(timeline.span),
        "shown": both(timeline.shown or timeline.span),
        "lanes": [_lane(lane, origin) for lane in timeline.lanes],
        "marks": [[after(mark.at), mark.label, mark.ok] for mark in timeline.marks],
        "windows": [[one.label, *both(one.span)] for one in timeline.windows],
    }


def _lane(lane: Lane, origin: float) -> dict[str, Any]:
    if isinstance(lane, Bars):
        rows = [[_bar(bar, origin) for bar in row] for row in lane.rows]
        return {"kind": "bars", "title": lane.title, "rows": rows}
    lines = [_line(line, origin) for line in lane.lines]
    return {"kind": "plot", "title": lane.title, "unit": lane.unit, "lines": lines}


def _bar(bar: Bar, origin: float) -> list[Any]:
    start, end = round(bar.start - origin, 3), round(bar.end - origin, 3)
    return [start, end, bar.label, bar.kind, bar.ok, bar.note]


def _line(line: Line, origin: float) -> dict[str, Any]:
    """Return a line; None stands where it is broken."""
    points: list[tuple[float, float | None]] = list(thinned(line.points))
    points += [((a + b) / 2, None) for a, b in gaps(line.points)]
    points.sort(key=lambda point: point[0])
    return {
        "label": line.label,
        "t": [round(at - origin, 2) for at, _ in points],
        "v": [None if value is None else float(f"{value:.5g}") for _, value in points],
    }


def _value(point: Point) -> float:
    return point[1]
