"""Testbeds that only exist to be configured, and experiments of one that is had."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from enos import plugins
from enos.demand import Demand
from enos.phases.session import Session, Workshop, phase, starting
from enos.provider import Check, Provider, ProviderSettings
from enos.testbed import Testbed
from enos.testing import FakeProvider, RecordingProgress, RecordingShell


class Paper(Provider):
    """A testbed on paper: it can be asked for, never had."""

    name: ClassVar[str] = "paper"

    def plan(self, demand: Demand) -> tuple[str, ...]:
        return tuple(machine.group for machine in demand.machines)

    def acquire(self, demand: Demand) -> Testbed:
        raise NotImplementedError(demand)

    def release(self) -> None:
        raise NotImplementedError

    def checks(self) -> tuple[Check, ...]:
        return ()


class Counted(Paper):
    """Machines are alike and counted."""

    class Settings(ProviderSettings):
        cpus: int = Field(default=1, ge=1)
        walltime: str = ""
        password: int = 0


class Written(Paper):
    """Machines are written out one by one."""

    class Settings(ProviderSettings):
        networks: list[dict[str, str]] = Field(default=[])

    class Machine(ProviderSettings):
        address: str
        alias: str = ""
        user: str = "root"
        port: int = Field(default=22, ge=1, le=65535)
        keyfile: str = ""
        jump: str = ""
        sudo: bool = False
        extra: dict[str, str] = Field(default={})


@pytest.fixture(scope="session")
def providers() -> Mapping[str, type[Provider]]:
    """`local` counts machines, `static` writes them out."""
    return {"local": Counted, "static": Written}


@pytest.fixture
def opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AbstractContextManager[Session]]:
    """Open the experiment of a file's text, by a shell, with a fake provider."""

    @contextmanager
    def opened(
        text: str, shell: RecordingShell, provider: type[FakeProvider] = FakeProvider
    ) -> Iterator[Session]:
        monkeypatch.setattr(plugins, "providers", lambda: {"fake": provider})
        monkeypatch.setattr(plugins, "provider", lambda _: provider)
        file = tmp_path / "demo.yml"
        file.write_text(text)
        workshop = Workshop(
            progress=RecordingProgress(),
            where=tmp_path,
            cache=tmp_path / "cache",
            shell=lambda _: shell,
        )
        with starting(file, None, workshop) as session:
            yield session

    return opened


@pytest.fixture
def machines_up(
    opened: Callable[..., AbstractContextManager[Session]],
) -> Callable[[str, RecordingShell], AbstractContextManager[Session]]:
    """Open the experiment of a file's text, its fake machines up, by a shell."""

    @contextmanager
    def up(text: str, shell: RecordingShell) -> Iterator[Session]:
        with opened(text, shell) as session:
            with phase(session, "up") as running:
                testbed = running.session.provider.acquire(session.experiment.demand)
                running.session.save(testbed=testbed)
            yield session

    return up
