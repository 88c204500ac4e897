"""How often and how long: the spans of traces summed up. Pure."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from enos.traces.names import CATEGORIES
from enos.traces.tree import Span, Tree

Key = Callable[[Span], tuple[str, ...]]
COLUMNS = ("scenario", "iteration", "metric", "value", "unit", "ok")
"""As in `results.csv`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Spans that are alike, over several traces.

    Attributes:
        key: what they have in common.
        calls: how many in all.
        seconds: sum of what their points say; spans within spans count in both.
        own: sum of the time in which nothing they called was under way, threads that
            went on after their end included.
        errors: how many ended with an exception.

    """

    key: tuple[str, ...]
    calls: int
    seconds: float
    own: float
    errors: int = 0


def by_service(span: Span) -> tuple[str, ...]:
    """Return service and category."""
    return span.service, span.category


def by_operation(span: Span) -> tuple[str, ...]:
    """Return service, category and operation."""
    return span.service, span.category, span.operation


def summed(trees: Iterable[Tree], key: Key = by_service) -> tuple[Row, ...]:
    """Return a row for each group of spans, the longest own time first."""
    groups: dict[tuple[str, ...], list[tuple[float, float, bool]]] = {}
    for tree in trees:
        for span in tree.spans.values():
            one = (span.seconds, tree.own(span), bool(span.error))
            groups.setdefault(key(span), []).append(one)
    rows = (
        Row(
            key=group,
            calls=len(several),
            seconds=sum(seconds for seconds, _, _ in several),
            own=sum(own for _, own, _ in several),
            errors=sum(failed for _, _, failed in several),
        )
        for group, several in groups.items()
    )
    return tuple(sorted(rows, key=lambda row: (-row.own, row.key)))


def tidy(
    scenario: str, trees: Sequence[Tree]
) -> Iterator[tuple[str, int, str, float, str, int]]:
    """Yield rows of COLUMNS: calls and own seconds by category, for each iteration."""
    for tree in trees:
        whole = int(not tree.broken)
        rows = {row.key[0]: row for row in summed([tree], lambda one: (one.category,))}
        for name in CATEGORIES:
            row = rows.get(name)
            calls, own = (row.calls, row.own) if row else (0, 0.0)
            yield scenario, tree.iteration, f"{name} calls", float(calls), "", whole
            yield scenario, tree.iteration, f"{name} time", round(own, 6), "s", whole


def as_csv(rows: Iterable[Sequence[str | float]]) -> str:
    """Return tidy rows as CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return out.getvalue()
