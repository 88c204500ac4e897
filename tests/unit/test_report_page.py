import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from enos.report.chronicle import Happened, timeline
from enos.report.page import Report, report_page, timeline_page
from enos.report.readings import read
from enos.report.timeline import Line, Plot, Timeline

Golden = Callable[[str, str], None]

RUN = "results/bench-2026-11-21T16-42-18-demo"


def phase(time: float, what: str, status: str, seconds: float = 0.0) -> str:
    told = {"time": time, "kind": "phase", "what": what, "status": status}
    return json.dumps(told | {"seconds": seconds}) + "\n"


def verdict(quantity: str, asked: float, measured: float | None) -> dict[str, object]:
    return {
        "source": "control-1",
        "destination": "compute-1",
        "network": "api",
        "quantity": quantity,
        "asked": asked,
        "baseline": 0.08 if quantity == "rtt" else None,
        "measured": measured,
        "low": asked - 1,
        "high": asked + 1,
        "ok": measured is not None,
        "note": "" if measured else "nothing arrived",
    }


MATERIAL = {
    "journal.jsonl": phase(1000.0, "up", "started")
    + phase(1010.0, "up", "finished", 10.0)
    + phase(1010.0, "os", "started")
    + json.dumps({"time": 1011, "kind": "decision", "what": "guests are emulated"})
    + "\n"
    + phase(1276.0, "os", "finished", 266.0),
    "resolved.json": json.dumps(
        {
            "name": "edge",
            "provider": "local",
            "release": "2026.1",
            "virt": "qemu",
            "demand": {
                "machines": [{"group": "core", "roles": ["control"], "number": 1}]
            },
            "constraints": {
                "default_delay": {"ms": 12.5},
                "default_loss": None,
                "constraints": [
                    {
                        "src": "core",
                        "dst": "edge1",
                        "rate": {"bits": 1e8},
                        "symmetric": True,
                    }
                ],
            },
            "text": "provider: local\n",
        }
    ),
    "images.json": '{"origin": "built", "names": ["cron", "nova-api"], "tag": "t"}',
    "results/guest.json": json.dumps(
        {"ready": True, "seconds_to_active": 39.7, "seconds_to_ping": 49.3}
    ),
    "results/machines.json": json.dumps(
        {
            "hosts": [
                {
                    "name": "control-1",
                    "address": "192.0.2.2",
                    "groups": ["core"],
                    "roles": ["control", "network"],
                    "system": "Debian GNU/Linux 13",
                    "kernel": "6.12",
                    "processors": "2",
                    "memory": "24.0 GiB",
                }
            ],
            "versions": {"enos": "9", "kolla-ansible": "22.2.0"},
        }
    ),
    "results/tc.json": json.dumps(
        {
            "backend": "netem",
            "verdicts": [verdict("rtt", 25.0, 25.1), verdict("rate", 1e8, None)],
        }
    ),
    f"{RUN}/results.json": json.dumps(
        [
            {
                "name": "boot </script><script>alert(1)</script>",
                "plugin": "NovaServers.boot",
                "ok": False,
                "verdict": "4 of 5 iterations passed, <b>no</b>",
                "durations": [1.0, 2.0, 3.0, 4.0, 9.0],
                "spans": [[1300.0 + n, 1301.0 + n, n < 4] for n in range(5)],
                "slas": [{"criterion": "failure_rate", "ok": False, "detail": ""}],
                "began": 1299.0,
                "seconds": 12.0,
            }
        ]
    ),
    f"{RUN}/results.csv": "scenario,iteration,metric,value,unit,ok\n"
    "boot </script><script>alert(1)</script>,1,nova.boot_server,0.5,s,1\n",
    "results/bench-x/results.json": "[",
}


