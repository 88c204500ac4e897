"""The trace of a real boot and delete, recorded on three nodes, its ids replaced."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enos.traces import critical, names, page, tables, text
from enos.traces.crossings import Lab
from enos.traces.points import read
from enos.traces.tree import Tree, grown

FILE = Path(__file__).parents[1] / "golden" / "traces" / "boot-and-delete.json.gz"
LAB = Lab(
    groups={"control-1": ("core",), "compute-1": ("edge1",), "compute-2": ("edge2",)},
    database="control-1",
)


@pytest.fixture(scope="module")
def tree() -> Tree:
    return grown(read(FILE))


@pytest.fixture(scope="module")
def points() -> list[dict[str, Any]]:
    return list(json.loads(gzip.decompress(FILE.read_bytes()))["points"])


def test_what_is_told_of_it(golden: Callable[[str, str], None], tree: Tree) -> None:
    golden("traces/boot-and-delete.txt", text.report("boot", [tree], LAB) + "\n")


def test_the_table_of_services_agrees_with_the_points(
    tree: Tree, points: list[dict[str, Any]]
) -> None:
    calls: Counter[tuple[str, str]] = Counter()
    micros: Counter[tuple[str, str]] = Counter()
    for point in points:
        service = names.service(point["project"], point["service"])
        key = (service, names.category(point["kind"]))
        calls[key] += point["edge"] == "start"
        micros[key] += point["us"] * (1 if point["edge"] == "stop" else -1)
    rows = tables.summed([tree])
    assert {row.key: row.calls for row in rows} == calls
    for row in rows:
        assert row.seconds == pytest.approx(micros[row.key] / 1e6, abs=1e-6)


def test_every_point_found_its_span(tree: Tree, points: list[dict[str, Any]]) -> None:
    assert len(tree.spans) * 2 == len(points)
    assert tree.broken == 0
    assert tree.shifts == {}  # the nodes share a clock


def test_the_path_covers_the_time_until_the_last_answer(tree: Tree) -> None:
    path = critical.path(tree)
    assert sum(one.seconds for one in path) == pytest.approx(tree.seconds, abs=0.001)
    whole: Counter[str] = Counter()
    for one in path:
        span = tree.spans.get(one.span)
        whole[span.operation if span else ""] += one.seconds  # type: ignore[assignment]
    assert whole.most_common(1)[0][0] == "ComputeManager.build_and_run_instance"


def test_its_page_is_light(tree: Tree) -> None:
    assert len(page.render("boot", tree, LAB)) < 400_000
