"""Machines that outlive the experiment are cleaned; the others just go."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from enos import plugins
from enos.errors import EmulationError, ProcessError, ProviderError
from enos.kolla import deployment as kolla
from enos.kolla import stopping
from enos.phases import destroy, install, tc
from enos.phases.session import Session, Workshop, phase, starting
from enos.state.directory import Directory
from enos.testbed import Testbed
from enos.testing import FakeProvider, RecordingProgress, RecordingShell
from enos.testing.recording import Answer, Call

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


def release(
    where: Path,
    kind: type[FakeProvider],
    *phases: str,
    shell: RecordingShell | None = None,
    progress: RecordingProgress | None = None,
) -> Session:
    machines = shell or RecordingShell()
    plugins_of = {"fake": kind}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "providers", lambda: plugins_of)
        patch.setattr(plugins, "provider", lambda _: kind)
        file = where / "demo.yml"
        file.write_text(FILE)
        workshop = Workshop(
            progress=progress or RecordingProgress(),
            where=where,
            cache=where / "cache",
            shell=lambda _: machines,
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


def test_monitoring_goes_before_the_folder_it_lives_in_on_every_machine(
    tmp_path: Path, done: list[str]
) -> None:
    shell = RecordingShell()
    release(tmp_path, Kept, "up", "os", "metrics", "bench", shell=shell)

    steps = [
        "monitoring" if '"remove": true' in call.stdin else "folder"
        for call in shell.calls
        if '"remove": true' in call.stdin or call.line.endswith("rm -rf /var/lib/enos'")
    ]
    assert steps == ["monitoring"] * 2 + ["folder"] * 2
    assert done == ["OpenStack"]


def test_a_dead_machine_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: list[str]
) -> None:
    def refuse(_: Session) -> None:
        raise EmulationError("compute-1 refuses: no route to host")

    monkeypatch.setattr(tc, "reset", refuse)
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("*rm -rf*", stderr="no route to host", returncode=255)

    with pytest.raises(ProviderError, match="given back") as failed:
        release(tmp_path, Kept, "up", "os", "tc", shell=shell, progress=progress)

    directory = Directory(tmp_path / "enos-demo")
    assert done == ["OpenStack"]
    assert directory.load().testbed is None
    assert directory.load().done("destroy")
    assert [line.partition(":")[0] for line in failed.value.details.splitlines()] == [
        "the network emulation",
        "what benchmarks used",
    ]
    assert len(progress.warnings) == 2


Names = tuple[str, ...]


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Names, Names]]:
    """The machines OpenStack was removed from, and those that were taken for dead."""
    told: list[tuple[Names, Names]] = []

    def remove(_: Session, there: Testbed, dead: Sequence[str]) -> None:
        told.append((tuple(host.name for host in there.hosts), tuple(dead)))

    monkeypatch.setattr(destroy, "_remove_openstack", remove)
    return told


def too_late(call: Call) -> Answer:
    raise ProcessError("no answer within 30 s", argv=call.argv)


@pytest.mark.parametrize("dead", [Answer(returncode=255), too_late])
def test_openstack_goes_from_the_machines_that_live_and_the_dead_are_named(
    tmp_path: Path,
    removed: list[tuple[Names, Names]],
    dead: Answer | Callable[[Call], Answer],
) -> None:
    shell = RecordingShell()
    # It answers while it is acquired, for each phase, and never again.
    shell.script("ssh *192.0.2.3* true", Answer(), Answer(), dead)

    with pytest.raises(ProviderError, match="given back") as failed:
        release(tmp_path, Kept, "up", "os", shell=shell)

    assert removed == [(("control-1",), ("compute-1",))]
    assert (
        failed.value.details == "OpenStack: OpenStack is left on compute-1: no answer"
    )


def test_where_no_machine_answers_nothing_is_removed_and_all_are_named(
    tmp_path: Path, removed: list[tuple[Names, Names]]
) -> None:
    shell = RecordingShell()
    for address in ("192.0.2.2", "192.0.2.3"):
        shell.script(
            f"ssh *{address}* true", Answer(), Answer(), Answer(returncode=255)
        )

    with pytest.raises(ProviderError) as failed:
        release(tmp_path, Kept, "up", "os", shell=shell)

    assert removed == []
    assert "left on control-1, compute-1" in failed.value.details


def test_all_machines_that_answer_are_cleaned_without_a_word(
    tmp_path: Path, removed: list[tuple[Names, Names]]
) -> None:
    session = release(tmp_path, Kept, "up", "os")

    assert removed == [(("control-1", "compute-1"), ())]
    assert session.directory.load().done("destroy")


def test_names_and_registries_leave_the_files_of_kept_machines(
    tmp_path: Path, done: list[str]
) -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("*192.0.2.2 'python3 -'", stdout="/etc/hosts\n/etc/docker/daemon.json\n")
    release(tmp_path, Kept, "up", "os", shell=shell, progress=progress)

    asked = [call for call in shell.calls if call.line.endswith("'python3 -'")]
    assert len(asked) == 2
    assert all("# BEGIN enos" in call.stdin for call in asked)
    lines = [call.line for call in shell.calls]
    folder = next(line for line in lines if line.endswith("rm -rf /var/lib/enos'"))
    assert lines.index(asked[-1].line) < lines.index(folder), "its list is in there"
    assert (
        "control-1: /etc/hosts, /etc/docker/daemon.json as before; Docker and what was "
        "installed with it stay"
    ) in progress.decisions
    assert done == ["OpenStack"]


def test_kolla_ansible_is_sent_to_the_machines_that_live_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    def planned(_: Session, *, action: str, absent: Sequence[str]) -> SimpleNamespace:
        told.append((action, tuple(absent)))
        return SimpleNamespace(shadow=SimpleNamespace(engine="podman"), variables={})

    def stop(there: Testbed, engine: str, *_: object) -> None:
        told.append((engine, *(host.name for host in there.hosts)))

    def remove(*_: object, only: Sequence[str], **__: object) -> None:
        told.append(tuple(only))

    monkeypatch.setattr(install, "planned", planned)
    monkeypatch.setattr(stopping, "stop", stop)
    monkeypatch.setattr(kolla, "destroy", remove)
    shell = RecordingShell()
    shell.script("ssh *192.0.2.3* true", Answer(), Answer(), Answer(returncode=255))
    with pytest.raises(ProviderError):
        release(tmp_path, Kept, "up", "os", shell=shell)
    release(tmp_path, Kept, "up", "os")

    one = [("destroy", ("compute-1",)), ("podman", "control-1"), ("control-1",)]
    assert told[:3] == one
    assert told[3:] == [("destroy", ()), ("podman", "control-1", "compute-1"), ()]
