"""From the journal and the results of benchmarks to lanes of a time line. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from enos.report.effects import MENDING, undone
from enos.report.readings import Readings
from enos.report.runs import Event, Run, Scenario
from enos.report.timeline import (
    Bar,
    Bars,
    Lane,
    Mark,
    Span,
    Timeline,
    Window,
    packed,
)

SHORTEST = 1.0
"""Seconds below which a step of a phase is not drawn; the journal has them all."""

MARGIN = 0.03
"""Share of a run that is shown before and after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A change of the network or of a machine during a run.

    Attributes:
        mends: it undoes another, whose bar ends with it: a mark is enough.

    """

    start: float
    end: float
    label: str
    ok: bool = True
    mends: bool = False


def timeline(
    readings: Readings,
    title: str,
    *,
    run: str = "",
    happened: Iterable[Happened] = (),
    plots: Iterable[Lane] = (),
) -> Timeline | None:
    """Return the time line of an experiment, None when nothing ever happened in it.

    Args:
        readings: of `enos.report.readings.read`.
        title: of the experiment.
        run: the benchmark run that is shown at first, empty for everything.
        happened: changes of the network and the machines beside those of the runs.
        plots: lanes of measures, drawn below the others.

    """
    groups = _groups(readings)
    inside = (c for one in readings.runs for c in changes(one.events, groups))
    changed = (*inside, *happened)
    lanes = (
        *_phase_lane(readings.journal),
        *(lane for one in readings.runs for lane in run_lanes(one)),
        *_event_lane(changed),
    )
    ends = _ends(lanes)
    if not ends:
        return None
    chosen = next((one.label for one in readings.runs if one.name == run), "")
    windows = _windows(readings)
    return Timeline(
        title=title,
        span=(min(ends), max(ends)),
        lanes=(*lanes, *plots),
        marks=_marks(changed),
        windows=windows,
        shown=next((one.span for one in windows if one.label == chosen), None),
    )


def run_timeline(readings: Readings, run: Run) -> Timeline | None:
    """Return the time line of one run, its measures below what caused them.

    None when nothing was measured of it, or when it was cut short.
    """
    span = span_of(run)
    if span is None or not run.plots:
        return None
    changed = changes(run.events, _groups(readings))
    lanes = (*run_lanes(run), *_event_lane(changed))
    ends = _ends(lanes)
    return Timeline(
        title=run.label,
        span=_wide(min(ends), max(ends)),
        lanes=(*lanes, *run.plots),
        marks=_marks(changed),
        windows=tuple(
            Window(label=one.name, span=_wide(one.began, one.began + one.seconds))
            for one in run.scenarios
            if one.began
        ),
    )


def _groups(readings: Readings) -> tuple[str, ...]:
    """Return the groups of the experiment, each once, in the order of its file."""
    machines = readings.resolved.get("demand", {}).get("machines", ())
    return tuple(dict.fromkeys(str(one.get("group", "")) for one in machines))


def _marks(changed: Iterable[Happened]) -> tuple[Mark, ...]:
    return tuple(Mark(at=one.start, label=one.label, ok=one.ok) for one in changed)


def _phase_lane(journal: tuple[Event, ...]) -> tuple[Bars, ...]:
    phases = phase_bars(journal)
    rows = (*packed(phases), *packed(step_bars(journal)))
    return (Bars(title="Phases", rows=rows),) if phases else ()


def _event_lane(changed: Iterable[Happened]) -> tuple[Bars, ...]:
    rows = packed(_change(one) for one in changed if not (one.mends and one.ok))
    return (Bars(title="Events", rows=rows),) if rows else ()


def _windows(readings: Readings) -> tuple[Window, ...]:
    """Return a window for each phase, of several the last, and for each run."""
    spans = {bar.label: (bar.start, bar.end) for bar in phase_bars(readings.journal)}
    spans |= {one.label: span for one in readings.runs if (span := span_of(one))}
    return tuple(
        Window(label=label, span=_wide(*span)) for label, span in spans.items()
    )


def changes(
    events: Iterable[Event], groups: Collection[str] = ()
) -> tuple[Happened, ...]:
    """Return what events did to the network and the machines, and for how long.

    The effect of one lasts until others have undone all of it; what undoes is a moment.
    Events are those of a run's ``events.json``; one that was never reached is left out.
    """
    begun = sorted((one for one in events if one.get("at")), key=_at)
    return tuple(
        Happened(
            start=_at(one),
            end=_end(one, begun[number:], groups),
            label=str(one["what"]),
            ok=bool(one.get("ok", True)),
            mends=str(one.get("kind")) in MENDING,
        )
        for number, one in enumerate(begun, 1)
    )


def _end(one: Event, later: Iterable[Event], groups: Collection[str]) -> float:
    done = float(one.get("ended") or _at(one))
    other = undone(one, later, groups)
    return max(done, _at(other)) if other else done


def _at(event: Event) -> float:
    return float(event["at"])


def phase_bars(journal: Iterable[Event]) -> tuple[Bar, ...]:
    """Return a bar for each phase; one that was killed lasts to its last event."""
    bars: list[Bar] = []
    begun: Event | None = None
    last = 0.0
    for event in journal:
        if event["kind"] == "phase":
            if begun is not None:
                bars.append(_phase(begun, event, last))
            begun = event if event.get("status") == "started" else None
        last = event["time"]
    if begun is not None:
        note = "had not ended when this was written"
        what = str(begun["what"])
        bars.append(_bar(what, begun["time"], last, "phase", ok=True, note=note))
    return tuple(bars)


def step_bars(journal: Iterable[Event]) -> tuple[Bar, ...]:
    """Return a bar for each step that took long enough to be seen."""
    return tuple(
        _bar(
            _where(event),
            event["time"] - float(event["seconds"]),
            event["time"],
            "step",
            ok=event.get("status") != "failed",
        )
        for event in journal
        if event["kind"] == "step"
        and event.get("phase") != "bench"  # its steps are the scenarios
        and float(event.get("seconds", 0.0)) >= SHORTEST
    )


def run_lanes(run: Run) -> tuple[Bars, ...]:
    """Return the lane of a run: its scenarios, below them their iterations."""
    scenarios = [_scenario(one) for one in run.scenarios if one.began]
    if not scenarios:
        return ()
    iterations = [bar for one in run.scenarios for bar in _iterations(one)]
    rows = (*packed(scenarios), *packed(iterations))
    return (Bars(title=f"Benchmark {run.label}", rows=rows),)


def span_of(run: Run) -> Span | None:
    """Return when a run's scenarios ran, None when that is not known."""
    ends = _ends(run_lanes(run))
    return (min(ends), max(ends)) if ends else None


