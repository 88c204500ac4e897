"""From reports to verdicts and tidy rows, Rally's read here. Pure.

The report is what `rally task report --json` writes: tasks → subtasks → workloads →
`data`, an entry for each iteration with its duration, errors and atomic actions.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from enos.bench.measure import Measure

COLUMNS = ("scenario", "iteration", "metric", "value", "unit", "ok")
_LONGEST = 300  # characters of an error kept in summaries


@dataclass(frozen=True, slots=True, kw_only=True)
class Sla:
    """A criterion of a task and whether it was met."""

    criterion: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """One execution of a scenario.

    Attributes:
        seconds: idle time left out.
        began: seconds since the epoch, by the bench host's clock; likewise `ended`,
            idle time included.
        actions: atomic action → seconds, of repeated ones the sum.
        error: of Rally, empty when it passed.

    """

    seconds: float
    began: float = 0.0
    ended: float = 0.0
    actions: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """What came of one run of a workload.

    Attributes:
        name: the run's, with the arguments that tell it from its siblings.
        plugin: Rally's name of the scenario, ``NovaServers.boot_and_delete_server``.
        iterations: in the order they started.
        slas: criteria of the task.
        error: why the task as a whole failed (invalid, no credentials), or empty.
        seconds: of the whole task, contexts included.
        began: when the task did, seconds since the epoch.
        traces: how many iterations there is a trace of.
        trace_gap: why there is not one of each, when they were asked for.
        measures: of Shaker, what its tests measured.
        faults: of Shaker, what gave no measure, in words.

    """

    name: str
    key: str
    args: Mapping[str, Any]
    plugin: str = ""
    iterations: tuple[Iteration, ...] = ()
    slas: tuple[Sla, ...] = ()
    error: str = ""
    seconds: float = 0.0
    began: float = 0.0
    traces: int = 0
    trace_gap: str = ""
    measures: tuple[Measure, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """Return how many iterations failed."""
        return sum(1 for one in self.iterations if one.error)

    @property
    def ok(self) -> bool:
        """Tell whether it ran, no iteration failed and every criterion was met."""
        ran = bool(self.iterations or self.measures) and not self.error
        whole = ran and not self.failed and not self.faults
        return whole and all(sla.ok for sla in self.slas)

    @property
    def mean(self) -> float | None:
        """Return the mean duration of the iterations that passed, in seconds."""
        passed = [one.seconds for one in self.iterations if not one.error]
        return sum(passed) / len(passed) if passed else None

    @property
    def verdict(self) -> str:
        """Return the outcome in one line, without the name."""
        if self.error:
            return f"did not run: {_reason(self.error)}"
        if self.measures or self.faults:
            return self._traffic
        total = len(self.iterations)
        if not total:
            return "ran no iteration"
        missed = [sla.criterion for sla in self.slas if not sla.ok]
        parts = [f"{total - self.failed} of {total} iterations passed"]
        if self.mean is not None:
            parts.append(f"mean {self.mean:.1f} s")
        if missed:
            parts.append(f"SLA missed: {', '.join(missed)}")
        errors = list(dict.fromkeys(one.error for one in self.iterations if one.error))
        if errors:
            parts.append(_first_line(errors[0]))
        if self.trace_gap:
            parts.append(f"traces are missing: {_first_line(self.trace_gap)}")
        return ", ".join(parts)

    @property
    def _traffic(self) -> str:
        tests = dict.fromkeys(one.test for one in self.measures)
        parts = [f"{len(tests)} test{'s' * (len(tests) != 1)} gave figures"]
        missed = [sla.criterion for sla in self.slas if not sla.ok]
        if missed:
            parts.append(f"SLA missed: {', '.join(missed)}")
        return "; ".join((*parts, *map(_first_line, self.faults)))


def parsed(
    report: Mapping[str, Any],
    *,
    name: str,
    key: str,
    args: Mapping[str, Any],
    seconds: float = 0.0,
) -> ScenarioResult:
    """Return the result in a report on one task; several workloads are joined."""
    workloads = [
        workload
        for task in report.get("tasks", ())
        for subtask in task.get("subtasks", ())
        for workload in subtask.get("workloads", ())
    ]
    iterations = [
        _iteration(one)
        for workload in workloads
        for one in sorted(workload.get("data") or (), key=_began)
    ]
    names = dict.fromkeys(_plugin(workload) for workload in workloads)
    return ScenarioResult(
        name=name,
        key=key,
        args=args,
        plugin=", ".join(filter(None, names)),
        iterations=tuple(iterations),
        slas=tuple(sla for workload in workloads for sla in _slas(workload)),
        seconds=seconds,
    )


def rows(results: Iterable[ScenarioResult]) -> Iterator[tuple[str | float | bool, ...]]:
    """Yield a tidy row, of COLUMNS, for each measured value.

    `iteration` counts from 1; metrics are ``duration`` and the atomic actions.
    """
    for result in results:
        for number, one in enumerate(result.iterations, 1):
            ok = not one.error
            yield (result.name, number, "duration", one.seconds, "s", ok)
            for action, seconds in one.actions.items():
                yield (result.name, number, action, seconds, "s", ok)
        for measure in result.measures:
            name = f"{result.name}: {measure.label}"
            for number, value in enumerate(measure.values, 1):
                yield (name, number, measure.metric, value, measure.unit, True)


def as_csv(results: Iterable[ScenarioResult]) -> str:
    """Return the rows as CSV with a header; `ok` is 1 or 0."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for *values, ok in rows(results):
        writer.writerow([*values, int(bool(ok))])
    return out.getvalue()


