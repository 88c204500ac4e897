"""The test class every provider passes, ours and third parties'.

    class TestMine(ProviderContract):
        def make(self, around: Surroundings) -> Provider:
            return Mine(Mine.Settings(region="lab"), around)

pytest collects the subclass. With `demand`, `shell`, `names` and `traces` it is fitted
to what the testbed can do; the base class itself is not collected.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from secrets import token_hex
from typing import Any, ClassVar

import yaml
from pydantic import ValidationError

from enos.demand import Demand, MachineDemand, host_names
from enos.errors import ProcessError
from enos.process import LocalShell, Shell
from enos.provider import Provider, Surroundings, SwitchesMachines
from enos.remote import on_each, run_on
from enos.testbed import Testbed, from_json, to_json
from enos.testing.recording import RecordingProgress, RecordingShell


class ProviderContract(ABC):
    """What any provider promises; see `enos.provider`."""

    demand: ClassVar[Demand] = Demand(
        machines=(
            MachineDemand(group="grp1", roles=("control", "network"), flavour="any"),
            MachineDemand(group="grp2", roles=("compute",), flavour="any", number=2),
        )
    )

    @abstractmethod
    def make(self, around: Surroundings) -> Provider:
        """Return the provider under test, with settings that work here."""

    def shell(self, session: str) -> Shell:
        """Return what the provider starts programs with."""
        return LocalShell(session=session)

    def names(self) -> tuple[str, ...]:
        """Return the host names to expect for `demand`."""
        return tuple(name for name, _ in host_names(self.demand))

    def traces(self) -> Any:  # noqa: ANN401 - compared, never looked into
        """Return what the testbed holds; the same before and after an experiment."""
        return ()

    def surroundings(self, folder: Path, shell: Shell | None = None) -> Surroundings:
        """Return surroundings of a session of their own under a folder."""
        session = f"enos-test-{token_hex(3)}"
        for name in ("provider", "cache"):
            (folder / name).mkdir(exist_ok=True)
        return Surroundings(
            session=session,
            directory=folder / "provider",
            cache=folder / "cache",
            shell=shell or self.shell(session),
            progress=RecordingProgress(),
        )

    def test_plan_names_every_machine_and_touches_nothing(self, tmp_path: Path) -> None:
        """Plan is pure: no program, no file."""
        shell = RecordingShell(strict=True)
        lines = self.make(self.surroundings(tmp_path, shell)).plan(self.demand)
        assert [n for n in self.names() if not any(n in line for line in lines)] == []
        assert shell.calls == []
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_release_of_nothing_is_harmless(self, tmp_path: Path) -> None:
        """Release needs the session's name only."""
        before = self.traces()
        provider = self.make(self.surroundings(tmp_path))
        provider.release()
        provider.release()
        assert self.traces() == before

    def test_machines_come_answer_and_go(self, tmp_path: Path) -> None:
        """Acquire converges, every host answers, release leaves nothing."""
        before = self.traces()
        around = self.surroundings(tmp_path)
        try:
            testbed = self.make(around).acquire(self.demand)
            self._check_hosts(testbed)
            self._check_networks(testbed)
            on_each(testbed.hosts, lambda host: run_on(around.shell, host, ["true"]))
            self._check_switching(testbed, around)
            assert from_json(to_json(testbed)) == testbed
            # What another process finds, and what a second `enos up` does.
            again = self.make(around).acquire(self.demand)
            assert _lasting(again) == _lasting(testbed)
        finally:
            self.make(around).release()
        self.make(around).release()
        assert self.traces() == before

    def test_an_unknown_setting_is_refused(self, tmp_path: Path) -> None:
        """A misspelt key never passes in silence."""
        model = type(self.make(self.surroundings(tmp_path))).Settings
        said = ""
        try:
            model.model_validate({"no-such-setting": 1})
        except ValidationError as wrong:
            said = str(wrong)
        assert "no-such-setting" in said

    def test_the_sample_file_is_of_this_provider(self, tmp_path: Path) -> None:
        """`enos new` writes a file that names the provider it was asked for."""
        provider = type(self.make(self.surroundings(tmp_path)))
        sample = yaml.safe_load(provider.sample)
        assert sample["provider"]["type"] == provider.name
        settings = {k: v for k, v in sample["provider"].items() if k != "type"}
        provider.Settings.model_validate(settings)

    def test_each_check_that_fails_says_what_helps(self, tmp_path: Path) -> None:
        """A line of `enos doctor` has a fix, or a way round when not required."""
        checks = self.make(self.surroundings(tmp_path)).checks()
        assert len({check.name for check in checks}) == len(checks)
        for check in checks:
            assert check.name
            assert check.ok or check.fix or not check.required
            assert check.found

    def _check_switching(self, testbed: Testbed, around: Surroundings) -> None:
        """A machine that is paused does not answer, until it is let go on."""
        provider = self.make(around)
        if not isinstance(provider, SwitchesMachines):
            return
        host = testbed.hosts[-1]

        def answers() -> bool:
            try:
                return run_on(around.shell, host, ["true"], timeout=5).ok
            except ProcessError:
                return False

        for verb, alive in (("pause", False), ("unpause", True)):
            for argv in provider.switching(host, verb):
                around.shell.run(argv)
            assert answers() is alive

    def _check_hosts(self, testbed: Testbed) -> None:
        assert tuple(host.name for host in testbed.hosts) == self.names()
        asked = [machine for _, machine in host_names(self.demand)]
        for host, machine in zip(testbed.hosts, asked, strict=True):
            assert machine.group in host.groups
            assert set(machine.roles) <= set(host.roles)

    def _check_networks(self, testbed: Testbed) -> None:
        assert testbed.network("api") is not None
        assert len({net.name for net in testbed.networks}) == len(testbed.networks)
        for network in testbed.networks:
            for address in network.pool or ():
                assert IPv4Address(address) in IPv4Network(network.cidr)
        known = {net.name for net in testbed.networks} | {""}
        for host in testbed.hosts:
            assert {nic.network for nic in host.nics} <= known


def _lasting(testbed: Testbed) -> Testbed:
    """Leave out interfaces on none of its networks: they come and go with programs."""
    hosts = tuple(
        replace(host, nics=tuple(nic for nic in host.nics if nic.network))
        for host in testbed.hosts
    )
    return replace(testbed, hosts=hosts)