def _phase(begun: Event, after: Event, last: float) -> Bar:
    """Return the bar of a phase, told by the next event of any phase."""
    what, start = str(begun["what"]), begun["time"]
    if after["what"] != what or after.get("status") == "started":
        return _bar(what, start, last, "phase", ok=False, note="cut short")
    ok = after.get("status") == "finished"
    return _bar(what, start, after["time"], "phase", ok=ok)


def _scenario(one: Scenario) -> Bar:
    end = one.began + one.seconds
    return _bar(one.name, one.began, end, "scenario", ok=one.ok, note=one.verdict)


def _iterations(one: Scenario) -> Iterable[Bar]:
    for number, (start, end, ok) in enumerate(one.spans, 1):
        yield _bar(str(number), start, end, "iteration", ok=ok, note=one.name)


def _bar(
    label: str, start: float, end: float, kind: str, *, ok: bool, note: str = ""
) -> Bar:
    return Bar(start=start, end=end, label=label, kind=kind, ok=ok, note=note)


def _change(one: Happened) -> Bar:
    return _bar(one.label, one.start, one.end, "event", ok=one.ok)


def _where(event: Event) -> str:
    host = str(event.get("host", ""))
    return f"{event['what']} on {host}" if host else str(event["what"])


def _wide(start: float, end: float) -> Span:
    margin = MARGIN * (end - start)
    return start - margin, end + margin


def _ends(lanes: Iterable[Lane]) -> list[float]:
    return [
        moment
        for lane in lanes
        if isinstance(lane, Bars)
        for row in lane.rows
        for bar in row
        for moment in (bar.start, bar.end)
    ]
