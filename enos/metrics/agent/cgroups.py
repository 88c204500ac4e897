"""What control groups used, from cgroup v2 or v1, whichever this machine has.

v2: https://docs.kernel.org/admin-guide/cgroup-v2.html (`cpu.stat` is there even where
no controller is); v1: …/cgroup-v1/{cpuacct,memory,blkio-controller}.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from enos.metrics.agent.processes import Processes

ROOT = Path("/sys/fs/cgroup")
CONTAINER = re.compile(r"(?:docker-|libpod-)?([0-9a-f]{64})(?:\.scope)?")
DEEPEST = 5
MICRO, NANO = 1e-6, 1e-9


@dataclass(frozen=True)
class Usage:
    """What a control group used: seconds and bytes since it was made, `memory` now."""

    cpu: float
    memory: float
    read: float
    written: float
    tasks: int
    user: float = 0.0
    system: float = 0.0


@dataclass
class Groups:
    """The control groups of this machine.

    Attributes:
        root: where they are mounted.
        own: where the groups of the machine itself begin, below the mount.

    """

    root: Path = ROOT
    processes: Processes = field(default_factory=Processes)

    @property
    def unified(self) -> bool:
        """Tell whether it is version 2."""
        return (self.root / "cgroup.controllers").exists()

    def containers(self) -> dict[str, str]:
        """Return container id → path of its group below the mount."""
        base = self.root if self.unified else self.root / "cpuacct"
        found: dict[str, str] = {}
        ahead = [(base, 0)]
        while ahead:
            folder, depth = ahead.pop()
            for entry in _folders(folder):
                if match := CONTAINER.fullmatch(entry.name):
                    found[match[1]] = str(Path(entry.path).relative_to(base))
                elif depth < DEEPEST:
                    ahead.append((Path(entry.path), depth + 1))
        return found

    def pids(self, path: str) -> list[int]:
        """Return the processes of a group and of the groups within it."""
        base = self.root / path if self.unified else self.root / "cpuacct" / path
        return [
            int(word)
            for folder, _, _ in os.walk(base)
            for word in _read(Path(folder) / "cgroup.procs").split()
        ]

    def usage(self, path: str) -> Usage:
        """Return what a group used; raises OSError when it has ended meanwhile."""
        return self._v2(path) if self.unified else self._v1(path)

    def _v2(self, path: str) -> Usage:
        group = self.root / path
        cpu = numbers((group / "cpu.stat").read_text(encoding="ascii"))
        pids = self.pids(path)
        memory, held = _read(group / "memory.current"), _read(group / "memory.stat")
        moved = self._moved_v2(group, path, pids)
        return Usage(
            cpu=cpu["usage_usec"] * MICRO,
            user=cpu["user_usec"] * MICRO,
            system=cpu["system_usec"] * MICRO,
            memory=int(memory) - numbers(held).get("inactive_file", 0)
            if memory
            else self.processes.memory(pids),
            read=moved[0],
            written=moved[1],
            tasks=len(pids),
        )

    def _moved_v2(self, group: Path, path: str, pids: list[int]) -> tuple[int, int]:
        if not (group / "io.stat").exists():
            return self.processes.moved(path, pids)
        words = _read(group / "io.stat").split()
        pairs = [word.partition("=") for word in words if "=" in word]
        read = sum(int(value) for key, _, value in pairs if key == "rbytes")
        return read, sum(int(value) for key, _, value in pairs if key == "wbytes")

    def _v1(self, path: str) -> Usage:
        cpu = (self.root / "cpuacct" / path / "cpuacct.usage").read_text("ascii")
        shares = numbers(_read(self.root / "cpuacct" / path / "cpuacct.stat"))
        held = numbers(_read(self.root / "memory" / path / "memory.stat"))
        memory = _read(self.root / "memory" / path / "memory.usage_in_bytes")
        disks = _read(
            self.root / "blkio" / path / "blkio.throttle.io_service_bytes_recursive"
        )
        ticks = os.sysconf("SC_CLK_TCK")
        return Usage(
            cpu=int(cpu) * NANO,
            user=shares.get("user", 0) / ticks,
            system=shares.get("system", 0) / ticks,
            memory=int(memory or 0) - held.get("total_inactive_file", 0),
            read=_directed(disks, "Read"),
            written=_directed(disks, "Write"),
            tasks=len(self.pids(path)),
        )


def numbers(text: str) -> dict[str, int]:
    r"""Return key → number of lines such as ``usage_usec 123``.

    >>> numbers("usage_usec 12\nuser_usec 5\n")
    {'usage_usec': 12, 'user_usec': 5}
    """
    pairs = (line.split() for line in text.splitlines())
    return {words[0]: int(words[1]) for words in pairs if len(words) == 2}  # noqa: PLR2004


def _directed(text: str, direction: str) -> int:
    """Return the sum of lines such as ``8:0 Read 4096``."""
    lines = (line.split() for line in text.splitlines())
    return sum(int(words[2]) for words in lines if words[1:2] == [direction])


def _folders(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return [one for one in entries if one.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # it has ended meanwhile


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
