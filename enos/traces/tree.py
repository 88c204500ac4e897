"""From points to spans in a tree, on one clock. Pure.

OSProfiler sends a point when something begins and one when it ends, and nothing makes
sure that both arrive. A span without its end lasts as long as what it called, one
without its beginning begins with it; one whose caller is unknown becomes a root.

Who serves an RPC may end its span and go on in a thread. Its span then reaches as far
as what that called. Any other span reaches as far as what was called before its end,
given the time a message may be on its way; and nothing reaches over what begins after
the client had its last answer. For OSProfiler leaves the name of a trace in the thread
that served it, and later messages that happen to be served there appear as calls of
whoever sent the first one.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from enos.traces import clock, names
from enos.traces.points import MICRO, Point, Trace

ON_ITS_WAY = 5.0
"""Seconds a cast may take to begin after its caller ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something a service did.

    Attributes:
        parent: id of the span that called it, empty for a root.
        kind: OSProfiler's name; `category` groups kinds.
        begin: seconds since the trace's first point, clocks put right; likewise `end`.
        error: class of the exception it ended with, or empty.
        whole: both of its points arrived.

    """

    id: str
    parent: str
    kind: str
    service: str
    host: str
    what: str
    begin: float
    end: float
    error: str = ""
    whole: bool = True

    @property
    def seconds(self) -> float:
        """Return how long it took, what it called included."""
        return self.end - self.begin

    @property
    def category(self) -> str:
        """Return ``REST``, ``RPC``, ``database`` or ``function``."""
        return names.category(self.kind)

    @property
    def operation(self) -> str:
        """Return what it does, without the ids of what it does it to."""
        return names.operation(self.kind, self.what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The spans of a trace.

    Attributes:
        spans: by id, in the order they began.
        children: id → ids of what it called, in order; the roots under an empty id.
        reach: id → when it and all it called while the client was there had ended.
        shifts: host → seconds that were added to its clock; hosts that need none
            are left out.

    """

    trace: str
    iteration: int
    spans: Mapping[str, Span]
    children: Mapping[str, tuple[str, ...]]
    reach: Mapping[str, float]
    shifts: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Return the time from the first point to the client's last answer."""
        return _answered(self.spans.values())

    @property
    def last(self) -> float:
        """Return the time from the first point to the last."""
        return max((span.end for span in self.spans.values()), default=0.0)

    @property
    def broken(self) -> int:
        """Return how many spans lack one of their points."""
        return sum(1 for span in self.spans.values() if not span.whole)

    def under(self, parent: str) -> tuple[Span, ...]:
        """Return what a span called; the roots for an empty id."""
        return tuple(self.spans[one] for one in self.children.get(parent, ()))

    def own(self, span: Span) -> float:
        """Return the seconds of a span in which nothing it called was under way."""
        return sum(end - begin for begin, end, _ in self.gaps(span))

    def gaps(self, span: Span) -> Iterator[tuple[float, float, Span | None]]:
        """Yield when nothing a span called was under way: from, to, what came next.

        The last one, after all it called, has None.
        """
        now, end = span.begin, self.reach[span.id]
        for one in self.under(span.id):
            if one.begin >= end:
                break
            if now < one.begin:
                yield now, one.begin, one
            now = max(now, min(self.reach[one.id], end))
        if now < end:
            yield now, end, None

    def walk(self) -> Iterator[tuple[int, Span]]:
        """Yield (depth, span), callers before what they call."""
        ahead = [(0, one) for one in reversed(self.children.get("", ()))]
        while ahead:
            depth, one = ahead.pop()
            yield depth, self.spans[one]
            below = reversed(self.children.get(one, ()))
            ahead += [(depth + 1, other) for other in below]


def grown(trace: Trace) -> Tree:
    """Return the tree of a trace; every span is in it once, whatever is missing."""
    spans = _related(_spans(trace))
    shifts = clock.shifts([_sighting(one, spans) for one in spans.values()])
    moved = {
        one.id: replace(
            one,
            begin=one.begin + shifts.get(one.host, 0.0),
            end=one.end + shifts.get(one.host, 0.0),
        )
        for one in spans.values()
    }
    children = _children(moved.values())
    filled = _filled(moved, children)
    first = min((one.begin for one in filled.values()), default=0.0)
    ordered = sorted(filled.values(), key=lambda one: (one.begin, -one.end, one.id))
    placed = {
        one.id: replace(one, begin=one.begin - first, end=one.end - first)
        for one in ordered
    }
    children = _children(placed.values())
    return Tree(
        trace=trace.id,
        iteration=trace.iteration,
        spans=placed,
        children=children,
        reach=_reach(placed, children),
        shifts=shifts,
    )


