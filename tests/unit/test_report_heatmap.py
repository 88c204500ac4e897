"""The matrix of round trips, as text and as a picture."""

import xml.etree.ElementTree as ET
from collections.abc import Callable

from enos.report.heatmap import Cell, RttMatrix, as_svg, as_text, rtt_matrix
from enos.report.page import heat_map_page
from enos.report.readings import Link

Golden = Callable[[str, str], None]
GROUPS = {"n1": ("core",), "n2": ("edge", "far"), "n3": ("edge", "far"), "n4": ()}


def link(
    ends: str, quantity: str, asked: float, measured: float | None, *, ok: bool = True
) -> Link:
    source, destination, network = ends.split()
    return Link(
        source=source,
        destination=destination,
        network=network,
        quantity=quantity,
        asked=asked,
        baseline=0.1,
        measured=measured,
        low=asked - 1,
        high=asked + 1,
        ok=ok,
    )


LINKS = (
    link("n1 n2 api", "loss", 0, 0),
    link("n1 n2 api", "rtt", 50, 50.3),
    link("n2 n1 api", "rtt", 50, 63.4, ok=False),
    link("n2 n3 api", "rtt", 0, 0.12),
    link("n1 n4 api", "loss", 100, 100),
    link("n4 n1 api", "loss", 100, 3, ok=False),
    link("n4 n2 api", "rtt", 5, None, ok=False),
    link("n1 n2 tun<nel", "rtt", 200, 201.2),
)


def matrix() -> RttMatrix:
    found = rtt_matrix(LINKS, GROUPS)
    assert found is not None
    return found


def test_hosts_stand_for_their_groups_and_keep_the_order_of_the_testbed() -> None:
    assert matrix().groups == ("core", "edge+far", "n4")
    assert matrix().networks == ("api", "tun<nel")


def test_every_cell_shows_what_was_asked_measured_and_judged(golden: Golden) -> None:
    golden("report/rtt.txt", as_text(matrix()) + "\n")


def test_the_picture_is_well_formed_and_tells_all_verdicts() -> None:
    tree = ET.fromstring(as_svg(matrix()))

    said = ["".join(node.itertext()) for node in tree.iter() if node.tag[-4:] == "text"]
    for words in (
        *("50.3 ms ✓", "63.4 ms ✕", "0.12 ms ✓", "no reply ✓", "no reply ✕"),
        *("asked 50 + 0.10", "asked: cut off", "tun<nel", "201 ms ✓"),
    ):
        assert words in said
    places = 2 * 3 * 3
    assert said.count("\N{EN DASH}") == places - len(matrix().cells)


def test_longer_round_trips_are_darker_and_unproved_ones_framed() -> None:
    cells = tuple(
        Cell(source=a, destination=b, network="n", asked=1, measured=m, ok=m < 100)
        for a, b, m in (("a", "b", 1.0), ("b", "a", 10.0), ("a", "a", 100.0))
    )
    picture = as_svg(RttMatrix(groups=("a", "b"), networks=("n",), cells=cells))

    assert "#ebf4fb" in picture
    assert "#7a9abe" in picture
    assert 'fill="#084081" stroke="#d55e00" stroke-width="3"' in picture


def test_the_page_needs_nothing_from_anywhere() -> None:
    page = heat_map_page("demo <1>", as_svg(matrix()), "today")

    assert "demo &lt;1&gt;" in page
    assert "default-src &#39;none&#39;" in page
    assert 'src="' not in page
    assert "href=" not in page
    assert page.count("<svg") == 1


def test_without_round_trips_there_is_no_matrix() -> None:
    assert rtt_matrix((link("n1 n2 api", "rate", 1e6, 1e6),), GROUPS) is None


def test_many_groups_are_laid_out_within_the_width_of_a_page() -> None:
    names = {f"n{n}": (f"group-{n}",) for n in range(12)}
    links = [
        link(f"n{a} n{b} {net}", "rtt", 1, 1.0)
        for net in ("api", "tunnel")
        for a in range(12)
        for b in range(12)
    ]
    found = rtt_matrix(links, names)
    assert found is not None

    tree = ET.fromstring(as_svg(found))

    assert float(tree.attrib["width"]) < 1800
    assert float(tree.attrib["height"]) > 2 * 12 * 58


def test_no_pair_of_hosts_hides_another_of_the_same_groups() -> None:
    flat = dict.fromkeys(("c1", "c2", "n1"), ("all",)) | {"x1": ("other",)}
    found = rtt_matrix(
        (
            link("c1 n1 api", "rtt", 50, 50),
            link("n1 c1 api", "rtt", 0, 90, ok=False),
            link("c1 c2 api", "rtt", 0, 0.1),
            link("c2 c1 api", "rtt", 0, 0.1),
            link("c1 x1 api", "rtt", 7, 7),
        ),
        flat,
    )

    assert found is not None
    assert found.groups == ("c1", "c2", "n1", "other")
    bad = found.cell("api", "n1", "c1")
    assert bad is not None
    assert not bad.ok
    assert all(found.cell("api", c.source, c.destination) is c for c in found.cells)
