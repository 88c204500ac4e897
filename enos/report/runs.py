"""A benchmark run as its results tell it: scenarios, measures, events, gaps. Pure."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

from enos.report.timeline import Line, Plot

T = TypeVar("T")
Event = dict[str, Any]
_LATEST = 1e11  # the year 5138: sums of two moments can still be told as a date
_FOLDER = re.compile(r"bench-[0-9-]{10}T(?P<time>[0-9-]{8})-(?P<workload>.+)")


def number(value: object) -> float:
    """Return a JSON value as a number that can be drawn; raises ValueError.

    >>> number(2), number("0.5")
    (2.0, 0.5)
    """
    found = float(str(value)) if not isinstance(value, float) else value
    if not isfinite(found):
        raise ValueError(f"{found} is no figure")
    return found


def moment(value: object) -> float:
    """Return seconds since the epoch, or as many; raises ValueError."""
    found = number(value)
    if not 0 <= found < _LATEST:
        raise ValueError(f"{found} is no time")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What came of a scenario.

    Attributes:
        spans: begin and end of each iteration, and whether it passed.
        slas: criterion and whether it was met.

    """

    name: str
    plugin: str
    ok: bool
    verdict: str
    durations: tuple[float, ...]
    spans: tuple[tuple[float, float, bool], ...]
    slas: tuple[tuple[str, bool], ...]
    began: float
    seconds: float

    @property
    def passed(self) -> tuple[bool, ...]:
        """Tell of each iteration whether it passed; unknown ones are taken as such."""
        known = tuple(ok for *_, ok in self.spans)
        return known or (True,) * len(self.durations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The values of a metric, of the rows of ``results.csv`` that passed.

    Attributes:
        scenario: or ``scenario: test`` for one of several tests in it.

    """

    scenario: str
    metric: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A workload that was run once.

    Attributes:
        name: of its folder, ``bench-2026-11-21T16-42-18-demo``.
        samples: whatever was measured but the durations of iterations.
        plots: measures of the machines, as finely as they were taken.
        unmeasured: what those measures lack, a line each.

    """

    name: str
    scenarios: tuple[Scenario, ...]
    samples: tuple[Sample, ...] = ()
    events: tuple[Event, ...] = ()
    plots: tuple[Plot, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Return the workload and when it began, as the folder's name tells."""
        match = _FOLDER.fullmatch(self.name)
        if match is None:
            return self.name
        return f"{match['workload']}, {match['time'].replace('-', ':')}"

    @property
    def actions(self) -> tuple[Sample, ...]:
        """Return the samples of parts of iterations."""
        return tuple(one for one in self.samples if one.scenario in self._iterated)

    @property
    def figures(self) -> tuple[Sample, ...]:
        """Return the samples that are a scenario's whole result, such as a rate."""
        return tuple(one for one in self.samples if one.scenario not in self._iterated)

    @property
    def _iterated(self) -> frozenset[str]:
        return frozenset(one.name for one in self.scenarios if one.durations)


def read_run(
    name: str, reading: Callable[[str, Callable[[str], tuple[T, ...]]], tuple[T, ...]]
) -> Run:
    """Return a run.

    Args:
        name: of its folder below results.
        reading: path and reader to what the reader makes of the file, or to nothing.

    """
    folder = f"results/{name}"
    read: Callable[[str, Callable[[str], Any]], Any] = reading
    return Run(
        name=name,
        scenarios=read(f"{folder}/results.json", _scenarios),
        samples=read(f"{folder}/results.csv", _samples),
        events=read(f"{folder}/events.json", _events),
        plots=read(f"{folder}/measures.json", plots_of),
        unmeasured=read(f"{folder}/metrics.json", _unmeasured),
    )


def plots_of(text: str) -> tuple[Plot, ...]:
    """Return lanes of measures from the file they were kept in."""
    return tuple(
        Plot(
            title=str(one["title"]),
            unit=str(one["unit"]),
            lines=tuple(_line(line) for line in one["lines"]),
        )
        for one in json.loads(text)
    )


def _line(plain: Mapping[str, Any]) -> Line:
    points = tuple((moment(at), number(value)) for at, value in plain["points"])
    return Line(label=str(plain["label"]), points=points)


def _scenarios(text: str) -> tuple[Scenario, ...]:
    return tuple(_scenario(one) for one in json.loads(text))


def _scenario(plain: Mapping[str, Any]) -> Scenario:
    spans = plain.get("spans", ())
    return Scenario(
        **{key: str(plain[key]) for key in ("name", "plugin", "verdict")},
        ok=bool(plain["ok"]),
        durations=tuple(map(number, plain["durations"])),
        spans=tuple((moment(a), moment(b), bool(ok)) for a, b, ok in spans),
        slas=tuple((str(one["criterion"]), bool(one["ok"])) for one in plain["slas"]),
        began=moment(plain.get("began", 0.0)),
        seconds=moment(plain.get("seconds", 0.0)),
    )


def _samples(text: str) -> tuple[Sample, ...]:
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        if row["metric"] != "duration" and row["ok"] == "1":
            key = (row["scenario"], row["metric"], row["unit"])
            found.setdefault(key, []).append(number(row["value"]))
    return tuple(
        Sample(scenario=scenario, metric=metric, unit=unit, values=tuple(values))
        for (scenario, metric, unit), values in found.items()
    )


def _events(text: str) -> tuple[Event, ...]:
    return tuple(_event(event) for event in json.loads(text))


def _event(plain: Mapping[str, Any]) -> Event:
    times = {
        name: None if plain.get(name) is None else moment(plain[name])
        for name in ("at", "ended")
    }
    texts = {name: str(plain.get(name) or "") for name in ("what", "kind")}
    hosts = tuple(map(str, plain.get("hosts") or ()))
    return {**texts, **times, "hosts": hosts, "ok": bool(plain.get("ok", True))}


def _unmeasured(text: str) -> tuple[str, ...]:
    found = json.loads(text)
    problem = [str(found["problem"])] if found.get("problem") else []
    lost = (f"{gap['host']}: {number(gap['seconds']):.0f} s" for gap in found["gaps"])
    return (*problem, *lost)
