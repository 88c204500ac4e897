"""Two sets of traces: which calls take longer, and by how many round trips. Pure.

Own time is compared, cut into pieces by what was called next: the ways to and from
another host are in it, so that what grew is named once, where it is waited for.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from enos.traces.crossings import Lab
from enos.traces.tables import by_operation
from enos.traces.tree import Tree

DOUBT = 2.0
"""Standard errors by which a difference must stand out."""

LEAST = 0.001
"""Seconds per trace below which nothing is called grown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two sets."""

    trees: Sequence[Tree]
    lab: Lab

    @property
    def seconds(self) -> float:
        """Return the mean time of a trace, its first point to its last."""
        return statistics.fmean(tree.seconds for tree in self.trees)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How the spans that do the same thing changed; all figures are per trace.

    Attributes:
        before: what was called next, after the time that is compared; empty at the end.
        calls: before and after.
        own: seconds without what they called, before and after.
        sending: how much of the difference was the sending of trace points.
        doubt: standard error of the difference, infinite with a single trace.
        round_trips: the difference in round trips, when those grew from where it ran.

    """

    service: str
    category: str
    operation: str
    before: str
    calls: tuple[float, float]
    own: tuple[float, float]
    sending: float
    doubt: float
    round_trips: float | None = None

    @property
    def seconds(self) -> float:
        """Return by how much it grew, the sending of trace points left out."""
        return self.own[1] - self.own[0] - self.sending

    @property
    def sure(self) -> bool:
        """Tell whether it changed by more than it varies from trace to trace."""
        return abs(self.seconds) > max(DOUBT * self.doubt, LEAST)


def grown(before: Side, after: Side) -> tuple[Growth, ...]:
    """Return every operation of either side, the one that grew the most first."""
    old, new = _measured(before), _measured(after)
    rows = [
        _growth(key, old.get(key), new.get(key), before, after)
        for key in dict.fromkeys((*old, *new))
    ]
    return tuple(sorted(rows, key=lambda row: -row.seconds))


@dataclass(slots=True, kw_only=True)
class _Measured:
    own: list[float]
    sending: float = 0.0
    calls: int
    hosts: set[str]


def _measured(side: Side) -> dict[tuple[str, ...], _Measured]:
    trees = side.trees
    found: dict[tuple[str, ...], _Measured] = {}
    for number, tree in enumerate(trees):
        for span in tree.spans.values():
            sender = span.host  # of the point that was sent last before the time
            for begin, end, ahead in tree.gaps(span):
                key = (*by_operation(span), ahead.operation if ahead else "")
                if key not in found:
                    found[key] = _Measured(own=[0.0] * len(trees), calls=0, hosts=set())
                one = found[key]
                one.own[number] += end - begin
                one.sending += side.lab.sending(sender)
                one.calls += 1
                one.hosts |= _far(
                    {span.host, sender, ahead.host if ahead else sender}, side
                )
                sender = ahead.host if ahead else sender
    return found


def _far(hosts: set[str], side: Side) -> set[str]:
    """Return the hosts that anything may have been sent to or from on a long way.

    Everybody sends to the host of the database, the broker and the APIs.
    """
    return hosts - {side.lab.database}


def _growth(
    key: tuple[str, ...],
    old: _Measured | None,
    new: _Measured | None,
    before: Side,
    after: Side,
) -> Growth:
    service, category, operation, ahead = key
    first = old.own if old else [0.0] * len(before.trees)
    second = new.own if new else [0.0] * len(after.trees)
    hosts = {host for one in (old, new) if one for host in one.hosts}
    way = after.lab.farthest(hosts, before.lab)
    own = statistics.fmean(first), statistics.fmean(second)
    sent = [
        one.sending / len(side.trees) if one else 0.0
        for one, side in ((old, before), (new, after))
    ]
    sending = sent[1] - sent[0]
    return Growth(
        service=service,
        category=category,
        operation=operation,
        before=ahead,
        calls=(
            (old.calls if old else 0) / len(first),
            (new.calls if new else 0) / len(second),
        ),
        own=own,
        sending=sending,
        doubt=math.hypot(_error(first), _error(second)),
        round_trips=(own[1] - own[0] - sending) / way if way > 0 else None,
    )


def _error(values: Sequence[float]) -> float:
    if len(values) < 2:  # noqa: PLR2004 - no spread of one value
        return math.inf
    return statistics.stdev(values) / math.sqrt(len(values))
