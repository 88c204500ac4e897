"""The critical path: what, made faster, would have made the whole faster. Pure.

Walked backwards from the client's last answer: at each moment, of what the client had
called that which goes on the longest, and of what that had called the same again.
"""

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
    """Return the segments, which cover the time until the last answer in order."""
    found: list[Segment] = []
    ahead = [("", 0.0, tree.seconds)]
    while ahead:
        owner, begin, now = ahead.pop()
        under = list(tree.under(owner))
        while now > begin and (child := _longest(tree, under, begin, now)):
            end = min(tree.reach[child.id], now)
            _add(found, owner, end, now)
            now = max(child.begin, begin)
            ahead.append((child.id, now, end))
        _add(found, owner, begin, now)
    return tuple(sorted(found, key=lambda one: one.begin))


def _longest(tree: Tree, under: list[Span], begin: float, now: float) -> Span | None:
    """Return, of what began before a moment, what went on the longest until it."""
    under[:] = [one for one in under if one.begin < now - ROUNDING]
    reaching = [one for one in under if tree.reach[one.id] > begin + ROUNDING]
    if not reaching:
        return None
    return max(reaching, key=lambda one: (min(tree.reach[one.id], now), one.begin))


def _add(found: list[Segment], owner: str, begin: float, end: float) -> None:
    if end - begin > ROUNDING:
        found.append(Segment(span=owner, begin=begin, end=end))
