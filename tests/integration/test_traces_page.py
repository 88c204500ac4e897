"""The page of a trace in a real browser without any network."""

import json
import random
import re
import subprocess
from pathlib import Path

import pytest

from enos.traces import page
from enos.traces.crossings import Lab
from enos.traces.points import Point, Trace
from enos.traces.tree import Tree, grown

pytestmark = [pytest.mark.integration]

SERVICES = {
    "nova osapi_compute": "control-1",
    "nova-conductor": "control-1",
    "nova-compute": "compute-1",
    "neutron neutron-server": "control-1",
}
LAB = Lab(
    groups={"control-1": ("core",), "compute-1": ("edge1",)},
    rtt={("compute-1", "control-1"): 0.05},
    database="control-1",
)


def large(count: int) -> Tree:
    """A trace of so many spans, the same each time."""
    dice = random.Random(7)
    points: list[Point] = []
    ends = {"t": 30_000_000}
    begins = {"t": 0}
    names = ["t"]
    for number in range(count):
        parent = dice.choice(names[-40:] if dice.random() < 0.9 else names[:1])
        begin = dice.randint(begins[parent], ends[parent])
        end = dice.randint(begin, ends[parent])
        service, host = dice.choice(list(SERVICES.items()))
        kind = dice.choice(["wsgi", "rpc", "db", "db", "neutron.db", "vif_driver"])
        what = "SELECT instances" if kind.endswith("db") else f"GET /v2/{kind}"
        name = f"s{number}"
        common = {"id": name, "parent": parent, "kind": kind, "host": host}
        points += [
            Point(**common, ends=False, us=begin, service=service, what=what),
            Point(**common, ends=True, us=end),
        ]
        begins[name], ends[name] = begin, end
        names.append(name)
    return grown(Trace(id="t", iteration=1, points=tuple(points)))


def shown(browser: str, place: Path, fragment: str = "") -> str:
    """Return the document as the browser has it once the scripts have run."""
    argv = (
        *(browser, "--headless", "--no-sandbox", "--disable-gpu"),
        *("--disable-background-networking", "--disable-dev-shm-usage"),
        *("--proxy-server=127.0.0.1:9", f"--user-data-dir={place.parent / 'profile'}"),
        *("--virtual-time-budget=2000", "--window-size=1400,1000", "--dump-dom"),
        f"{place.as_uri()}{fragment}",
    )
    done = subprocess.run(argv, capture_output=True, text=True, timeout=110, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page") / "trace.html"
    place.write_text(page.render("boot-and-delete", large(1500), LAB))
    return place


def test_a_thousand_spans_are_drawn_as_a_tree_without_a_network(
    browser: str, place: Path
) -> None:
    assert place.stat().st_size < 1_000_000
    document = shown(browser, place)
    assert 'data-ready="1500"' in document
    rows = re.findall(r'class="row[ "]', document)
    assert 20 < len(rows) < 200  # only those in sight
    assert re.search(r"\d+ of 1500 spans", document)


def test_calls_between_services_are_drawn_as_a_sequence(
    browser: str, place: Path
) -> None:
    document = shown(browser, place, "#sequence")
    arrows = document.count('class="event"')
    told = json.loads(re.search(r'id="count">(\d+) calls', document)[1])  # type: ignore[index]
    assert arrows >= told > 100
    assert "nova-compute</text>" in document


def test_a_script_that_is_not_the_page_s_own_does_not_run(
    browser: str, tmp_path: Path
) -> None:
    html = page.render("boot", large(10), LAB)
    foreign = '<script>document.body.dataset.foreign = "ran"</script>'
    place = tmp_path / "trace.html"
    place.write_text(html.replace("</body>", f"{foreign}</body>"))
    document = shown(browser, place)
    assert 'data-ready="10"' in document
    assert "data-foreign" not in document
