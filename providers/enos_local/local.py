"""Nodes on this machine: containers that run systemd, sshd and their own Docker."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import ClassVar, cast

from enos.demand import Demand, host_names
from enos.provider import Check, Provider, ProviderSettings, Surroundings
from enos.testbed import Host, Testbed
from enos_local import doctor, engine, facts, hostconfig, image, layout, nodes, store
from enos_local.settings import Settings


class Local(Provider):
    """Docker containers as machines, on three networks of their own."""

    name: ClassVar[str] = "local"
    Settings: ClassVar[type[ProviderSettings]] = Settings
    sample: ClassVar[str] = (files("enos_local") / "sample.yml").read_text("utf-8")

    def __init__(self, settings: ProviderSettings, around: Surroundings) -> None:
        super().__init__(settings, around)
        self._settings = cast("Settings", settings)
        self._cache = around.cache / "local"

    def plan(self, demand: Demand) -> tuple[str, ...]:
        """See `Provider.plan`."""
        layout.check(demand)
        return (
            "Docker: use it, or install and start it where root may",
            f"node image: {self._settings.image or 'Debian ' + hostconfig.SUITE}",
            *(
                f"network {name}: a free /24 of {self._settings.subnets}, "
                f"eth{number} of each node"
                for number, name in enumerate(layout.NETWORKS)
            ),
            *(
                f"node {name}: container {self.around.session}-{name}, "
                f"group {machine.group}, roles {', '.join(machine.roles)}"
                for name, machine in host_names(demand)
            ),
        )

    def acquire(self, demand: Demand) -> Testbed:
        """See `Provider.acquire`."""
        layout.check(demand)
        machine, tag = self._prepare()
        with self.around.progress.step("image store"):
            kept = self._store()
            store.settle(self.around.shell, self.around.progress, kept, tag)
        site = nodes.Site(
            session=self.around.session,
            shell=self.around.shell,
            progress=self.around.progress,
            directory=self.around.directory,
            settings=self._settings,
            image=tag,
            flags=self._node_flags(machine, kept),
        )
        return nodes.acquire(site, demand, facts.recorded(machine))

    def release(self) -> None:
        """See `Provider.release`."""
        if engine.ask(self.around.shell) is None:
            self.around.progress.decision(
                "there is no Docker here, so there are no nodes"
            )
            return
        nodes.release(self.around.shell, self.around.progress, self.around.session)

    def switching(self, host: Host, verb: str) -> tuple[tuple[str, ...], ...]:
        """See `enos.provider.SwitchesMachines.switching`."""
        container = f"{self.around.session}-{host.name}"
        return (("docker", verb, container),)

    def checks(self) -> tuple[Check, ...]:
        """See `Provider.checks`."""
        return doctor.checks(self.around.shell, self.around.cache)

    @contextmanager
    def image_daemon(self) -> Iterator[str]:
        """See `enos.provider.SharesImages.image_daemon`."""
        machine, tag = self._prepare()
        kept = self._store()
        with store.builder(
            self.around.shell,
            kept,
            image=tag,
            flags=facts.node_flags(machine),
            environment=hostconfig.proxies(os.environ),
        ) as host:
            yield host

    def _prepare(self) -> tuple[facts.MachineFacts, str]:
        shell, progress = self.around.shell, self.around.progress
        self._cache.mkdir(parents=True, exist_ok=True)
        with progress.step("Docker") as step:
            log = self._cache / "logs/dockerd.log"
            engine.ensure(shell, progress, step, engine.this_machine(), log)
            machine = facts.probe(shell)
            facts.require(machine)
        with progress.step("node image") as step:
            tag = self._settings.image or image.ensure(
                shell, progress, step, self._cache
            )
        return machine, tag

    def _store(self) -> store.Store:
        return store.open_store(self.around.shell, self.around.progress, self._cache)

    def _node_flags(
        self, machine: facts.MachineFacts, kept: store.Store
    ) -> tuple[str, ...]:
        limits = facts.limit_flags(
            machine, cpus=self._settings.cpus, memory=self._settings.memory
        )
        return (*facts.node_flags(machine), *kept.mount(), *limits)