def _spans(trace: Trace) -> dict[str, Span]:
    starts: dict[str, Point] = {}
    stops: dict[str, Point] = {}
    for point in trace.points:
        if point.ends:
            stops[point.id] = point
        else:
            starts.setdefault(point.id, point)
    # Seconds since 1970 would leave doubles no microseconds to tell apart.
    origin = min((point.us for point in trace.points), default=0)
    return {
        one: _span(starts.get(one), stops.get(one), origin)
        for one in dict.fromkeys(point.id for point in trace.points)
    }


def _span(start: Point | None, stop: Point | None, origin: int) -> Span:
    told = start or stop
    if told is None:
        raise AssertionError  # an id comes from one of its points
    begin, end = (start or told).us, (stop or told).us
    return Span(
        id=told.id,
        parent=told.parent,
        kind=told.kind,
        service=names.service(told.project, told.service),
        host=told.host,
        what=told.what,
        begin=(begin - origin) * MICRO,
        end=(max(begin, end) - origin) * MICRO,
        error=stop.error if stop else "",
        whole=start is not None and stop is not None,
    )


def _related(spans: Mapping[str, Span]) -> dict[str, Span]:
    """Return the spans with unknown callers, and those that go round, cut off."""
    cut = {
        one.id: one if one.parent in spans else replace(one, parent="")
        for one in spans.values()
    }
    settled: set[str] = set()
    for start in cut:
        way: dict[str, None] = {}
        here = start
        while here and here not in settled and here not in way:
            way[here] = None
            here = cut[here].parent
        if here in way:
            cut[here] = replace(cut[here], parent="")
        settled |= way.keys()
    return cut


def _sighting(span: Span, spans: Mapping[str, Span]) -> clock.Sighting:
    caller = spans.get(span.parent)
    return clock.Sighting(
        caller=caller.host if caller else span.host,
        callee=span.host,
        asked=caller.begin if caller else span.begin,
        answered=caller.end if caller and caller.whole else None,
        begin=span.begin,
        end=span.end if span.whole and span.category == names.REST else None,
    )


def _children(spans: Iterable[Span]) -> dict[str, tuple[str, ...]]:
    below: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        below[span.parent].append(span)
    return {
        parent: tuple(one.id for one in sorted(several, key=_when))
        for parent, several in below.items()
    }


def _when(span: Span) -> tuple[float, float, str]:
    return span.begin, span.end, span.id


def _filled(
    spans: Mapping[str, Span], children: Mapping[str, Sequence[str]]
) -> dict[str, Span]:
    """Return the spans; those with a point missing reach around what they called."""
    filled: dict[str, Span] = {}
    for one in _callees_first(children):
        span = spans[one]
        below = [filled[other] for other in children.get(one, ())]
        if not span.whole and below:
            begin = min(span.begin, *(other.begin for other in below))
            end = max(span.end, *(other.end for other in below))
            span = replace(span, begin=begin, end=end)
        filled[one] = span
    return filled


def _callees_first(children: Mapping[str, Sequence[str]]) -> Iterator[str]:
    order = [""]
    for one in order:
        order += children.get(one, ())
    return reversed(order[1:])


def _answered(spans: Iterable[Span]) -> float:
    several = tuple(spans)
    requests = [
        one.end for one in several if not one.parent and one.category == names.REST
    ]
    return max(requests or [one.end for one in several], default=0.0)


def _reach(
    spans: Mapping[str, Span], children: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    answered = _answered(spans.values())
    reach: dict[str, float] = {}
    for one in _callees_first(children):
        limit = min(answered, _calls_until(spans[one], spans))
        below = (
            reach[other]
            for other in children.get(one, ())
            if spans[other].begin <= limit
        )
        reach[one] = max(spans[one].end, *below, 0.0)
    return reach


def _calls_until(span: Span, spans: Mapping[str, Span]) -> float:
    """Return when a span can have called the last thing that is named its own."""
    caller = spans.get(span.parent)
    serves = span.category == names.RPC and (
        caller is None or caller.service != span.service
    )
    return math.inf if serves else span.end + ON_ITS_WAY
