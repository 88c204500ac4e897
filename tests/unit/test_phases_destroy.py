"""Machines that outlive the experiment are cleaned; the others just go."""

from pathlib import Path
from typing import ClassVar

import pytest

from enos import plugins
from enos.phases import destroy, install, tc
from enos.phases.session import Session, Workshop, phase, starting
from enos.testing import FakeProvider, RecordingProgress, RecordingShell

FILE = "provider: {type: fake}\nresources: {any: {control: 1, compute: 1}}\n"


class Kept(FakeProvider):
    keeps: ClassVar[bool] = True


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was removed, in order."""
    told: list[str] = []
    monkeypatch.setattr(tc, "reset", lambda _: told.append("rules"))
    monkeypatch.setattr(destroy, "openstack", lambda _: told.append("OpenStack"))
    return told


def release(where: Path, kind: type[FakeProvider], *phases: str) -> Session:
    plugins_of = {"fake": kind}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "providers", lambda: plugins_of)
        patch.setattr(plugins, "provider", lambda _: kind)
        file = where / "demo.yml"
        file.write_text(FILE)
        workshop = Workshop(
            progress=RecordingProgress(),
            where=where,
            cache=where / "cache",
            shell=lambda _: RecordingShell(),
        )
        with starting(file, None, workshop) as session:
            for name in phases:
                with phase(session, name):
                    demand = session.experiment.demand
                    session.save(testbed=session.provider.acquire(demand))
            destroy.release(session)
    return session


def test_kept_machines_lose_rules_and_openstack(
    tmp_path: Path, done: list[str]
) -> None:
    session = release(tmp_path, Kept, "up", "os", "tc")

    assert done == ["rules", "OpenStack"]
    assert session.directory.load().done("destroy")


def test_what_was_never_there_is_not_removed(tmp_path: Path, done: list[str]) -> None:
    release(tmp_path, Kept, "up")

    assert done == []


def test_machines_that_go_take_everything_along(
    tmp_path: Path, done: list[str]
) -> None:
    session = release(tmp_path, FakeProvider, "up", "os", "tc")

    assert done == []
    assert not install.deployed(session)
