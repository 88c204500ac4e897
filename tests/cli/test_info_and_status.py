"""`enos info` and `enos status` of an experiment on a testbed that is nowhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enos import plugins
from enos.phases.session import Workshop, phase, starting
from enos.testing import FakeProvider, RecordingProgress, RecordingShell

Enos = Callable[..., Any]
Golden = Callable[[str, str], None]

FILE = "provider: {type: fake}\ntopology: {core: {control: 1}, edge: {compute: 2}}\n"


@pytest.fixture
def experiment(
    here: Path, shell: RecordingShell, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the directory of an experiment whose machines are up."""
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)
    (here / "demo.yml").write_text(FILE)
    workshop = Workshop(
        progress=RecordingProgress(),
        where=here,
        cache=here.parent / "cache",
        shell=lambda _: shell,
    )
    with (
        starting(here / "demo.yml", None, workshop) as session,
        phase(session, "up") as running,
    ):
        testbed = running.session.provider.acquire(session.experiment.demand)
        running.session.save(testbed=testbed)
    return here / "enos-demo"


def by_name(told: str) -> str:
    """Sort what was done side by side: who was first is up to the machine."""
    lines = told.splitlines(keepends=True)
    return "".join([*lines[:-3], *sorted(lines[-3:])])


@pytest.mark.usefixtures("experiment")
def test_info_tells_phases_hosts_and_times(enos: Enos, golden: Golden) -> None:
    told = enos("info")

    assert (told.code, told.err) == (0, "")
    golden("cli/info.txt", by_name(told.out))


@pytest.mark.usefixtures("experiment")
def test_status_tells_who_answers(
    enos: Enos, shell: RecordingShell, golden: Golden
) -> None:
    shell.on("ssh *192.0.2.3*", returncode=255)

    told = enos("status")

    assert (told.code, told.err) == (0, "")
    golden("cli/status.txt", told.out)


def test_programs_read_the_same_as_json(enos: Enos, experiment: Path) -> None:
    info = json.loads(enos("info", "--json").out)
    status = json.loads(enos("--env", str(experiment), "status", "--json").out)

    assert [host["name"] for host in info["testbed"]["hosts"]] == list(status["hosts"])
    assert set(status["hosts"].values()) == {True}
    assert status["phases"] == {"up": "done"}


def test_looking_takes_no_lock(enos: Enos, experiment: Path, golden: Golden) -> None:
    from enos.state.directory import Directory

    with Directory(experiment).locked():
        told = enos("info")

    assert told.code == 0
    golden("cli/info.txt", by_name(told.out))


def test_info_of_several_experiments_asks_which(enos: Enos, experiment: Path) -> None:
    other = experiment.with_name("enos-other")
    other.mkdir()
    (other / "state.json").write_bytes((experiment / "state.json").read_bytes())

    told = enos("info")

    assert told.code == 8
    assert told.err == (
        "error: which experiment? `<dir>/here` holds `enos-demo`, `enos-other`\n"
        "hint: name it with `--env DIR`\n"
    )
