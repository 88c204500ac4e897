"""The program that runs pretended compute hosts, over a Nova that is a stand-in."""

import os
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from enos.kolla.shadow import FAKES, OVERLAY

PROGRAM = OVERLAY / "roles" / FAKES / "files" / "computes.py"


def nova(monkeypatch: pytest.MonkeyPatch, started: list[list[str]]) -> None:
    """Put the parts of Nova that the program imports where it finds them."""
    names = [
        "nova",
        "nova.monkey_patch",
        "nova.objects",
        "nova.cmd",
        "nova.cmd.compute",
    ]
    names += ["nova.compute", "nova.compute.manager", "nova.virt", "nova.virt.fake"]
    modules: dict[str, Any] = {name: ModuleType(name) for name in names}
    for name, module in modules.items():
        above, _, own = name.rpartition(".")
        if above:
            setattr(modules[above], own, module)
        monkeypatch.setitem(sys.modules, name, module)
    modules["nova.objects"].register_all = lambda: None
    modules["nova.cmd.compute"].main = lambda: started.append(sys.argv)


def test_each_pretended_compute_is_a_program_of_its_own_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[list[str]] = []
    nova(monkeypatch, started)
    main = runpy.run_path(str(PROGRAM))["main"]
    main.__globals__["HOSTS"] = tmp_path
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
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nova(monkeypatch, [])
    main = runpy.run_path(str(PROGRAM))["main"]
    main.__globals__["HOSTS"] = tmp_path
    (tmp_path / "compute-1-2").mkdir()
    monkeypatch.setattr(os, "fork", lambda: 7)
    for status, code in ((3 << 8, 3), (0, 1)):
        monkeypatch.setattr(os, "wait", lambda status=status: (7, status))
        assert main() == code, "whoever ends is to be started again"
