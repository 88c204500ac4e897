from dataclasses import replace
from typing import Any

import pytest

from enos.report.chronicle import (
    Happened,
    changes,
    phase_bars,
    span_of,
    step_bars,
    timeline,
)
from enos.report.readings import Readings
from enos.report.runs import Run, Scenario
from enos.report.timeline import Bars, Line, Plot


def event(
    time: float,
    what: str,
    status: str = "started",
    *,
    kind: str = "phase",
    seconds: float = 0.0,
    host: str = "",
) -> dict[str, Any]:
    told = {"time": time, "kind": kind, "what": what, "status": status}
    return told | {"seconds": seconds, "host": host, "phase": "os"}


def scenario(name: str = "boot", *, began: float = 200.0) -> Scenario:
    return Scenario(
        name=name,
        plugin="NovaServers.boot",
        ok=False,
        verdict="1 of 2 iterations passed",
        durations=(3.0, 4.0),
        spans=((began + 1, began + 4, True), (began + 2, began + 6, False)),
        slas=(("failure_rate", False),),
        began=began,
        seconds=10.0,
    )


RUN = Run(name="bench-2026-11-21T16-42-18-demo", scenarios=(scenario(),))
JOURNAL = (
    event(100.0, "up"),
    event(110.0, "up", "finished"),
    event(110.0, "os"),
    event(150.0, "nodes", "finished", kind="step", seconds=12.0, host="control-1"),
    event(150.1, "quick", "finished", kind="step", seconds=0.2),
    event(160.0, "os", "failed"),
)


def test_phases_last_from_their_start_to_their_end() -> None:
    up, os = phase_bars(JOURNAL)

    assert (up.label, up.start, up.end, up.ok) == ("up", 100.0, 110.0, True)
    assert (os.label, os.start, os.end, os.ok) == ("os", 110.0, 160.0, False)


def test_a_killed_phase_lasts_to_its_last_event() -> None:
    journal = (event(1.0, "up"), event(7.0, "node", kind="step"), event(90.0, "up"))

    killed, running = phase_bars(journal)

    assert (killed.start, killed.end, killed.ok) == (1.0, 7.0, False)
    assert killed.note == "cut short"
    assert (running.start, running.end, running.ok) == (90.0, 90.0, True)
    assert "had not ended" in running.note


def test_an_end_without_a_start_is_no_phase() -> None:
    assert phase_bars([event(9.0, "up", "finished")]) == ()


def test_steps_say_where_and_short_ones_are_left_out() -> None:
    (step,) = step_bars(JOURNAL)

    assert (step.label, step.start, step.end) == ("nodes on control-1", 138.0, 150.0)


def test_a_run_shows_scenarios_above_their_iterations() -> None:
    drawn = timeline(Readings(journal=JOURNAL, runs=(RUN,)), "demo")

    assert drawn is not None
    assert drawn.span == (100.0, 210.0)
    phases, bench = drawn.lanes
    assert isinstance(phases, Bars)
    assert isinstance(bench, Bars)
    assert bench.title == "Benchmark demo, 16:42:18"
    scenarios, *iterations = bench.rows
    assert [(one.label, one.ok) for one in scenarios] == [("boot", False)]
    assert [[(one.label, one.ok) for one in row] for row in iterations] == [
        [("1", True)],
        [("2", False)],
    ]
    assert [one.label for one in drawn.windows] == ["up", "os", "demo, 16:42:18"]


def test_a_run_can_be_shown_first() -> None:
    readings = Readings(journal=JOURNAL, runs=(RUN,))

    drawn = timeline(readings, "demo", run=RUN.name)

    assert drawn is not None
    assert drawn.shown is not None
    assert 199.0 < drawn.shown[0] < 200.0
    assert 210.0 < drawn.shown[1] < 211.0
    assert span_of(RUN) == (200.0, 210.0)


def test_changes_are_bars_and_marks_and_measures_come_last() -> None:
    cpu = Plot(title="CPU", unit="cores", lines=(Line(label="a", points=((1, 2),)),))
    partition = Happened(start=203.0, end=205.0, label="partition core|edge1")

    drawn = timeline(Readings(runs=(RUN,)), "demo", happened=[partition], plots=[cpu])

    assert drawn is not None
    assert [lane.title for lane in drawn.lanes][1:] == ["Events", "CPU"]
    assert [(one.at, one.label) for one in drawn.marks] == [
        (203.0, "partition core|edge1")
    ]


def test_an_experiment_in_which_nothing_happened_has_no_time_line() -> None:
    assert timeline(Readings(), "demo") is None
    never = Run(name="bench-x", scenarios=(scenario(began=0.0),))
    assert timeline(Readings(runs=(never,)), "demo") is None
    assert span_of(never) is None


def changed(number: int, what: str, kind: str, at: float | None) -> dict[str, Any]:
    ended = None if at is None else at + 0.5
    told = {"number": number, "what": what, "kind": kind, "at": at, "ended": ended}
    return told | {"ok": at is not None}


def spans(*events: dict[str, Any]) -> dict[str, tuple[float, float]]:
    return {one.label: (one.start, one.end) for one in changes(events)}


