"""What pages draw of the measures, kept as files: a database goes with its machine."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from enos.metrics.series import Database, query
from enos.report import lanes
from enos.report.chronicle import span_of
from enos.report.readings import read
from enos.report.timeline import Plot, Span
from enos.state.directory import write_atomically

FILE = "measures.json"
POINTS = 1000
"""Means of a measure that are kept for a page."""


def ask(
    database: Database,
    span: Span,
    interval: float,
    wishes: Sequence[lanes.Wanted] = lanes.USUAL,
) -> tuple[Plot, ...]:
    """Return lanes of what was measured in a span of time, as means over equal parts.

    Args:
        database: that has the measures.
        span: epoch seconds.
        interval: seconds between two samples; parts are no shorter.
        wishes: which lanes.

    Raises:
        MonitoringError: the database does not answer.

    """
    begin, end = span
    several = query(
        database,
        measures=[lane.measure for lane in wishes],
        begin=begin,
        end=end,
        every=max(interval, (end - begin) / POINTS),
    )
    return lanes.plots(several, wishes)


def keep(database: Database, folder: Path, span: Span, interval: float) -> None:
    """Keep the usual lanes of a span in a folder; raises MonitoringError as `ask`."""
    text = json.dumps([asdict(plot) for plot in ask(database, span, interval)])
    write_atomically(folder / FILE, text)


def lacking(results: Path) -> Iterator[tuple[Path, Span]]:
    """Yield folder and time of the runs whose measures were not all there at their end.

    What agents could not send then may have come since.
    """
    for file in sorted(results.glob("*/results.json")):
        folder = file.parent
        if (folder / FILE).exists() and _whole(folder):
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        for run in read({f"results/{folder.name}/{file.name}": text}).runs:
            if span := span_of(run):
                yield folder, span


def _whole(folder: Path) -> bool:
    """Tell whether the run was measured all along, as `metrics.json` says."""
    try:
        told = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("ok") is True