FULL = {
    **{path: text for path, text in MATERIAL.items() if "bench-x" not in path},
    f"{RUN}/events.json": json.dumps(
        [
            {
                "what": "partition a|b",
                "kind": "partition",
                "at": 1301.0,
                "ended": 1302.0,
            },
            {"what": "heal", "kind": "heal", "at": 1303.0, "ended": None, "ok": True},
        ]
    ),
    f"{RUN}/metrics.json": '{"problem": "", "gaps": [{"host": "a", "seconds": 3.0}]}',
    "results/measures.json": json.dumps(
        [
            {
                "title": "CPU",
                "unit": "cores",
                "lines": [{"label": "a", "points": [[1000.0, 1.0], [1005.0, 2.0]]}],
            }
        ]
    ),
}
JUNK = (
    None,
    True,
    -1,
    1e999,
    0,
    "",
    "x",
    "nan",
    1e18,
    [],
    {},
    [None],
    {"a": None},
    [[1]],
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    yield path
    inner = enumerate(value) if isinstance(value, list) else ()
    inner = value.items() if isinstance(value, dict) else inner
    for key, below in inner:
        yield from places(below, (*path, key))


def changed(line: str, path: tuple[Any, ...], junk: object) -> str:
    """Return a line of JSON with something else in one place."""
    whole = [json.loads(line)]
    at: Any = whole
    for key in (0, *path)[:-1]:
        at = at[key]
    at[(0, *path)[-1]] = junk
    return json.dumps(whole[0])


class Outline(HTMLParser):
    """What a browser would fetch or run, and the text it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.policy = ""
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.fetched += [v or "" for k, v in attrs if k in {"src", "href", "data"}]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""
        if tag in {"script", "style"}:
            self._inside.append(tag)
        if tag == "script":
            self.scripts.append((given.get("type") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += [data.strip()] if data.strip() else []
        elif self._inside[-1] == "script":
            kind, so_far = self.scripts[-1]
            self.scripts[-1] = (kind, so_far + data)


def page(**more: object) -> str:
    readings = read(MATERIAL)
    drawn = timeline(readings, "edge", run=RUN.removeprefix("results/"), **more)  # type: ignore[arg-type]
    return report_page(Report(title="edge", readings=readings, timeline=drawn))


def outline(html: str) -> Outline:
    seen = Outline()
    seen.feed(html)
    return seen


def test_the_page_tells_what_was_asked_there_and_measured(golden: Golden) -> None:
    golden("report/edge.txt", "\n".join(outline(page()).text) + "\n")


def test_a_browser_fetches_nothing() -> None:
    html = page()
    seen = outline(html)

    assert seen.fetched == []
    assert seen.policy.startswith("default-src 'none'; ")
    assert not re.search(r"@import|url\(", html)


def test_a_browser_runs_the_pages_own_scripts_and_no_other() -> None:
    seen = outline(page())
    run = [text for kind, text in seen.scripts if kind != "application/json"]

    assert len(run) == 2
    for text in run:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in seen.policy
    assert "unsafe" not in seen.policy.partition("script-src")[2]


def test_names_from_results_are_shown_and_not_run() -> None:
    html = page()

    assert "boot </script><script>alert(1)</script>" in outline(html).text
    assert "<script>alert" not in html


def test_the_time_line_is_the_one_of_the_values() -> None:
    cpu = Plot(
        title="CPU", unit="cores", lines=(Line(label="a", points=((1001, 2.0),)),)
    )
    html = page(
        happened=[Happened(start=1301.0, end=1303.0, label="partition")], plots=[cpu]
    )

    ((_, data),) = [one for one in outline(html).scripts if one[0]]
    drawn = json.loads(data)
    assert drawn["origin"] == 1000.0
    assert [lane["title"] for lane in drawn["lanes"]] == [
        "Phases",
        "Benchmark demo, 16:42:18",
        "Events",
        "CPU",
    ]
    assert drawn["marks"] == [[301.0, "partition", True]]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("file", [one for one in FULL if not one.endswith(".csv")])
def test_no_value_however_odd_stops_the_page(file: str, junk: object) -> None:
    lines = FULL[file].splitlines()
    for number, line in enumerate(lines):
        for path in places(json.loads(line)):
            odd = [*lines[:number], changed(line, path, junk), *lines[number + 1 :]]

            readings = read(FULL | {file: "\n".join(odd)})
            drawn = timeline(readings, "odd", plots=readings.plots)
            html = report_page(Report(title="odd", readings=readings, timeline=drawn))

            assert html.endswith("</html>"), (number, path)


def test_a_page_without_its_data_is_light() -> None:
    empty = report_page(Report(title="new", readings=read({})))
    alone = timeline_page(Timeline(title="new", span=(0.0, 1.0), lanes=()))

    assert "nothing was run yet" in empty
    assert len(empty) < 20_000
    assert len(alone) < 100_000
    assert outline(alone).fetched == []
