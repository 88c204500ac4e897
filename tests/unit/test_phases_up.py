"""Machines are acquired, and what has some is not taken for given back."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from enos import plugins
from enos.demand import Demand
from enos.errors import CapabilityError, ConfigError
from enos.phases import images, install, up
from enos.phases.session import Session, Workshop, phase, resuming, starting
from enos.provider import KVM, Check
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


def test_what_cannot_be_deployed_is_refused_before_its_images_are_made(
    opened: Callable[..., AbstractContextManager[Session]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    def planned(session: Session) -> None:
        seen.extend(host.name for host in session.testbed.hosts)
        raise ConfigError("no interface for Neutron")

    monkeypatch.setattr(install, "planned", planned)
    monkeypatch.setattr(images, "provide", lambda _: seen.append("images"))
    with (
        opened(FILE + "registry: {type: internal}\n", RecordingShell()) as session,
        pytest.raises(ConfigError, match="no interface for Neutron"),
    ):
        up.run(session)

    assert seen == ["control-1", "compute-1"]
    state = session.directory.load()
    assert state.testbed is not None  # so that `destroy` gives the machines back
    assert not state.done("up")


class Emulating(FakeProvider):
    """A provider whose machines run no guests on their processors."""

    def checks(self) -> tuple[Check, ...]:
        return (Check(name=KVM, ok=False, found="no /dev/kvm", fix="nest"),)


def test_guests_on_kvm_are_refused_before_anything_is_made(
    opened: Callable[..., AbstractContextManager[Session]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared: list[str] = []
    monkeypatch.setattr(images, "share", lambda _: shared.append("images"))
    shell = RecordingShell()
    with (
        opened(FILE + "virt: kvm\n", shell, Emulating) as session,
        pytest.raises(CapabilityError, match="cannot be had here: no /dev/kvm") as told,
    ):
        up.run(session)

    assert told.value.hint == "set `virt: qemu`, or: nest"
    assert (shared, session.directory.load().testbed) == ([], None)