def test_a_change_lasts_until_what_undoes_it() -> None:
    found = spans(
        changed(1, "core | edge1: delay 100ms", "link", 10.0),
        changed(2, "partition core | edge2", "partition", 20.0),
        changed(3, "stop nova-conductor", "stop", 30.0),
        changed(4, "heal core | edge2", "heal", 40.0),
        changed(5, "start nova-conductor", "start", 50.0),
        changed(0, "heal what is left", "end", 60.0),
    )

    assert found == {
        "core | edge1: delay 100ms": (10.0, 60.0),
        "partition core | edge2": (20.0, 40.0),
        "stop nova-conductor": (30.0, 50.0),
        "heal core | edge2": (40.0, 40.5),
        "start nova-conductor": (50.0, 50.5),
        "heal what is left": (60.0, 60.5),
    }


GROUPS = ("core", "edge1", "edge2")


@pytest.mark.parametrize(
    ("what", "heals", "until"),
    [
        ("partition edge[1-2]", ["heal edge1|edge2"], 40.0),
        ("partition edge1|edge2", ["heal edge[1-2]"], 40.0),
        ("partition edge2|edge1", ["heal edge1|edge2"], 40.0),
        ("partition core|edge1", ["heal core|edge1|edge2"], 40.0),
        ("partition core", ["heal core"], 40.0),
        ("partition core", ["heal core|edge1"], 90.0),
        ("partition core", ["heal core|edge1", "heal core|edge2"], 41.0),
        ("partition core|edge[1-2]", ["heal core|edge1"], 90.0),
        ("partition core|edge1", ["heal core|edge2"], 90.0),
        ("partition core|edge1", ["heal"], 40.0),
        ("delay 50ms core|edge1", ["heal edge1|core"], 40.0),
        ("delay 50ms rate 1gbit core|edge[1-2]", ["heal core|edge1"], 90.0),
        ("delay 50ms core > edge1", ["heal core|edge1"], 40.0),
        ("delay 50ms edge[1-2] > core", ["heal core|edge1", "heal core|edge2"], 41.0),
        ("delay 50ms", ["heal core|edge1"], 90.0),
        ("delay 50ms", ["heal core|edge[1-2]"], 40.0),
        ("delay 50ms control", ["heal edge1|edge2"], 90.0),
    ],
)
def test_a_change_of_links_lasts_until_each_of_them_is_healed(
    what: str, heals: list[str], until: float
) -> None:
    kind = "partition" if what.startswith("partition") else "link"
    events = (
        changed(1, what, kind, 10.0),
        *(changed(2, heal, "heal", 40.0 + n) for n, heal in enumerate(heals)),
        changed(0, "heal what is left", "end", 90.0),
    )

    (first, *_) = changes(events, GROUPS)

    assert first.end == until


@pytest.mark.parametrize(
    ("what", "starts", "until"),
    [
        (("stop nova-api", "c1"), [("start nova_api", "c1")], 40.0),
        (("stop nova_api", "c1 c2"), [("start nova_api on c1", "c1")], 90.0),
        (
            ("stop nova_api", "c1 c2"),
            [("start nova_api on c1", "c1"), ("start nova_api on c2", "c2")],
            41.0,
        ),
        (("stop nova_api", "c1"), [("start nova", "c1")], 40.0),
        (("stop nova", "c1"), [("start nova_api", "c1")], 90.0),
        (("stop edge1", "e1 e2"), [("start e1", "e1"), ("start e2", "e2")], 41.0),
        (("stop e1", "e1"), [("start edge1", "e1 e2")], 40.0),
        (("stop nova_api", "c1"), [("start c1", "c1")], 90.0),
    ],
)
def test_what_was_stopped_is_so_until_all_of_it_is_started(
    what: tuple[str, str], starts: list[tuple[str, str]], until: float
) -> None:
    def on(event: dict[str, Any], hosts: str) -> dict[str, Any]:
        return event | {"hosts": tuple(hosts.split())}

    events = (
        on(changed(1, what[0], "stop", 10.0), what[1]),
        *(
            on(changed(2, text, "start", 40.0 + number), hosts)
            for number, (text, hosts) in enumerate(starts)
        ),
        changed(0, "heal what is left", "end", 90.0),
    )

    (first, *_) = changes(events, GROUPS)

    assert first.end == until


def test_a_change_nothing_undid_is_as_long_as_it_took() -> None:
    assert spans(changed(1, "pause compute-1", "pause", 5.0)) == {
        "pause compute-1": (5.0, 5.5)
    }


def test_an_event_that_was_not_reached_is_not_drawn() -> None:
    assert spans(changed(1, "heal", "heal", None)) == {}


def test_what_undoes_is_a_mark_unless_it_failed() -> None:
    heal = changed(2, "heal", "heal", 204.0)
    failed = heal | {"ok": False}

    def labels(*events: dict[str, Any]) -> list[str]:
        drawn = timeline(Readings(runs=(replace(RUN, events=events),)), "demo")
        assert drawn is not None
        lane = drawn.lanes[-1]
        assert isinstance(lane, Bars)
        assert [mark.label for mark in drawn.marks] == ["partition a | b", "heal"]
        return [bar.label for row in lane.rows for bar in row]

    cut = changed(1, "partition a | b", "partition", 203.0)
    assert labels(cut, heal) == ["partition a | b"]
    assert labels(cut, failed) == ["partition a | b", "heal"]


def test_events_of_a_run_are_drawn_with_it() -> None:
    run = replace(RUN, events=(changed(1, "partition a | b", "partition", 203.0),))

    drawn = timeline(Readings(runs=(run,)), "demo")

    assert drawn is not None
    assert [lane.title for lane in drawn.lanes] == [
        "Benchmark demo, 16:42:18",
        "Events",
    ]
    assert [mark.label for mark in drawn.marks] == ["partition a | b"]
