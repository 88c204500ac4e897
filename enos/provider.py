"""The whole contract between enos and a testbed, on one screen.

A provider is a class, named by an entry point of the group `enos.providers`. It sees
this module, `enos.testbed`, `enos.demand`, `enos.units`, `enos.errors`,
`enos.process`, `enos.progress` and `enos.remote`, and nothing else of enos.
`enos.testing.ProviderContract` is the test class every provider subclasses.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from enos.demand import Demand
from enos.process import Shell
from enos.progress import Progress
from enos.testbed import Host, Testbed


class ProviderSettings(BaseModel):
    """The `provider:` section of the file, without `type`; defaults are its fields'."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of `enos doctor`: a capability, whether it is there, and the fix.

    Attributes:
        required: False when enos has a way round, which `found` then names.

    """

    name: str
    ok: bool
    found: str
    fix: str = ""
    required: bool = True


KVM = "KVM"
"""The check that tells whether guests run on the processors of machines to come.

Where it is not ok, `virt: kvm` is refused before anything is made.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a provider works with.

    Attributes:
        session: id of the experiment, e.g. ``enos-3f9a2c``; names and labels of all
            that is created start with it, so that `release` finds everything.
        directory: folder for the provider's own files (keys, …), already there.
        cache: folder shared by all experiments of this user, already there.

    """

    session: str
    directory: Path
    cache: Path
    shell: Shell
    progress: Progress


class Provider(ABC):
    """Acquires the hosts and networks an experiment asks for, and gives them back."""

    name: ClassVar[str]
    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings
    Machine: ClassVar[type[ProviderSettings]] = ProviderSettings
    """Keys of one machine beyond roles, group, flavour, number and networks; what the
    file gives of them is in `MachineDemand.extra`. With a required one, machines are
    written one by one (`control: {address: 10.0.0.1}`) instead of counted."""
    keeps: ClassVar[bool] = False
    """Whether machines outlive the experiment, so that `destroy` must clean them."""
    sample: ClassVar[str] = ""
    """A commented experiment file, what `enos new --provider NAME` writes."""

    def __init__(self, settings: ProviderSettings, around: Surroundings) -> None:
        self.settings = settings
        self.around = around

    @abstractmethod
    def plan(self, demand: Demand) -> tuple[str, ...]:
        """Return what `acquire` would do, a line each, without touching anything.

        Raises ConfigError or ProviderError when the demand cannot be met at all.
        """

    @abstractmethod
    def acquire(self, demand: Demand) -> Testbed:
        """Return the testbed, creating what is missing; idempotent.

        Every host of the result answers SSH. Raises ProviderError.
        """

    @abstractmethod
    def release(self) -> None:
        """Give back all of this session's machines; harmless when already gone."""

    @abstractmethod
    def checks(self) -> tuple[Check, ...]:
        """Return what this machine and account can do, for `enos doctor`."""

    @classmethod
    def without_external(
        cls, settings: ProviderSettings, demand: Demand
    ) -> frozenset[str]:
        """Return the machines that will have no interface for Neutron, by the file.

        Named as by `enos.demand.host_names`; none unless a provider says otherwise.
        """
        del settings, demand
        return frozenset()


@runtime_checkable
class SharesImages(Protocol):
    """A provider whose machines come with container images already in their Docker.

    Optional: without it images reach the machines through a registry.
    """

    def image_daemon(self) -> AbstractContextManager[str]:
        """Run a Docker daemon for the block; yield its DOCKER_HOST.

        Whatever images it holds when the block ends are in the Docker of every
        machine acquired afterwards. They are kept in the cache between experiments.
        """


@runtime_checkable
class SwitchesMachines(Protocol):
    """A provider whose machines can be stopped and paused while an experiment runs.

    Optional: without it events can switch services, not machines.
    """

    def switching(self, host: Host, verb: str) -> tuple[tuple[str, ...], ...]:
        """Return the commands that `stop`, `start`, `pause` or `unpause` a machine.

        They are run where enos runs, by a shell and nothing else, for they must bring
        a machine back when enos itself is gone. `start` and `unpause` may fail on a
        machine that runs, but must not change it.
        """
