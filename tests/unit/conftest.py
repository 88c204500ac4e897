"""Testbeds that only exist to be configured."""

from collections.abc import Mapping
from typing import ClassVar

import pytest
from pydantic import Field

from enos.demand import Demand
from enos.provider import Check, Provider, ProviderSettings
from enos.testbed import Testbed


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
