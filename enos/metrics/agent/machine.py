"""The machine and its containers: what collectd's own plug-ins cannot tell apart.

A machine may itself be a container: its CPU and memory are then those of its own
control group, which /proc/stat and /proc/meminfo of the machine below do not show.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from enos.metrics.agent.cgroups import Groups, numbers
from enos.metrics.agent.samples import Sample

DOCKER = Path("/var/lib/docker/containers")
PODMAN = Path("/var/lib/containers/storage/overlay-containers/containers.json")
MARKS = (
    Path("/run/systemd/container"),
    Path("/.dockerenv"),
    Path("/run/.containerenv"),
)
KIB = 1024


def inside_container() -> bool:
    """Tell whether this machine is a container, by what systemd and engines leave."""
    return any(mark.exists() for mark in MARKS)


@dataclass
class Machine:
    """What this machine as a whole uses.

    Attributes:
        contained: the machine is a container on another one.

    """

    groups: Groups
    contained: bool
    proc: Path = Path("/proc")

    def samples(self) -> Iterator[Sample]:
        """Yield CPU in cores, memory in bytes, and what this program itself costs."""
        yield from self._own_group() if self.contained else self._whole()
        used = os.times()
        mine = used.user + used.system
        yield Sample("agent_cpu", mine, "cores", "agent", counter=True)
        unit = "system.slice/enos-metrics-database.service"
        try:
            database = self.groups.usage(unit).cpu
        except OSError:
            return
        yield Sample("agent_cpu", database, "cores", "database", counter=True)

    def _own_group(self) -> Iterator[Sample]:
        used = self.groups.usage("")
        yield Sample("cpu", used.cpu, "cores", counter=True)
        yield Sample("cpu_user", used.user, "cores", counter=True)
        yield Sample("cpu_system", used.system, "cores", counter=True)
        yield Sample("memory", used.memory, "B")
        yield Sample("disk_read", used.read, "B/s", counter=True)
        yield Sample("disk_write", used.written, "B/s", counter=True)
        yield Sample("processes", used.tasks, "processes")

    def _whole(self) -> Iterator[Sample]:
        ticks = os.sysconf("SC_CLK_TCK")
        line = (self.proc / "stat").read_text(encoding="ascii").splitlines()[0]
        user, nice, system, _, _, irq, softirq, *rest = map(int, line.split()[1:])
        steal = rest[0] if rest else 0
        users, kernel = user + nice, system + irq + softirq
        yield Sample("cpu", (users + kernel) / ticks, "cores", counter=True)
        yield Sample("cpu_user", users / ticks, "cores", counter=True)
        yield Sample("cpu_system", kernel / ticks, "cores", counter=True)
        yield Sample("cpu_steal", steal / ticks, "cores", counter=True)
        text = (self.proc / "meminfo").read_text(encoding="ascii").replace(":", "")
        held = numbers(text.replace(" kB", ""))
        yield Sample("memory", (held["MemTotal"] - held["MemAvailable"]) * KIB, "B")
        yield Sample("processes", len(self.groups.processes.every()), "processes")


@dataclass
class Containers:
    """What each container uses, by name."""

    groups: Groups
    docker: Path = DOCKER
    podman: Path = PODMAN
    _names: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Return the names of the containers there were at the last look."""
        return frozenset(self._names.values())

    def samples(self) -> Iterator[Sample]:
        """Yield CPU in cores, memory in bytes, disk and network of each container."""
        found = self.groups.containers()
        self._names = {one: self._names.get(one) or self.name(one) for one in found}
        self.groups.processes.keep(("", *found.values()))
        for one, path in found.items():
            try:
                yield from self._one(self._names[one], path)
            except OSError:
                continue  # it has ended meanwhile

    def _one(self, name: str, path: str) -> Iterator[Sample]:
        used = self.groups.usage(path)
        yield Sample("container_cpu", used.cpu, "cores", name, counter=True)
        yield Sample("container_memory", used.memory, "B", name)
        yield Sample("container_read", used.read, "B/s", name, counter=True)
        yield Sample("container_write", used.written, "B/s", name, counter=True)
        yield Sample("container_processes", used.tasks, "processes", name)
        yield from self._network(name, path)

    def _network(self, name: str, path: str) -> Iterator[Sample]:
        """Yield its traffic if it has a network of its own; most of Kolla's do not."""
        processes = self.groups.processes
        first = next(iter(self.groups.pids(path)), None)
        if first is None or processes.namespace(first) in {"", processes.namespace()}:
            return
        seen = [both for nic, both in processes.network(first).items() if nic != "lo"]
        received, sent = (sum(one[way] for one in seen) for way in (0, 1))
        yield Sample("container_rx", received, "B/s", name, counter=True)
        yield Sample("container_tx", sent, "B/s", name, counter=True)

    def name(self, one: str) -> str:
        """Return what an engine calls a container, its short id if no engine knows."""
        try:
            text = (self.docker / one / "config.v2.json").read_text(encoding="utf-8")
            return str(json.loads(text)["Name"]).lstrip("/")
        except (OSError, ValueError, KeyError):
            pass  # not Docker's
        try:
            listed = json.loads(self.podman.read_text(encoding="utf-8"))
            return next(
                str(entry["names"][0]) for entry in listed if entry["id"] == one
            )
        except (OSError, ValueError, KeyError, StopIteration):
            return one[:12]
