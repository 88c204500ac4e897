"""A run in a report: its measures under the scenarios and events that caused them."""

import json
from dataclasses import asdict

from enos.metrics.series import Series
from enos.report.chronicle import run_timeline
from enos.report.lanes import plots
from enos.report.page import Report, report_page
from enos.report.readings import Readings, read
from enos.report.timeline import Bars, Plot, as_json

NAME = "bench-2026-11-21T16-42-18-demo"


def scenario(name: str, began: float) -> dict[str, object]:
    return {
        "name": name,
        "plugin": "NovaServers.boot",
        "ok": True,
        "verdict": "",
        "durations": [2.0],
        "spans": [[began + 1, began + 3, True]],
        "slas": [],
        "began": began,
        "seconds": 60.0,
    }


def measured(measure: str, host: str, unit: str) -> Series:
    points = tuple((990.0 + 5 * n, float(n)) for n in range(30))
    instance = "eth0" if measure.startswith("net") else ""
    return Series(
        measure=measure, host=host, instance=instance, unit=unit, points=points
    )


def material(*, kept: bool = True) -> dict[str, str]:
    drawn = plots(
        measured(measure, host, unit)
        for host in ("control-1", "compute-1")
        for measure, unit in (
            ("cpu", "cores"),
            ("memory", "B"),
            ("rabbitmq_messages", "messages"),
            ("net_rx", "B/s"),
        )
    )
    cut = {"what": "partition a|b", "kind": "partition", "at": 1020.0, "ended": 1021.0}
    heal = {"what": "heal", "kind": "heal", "at": 1030.0, "ended": 1030.5}
    told = {
        f"results/{NAME}/results.json": json.dumps(
            [scenario("boot", 1000.0), scenario("list", 1061.0)]
        ),
        f"results/{NAME}/events.json": json.dumps([cut, heal]),
    }
    if kept:
        text = json.dumps([asdict(one) for one in drawn])
        told[f"results/{NAME}/measures.json"] = text
    return told


def readings(*, kept: bool = True) -> Readings:
    return read(material(kept=kept))


def test_a_run_is_drawn_with_its_causes_above_what_each_machine_did() -> None:
    found = readings()
    drawn = run_timeline(found, found.runs[0])

    assert drawn is not None
    bars = [lane for lane in drawn.lanes if isinstance(lane, Bars)]
    lines = [lane for lane in drawn.lanes if isinstance(lane, Plot)]
    assert [lane.title for lane in bars] == ["Benchmark demo, 16:42:18", "Events"]
    assert [(one.label, one.start, one.end) for one in bars[1].rows[0]] == [
        ("partition a|b", 1020.0, 1030.0)
    ]
    assert [lane.title for lane in lines] == [
        "CPU",
        "Memory",
        "Queued messages",
        "Network, received",
    ]
    for lane in lines:
        assert [line.label for line in lane.lines] == ["control-1", "compute-1"]
        assert len(lane.lines[0].points) == 30
    assert [one.label for one in drawn.windows] == ["boot", "list"]
    assert drawn.span[0] < 1000.0
    assert drawn.span[1] > 1121.0


def test_each_run_has_its_own_axis_in_the_page() -> None:
    found = readings()
    page = report_page(Report(title="demo", readings=found))

    assert '<div class="timeline" id="timeline-0"></div>' in page
    _, _, rest = page.partition('id="timeline-0-data">')
    drawn = json.loads(rest.partition("</script>")[0])
    its = run_timeline(found, found.runs[0])
    assert its is not None
    assert drawn == json.loads(json.dumps(as_json(its)))


def test_a_run_nothing_was_measured_of_has_no_lanes_of_its_own() -> None:
    found = readings(kept=False)

    assert run_timeline(found, found.runs[0]) is None
    assert "timeline-0" not in report_page(Report(title="demo", readings=found))
