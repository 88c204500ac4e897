"""The critical path: what, made faster, would have made the whole faster. Pure.

Walked backwards from the end: at each moment the span that ended last before it is what
was being waited for. A cast outlives its caller; it then belongs to the first
span around it that ended after it, if any, as nobody else was waiting for it.
"""

from collections import defaultdict
from dataclasses import dataclass

from enos.traces.tree import Span, Tree

ROUNDING = 1e-6  # seconds: points have microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of the path.

    Attributes:
        span: id of what was under way, empty for the client or nobody known.

    """

    span: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """Return its length."""
        return self.end - self.begin


def path(tree: Tree) -> tuple[Segment, ...]:
    """Return the segments, which cover the whole time of the trace in order."""
    below = _waited_for(tree)
    found: list[Segment] = []
    ahead = [("", 0.0, tree.seconds)]
    while ahead:
        owner, begin, end = ahead.pop()
        now, callers = end, frozenset[str]()
        for child in sorted(below[owner], key=lambda one: -one.end):
            late = child.end > now + ROUNDING and child.id not in callers
            if late or child.end <= begin or child.begin >= now:
                continue
            _add(found, owner, child.end, now)
            ahead.append((child.id, max(child.begin, begin), min(child.end, now)))
            now, callers = max(child.begin, begin), _callers(tree, child)
        _add(found, owner, begin, now)
    return tuple(sorted(found, key=lambda one: one.begin))


def _callers(tree: Tree, span: Span) -> frozenset[str]:
    """Return those on whose behalf a span began, though they may have ended later."""
    found = []
    while span.parent:
        found.append(span.parent)
        span = tree.spans[span.parent]
    return frozenset(found)


def _add(found: list[Segment], owner: str, begin: float, end: float) -> None:
    if end - begin > ROUNDING:
        found.append(Segment(span=owner, begin=begin, end=end))


def _waited_for(tree: Tree) -> dict[str, list[Span]]:
    below: dict[str, list[Span]] = defaultdict(list)
    for span in tree.spans.values():
        around = tree.spans.get(span.parent)
        while around and around.end + ROUNDING < span.end:
            around = tree.spans.get(around.parent)
        below[around.id if around else ""].append(span)
    return below
