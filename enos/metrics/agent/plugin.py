"""The plug-in of collectd: samples machine, containers and services, writes them all.

Loaded by collectd's Python plug-in (collectd-python(5)); what collectd's own plug-ins
measure comes in by the write callback, so that all points go one way.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from enos.metrics.agent.cgroups import Groups
from enos.metrics.agent.machine import Containers, Machine, inside_container
from enos.metrics.agent.samples import Sample
from enos.metrics.agent.services import Services
from enos.metrics.agent.writer import Writer

DROPPED = ("net_rx_dropped", "net_tx_dropped")
NAMES = {
    ("interface", "if_octets"): (("net_rx", "net_tx"), "B/s", True),
    ("interface", "if_dropped"): (DROPPED, "packets/s", True),
    ("load", "load"): (("load", "", ""), "processes", False),
    ("disk", "disk_octets"): (("disk_read", "disk_write"), "B/s", True),
}
"""collectd's plug-in and type → measures ("" for none), unit, counter."""


class Agent:
    """What a collectd process measures; made when collectd reads its configuration."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.folder = folder
        self.warn = warn
        settings = json.loads((folder / "agent.json").read_text(encoding="utf-8"))
        self.interval = float(settings["interval"])
        self.writer = Writer(**settings["writer"])
        groups = Groups()
        self.machine = Machine(groups=groups, contained=inside_container())
        self.containers = Containers(groups=groups)
        self.services = Services(accounts={})
        self._read_accounts = 0.0
        self._wake = threading.Event()

    def start(self) -> None:
        """Begin to send."""
        self.writer.load(self.folder / "waiting.lp")
        threading.Thread(target=self._send, daemon=True).start()

    def read_machine(self) -> None:
        """Sample the machine and its containers."""
        # Of the moment they are read at: one before would make rates too high.
        machine = [*self.machine.samples(), *self._state()]
        self.writer.take(time.time(), machine)
        containers = list(self.containers.samples())
        count = Sample("containers", len(self.containers.names), "containers")
        self.writer.take(time.time(), [*containers, count])
        self._wake.set()

    def read_services(self) -> None:
        """Sample the services that run here."""
        self._learn()
        services = list(self.services.samples(self.containers.names))
        self.writer.take(time.time(), services)

    def write(self, values: Any) -> None:  # noqa: ANN401 - collectd.Values has no types
        """Take what a plug-in of collectd measured."""
        found = NAMES.get((values.plugin, values.type))
        which = values.plugin_instance
        if found is None or (values.plugin == "disk" and not self._has_disk(which)):
            return
        measures, unit, counter = found
        self.writer.take(
            values.time,
            [
                Sample(measure, value, unit, which, counter=counter)
                for measure, value in zip(measures, values.values, strict=False)
                if measure
            ],
        )

    def stop(self) -> None:
        """Send or save what is waiting."""
        self.writer.send()
        self.writer.save(self.folder / "waiting.lp")

    def _has_disk(self, name: str) -> bool:
        """Tell whether a disk is this machine's; a container sees those below it."""
        return bool(name) and not self.machine.contained

    def _state(self) -> Iterator[Sample]:
        yield Sample("agent_waiting", self.writer.left, "points")
        yield Sample("agent_dropped", self.writer.dropped, "points")
        yield Sample("agent_refused", self.writer.refused, "points")

    def _send(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self.writer.send()
            if self.writer.problem:
                self.warn(f"enos: the database: {self.writer.problem}")

    def _learn(self) -> None:
        """Take over the services' accounts when enos wrote or changed them."""
        file = self.folder / "services.json"
        try:
            written = file.stat().st_mtime
            if written != self._read_accounts:
                accounts = json.loads(file.read_text(encoding="utf-8"))
                self.services = Services(accounts=accounts, warn=self.warn)
                self._read_accounts = written
        except (OSError, ValueError):
            return  # not there yet


def configure(config: Any) -> None:  # noqa: ANN401 - collectd.Config has no types
    """Set up from ``Folder "/path"`` of the module's block."""
    import collectd

    (folder,) = [one.values[0] for one in config.children if one.key == "Folder"]
    agent = Agent(Path(folder), collectd.warning)
    collectd.register_init(agent.start)
    collectd.register_read(agent.read_machine, agent.interval, name="enos_machine")
    collectd.register_read(agent.read_services, agent.interval, name="enos_services")
    collectd.register_write(agent.write)
    collectd.register_shutdown(agent.stop)


if find_spec("collectd"):  # only collectd's own Python has it
    import collectd

    collectd.register_config(configure)
