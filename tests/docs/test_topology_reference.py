"""The reference lists the shipped topologies, as they describe themselves."""

import re
from pathlib import Path

from enos import content, plugins
from enos.config.experiment import load_experiment

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "topologies.md"
ROW = re.compile(r"^\| `([\w-]+)` \| (\d+) \| (.+) \|$", re.MULTILINE)


def described(name: str) -> tuple[str, str, str]:
    """Return name, number of machines and the first sentence of a topology."""
    file = content.find("topologies", name)
    comment = re.match(r"(?:# .*\n)+", file.read_text(encoding="utf-8"))
    assert comment is not None
    text = " ".join(line.removeprefix("# ") for line in comment[0].splitlines())
    sentence, stop, _ = text.partition(". ")
    found = load_experiment(file, providers=plugins.providers(), environ={})
    return name, str(found.demand.number), sentence + stop.strip()


def test_every_shipped_topology_is_listed_with_its_machines() -> None:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))

    assert rows == [described(name) for name in content.names("topologies")]


def test_a_large_topology_tells_how_many_containers_it_is() -> None:
    for name in ("basic", "advanced", "network-topo"):
        text = content.find("topologies", name).read_text(encoding="utf-8")
        (number,) = re.findall(r"on `local` this is (\d+) containers", text)
        assert described(name)[1] == number
