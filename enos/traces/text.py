"""Traces as text for a terminal. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from enos.traces.compare import Growth, Side
from enos.traces.critical import path
from enos.traces.crossings import Lab, crossings
from enos.traces.tables import by_operation, summed
from enos.traces.tree import Tree

MOST = 12
"""Rows shown of a table that may have hundreds."""

Cells = Sequence[str]


def aligned(head: Cells, rows: Iterable[Cells], left: int) -> str:
    """Return a table; its last `left` columns are words, those before figures."""
    table = [tuple(head), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    first = len(head) - left
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at >= first else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def report(name: str, trees: Sequence[Tree], lab: Lab) -> str:
    """Return what traces of one scenario come to: services, path, crossings."""
    parts = [heading(name, trees), services(trees), waits(trees), links(trees, lab)]
    return "\n\n".join(filter(None, parts))


def heading(name: str, trees: Sequence[Tree]) -> str:
    """Return how many traces and spans there are, and what is wrong with them."""
    spans = sum(len(tree.spans) for tree in trees)
    mean = sum(tree.seconds for tree in trees) / len(trees)
    each = ", 1 trace" if len(trees) == 1 else f", {len(trees)} traces"
    told = [f"{name}{each}: {spans} spans, {mean:.3f} s until the last answer"]
    if broken := sum(tree.broken for tree in trees):
        told.append(f"{broken} spans lack their beginning or their end")
    shifts = {host: shift for tree in trees for host, shift in tree.shifts.items()}
    told += [
        f"clock of {host} put right by {shift * 1000:+.3f} ms"
        for host, shift in sorted(shifts.items())
    ]
    return "\n".join(told)


def services(trees: Sequence[Tree]) -> str:
    """Return the table of services and categories, figures per trace."""
    count = len(trees)
    rows = [
        (
            f"{row.calls / count:.1f}",
            _ms(row.own / count),
            _ms(row.seconds / count),
            str(row.errors),
            *row.key,
        )
        for row in summed(trees)
    ]
    head = ("calls", "own ms", "span ms", "errors", "service", "kind")
    return "per trace\n" + aligned(head, rows, 2)


def waits(trees: Sequence[Tree]) -> str:
    """Return what the critical paths are made of, figures per trace."""
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for tree in trees:
        for one in path(tree):
            span = tree.spans.get(one.span)
            key = (span.service, span.operation) if span else ("client", "between")
            seconds[key] += one.seconds
    whole = sum(seconds.values()) or 1.0
    longest = Counter(seconds).most_common(MOST)
    rows = [
        (_ms(took / len(trees)), f"{100 * took / whole:.0f} %", *key)
        for key, took in longest
    ]
    return "critical path\n" + aligned(("ms", "share", "service", "operation"), rows, 2)


def links(trees: Sequence[Tree], lab: Lab) -> str:
    """Return the calls between hosts, figures per trace; empty when there are none."""
    count = len(trees)
    rows = [
        (
            f"{one.calls / count:.1f}",
            f"{one.round_trips / count:.1f}",
            _ms(one.round_trips * one.rtt / count),
            f"{one.source} > {one.target}",
            one.service,
            one.operation,
        )
        for one in crossings(trees, lab)[:MOST]
    ]
    head = ("calls", "round trips", "added ms", "way", "service", "operation")
    return "between hosts\n" + aligned(head, rows, 3) if rows else ""


def spans(tree: Tree) -> str:
    """Return every span, callees below their callers."""
    rows = [
        (
            _ms(span.begin),
            _ms(span.seconds),
            _ms(tree.own(span)),
            span.host,
            span.service,
            "  " * depth + span.operation + (f" ! {span.error}" if span.error else ""),
        )
        for depth, span in tree.walk()
    ]
    head = ("at ms", "ms", "own ms", "host", "service", "operation")
    return f"trace {tree.trace}\n" + aligned(head, rows, 3)


def difference(before: Side, after: Side, rows: Sequence[Growth]) -> str:
    """Return which calls grew; those that vary as much by themselves are left out."""
    mean = before.seconds, after.seconds
    told = (
        f"a trace took {mean[0]:.3f} s, now {mean[1]:.3f} s"
        f" ({(mean[1] - mean[0]) * 1000:+.0f} ms)"
    )
    if sending := sum(row.sending for row in rows):
        told += (
            f"\nsending trace points took {sending * 1000:+.0f} ms of it, in all"
            " threads; left out below"
        )
    sure = [row for row in rows if row.sure]
    if not sure:
        return f"{told}\nno call changed by more than it varies from trace to trace"
    shown = [row for row in sure if row.seconds > 0][:MOST]
    shown += [row for row in sure if row.seconds < 0][-MOST:]
    head = ("grew ms", "round trips", "own ms", "calls", "service", "operation")
    return told + "\n" + aligned(head, map(_grown, shown), 2)


def _grown(row: Growth) -> Cells:
    return (
        f"{row.seconds * 1000:+.1f}",
        "" if row.round_trips is None else f"{row.round_trips:.1f}",
        f"{_ms(row.own[0])} > {_ms(row.own[1])}",
        f"{row.calls[0]:.1f} > {row.calls[1]:.1f}",
        row.service,
        f"{row.operation}, before {row.before}" if row.before else row.operation,
    )


def as_json(
    name: str, trees: Sequence[Tree], lab: Lab, *, every: bool = False
) -> dict[str, Any]:
    """Return the same as JSON values, every row of every table; sums, not means.

    With `every`, each trace has its spans, callers before what they call.
    """
    return {
        "scenario": name,
        "traces": [
            {
                "id": tree.trace,
                "iteration": tree.iteration,
                "spans": len(tree.spans),
                "broken": tree.broken,
                "seconds": tree.seconds,
                "shifts": dict(tree.shifts),
                "critical_path": [asdict(one) for one in path(tree)],
                **({"tree": _spans(tree)} if every else {}),
            }
            for tree in trees
        ],
        "services": [asdict(row) for row in summed(trees)],
        "operations": [asdict(row) for row in summed(trees, by_operation)],
        "crossings": [asdict(row) for row in crossings(trees, lab)],
    }


def _spans(tree: Tree) -> list[dict[str, Any]]:
    return [
        {**asdict(span), "operation": span.operation, "own": tree.own(span)}
        for _, span in tree.walk()
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
