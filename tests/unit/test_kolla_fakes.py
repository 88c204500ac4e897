"""The program that runs pretended compute hosts, over a Nova that is a stand-in."""

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from enos.kolla.shadow import FAKES, OVERLAY

PROGRAM = OVERLAY / "roles" / FAKES / "files" / "computes.py"


NOVA = [
    "nova",
    "nova.monkey_patch",
    "nova.objects",
    "nova.cmd",
    "nova.cmd.compute",
    "nova.compute",
    "nova.compute.manager",
    "nova.virt",
    "nova.virt.fake",
]


@pytest.fixture
def started() -> list[list[str]]:
    """The arguments each compute service was started with."""
    return []


@pytest.fixture
def main(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started: list[list[str]]
) -> Callable[[], int]:
    """The program, its hosts in `tmp_path`, with the parts of Nova that it imports."""
    modules: dict[str, Any] = {name: ModuleType(name) for name in NOVA}
    for name, module in modules.items():
        above, _, own = name.rpartition(".")
        if above:
            setattr(modules[above], own, module)
        monkeypatch.setitem(sys.modules, name, module)
    modules["nova.objects"].register_all = lambda: None
    modules["nova.cmd.compute"].main = lambda: started.append(sys.argv)
    program: Callable[[], int] = runpy.run_path(str(PROGRAM))["main"]
    program.__globals__["HOSTS"] = tmp_path
    return program


def test_each_pretended_compute_is_a_program_of_its_own_name(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    main: Callable[[], int],
    started: list[list[str]],
) -> None:
    monkeypatch.setattr(sys, "argv", ["launch.py"])
    places = [tmp_path / f"compute-1-{number}" for number in (2, 3)]
    for place in places:
        place.mkdir()

    for wanted in (0, 1):  # as the first child, then as the second
        answers = iter([*[7] * wanted, 0])
        monkeypatch.setattr(os, "fork", lambda answers=answers: next(answers))
        assert main() == 0

    # Queues for replies are called after the program: nova-compute has that name.
    assert [argv[0] for argv in started] == [f"nova-compute-{p.name}" for p in places]
    assert [Path(argv[-1]) for argv in started] == [p / "nova.conf" for p in places]


def test_the_container_ends_with_the_first_compute_that_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, main: Callable[[], int]
) -> None:
    (tmp_path / "compute-1-2").mkdir()
    monkeypatch.setattr(os, "fork", lambda: 7)
    for status, code in ((3 << 8, 3), (0, 1)):
        monkeypatch.setattr(os, "wait", lambda status=status: (7, status))
        assert main() == code, "whoever ends is to be started again"
