"""Experiments are opened, followed and journaled, with nothing real behind them."""

from pathlib import Path

import pytest

from enos import plugins
from enos.errors import ConfigError, ProviderError, StateError
from enos.phases import destroy, info
from enos.phases.session import Session, Workshop, phase, resuming, starting
from enos.state.directory import Directory
from enos.testing import FakeProvider, RecordingProgress, RecordingShell

FILE = "provider: {type: fake}\nresources: {any: {control: 1, compute: 2}}\n"


@pytest.fixture(autouse=True)
def _only_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(
        progress=RecordingProgress(),
        where=tmp_path,
        cache=tmp_path / "cache",
        shell=lambda _: RecordingShell(),
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "demo.yml"
    path.write_text(FILE)
    return path


def acquire(session: Session) -> None:
    with phase(session, "up") as running:
        testbed = running.session.provider.acquire(session.experiment.demand)
        running.session.save(testbed=testbed)


def test_a_wrong_file_creates_nothing(tmp_path: Path, workshop: Workshop) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("provider: {type: fake}\nresorces: {}\n")

    with pytest.raises(ConfigError), starting(bad, None, workshop):
        pass

    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.yml"]


def test_a_phase_is_recorded_with_its_steps(workshop: Workshop, file: Path) -> None:
    with starting(file, None, workshop) as session:
        acquire(session)

    state = session.directory.load()
    events = session.directory.journal.events()
    assert state.done("up")
    assert [host.name for host in session.testbed.hosts] == [
        "control-1",
        "compute-1",
        "compute-2",
    ]
    assert [(e["kind"], e["status"]) for e in events if e["what"] == "up"] == [
        ("phase", "started"),
        ("phase", "finished"),
    ]
    assert all(e["phase"] == "up" for e in events if e["kind"] == "step")


def test_a_failure_is_recorded_and_the_command_can_be_repeated(
    workshop: Workshop, file: Path
) -> None:
    def fail(session: Session) -> None:
        with phase(session, "up"):
            raise ProviderError("no machine")

    with pytest.raises(ProviderError), starting(file, None, workshop) as session:
        fail(session)
    first = session.directory.load()

    with starting(file, None, workshop) as session:
        acquire(session)

    assert first.phases["up"].status == "failed"
    assert session.directory.load().done("up")
    assert session.directory.load().session == first.session


def test_a_phase_out_of_order_names_the_one_to_run(
    workshop: Workshop, file: Path
) -> None:
    with (
        starting(file, None, workshop) as session,
        pytest.raises(StateError, match="no machines were acquired") as caught,
    ):
        _ = session.testbed

    assert caught.value.hint == "run `enos up` first"


def test_an_edited_file_is_taken_over_and_the_change_is_journaled(
    workshop: Workshop, file: Path
) -> None:
    with starting(file, None, workshop):
        pass
    file.write_text(FILE + "kolla: {enable_neutron_dvr: 'yes'}\n")

    with resuming(None, workshop) as session:
        assert session.experiment.kolla == {"enable_neutron_dvr": "yes"}

    (change,) = (e for e in session.directory.journal.events() if "diff" in e)
    assert "+kolla: {enable_neutron_dvr: 'yes'}" in change["diff"]


def test_a_file_that_became_wrong_changes_nothing(
    workshop: Workshop, file: Path
) -> None:
    with starting(file, None, workshop):
        pass
    file.write_text("provider: {type: fake}\n")

    with pytest.raises(ConfigError), resuming(None, workshop):
        pass

    assert Directory(workshop.where / "enos-demo").experiment.read_text() == FILE


def test_releasing_needs_nothing_but_the_state(workshop: Workshop, file: Path) -> None:
    with starting(file, None, workshop) as session:
        acquire(session)
    file.unlink()
    session.directory.experiment.unlink()

    for _ in range(2):
        with resuming(None, workshop, reread=False) as session:
            destroy.release(session)

    state = session.directory.load()
    assert state.done("destroy")
    assert state.testbed is None


def test_info_names_hosts_and_phases(workshop: Workshop, file: Path) -> None:
    with starting(file, None, workshop) as session:
        acquire(session)

    told = info.of_session(session)

    assert "compute-2        192.0.2.4" in told.text
    assert "up         done" in told.text
    assert set(told.values["seconds"]) == {"up"}


def test_status_tells_which_hosts_answer(workshop: Workshop, file: Path) -> None:
    with starting(file, None, workshop) as session:
        acquire(session)
    shell = RecordingShell()
    shell.on("ssh *192.0.2.3*", returncode=255)
    deaf = Workshop(
        progress=workshop.progress,
        where=workshop.where,
        cache=workshop.cache,
        shell=lambda _: shell,
    )

    with resuming(None, deaf, reread=False, lock=False) as session:
        told = info.status(session)

    assert told.values["hosts"] == {
        "control-1": True,
        "compute-1": False,
        "compute-2": True,
    }
