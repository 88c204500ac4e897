"""The report in a real browser without any network."""

import math
import re
import subprocess
from pathlib import Path

import pytest

from enos.metrics.series import Series
from enos.report.chronicle import Happened, timeline
from enos.report.lanes import plots
from enos.report.page import Report, report_page
from enos.report.readings import Readings
from enos.report.runs import Run, Scenario

pytestmark = [pytest.mark.integration]

ITERATIONS = 5000


def readings() -> Readings:
    """Half an hour of a thousand iterations, with phases and a failure."""
    spans = tuple(
        (1000.0 + n * 0.3, 1001.0 + n * 0.3, n % 500 != 0) for n in range(ITERATIONS)
    )
    scenario = Scenario(
        name="boot",
        plugin="NovaServers.boot",
        ok=False,
        verdict="some failed",
        durations=tuple(end - start for start, end, _ in spans),
        spans=spans,
        slas=(("failure_rate", False),),
        began=999.0,
        seconds=ITERATIONS * 0.3 + 5,
    )
    journal = (
        {"time": 900.0, "kind": "phase", "what": "up", "status": "started"},
        {
            "time": 990.0,
            "kind": "phase",
            "what": "up",
            "status": "finished",
            "seconds": 90.0,
        },
    )
    of_run = plots(
        measured(f"compute-{number}", measure, unit)
        for number in range(1, 13)
        for measure, unit in (("cpu", "cores"), ("rabbitmq_messages", "messages"))
    )
    run = Run(
        name="bench-2026-11-21T16-42-18-load", scenarios=(scenario,), plots=of_run
    )
    return Readings(journal=journal, runs=(run,))


def measured(host: str, measure: str, unit: str) -> Series:
    points = tuple((900.0 + at, 1 + math.sin(at / 60)) for at in range(0, 1600, 5))
    return Series(measure=measure, host=host, instance="", unit=unit, points=points)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hosts = [f"compute-{number}" for number in range(1, 9)]
    series = [
        measured(host, measure, unit)
        for host in hosts
        for measure, unit in (("cpu", "cores"), ("memory", "B"))
    ]
    drawn = timeline(
        readings(),
        "load",
        happened=[Happened(start=1200.0, end=1260.0, label="partition a | b")],
        plots=plots(series),
    )
    place = tmp_path_factory.mktemp("report") / "report.html"
    text = report_page(Report(title="load", readings=readings(), timeline=drawn))
    place.write_text(text, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def shown(browser: str, place: Path) -> tuple[str, str]:
    """Return the document once its scripts have run, and what the browser said."""
    argv = (
        *(browser, "--headless", "--no-sandbox", "--disable-gpu"),
        *("--disable-background-networking", "--disable-dev-shm-usage"),
        *("--proxy-server=127.0.0.1:9", f"--user-data-dir={place.parent / 'profile'}"),
        *("--virtual-time-budget=3000", "--window-size=1280,1600"),
        *("--enable-logging=stderr", "--dump-dom", place.as_uri()),
    )
    done = subprocess.run(argv, capture_output=True, text=True, timeout=110, check=True)
    return done.stdout, done.stderr


def test_the_page_of_five_thousand_iterations_is_light(place: Path) -> None:
    assert place.stat().st_size < 1_000_000


def test_every_lane_is_drawn_on_one_axis(shown: tuple[str, str]) -> None:
    document, _ = shown

    whole, of_run = (part(document, place) for place in ("timeline", "timeline-0"))
    assert 'data-ready="5"' in whole  # phases, benchmark, events, CPU, memory
    assert whole.count("<canvas") == 6  # and the axis
    assert whole.count('<i class="" style="background: ') == 16
    labels = re.findall(r'<button class=""[^>]*>([^<]+)</button>', whole)
    assert labels == ["up", "load, 16:42:18"]
    for one in (whole, of_run):
        widths = set(
            re.findall(r'<div class="u-over" style="([^"]*?width: [\d.]+px)', one)
        )
        assert len({re.sub(r"top.*?;|height.*?;", "", each) for each in widths}) == 1
        assert re.search(r'<button class="on"[^>]*>whole</button>', one)


def test_a_run_is_drawn_on_an_axis_of_its_own_with_every_machine(
    shown: tuple[str, str],
) -> None:
    of_run = part(shown[0], "timeline-0")

    assert 'data-ready="3"' in of_run  # benchmark, CPU, queued messages
    assert of_run.count("<canvas") == 4
    names = re.findall(r'<span class="name">([^<]+)</span>', of_run)
    assert len(names) == 2 * 12
    assert set(names) == {f"compute-{number}" for number in range(1, 13)}


def part(document: str, place: str) -> str:
    """Return the document from a time line's place on to the next table or its end."""
    _, found, rest = document.partition(f'id="{place}"')
    assert found
    return found + rest.partition("</section>")[0]


def test_the_browser_finds_nothing_wrong(shown: tuple[str, str]) -> None:
    _, said = shown

    assert "CONSOLE" not in said
    assert "Refused to" not in said