def summary(results: Iterable[ScenarioResult]) -> list[dict[str, Any]]:
    """Return the results as JSON values, iterations reduced to numbers."""
    listed = []
    for result in results:
        plain = asdict(result)
        plain.pop("iterations")
        plain["measures"] = [_told(one) for one in result.measures]
        plain |= {
            "ok": result.ok,
            "verdict": result.verdict,
            "iterations": len(result.iterations),
            "failed": result.failed,
            "mean": result.mean,
            "durations": [one.seconds for one in result.iterations],
            "spans": [
                [one.began, one.ended, not one.error] for one in result.iterations
            ],
            "errors": [one.error for one in result.iterations if one.error],
        }
        listed.append(plain)
    return listed


def _told(measure: Measure) -> dict[str, Any]:
    plain = asdict(measure)
    plain.pop("values")
    return plain | dict(measure.statistics)


def _iteration(plain: Mapping[str, Any]) -> Iteration:
    error = plain.get("error") or ()
    words = ": ".join(str(part).strip() for part in error[:2])
    actions: dict[str, float] = {}
    for action in plain.get("atomic_actions", ()):
        took = float(action["finished_at"]) - float(action["started_at"])
        name = str(action["name"])
        actions[name] = round(actions.get(name, 0.0) + took, 6)
    duration, began = float(plain.get("duration") or 0.0), _began(plain)
    idle = float(plain.get("idle_duration") or 0.0)
    return Iteration(
        seconds=round(duration, 6),
        began=round(began, 3),
        ended=round(began + duration + idle, 3),
        actions=actions,
        error=words[:_LONGEST],
    )


def _slas(workload: Mapping[str, Any]) -> Iterator[Sla]:
    for one in (workload.get("sla_results") or {}).get("sla", ()):
        yield Sla(
            criterion=str(one["criterion"]),
            ok=bool(one["success"]),
            detail=str(one.get("detail", "")),
        )


def _plugin(workload: Mapping[str, Any]) -> str:
    scenario = workload.get("scenario") or {}
    return str(next(iter(scenario), ""))


def _began(plain: Mapping[str, Any]) -> float:
    return float(plain.get("timestamp") or 0.0)


def _reason(error: str) -> str:
    r"""Return the line that says why; Rally puts the whole task before it.

    >>> _reason("InvalidTaskConfig: no!\n{...}\nReason(s):\n Image 'x' not found")
    "Image 'x' not found"
    """
    _, found, after = error.partition("Reason(s):")
    return _first_line(after if found else error)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines() or [""]
    return lines[0][:_LONGEST]
