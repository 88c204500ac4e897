"""Machines are acquired, and what has some is not taken for given back."""

from pathlib import Path

import pytest

from enos import plugins
from enos.demand import Demand
from enos.phases import up
from enos.phases.session import Workshop, phase, resuming, starting
from enos.testbed import Testbed
from enos.testing import FakeProvider, RecordingProgress, RecordingShell

FILE = "provider: {type: fake}\nresources: {any: {control: 1, compute: 1}}\n"


class Killed(FakeProvider):
    """A provider during whose work enos is killed."""

    def acquire(self, demand: Demand) -> Testbed:
        super().acquire(demand)
        raise KeyboardInterrupt


def test_a_directory_used_again_is_alive_before_it_has_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": Killed})
    monkeypatch.setattr(plugins, "provider", lambda _: Killed)
    file, env = tmp_path / "demo.yml", tmp_path / "enos-demo"
    file.write_text(FILE)
    workshop = Workshop(
        progress=RecordingProgress(),
        where=tmp_path,
        cache=tmp_path / "cache",
        shell=lambda _: RecordingShell(),
    )
    with starting(file, env, workshop) as session, phase(session, "destroy"):
        pass
    assert session.directory.load().done("destroy")

    with starting(file, env, workshop) as session, pytest.raises(KeyboardInterrupt):
        up.run(session)

    with resuming(env, workshop) as session:
        state = session.directory.load()
    assert not state.done("destroy")
    assert not state.done("up")
